"""Heat maps: the peak lies where the damage is, the cost is as stated, and a fitted image is judged fairly."""

import numpy as np
import pytest

from oddlens.detectors.neighbors import Neighbors
from oddlens.errors import OptionError
from oddlens.evaluation.synthetic_anomalies import inject
from oddlens.explaining.heatmap import (
    SCORINGS,
    WINDOWS,
    change,
    framed,
    heat_map,
    laid_over,
    nudged,
    ordinary,
    overlay,
    windows,
)
from oddlens.model import AnomalyModel
from oddlens.pixels import PixelFormat, fit_to


@pytest.fixture
def distances(dots):
    """The root mean square distance to the nearest of the dots: what a nearest-neighbour model would say."""
    rows = dots.reshape(len(dots), -1).astype(float)

    def score(pixels):
        difference = pixels.reshape(len(pixels), 1, -1) - rows
        return np.sqrt((difference**2).mean(2)).min(1)

    return score


def test_the_peak_is_where_the_damage_is(dots, distances):
    for number, (row, column) in enumerate([(0, 0), (0, 5), (5, 0), (5, 5), (2, 5)]):
        image = dots[number].copy()
        image[row : row + 3, column : column + 3] = 255
        found = heat_map(distances, image, dots[10:])
        assert row <= found.peak[0] < row + 3
        assert column <= found.peak[1] < column + 3
        assert found.fall > 0
        assert found.heat.shape == (8, 8)
        assert (found.heat >= 0).all()


def test_damage_planted_in_digits_is_found_by_a_whole_model(digits):
    labels = _labels(600)
    sevens = digits[labels == 7]
    model = AnomalyModel("dictionary", Neighbors(k=5, n_jobs=1), n_jobs=1).fit(sevens[6:])
    references = sevens[6:][ordinary(model.rank().scores)]
    damaged = inject("patch", sevens[:6], digits[labels == 0], np.random.default_rng(0))
    hits = 0
    for image, (top, left, height, width) in zip(damaged.pixels, damaged.regions, strict=True):
        row, column = heat_map(lambda pixels: -model.score_samples(pixels), image, references).peak
        hits += top <= row < top + height and left <= column < left + width
    assert hits >= 5


def test_so_many_scorings_as_stated_in_one_call(dots, distances):
    asked = []

    def score(pixels):
        asked.append(len(pixels))
        return distances(pixels)

    heat_map(score, dots[0], dots[1:])
    assert asked == [SCORINGS]
    assert SCORINGS == 101 == WINDOWS + 1 == len(windows(8, 8)) + 1


@pytest.mark.parametrize("most", [1, 16, WINDOWS])
def test_the_windows_tried_are_those_in_which_the_image_differs_most(dots, most):
    """The score says whether the damage is gone, so that a map is made only where a window on it is tried."""
    image, asked = dots[0].copy(), []
    image[2:5, 2:5] = 255

    def score(pixels):
        asked.append(len(pixels))
        return (pixels[:, 2:5, 2:5] == 255).mean((1, 2, 3))

    found = heat_map(score, image, dots[1:], most)
    assert asked == [most + 1]
    row, column = found.peak
    assert row < 6
    assert column < 6
    assert found.fall > 0


def test_an_image_that_is_like_the_others_everywhere_has_no_heat():
    images = np.full((5, 10, 10, 1), 7, np.uint8)
    images[:, 3, 3] = np.arange(5)[:, None]
    found = heat_map(lambda pixels: np.zeros(len(pixels)), images[0], images[1:])
    assert not found.heat.any()
    assert found.fall == 0


def test_a_fitted_image_is_scored_as_its_variants_are(dots):
    """With itself among its neighbours; the exact copy would get its own score, without itself."""
    flat = dots.reshape(len(dots), -1).astype(np.float32)
    image = nudged(dots[3])
    assert (image != dots[3]).sum() == 1
    score = np.sqrt(((flat - image.reshape(-1)) ** 2).sum(1))

    def nearest(pixels):
        rows = pixels.reshape(len(pixels), 1, -1).astype(float)
        return np.sort(np.sqrt(((rows - flat) ** 2).sum(2)), 1)[:, 4]

    found = heat_map(nearest, dots[3], dots)
    assert found.score == pytest.approx(np.sort(score)[4])


def test_copies_of_the_image_are_no_references(dots, distances):
    image = dots[0].copy()
    image[0:3, 0:3] = 255
    with_copy = heat_map(distances, image, np.concatenate([image[None], dots[1:]]))
    np.testing.assert_array_equal(with_copy.heat, heat_map(distances, image, dots[1:]).heat)


def test_the_same_map_twice_and_the_inputs_stay(dots, distances):
    image, references = dots[0].copy(), dots[1:].copy()
    one = heat_map(distances, image, references)
    np.testing.assert_array_equal(one.heat, heat_map(distances, image, references).heat)
    np.testing.assert_array_equal(image, dots[0])
    np.testing.assert_array_equal(references, dots[1:])


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 9, 3), (5, 3, 1), (40, 17, 3)])
def test_any_size_works(shape):
    images = np.random.default_rng(0).integers(0, 256, (4, *shape), dtype=np.uint8)
    found = heat_map(lambda pixels: pixels.mean((1, 2, 3)), images[0], images[1:])
    assert found.heat.shape == shape[:2]
    assert np.isfinite(found.heat).all()
    assert (windows(*shape[:2]).sum(0) > 0).all()


