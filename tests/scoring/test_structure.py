import numpy as np
import pytest

from oddlens.scoring.structure import alignment, neighbour_count, unimodality


def blobs(kinds, n=800, d=100):
    rng = np.random.default_rng(0)
    return (rng.normal(size=(kinds, d))[rng.integers(kinds, size=n)] * 2 + rng.normal(size=(n, d))).astype(np.float32)


def test_one_blob_is_one_kind_and_ten_are_many():
    assert unimodality(blobs(1)) == 1
    assert unimodality(blobs(10)) == 0


def ratio(rows):
    """The median distance to the tenth neighbour over the median distance to the mean, row by row."""
    rows = rows.astype(float)
    tenth = [np.sort(np.sqrt(((rows - row) ** 2).sum(1)))[10] for row in rows]  # 0 is the row itself
    return np.median(tenth) / np.median(np.sqrt(((rows - rows.mean(0)) ** 2).sum(1)))


@pytest.mark.parametrize(("n", "d"), [(60, 4), (1000, 14)])
def test_half_way_it_is_in_proportion_to_the_ratio_of_distances(n, d):
    rows = blobs(1, n, d)
    expected = (ratio(rows) - 0.85) / 0.08
    assert 0.3 < expected < 0.95
    for unit in (1e-3, 1, 1e3):
        assert unimodality(rows * np.float32(unit)) == pytest.approx(expected, abs=1e-4)


def test_of_many_rows_a_thousand_are_compared_the_same_at_each_call():
    rows = blobs(1, 1200, d=14)
    chosen = np.random.default_rng(0).permutation(1200)[:1000]
    assert unimodality(rows) == pytest.approx((ratio(rows[chosen]) - 0.85) / 0.08, abs=1e-4)


def test_eleven_rows_are_the_fewest_that_say_anything():
    rows = np.random.default_rng(0).normal(size=(11, 5)).astype(np.float32)
    assert unimodality(rows) == 1, "the tenth of ten neighbours is farther than the middle"
    assert unimodality(rows[:10]) == 0


def test_where_each_image_has_copies_there_are_many_kinds():
    # rounding would have the squared distance of some copies below 0
    assert unimodality(np.repeat(np.random.default_rng(1).normal(size=(60, 37)), 12, axis=0).astype(np.float32)) == 0


@pytest.mark.parametrize("rows", [np.zeros((50, 3), np.float32), np.ones((2, 1), np.float32),
                                  np.full((20, 3), np.nan, np.float32)])
def test_equal_and_few_rows_are_no_trouble(rows):
    assert unimodality(rows) == 0


@pytest.mark.parametrize(("n", "kinds", "expected"), [
    (2, 1, 1), (39, 1, 1), (40, 1, 2), (1000, 0, 50), (1000, 1, 50), (1100, 1, 50), (6600, 0, 50), (6600, 1, 297),
    (60_000, 1, 500), (60_000, 0, 50),
    (6600, 0.5, 122),  # the geometric mean of 50 and 297
])
def test_how_many_neighbours(n, kinds, expected):
    assert neighbour_count(n, kinds) == expected


def framed(n, noise, seed=0):
    """Maps of a scene that is the same in all, and noise of their own."""
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(1, 12, 12, 5)) + noise * rng.normal(size=(n, 12, 12, 5))).astype(np.float16)


@pytest.mark.parametrize(("noise", "expected"), [(0, 1), (0.5, 0.8), (1, 0.5), (3, 0.1), (1e3, 0)])
@pytest.mark.parametrize("n", [20, 200])
def test_alignment_is_the_share_of_the_variance_that_the_place_explains(noise, expected, n):
    assert alignment(framed(n, noise)) == pytest.approx(expected, abs=0.05)


def test_light_that_changes_from_picture_to_picture_is_no_matter():
    maps = framed(60, 0.5) + np.random.default_rng(1).normal(0, 30, (60, 1, 1, 5)).astype(np.float16)
    assert alignment(maps) == pytest.approx(0.8, abs=0.05)


@pytest.mark.parametrize("maps", [np.zeros((9, 4, 4, 2), np.float16), framed(1, 1)])
def test_equal_maps_and_a_single_one_are_no_trouble(maps):
    assert alignment(maps) == 0
