import numpy as np
import pytest
import torch
from torch.nn import functional

from networks import classifier
from oddlens.encoders.backbone import Backbone
from oddlens.errors import OptionError, SavedModelError
from oddlens.kernels import limited
from oddlens.testing import check_encoder
from onnx_files import write_onnx

BOTH = frozenset({"maps", "embedding"})


def pictures(n=20, height=64, width=64, channels=1):
    """Noise, and in each a bright disc in the same place."""
    rng = np.random.default_rng(0)
    images = rng.normal(90, 12, (n, height, width, channels))
    down, across = np.mgrid[:height, :width]
    images[:, (down - 20) ** 2 + (across - 40) ** 2 < 60] += 90
    return images.clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def fitted():
    return Backbone(classifier(), side=64, latent=5).fit(pictures())


@pytest.mark.parametrize("kind", ["module", "callable", "onnx", "vector"])
def test_each_kind_of_network_holds_to_the_contract(kind, tmp_path):
    network = {"module": classifier(), "onnx": str(write_onnx(tmp_path / "network.onnx")),
               "callable": lambda images: functional.avg_pool2d(images, 8),
               "vector": lambda images: images.mean((2, 3))}[kind]
    check_encoder(Backbone(network, side=64, latent=3))


@pytest.mark.parametrize("count", [1, None])
def test_images_are_independent_to_the_last_digit(tmp_path, count):
    network = write_onnx(tmp_path / "batched.onnx", (8, 3, 64, 64)) if count is None else classifier()
    encoder, images = Backbone(network, side=64, latent=3).fit(pictures()), pictures()
    whole = encoder.encode(images, BOTH)
    for rows in ([3], [7, 1], range(4, 17)):
        some = encoder.encode(images[rows], BOTH)
        assert np.array_equal(whole.maps[rows], some.maps)
        assert np.array_equal(whole.embedding[rows], some.embedding)


def test_lite0_is_independent_of_what_comes_with_an_image_and_of_threads():
    encoder, images = Backbone(side=64, latent=3).fit(pictures(6)), pictures(6)
    whole = encoder.encode(images, BOTH)
    with limited(2, torch.get_num_threads, torch.set_num_threads):
        some = encoder.encode(images[[4, 2]], BOTH)
        assert torch.get_num_threads() == 2
    assert np.array_equal(whole.maps[[4, 2]], some.maps)
    assert np.array_equal(whole.embedding[[4, 2]], some.embedding)


