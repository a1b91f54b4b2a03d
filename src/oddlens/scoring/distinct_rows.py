"""Which of very many rows are the same to the last digit, and each of those that differ, a few at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from oddlens.scoring.exact_copies import digests

PART_ROWS = 4096  # rows looked at at a time


def comparable(rows: NDArray[np.float32], of_length_1: bool = False) -> NDArray[np.float32]:
    """The (n, d) rows as they are compared: of the length 1 where it is angles that count; -0 and 0 are one number."""
    if of_length_1:
        lengths = np.sqrt(np.square(rows, dtype=np.float64).sum(1, keepdims=True))
        rows = (rows / np.where(lengths > 0, lengths, 1)).astype(np.float32)
    return np.asarray(rows + np.float32(0))


class DistinctRows:
    """The rows that differ, in the order in which each comes first; no copy is made of them.

    rows:         (n, d) float32, in memory or mapped.
    of_length_1:  whether they are to be brought to the length 1.

    ``group``: (n,) which of the distinct rows each is; ``sizes``: (g,) how often each of those is there.

    >>> rows = DistinctRows(np.float32([[3, 4], [0, 2], [3, 4]]), of_length_1=True)
    >>> rows[np.arange(2)].tolist(), rows.group, rows.sizes
    ([[0.6000000238418579, 0.800000011920929], [0.0, 1.0]], array([0, 1, 0]), array([2, 1]))
    """

    def __init__(self, rows: NDArray[np.float32], of_length_1: bool = False) -> None:
        self._rows, self._of_length_1 = rows, of_length_1
        found = [digests(comparable(rows[start : start + PART_ROWS], of_length_1))
                 for start in range(0, len(rows), PART_ROWS)]
        keys = np.concatenate(found).view("V16").ravel()
        _, first, group, sizes = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
        order = np.argsort(first)
        self._first, self.sizes = first[order], sizes[order]
        self.group = np.argsort(order)[group.ravel()]

    def __len__(self) -> int:
        return len(self._first)

    def __getitem__(self, which: slice | NDArray[np.integer[Any]]) -> NDArray[np.float32]:
        return comparable(np.asarray(self._rows[self._first[which]]), self._of_length_1)