def test_evidence_counts_where_pixels_changed():
    masks = np.ones((1, 2, 2), np.float32)
    changed = np.array([[[0, 0.5], [0, 1]]], np.float32)
    np.testing.assert_allclose(laid_over(np.array([2.0]), masks, changed), [[0, 1], [0, 2]])
    np.testing.assert_allclose(laid_over(np.array([2.0]), masks), np.full((2, 2), 2))
    np.testing.assert_allclose(laid_over(np.array([-2.0]), masks), np.zeros((2, 2)))


def test_ordinary_takes_from_the_lower_half():
    scores = np.random.default_rng(0).normal(size=1000)
    rows = ordinary(scores)
    assert len(set(rows.tolist())) == 256
    assert scores[rows].max() <= np.median(scores)
    assert len(ordinary(scores[:10])) == 5


def test_the_overlay_is_clear_where_there_is_no_heat_and_visible_where_there_is(digits):
    heat = np.zeros((28, 28))
    heat[5:9, 5:9] = 2
    for image in (np.zeros((28, 28, 1), np.uint8), np.full((28, 28, 3), 255, np.uint8), digits[0]):
        drawn = overlay(image, heat)
        assert drawn.shape == (28, 28, 3)
        assert drawn.dtype == np.uint8
        np.testing.assert_array_equal(drawn[20:], np.broadcast_to(image, (28, 28, 3))[20:])
        hot, plain = drawn[6, 6].astype(int), np.broadcast_to(image, (28, 28, 3))[6, 6].astype(int)
        assert np.abs(hot - plain).max() > 90
        assert hot[0] > hot[2] > hot[1]  # magenta, whatever is under it
    assert overlay(digits[0], heat, side=140).shape == (140, 140, 3)
    np.testing.assert_array_equal(overlay(digits[0], 0 * heat), np.repeat(digits[0], 3, 2))
    assert (overlay(digits[0], heat, full=100.0) == np.repeat(digits[0], 3, 2)).all()


def test_what_cannot_work_is_said(dots):
    def score(pixels):
        return np.zeros(len(pixels))

    with pytest.raises(OptionError, match="one uint8"):
        heat_map(score, dots, dots)
    with pytest.raises(OptionError, match="references must be"):
        heat_map(score, dots[0], dots[:, :4])
    with pytest.raises(OptionError, match="none that differs"):
        heat_map(score, dots[0], dots[:1])
    with pytest.raises(OptionError, match="101 of them not finite"):
        heat_map(lambda pixels: np.full(len(pixels), np.nan), dots[0], dots[1:])
    with pytest.raises(OptionError, match="overlay takes"):
        overlay(dots[0], np.zeros((3, 3)))


def _labels(count):
    import gzip

    from oddlens.demo import LABELS

    with gzip.open(LABELS) as file:
        file.seek(8)
        return np.frombuffer(file.read(count), np.uint8)


@pytest.mark.parametrize("resize", ["squash", "pad", "crop"])
def test_heat_lies_where_it_is_in_the_picture_whatever_the_picture_was_brought_to(resize):
    """A picture twice as wide as high, with one bright square; heat is what the model saw of it."""
    picture = np.zeros((40, 80, 1), np.uint8)
    picture[10:20, 44:54] = 255
    seen = fit_to(picture, PixelFormat(20, 20, 1, resize))
    heat = framed(seen[..., 0].astype(float), 40, 80, resize)
    assert heat.shape == (40, 80)
    inside = heat[10:20, 44:54].sum() / heat.sum()
    assert inside > 0.7, "resizing blurs it, but it stays where it is"
    assert not heat[:, :18].any()


def test_what_was_cut_off_has_no_heat():
    heat = framed(np.ones((10, 10)), 20, 60, "crop")
    assert heat[:, 20:40].all()
    assert not heat[:, :20].any()
    assert not heat[:, 40:].any()


def test_what_is_missing_is_told_from_what_is_there_besides(dots, distances):
    told = []
    for number in range(6):
        more, less = dots[number].copy(), dots[number].copy()
        less[less > 100] = 30  # the dot is gone
        more[6:, :2] = 255
        for image in (more, less):
            told.append(change(image, dots[10:], heat_map(distances, image, dots[10:]).heat))
    assert told == ["added", "missing"] * 6


def test_a_digit_without_half_of_its_stroke_lacks_something(digits):
    labels = _labels(600)
    zeros = digits[labels == 0]
    image = zeros[0].copy()
    image[14:] = 0
    model = AnomalyModel("pixels", Neighbors(k=5, n_jobs=1), n_jobs=1).fit(zeros[1:])
    assert change(image, zeros[1:], heat_map(model.score_pixels, image, zeros[1:]).heat) == "missing"


def test_where_neither_can_be_said_nothing_is_said(dots):
    assert change(dots[0], dots[1:], np.zeros((8, 8))) == "other"
    assert change(dots[0], dots[1:], np.ones((8, 8))) == "other"
