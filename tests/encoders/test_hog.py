import numpy as np
import pytest

from oddlens.encoders.hog import Hog
from oddlens.errors import OptionError, SavedModelError

NEEDS = frozenset({"embedding"})


def embedded(images, **options):
    return Hog(**options).fit(images).encode(images, NEEDS).embedding


def theirs(images, orientations, cell):
    feature = pytest.importorskip("skimage.feature")
    return np.stack([
        feature.hog(image, orientations, (cell, cell), (2, 2), "L2-Hys", channel_axis=2) for image in images])


def test_it_is_the_one_of_scikit_image_on_digits(digits):
    assert np.abs(embedded(digits[:100]) - theirs(digits[:100], 9, 7)).max() < 1e-5


@pytest.mark.parametrize(("shape", "orientations", "cell"), [
    ((28, 28, 3), 9, 7), ((30, 47, 3), 9, 7), ((33, 20, 1), 6, 5), ((64, 64, 3), 8, 16), ((9, 9, 1), 1, 2),
])
def test_it_is_the_one_of_scikit_image_on_any_size_and_in_colour(shape, orientations, cell):
    images = np.random.default_rng(0).integers(0, 256, (4, *shape), dtype=np.uint8)
    ours = embedded(images, orientations=orientations, cell=cell)
    assert np.abs(ours - theirs(images, orientations, cell)).max() < 1e-5


def test_an_edge_is_told_by_its_direction_and_not_by_its_contrast():
    across = np.zeros((3, 28, 28, 1), np.uint8)
    across[0, :, 14:], across[1, :, :14] = 200, 50  # light to dark and dark to light, strong and weak
    across[2, 14:] = 200
    one, two, other = embedded(across)
    assert np.allclose(one, two, atol=1e-4)
    assert one @ other < 0.01 * (one @ one)


@pytest.mark.parametrize(("shape", "cell"), [((28, 28, 1), 7), ((8, 8, 1), 2), ((4, 9, 1), 2), ((120, 64, 3), 16)])
def test_a_cell_is_a_quarter_of_the_shorter_side(shape, cell):
    assert Hog().fit(np.zeros((2, *shape), np.uint8)).cell_ == cell


def test_flat_images_have_no_edges():
    assert not embedded(np.full((3, 16, 16, 1), 77, np.uint8)).any()


@pytest.mark.parametrize("bad", [
    {"orientations": 0}, {"orientations": 2.5}, {"cell": 1}, {"cell": 15}, {"cell": "large"}, {"cell": 7.0},
])
def test_bad_options_are_named(bad):
    with pytest.raises(OptionError, match=next(iter(bad))):
        Hog(**bad).fit(np.zeros((2, 28, 28, 1), np.uint8))


def test_images_that_are_too_small_and_others_than_were_fitted_are_refused(digits):
    with pytest.raises(OptionError, match="set image_size"):
        Hog().fit(np.zeros((2, 3, 8, 1), np.uint8))
    with pytest.raises(OptionError, match="learned images of"):
        Hog().fit(digits).encode(digits[:, :20], NEEDS)


@pytest.mark.parametrize("state", [
    {}, {"shape": np.array([28, 28])}, {"shape": np.array([28, 28, 2])}, {"shape": np.array([2, 28, 1])},
    {"shape": np.array([10**6, 28, 1])},
])
def test_hostile_states_are_refused(state):
    with pytest.raises(SavedModelError):
        Hog().set_state(state)
