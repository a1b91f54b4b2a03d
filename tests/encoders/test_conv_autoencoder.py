import numpy as np
import pytest

from oddlens.encoders.conv_autoencoder import ConvAutoencoder
from oddlens.errors import OptionError, SavedModelError

ALL = frozenset({"embedding", "residual", "activations", "pathway"})


@pytest.fixture(scope="module")
def fitted(digits):
    return ConvAutoencoder(channels=8, steps=60).fit(digits)


def test_it_reconstructs_far_better_than_untrained(fitted, digits):
    untrained = ConvAutoencoder(channels=8, steps=1).fit(digits)
    assert fitted.encode(digits, ALL).residual.mean() < 0.6 * untrained.encode(digits, ALL).residual.mean()


def test_a_node_is_a_channel_in_a_part_of_the_picture(fitted, digits):
    encoded = fitted.encode(digits[:3], ALL)
    assert {name: layer.shape[1] for name, layer in encoded.activations.items()} == {
        "conv1": 8 * 16, "conv2": 16 * 16, "conv3": 32 * 16, "latent": 16}


@pytest.mark.parametrize("shape", [(8, 8, 1), (9, 13, 3), (33, 47, 3), (8, 100, 1), (64, 64, 3)])
def test_any_size_and_channels(shape):
    images = np.random.default_rng(0).integers(0, 256, (6, *shape), dtype=np.uint8)
    encoded = ConvAutoencoder(latent=3, channels=4, steps=2).fit(images).encode(images, ALL)
    assert encoded.embedding.shape == (6, 3)
    assert sum(layer.shape[1] for layer in encoded.activations.values()) < 4000


def test_images_that_are_too_small_say_what_to_do():
    with pytest.raises(OptionError, match="set image_size"):
        ConvAutoencoder().fit(np.zeros((4, 7, 8, 1), np.uint8))


@pytest.mark.parametrize("bad", [{"channels": 0}, {"latent": 0}, {"channels": 1.5}])
def test_bad_options_are_named(bad):
    with pytest.raises(OptionError, match=next(iter(bad))):
        ConvAutoencoder(**bad).fit(np.zeros((4, 8, 8, 1), np.uint8))


@pytest.mark.parametrize("change", [
    {"shape": np.array([28, 28, 3])}, {"shape": np.array([5000, 5000, 1])}, {"losses": np.array([np.nan])},
    {"network.stages.conv2.0.weight": np.zeros((1, 1, 3, 3), np.float32)},
])
def test_a_state_that_does_not_fit_is_refused(fitted, change):
    with pytest.raises(SavedModelError):
        ConvAutoencoder(channels=8).set_state({**fitted.get_state(), **change})
