import numpy as np
import pytest

from oddlens.scoring.ranked_distances import BINS, NEAREST, Ranked, count_squares


def cloud(n, d=6, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


def counted(rows, others, largest, own=None, parts=(slice(None),)):
    """What is counted of the rows' distances to the others, part by part."""
    ranked = Ranked.within(np.full(len(rows), largest))
    names = np.arange(len(others), dtype=np.int32)
    itself = np.full(len(rows), -1, np.int32) if own is None else np.asarray(own, np.int32)
    for part in parts:
        once = np.ones(len(others[part]), np.int32)
        count_squares(rows @ others[part].T, (rows**2).sum(1), (others[part] ** 2).sum(1), names[part], once, itself,
                      np.arange(len(rows)), ranked.limits, ranked.counts, ranked.squares, ranked.nearest)
    return ranked


def sorted_distances(rows, others):
    return np.sort(np.linalg.norm(rows[:, None].astype(float) - others, axis=2), axis=1)


def test_distances_at_ranks_are_those_of_all_sorted_to_a_five_hundredth():
    rows, others = cloud(7), cloud(5000, seed=1)
    ranks = np.array([1, 2, 17, 400, 4999])
    found = counted(rows, others, 46.0).distances(ranks)
    assert found == pytest.approx(sorted_distances(rows, others)[:, ranks - 1], rel=2e-3)


def test_the_ten_nearest_in_order_whatever_the_parts():
    rows, others = cloud(7), cloud(900, seed=1)
    order = np.argsort(np.linalg.norm(rows[:, None] - others, axis=2), axis=1)[:, :NEAREST]
    whole = counted(rows, others, 200.0)
    parts = counted(rows, others, 200.0, parts=(slice(500, 900), slice(0, 500)))
    assert np.array_equal(whole.nearest, order)
    assert np.array_equal(parts.nearest, order)
    assert np.array_equal(parts.counts, whole.counts)
    assert (np.diff(whole.squares) >= 0).all()


def test_a_row_is_not_its_own_neighbour_but_its_copies_are():
    others = np.float32([[1, 0], [1, 0], [4, 4], [5, 4]])
    ranked = counted(others, others, 100.0, own=range(4))
    assert ranked.counts.sum(1).tolist() == [3, 3, 3, 3]
    assert ranked.nearest[0, :4].tolist() == [1, 2, 3, -1]
    assert ranked.distances(np.array([1, 2]))[0] == pytest.approx([0, 5], abs=0.7)  # a copy is nearer than all bins


def test_what_is_beyond_the_limit_is_not_counted_and_its_rank_is_infinite():
    others = np.float32([[1], [2], [3], [40]])
    ranked = counted(np.zeros((1, 1), np.float32), others, 10.0)
    assert ranked.counts.sum() == 3
    assert ranked.distances(np.array([3, 4]))[0] == pytest.approx([3, np.inf], rel=1e-2)


def test_the_last_bin_takes_all_that_is_nearer():
    others = np.float32([[1e-3], [2e-3], [0], [8]])
    ranked = counted(np.zeros((1, 1), np.float32), others, 65.0)
    assert ranked.counts[0, BINS - 1] == 3
    assert ranked.distances(np.array([1, 2, 3])).max() < 1


def test_rows_stand_where_they_are_said_to_and_others_count_as_often_as_they_should():
    rows, others = cloud(3), cloud(50, seed=1)
    ranked = Ranked.within(np.full(5, 200.0))
    count_squares(rows @ others.T, (rows**2).sum(1), (others**2).sum(1), np.arange(50, dtype=np.int32),
                  np.full(50, 2, np.int32), np.full(3, -1, np.int32), np.array([4, 0, 2]), ranked.limits, ranked.counts,
                  ranked.squares, ranked.nearest)
    assert ranked.counts.sum(1).tolist() == [100, 0, 100, 0, 100]
    assert np.array_equal(ranked.nearest[[4, 0, 2]], counted(rows, others, 200.0).nearest)