def test_two_layers_on_the_coarser_grid_make_the_maps_and_the_last_the_embedding(fitted):
    encoded = fitted.encode(pictures(), BOTH)
    assert (fitted.layers_, fitted.pooled_, fitted.size_) == (("blocks.2", "blocks.3"), "blocks", (64, 64))
    assert encoded.maps.shape == (20, 4, 4, 5)
    assert encoded.maps.dtype == np.float16
    with torch.no_grad():
        image = torch.from_numpy(pictures()[:1, ..., 0])[:, None].expand(-1, 3, -1, -1) / 255
        mean, std = (torch.tensor(values)[:, None, None] for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
        network = classifier().eval()
        expected = network.blocks(network.stem((image - mean) / std)).mean((2, 3))
    assert np.allclose(encoded.embedding[:1], expected, atol=1e-5)


def test_components_have_variance_one_together_and_the_largest_comes_first(fitted):
    maps = fitted.encode(pictures(), BOTH).maps.astype(np.float64).reshape(-1, 5)
    spread = maps.std(0)
    assert maps.std() == pytest.approx(1, abs=0.1)
    assert (np.diff(spread) < 0.02).all()
    assert np.abs(np.corrcoef(maps.T) - np.eye(5)).max() < 0.1


def test_a_layer_of_large_numbers_does_not_drown_the_other():
    def network(factor):
        return lambda images: [functional.avg_pool2d(images, 8), factor * functional.avg_pool2d(images, 8).square()]

    one, two = (Backbone(network(f), side=64, latent=2).fit(pictures()).encode(pictures(), BOTH).maps for f in (1, 1e4))
    assert np.allclose(one, two, atol=2e-3)


def test_far_out_numbers_stay_within_half_precision():
    images = pictures()
    strange = images.copy()
    strange[0] = 255
    encoder = Backbone(lambda x: functional.avg_pool2d(x, 8).exp() ** 40, side=64, mean=(0.5,) * 3, std=(0.25,) * 3,
                       latent=2).fit(images)
    maps = encoder.encode(strange, BOTH).maps
    assert np.isfinite(maps).all()
    assert np.abs(maps[0]).max() == 10_000


@pytest.mark.parametrize(("shape", "side", "size"), [
    ((64, 64), 320, (256, 256)),  # enlarged four times at most
    ((240, 320), 320, (256, 320)),  # of its own shape, by 32 pixels
    ((300, 300), 320, (320, 320)),
    ((300, 300), (224, 96), (224, 96)),
    ((8, 8), 320, (32, 32)),
])
def test_the_size_that_the_network_sees(shape, side, size):
    seen = []

    def network(images):
        seen.append(tuple(images.shape))
        return functional.avg_pool2d(images, 16)

    Backbone(network, side=side, latent=1).fit(np.zeros((2, *shape, 1), np.uint8))
    assert set(seen) == {(1, 3, *size)}


def test_a_network_of_one_size_sees_that(tmp_path):
    encoder = Backbone(write_onnx(tmp_path / "fixed.onnx", (1, 3, 96, 64)), side=320, latent=3).fit(pictures())
    assert encoder.size_ == (96, 64)
    assert encoder.encode(pictures(), BOTH).maps.shape == (20, 6, 4, 3)


def test_layers_are_named_as_a_list_or_in_a_text():
    for layers in (["blocks.0", "stem"], "blocks.0, stem"):
        encoder = Backbone(classifier(), layers=layers, side=64, latent=4).fit(pictures())
        assert encoder.layers_ == ("blocks.0", "stem")
        assert encoder.encode(pictures(), BOTH).maps.shape == (20, 16, 16, 4)
    with pytest.raises(OptionError, match=r"no layer of the network named 'block\.0'.*Did you mean 'blocks\.0'"):
        Backbone(classifier(), layers=["block.0"], side=64).fit(pictures())


def test_only_the_places_that_changed_are_described_anew():
    encoder = Backbone(lambda x: functional.avg_pool2d(x, 8), side=64, latent=3).fit(pictures())
    changed = pictures()[:1]
    changed[0, 40:47, 8:15] = 255
    one, two = (encoder.encode(images, BOTH).maps[0] for images in (pictures()[:1], changed))
    assert np.argwhere(np.abs(one - two).max(2) > 0).tolist() == [[5, 1]]


def test_wide_networks_are_looked_at_in_part():
    wide = Backbone(lambda x: functional.avg_pool2d(x, 8).repeat(1, 500, 1, 1), side=64, latent=3).fit(pictures())
    assert len(wide.kept_) == 1024
    assert wide.encode(pictures(), BOTH).maps.shape == (20, 8, 8, 3)


def test_nan_is_told_with_the_layer():
    with pytest.raises(OptionError, match="nan or infinity at its layer output"):
        Backbone(lambda x: functional.avg_pool2d(x, 8) / 0, side=64).fit(pictures())


def test_its_own_normalisation_may_be_given():
    plain = Backbone(lambda x: x.mean((2, 3)), side=64, mean=[0, 0, 0], std=(1, 1, 1)).fit(pictures())
    assert plain.encode(pictures(), BOTH).embedding[0] == pytest.approx(pictures()[0].mean() / 255, abs=1e-3)


def test_the_state_holds_the_file_of_onnx_and_nothing_of_an_object(fitted, tmp_path):
    assert set(fitted.get_state()) == {"shape", "kept", "mean", "axes"}
    path = write_onnx(tmp_path / "network.onnx")
    encoder = Backbone(path, side=64, latent=3).fit(pictures())
    state = encoder.get_state()
    path.unlink()
    again = Backbone(path, side=64, latent=3).set_state(state)
    assert np.array_equal(again.encode(pictures(), BOTH).maps, encoder.encode(pictures(), BOTH).maps)


def test_a_state_that_does_not_fit_is_refused(fitted, tmp_path):
    state = fitted.get_state()
    for key, value in (("kept", state["kept"][::-1]), ("kept", state["kept"] + 1), ("kept", state["kept"] - 1),
                       ("kept", state["kept"].astype(np.int32)), ("kept", state["kept"][1:]),
                       ("mean", state["mean"][1:]), ("axes", state["axes"][:, 1:]),
                       ("axes", np.full_like(state["axes"], np.nan)), ("mean", state["mean"].astype(float)),
                       ("shape", np.array([48, 64])),
                       ("shape", np.array([48, 64, 2]))):
        with pytest.raises(SavedModelError, match="backbone"):
            Backbone(classifier(), side=64, latent=5).set_state({**state, key: value})
    path = write_onnx(tmp_path / "network.onnx")
    state = Backbone(path, side=64, latent=3).fit(pictures()).get_state()
    for content in (state["onnx"][:100], state["onnx"].astype(np.int64), state["onnx"][None]):
        with pytest.raises(SavedModelError, match="backbone"):
            Backbone(path, side=64, latent=3).set_state({**state, "onnx": content})
    del state["onnx"]
    with pytest.raises(SavedModelError, match="backbone"):
        Backbone(path, side=64, latent=3).set_state(state)


@pytest.mark.parametrize("bad", [
    {"latent": 0}, {"latent": 2.5}, {"side": 16}, {"side": (64, 64, 64)}, {"side": "64"}, {"layers": []},
    {"layers": [3]}, {"mean": (0.5,)}, {"mean": 0.5}, {"std": (1, 0, 1)}, {"std": "abc"}])
def test_bad_options_are_named(bad):
    with pytest.raises(OptionError, match=next(iter(bad))):
        Backbone(classifier(), **bad).fit(pictures())
