import numpy as np
import pytest

from oddlens.scoring.structure import neighbour_count, unimodality


def blobs(kinds, n=800, d=100):
    rng = np.random.default_rng(0)
    return (rng.normal(size=(kinds, d))[rng.integers(kinds, size=n)] * 2 + rng.normal(size=(n, d))).astype(np.float32)


def test_one_blob_is_one_kind_and_ten_are_many():
    assert unimodality(blobs(1)) == 1
    assert unimodality(blobs(10)) == 0


@pytest.mark.parametrize("rows", [np.zeros((50, 3), np.float32), np.ones((2, 1), np.float32)])
def test_copies_and_few_rows_are_no_trouble(rows):
    assert unimodality(rows) == 0


def test_units_do_not_matter():
    rows = blobs(2, 300)
    assert unimodality(rows * 1000) == pytest.approx(unimodality(rows))


@pytest.mark.parametrize(("n", "kinds", "expected"), [
    (2, 1, 1), (40, 1, 2), (1000, 0, 50), (1000, 1, 50), (6600, 0, 50), (6600, 1, 297), (60_000, 1, 500),
    (60_000, 0, 50),
])
def test_how_many_neighbours(n, kinds, expected):
    assert neighbour_count(n, kinds) == expected


def test_half_way_between_one_kind_and_many_is_in_between():
    assert 50 < neighbour_count(6600, 0.5) < 297
