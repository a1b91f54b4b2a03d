import numpy as np
import pytest

from oddlens.errors import OptionError, SavedModelError
from oddlens.learning.saved_state import check_images, refusing, saved_shape


@pytest.mark.parametrize("shape", [(1, 1, 1), (28, 30, 3), (4096, 4096, 1)])
def test_a_shape_comes_back(shape):
    assert saved_shape({"shape": np.array(shape)}) == shape


@pytest.mark.parametrize("state", [
    {}, {"shape": np.zeros(0)}, {"shape": np.array(3)}, {"shape": np.array([28, 28])}, {"shape": np.array([28, 28, 2])},
    {"shape": np.array([0, 28, 1])}, {"shape": np.array([28, 4097, 1])}, {"shape": np.array([np.nan, 28, 1])},
    {"shape": np.array([np.inf, 28, 1])}, {"shape": np.zeros((3, 2))}, {"shape": np.array(["a", "b", "c"])},
])
def test_a_shape_that_is_none_is_refused(state):
    with pytest.raises(SavedModelError, match="The saved thing does not fit its options"), refusing("thing"):
        saved_shape(state)


@pytest.mark.parametrize("error", [KeyError, ValueError, TypeError, RuntimeError, OptionError])
def test_whatever_goes_wrong_is_one_error_that_says_why(error):
    with pytest.raises(SavedModelError, match="because"), refusing("thing"):
        raise error("because")


def test_a_bug_stays_a_bug():
    with pytest.raises(AttributeError), refusing("thing"):
        raise AttributeError


def test_images_of_another_shape_are_refused():
    check_images(np.zeros((5, 8, 9, 1), np.uint8), (8, 9, 1))
    with pytest.raises(OptionError, match=r"\(8, 9, 3\), got \(8, 9, 1\)"):
        check_images(np.zeros((5, 8, 9, 1), np.uint8), (8, 9, 3))
