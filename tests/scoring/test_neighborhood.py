import numpy as np
import pytest

from oddlens.errors import SavedModelError
from oddlens.progress import listening
from oddlens.scoring.neighborhood import (
    Neighborhood,
    Tightness,
    nearest_columns,
    ranks_of,
    sampled,
    squares_between,
)


def cloud(n=300, d=7, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


def apart(rows, reference):
    """(n, m) distances, all at once and in double precision."""
    return np.linalg.norm(rows[:, None].astype(float) - reference.astype(float), axis=2)


@pytest.mark.parametrize(("n", "m", "d"), [(1, 1, 1), (31, 255, 2), (33, 257, 5), (70, 600, 3)])
def test_squares_whatever_the_number_of_rows(n, m, d):
    rows, reference = cloud(n, d), cloud(m, d, 1)
    found = squares_between(rows, reference)
    assert found.shape == (n, m)
    assert np.sqrt(found) == pytest.approx(apart(rows, reference), rel=1e-5)


@pytest.mark.parametrize(("m", "n"), [(4, 3), (11, 5), (12, 1), (40, 600)])
def test_distances_at_the_ranks_and_the_ten_rows_around(m, n):
    reference, new = 3 * cloud(m), 3 * cloud(n, seed=1)
    new[0] = reference[2]  # it is itself, which does not count
    ranks = np.unique([1, 2, min(5, m - 1), m - 1])
    near = Neighborhood(reference, ranks, np.ones(len(ranks)))
    reports = []
    with listening(lambda *report: reports.append(report)):
        distances, around = near.distances(new)
    whole = apart(new, reference)
    order = np.argsort(whole, axis=1)
    unit = 2.0 ** -(np.floor(np.log2(np.abs(reference).max())) + 1)  # brings the largest feature to between 1/2 and 1
    for row in range(n):
        others = order[row, 1:] if row == 0 else order[row]
        assert distances[row] == pytest.approx(unit * whole[row, others[ranks - 1]], rel=1e-5)
        expected = others[: min(10, m - 1)]
        assert around[row].tolist() == [*expected, *[-1] * (10 - len(expected))]
    assert reports == [("neighbors", done, n) for done in ([512, n] if n > 512 else [n])]


def test_of_copies_one_is_the_row_itself_and_no_more():
    near = Neighborhood(np.float32([[0], [0], [0], [0.5]]), np.array([1, 2, 3]), np.ones(3))
    distances, around = near.distances(np.float32([[0], [0.5]]))
    assert distances.tolist() == [[0, 0, 0.5], [0.5, 0.5, 0.5]]
    assert (around[:, 3:] == -1).all()
    assert sorted(around[1, :3]) == [0, 1, 2]
    assert around[0, 2] == 3


def test_beyond_1e16_times_the_largest_feature_no_row_is_stranger():
    near = Neighborhood(np.float32([[4], [-8]]), np.array([1]), np.ones(1))
    found = near.distances(np.float32([[8e14], [8e20], [-3e38]]))[0].ravel()
    assert found == pytest.approx([5e13, 1e16, 1e16], rel=1e-5)


@pytest.mark.parametrize(("m", "rows_asked"), [(150, 150), (1200, 1000)])
def test_the_usual_distances_are_those_of_the_median_row_compared_with(m, rows_asked):
    rows = cloud(2 * m, 20)
    sample = np.arange(0, 2 * m, 2)
    near = Neighborhood.of(rows, sample, 1)
    assert np.array_equal(near.reference, rows[sample])
    k = {150: 15 / 2, 1200: 54}[m]  # a twentieth of 300, 0.045 of 2,400: as large a share of those compared with
    assert near.ranks.tolist() == ranks_of(k, m).tolist()
    asked = rows[sample][np.linspace(0, m - 1, rows_asked).astype(int)]
    unit = 2.0 ** -(np.floor(np.log2(np.abs(rows[sample]).max())) + 1)
    usual = np.median(np.sort(apart(asked, rows[sample]), axis=1)[:, near.ranks], axis=0)
    assert near.usual == pytest.approx(unit * usual, rel=1e-5)
    assert near.ratios(np.array([2 * near.usual, near.usual * np.r_[3, near.usual[1:] * 0]])) == pytest.approx([2, 3])


def test_a_usual_distance_of_zero_is_taken_for_a_millionth_of_the_largest():
    rows = np.zeros((40, 1), np.float32)
    rows[-1] = 0.75
    near = Neighborhood.of(rows, np.arange(40))
    assert near.usual == pytest.approx(np.full(len(near.ranks), 0.75e-6))
    assert (Neighborhood.of(rows[:-1], np.arange(39)).usual == 1).all()


@pytest.mark.parametrize(("k", "m", "kind", "low", "high"), [
    (15, 300, 1, 5, 75),  # a third of k to a quarter of all
    (50, 10_000, 0, 50 / 3, 300),  # to six times k
    (50, 10_000, 0.5, 50 / 3, np.sqrt(300 * 2500)),
    (50, 1000, 0, 50 / 3, 250),  # six times k were more than a quarter
    (1, 40, 1, 1, 10), (2, 7, 0, 1, 2),
])
def test_fourteen_ranks_evenly_in_their_logarithm(k, m, kind, low, high):
    expected = [round(low * (high / low) ** (step / 13)) for step in range(14)]
    assert ranks_of(k, m, kind).tolist() == sorted(set(expected))


def test_no_rank_that_is_not_there():
    assert ranks_of(1, 2).tolist() == [1]
    assert ranks_of(1, 3).tolist() == [1, 2]
    assert ranks_of(1, 1).tolist() == [1]
    assert np.array_equal(ranks_of(20, 500), ranks_of(20, 500, 1.0))


def test_all_rows_are_compared_with_or_ten_thousand():
    assert sampled(50, np.random.default_rng(0)).tolist() == [*range(50)]
    some = sampled(10_500, np.random.default_rng(0))
    assert len(some) == 10_000
    assert (np.diff(some) > 0).all()
    assert not np.array_equal(some, sampled(10_500, np.random.default_rng(1)))


def test_how_tight_a_place_is_by_hand():
    plain = np.array([0.01, 1, 2, 4, 4, 8, 100])  # the third quartile is 6
    around = np.full((5, 10), -1)
    around[0, :2] = 1, 2
    around[1, 0] = 0
    around[2, :2] = 5, 6
    around[3, :3] = 0, 5, 6
    factor = Tightness(plain, 0.5).factor(around)
    assert factor == pytest.approx([np.sqrt(6 / np.sqrt(2)), np.sqrt(10), 1, 10 ** (1 / 6), 1])
    assert Tightness(plain, 0).factor(around).tolist() == [1] * 5
    assert Tightness(np.zeros(7), 0.5).factor(around).tolist() == [1] * 5
    assert Tightness(plain / 100, 0.5).factor(around) == pytest.approx(factor)


def test_a_saved_neighbourhood_that_can_be():
    near = Neighborhood.saved(np.float32([[0], [0.5]]), np.array([1]), np.array([0.25]))
    assert near.distances(np.float32([[0.5]]))[0].tolist() == [[0.5]]
    assert (near.ranks.tolist(), near.usual.tolist()) == ([1], [0.25])


@pytest.mark.parametrize(("change", "message"), [
    ({"reference": np.zeros((1, 4), np.float32)}, "holds rows"), ({"reference": np.zeros(5, np.float32)}, "holds rows"),
    ({"reference": np.zeros((5, 0), np.float32)}, "holds rows"), ({"ranks": np.array([[1], [2]])}, "holds rows"),
    ({"ranks": np.zeros(0, int), "usual": np.zeros(0)}, "holds rows"), ({"usual": np.ones(1)}, "missing or not finite"),
    ({"usual": np.array([1, np.inf])}, "missing or not finite"),
    ({"reference": np.full((5, 4), np.nan, np.float32)}, "missing or not finite"),
    ({"ranks": np.array([0, 1])}, "cannot be"), ({"ranks": np.array([1, 5])}, "cannot be"),
    ({"usual": np.array([0.0, 1])}, "cannot be"), ({"usual": np.array([1e-300, 1])}, "cannot be"),
])
def test_saved_neighbourhoods_that_cannot_be(change, message):
    sound = {"reference": np.zeros((5, 4), np.float32), "ranks": np.array([1, 4]), "usual": np.ones(2)}
    Neighborhood.saved(**sound)
    with pytest.raises(SavedModelError, match=message):
        Neighborhood.saved(**{**sound, **change})


@pytest.mark.parametrize(("m", "count"), [(1, 1), (2, 2), (40, 11), (11, 11)])
def test_the_nearest_columns_are_those_of_a_stable_sort(m, count):
    squares = np.random.default_rng(m).integers(0, 6, (30, m)).astype(np.float32)  # with many ties
    assert np.array_equal(nearest_columns(squares, count), np.argsort(squares, axis=1, kind="stable")[:, :count])
    assert nearest_columns(squares[:0], count).shape == (0, count)
