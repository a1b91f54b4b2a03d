import numpy as np

from oddlens.scoring.distinct_rows import PART_ROWS, DistinctRows, comparable


def test_copies_are_told_apart_in_the_order_of_the_first():
    values = np.random.default_rng(0).integers(0, 3, (2 * PART_ROWS + 5, 8)).astype(np.float32)
    rows = DistinctRows(values)
    whole, first, sizes = np.unique(values, axis=0, return_index=True, return_counts=True)
    order = np.argsort(first)
    assert np.array_equal(rows[np.arange(len(rows))], whole[order])
    assert np.array_equal(rows.sizes, sizes[order])
    assert np.array_equal(rows[rows.group], values)
    assert np.array_equal(rows[3:6], whole[order][3:6])


def test_minus_nothing_is_nothing():
    rows = DistinctRows(np.float32([[0.0], [-0.0], [1.0]]))
    assert rows.group.tolist() == [0, 0, 1]


def test_of_length_1_rows_in_one_direction_are_the_same():
    values = np.float32([[1, 2], [4, 8], [0, 0], [1, -2]])
    rows = DistinctRows(values, of_length_1=True)
    assert rows.group.tolist() == [0, 0, 1, 2]
    assert np.allclose(np.linalg.norm(rows[np.arange(3)], axis=1), [1, 0, 1])
    assert len(DistinctRows(values)) == 4
    assert np.array_equal(comparable(values), values)
