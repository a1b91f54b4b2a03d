import numpy as np
import pytest

from oddlens.encoders.pixels import Pixels
from oddlens.errors import OptionError, SavedModelError

NEEDS = frozenset({"embedding"})


def images(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def test_small_images_stay_as_they_are():
    some = images(5, 20, 32, 1)
    embedding = Pixels().fit(some).encode(some, NEEDS).embedding
    assert np.allclose(embedding, some.reshape(5, -1) / 255, atol=1e-7)


def test_colour_comes_channel_by_channel():
    some = images(5, 6, 7, 3)
    embedding = Pixels().fit(some).encode(some, NEEDS).embedding
    assert np.allclose(embedding.reshape(5, 3, 6, 7), some.transpose(0, 3, 1, 2) / 255, atol=1e-7)


def test_larger_images_are_averaged_over_areas():
    some = images(4, 64, 48, 1)
    embedding = Pixels(side=32).fit(some).encode(some, NEEDS).embedding
    means = some.reshape(4, 32, 2, 24, 2).mean((2, 4)) / 255
    assert np.allclose(embedding, means.reshape(4, -1), atol=1e-6)


@pytest.mark.parametrize(("shape", "side", "width"), [
    ((28, 28, 1), 14, 196), ((28, 28, 1), 32, 784), ((100, 50, 3), 32, 32 * 16 * 3), ((1, 500, 1), 32, 32),
    ((33, 33, 1), 32, 1024), ((9, 9, 1), 1, 1),
])
def test_the_longer_side_is_at_most_what_was_asked(shape, side, width):
    some = images(3, *shape)
    embedding = Pixels(side=side).fit(some).encode(some, NEEDS).embedding
    assert embedding.shape == (3, width)
    assert embedding.min() >= 0
    assert embedding.max() <= 1


@pytest.mark.parametrize("side", [0, -1, 1.5, "many", 5000])
def test_a_side_that_is_none_is_refused(side):
    with pytest.raises(OptionError, match="side"):
        Pixels(side=side).fit(images(3, 8, 8, 1))


def test_images_of_another_size_are_refused():
    with pytest.raises(OptionError, match="learned images of"):
        Pixels().fit(images(3, 8, 8, 1)).encode(images(3, 9, 8, 1), NEEDS)


@pytest.mark.parametrize("state", [
    {}, {"shape": np.array([28, 28])}, {"shape": np.array([28, 28, 2])}, {"shape": np.array([0, 28, 1])},
    {"shape": np.array([10**6, 28, 1])}, {"shape": np.zeros((0,))}, {"shape": np.array([np.nan, 1, 1])},
])
def test_hostile_states_are_refused(state):
    with pytest.raises(SavedModelError):
        Pixels().set_state(state)
