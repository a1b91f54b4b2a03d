import numpy as np
import pytest

from oddlens.errors import OptionError
from oddlens.protocols import Encoded
from oddlens.scoring.place_scores import checked_maps, strangest


def test_the_mean_of_the_strangest_share_and_of_one_place_at_least():
    apart = np.array([[1, 5, 2, 4], [0, 0, 8, 0]], np.float32)
    assert strangest(apart, 0.5).tolist() == [4.5, 4.0]
    assert strangest(apart, 0.01).tolist() == [5.0, 8.0]
    assert strangest(apart, 1.0).tolist() == [3.0, 2.0]


def test_one_image_has_the_same_score_alone_to_the_last_digit():
    apart = np.random.default_rng(0).random((50, 961), np.float32)
    assert np.array_equal(strangest(apart[7:8], 0.1), strangest(apart, 0.1)[7:8])


def test_maps_are_given_as_they_are_or_refused_by_the_detectors_name():
    maps = np.zeros((2, 3, 3, 1), np.float16)
    assert checked_maps(Encoded(maps=maps), "") is maps
    for wrong in (None, maps[..., 0], maps[:, :0], np.full_like(maps, np.inf)):
        with pytest.raises(OptionError, match="str needs"):
            checked_maps(Encoded(maps=wrong), "")
