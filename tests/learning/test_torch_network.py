import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

from networks import classifier
from oddlens.errors import OptionError
from oddlens.learning.torch_network import CallableNetwork, Layer, ModuleNetwork, as_map, grid_of, whole

IMAGE = torch.linspace(0, 1, 3 * 64 * 64).reshape(1, 3, 64, 64)


@pytest.fixture
def network():
    return ModuleNetwork(classifier())


def test_the_usual_layers_end_blocks_at_strides_of_8_and_16(network):
    layers = network.layers(IMAGE)
    assert network.usual(layers, (64, 64)) == ("blocks.2", "blocks.3")
    grids = {layer.name: layer.grid for layer in layers}
    assert (grids["blocks.2"], grids["blocks.3"], grids["head"], grids["output"]) == ((8, 8), (4, 4), None, None)
    # What widens in the next block comes later and has the grid of stride 8 too, but it is inside.
    assert grids["blocks.3.widen"] == (8, 8)
    assert {layer.name for layer in layers if layer.inner} >= {"blocks.3.widen", "blocks.0.widen"}
    assert not next(layer for layer in layers if layer.name == "blocks.2.norm").inner


def test_where_no_layer_has_these_strides_the_last_with_places_is_taken():
    shallow = ModuleNetwork(nn.Sequential(nn.Conv2d(3, 2, 3, 2), nn.ReLU(), nn.Flatten()))
    assert shallow.usual(shallow.layers(IMAGE), (64, 64)) == ("1",)
    flat = ModuleNetwork(nn.Sequential(nn.Flatten(), nn.Linear(3 * 64 * 64, 5)))
    layers = flat.layers(IMAGE)
    assert flat.usual(layers, (64, 64)) == ()
    assert flat.pooled(layers) == "output"


def test_the_embedding_is_the_last_map_not_the_classes(network):
    assert network.pooled(network.layers(IMAGE)) == "blocks"


def test_a_layer_is_what_its_module_gives(network):
    given = network.run(IMAGE, ("blocks.3", "output"))
    module = network.module.eval()
    with torch.no_grad():
        assert torch.equal(given["output"], module(IMAGE))
        assert torch.equal(given["blocks.3"], module.blocks[:4](module.stem(IMAGE)))


def test_a_network_is_asked_as_if_trained_and_left_as_it_was(network):
    network.module.train()
    network.module.blocks[4].eval()
    before = {name: value.clone() for name, value in network.module.state_dict().items()}
    first, second = (network.run(IMAGE, ("output",))["output"] for _ in range(2))
    assert torch.equal(first, second)
    assert all(torch.equal(value, before[name]) for name, value in network.module.state_dict().items())
    assert network.module.training
    assert network.module.blocks[0].training
    assert not network.module.blocks[4].training
    assert not any(module._forward_hooks for module in network.module.modules())


def test_of_a_module_that_is_called_twice_the_last_output_counts():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.halve = nn.AvgPool2d(2)

        def forward(self, images):
            return self.halve(self.halve(images))

    network = ModuleNetwork(Twice())
    assert network.run(IMAGE, ("halve",))["halve"].shape == (1, 3, 16, 16)
    assert [layer.name for layer in network.layers(IMAGE)] == ["halve", "output"]


def test_only_a_network_that_is_kept_has_a_state():
    assert ModuleNetwork(classifier()).state() == {}
    kept = ModuleNetwork(classifier(), kept=True).state()
    assert kept["network.stem.weight"].shape == (4, 3, 3, 3)


def test_a_callable_may_give_one_tensor_several_or_a_dict():
    pool = torch.nn.functional.avg_pool2d
    one = CallableNetwork(lambda images: pool(images, 8))
    assert one.layers(IMAGE) == [Layer("output", (8, 8))]
    several = CallableNetwork(lambda images: [pool(images, 8), pool(images, 16), images.mean((2, 3))])
    layers = several.layers(IMAGE)
    assert several.usual(layers, (64, 64)) == ("0", "1")
    assert several.pooled(layers) == "2"
    by_name = CallableNetwork(lambda images: {"a": pool(images, 8), "b": pool(images, 16)})
    assert by_name.pooled(by_name.layers(IMAGE)) == "b"
    assert set(by_name.run(IMAGE, ("b",))) == {"b"}


@pytest.mark.parametrize("given", [None, 3, "text", [], {"a": 1}, torch.zeros(2, 5)])
def test_a_callable_that_gives_something_else_is_told(given):
    with pytest.raises(OptionError, match="a row an image"):
        CallableNetwork(lambda _: given).layers(IMAGE)


def test_tokens_of_a_transformer_are_places_behind_those_that_are_none():
    tokens = torch.arange(17.0)[None, :, None].expand(1, 17, 3)
    assert grid_of(tokens, IMAGE) == (4, 4)
    assert grid_of(tokens, IMAGE[..., :32]) is None  # of pictures that are not square nobody knows the rows
    assert grid_of(torch.zeros(1, 5, 3, 3)[..., :1, :1], IMAGE) is None
    assert as_map(tokens, (4, 4))[0, 0].flatten().tolist() == list(range(1, 17))
    assert as_map(torch.zeros(1, 7), None).shape == (1, 7, 1, 1)


def test_the_first_output_without_places_describes_the_whole():
    assert whole([Layer("a", (2, 2)), Layer("b", None), Layer("c", None)]) == "b"


def test_several_threads_are_each_told_their_own_outputs():
    def wait(*_):
        time.sleep(0.002)  # so that all are within the network at once

    network = nn.Sequential(nn.Conv2d(3, 2, 1), nn.Tanh(), nn.Conv2d(2, 2, 1))
    network[1].register_forward_hook(wait)
    asked = ModuleNetwork(network)
    images = torch.rand(40, 1, 3, 4, 4)
    alone = [asked.run(image, ("0", "2")) for image in images]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda image: asked.run(image, ("0", "2")), images))
        others = list(pool.map(lambda image: asked.run(image, ("0",) if image[0, 0, 0, 0] < 0.5 else ("2",)), images))
    for one, other in zip(alone, together, strict=True):
        assert all(torch.equal(one[name], other[name]) for name in ("0", "2"))
    for one, other in zip(alone, others, strict=True):
        assert all(torch.equal(one[name], value) for name, value in other.items())
    assert [len(module._forward_hooks) for module in network] == [0, 1, 0]
    assert all(module.training for module in network.modules())
