import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from oddlens.learning.measured_places import MeasuredPlaces


class Rows(MeasuredPlaces):
    """The pixels of each row as a place of its own."""

    name = "rows"
    least_scale = 5.0

    def __init__(self, extreme_share=0.25):
        self.extreme_share = extreme_share

    def measured(self, pixels):
        return pixels[..., 0].astype(np.float32)

    def grid(self, shape):
        return shape[0], 1

    def summed(self, measures):
        lowest, highest = self.ends(measures)
        return np.concatenate([lowest, highest], 1)


@pytest.fixture
def pictures():
    images = np.random.default_rng(0).integers(0, 256, (500, 8, 3, 1), dtype=np.uint8)
    images[..., 2, :] = 100  # what never varies
    return images


def test_each_measure_varies_by_one_about_zero_unless_it_hardly_varies(pictures):
    found = Rows().fit(pictures).encode(pictures, frozenset({"embedding", "maps"}))
    assert found.maps.shape == (500, 8, 1, 3)
    numbers = found.maps.astype(np.float64)
    assert np.abs(numbers.mean((0, 1, 2))).max() < 0.01
    assert numbers.std((0, 1, 2)) == pytest.approx([1, 1, 0], abs=0.01)
    assert found.embedding.std(0) == pytest.approx([1, 1, 0, 1, 1, 0], abs=0.01)


def test_the_lowest_and_highest_are_means_over_a_share_of_the_places(pictures):
    encoder = Rows().fit(pictures)
    found = encoder.encode(pictures[:1], frozenset({"embedding"})).embedding[0]
    ordered = np.sort(pictures[0, :, 0, 0].astype(float))
    scaled = found * encoder.embedding_scale_ + encoder.embedding_middle_
    assert scaled[0] == pytest.approx(ordered[:2].mean())
    assert scaled[3] == pytest.approx(ordered[-2:].mean())


def test_only_what_is_asked_for_is_given_and_nothing_before_it_is_fitted(pictures):
    encoder = Rows().fit(pictures)
    assert encoder.encode(pictures, frozenset({"maps"})).embedding is None
    assert len(encoder.encode(pictures, frozenset({"residual"}))) == 0
    with pytest.raises(NotFittedError):
        Rows().encode(pictures, frozenset({"maps"}))
