"""Which images of a run are alike: the nearest ordinary ones, a whole group, those that a label speaks of too."""

from __future__ import annotations

from collections.abc import Collection
from functools import cached_property
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oddlens.protocols import Bools
from oddlens.ranking import Ranking

SHOWN_ORDINARY = 4  # nearest ordinary images that are shown
MOST_ALIKE = 48  # images of a group that are shown at once
OFFERED = 12  # nearest images that are offered where an image is in no group
BLOCK = 8192  # images that are compared at a time: so many stay in the processor's cache


class Likeness:
    """Distances among the images of a ranking, by (n, d) features; with d of 0 nothing is like anything.

    ``group`` of the ranking's measures says which odd images are of one kind. The features are read block by block,
    as they are kept, and the distances to one image are held for what else is asked of it.
    """

    def __init__(self, features: NDArray[np.floating[Any]], ranking: Ranking) -> None:
        self.features, self._scores = features, ranking.scores
        group = ranking.measures.get("group")
        self._group = group if isinstance(group, np.ndarray) else np.full(len(ranking), -1.0)
        self._squares: NDArray[np.float32] | None = None
        self._last: tuple[int, NDArray[np.float32]] | None = None
        self._lock = Lock()

    @cached_property
    def _ordinary(self) -> Bools:
        return np.asarray(self._scores <= np.median(self._scores)) if len(self._scores) else np.zeros(0, np.bool_)

    def nearest(self, row: int, count: int, among: NDArray[np.bool_] | None = None) -> list[int]:
        """The rows most like one, the nearest first, itself left out."""
        if not self.features.shape[1]:
            return []
        apart = self._apart(row)
        apart = apart.copy() if among is None else np.where(among, apart, np.float32(np.inf))
        apart[row] = np.inf
        count = min(count, int(np.isfinite(apart).sum()))
        found = np.argpartition(apart, count - 1)[:count] if count else np.empty(0, np.intp)
        return [int(other) for other in found[np.argsort(apart[found], kind="stable")]]

    def _apart(self, row: int) -> NDArray[np.float32]:
        """(n,) how far each is from one, squared and less what is the same for all."""
        with self._lock:
            if self._last is not None and self._last[0] == row:
                return self._last[1]
            new, n = self._squares is None, len(self.features)
            squares = np.empty(n, np.float32) if self._squares is None else self._squares
            apart, point = np.empty(n, np.float32), self.features[row].astype(np.float32)
            for start in range(0, n, BLOCK):
                part = slice(start, start + BLOCK)
                block = np.ascontiguousarray(self.features[part], np.float32)
                if new:
                    squares[part] = np.einsum("nd,nd->n", block, block)
                apart[part] = squares[part] - 2 * np.einsum("nd,d->n", block, point)  # BLAS would wait for threads
            self._squares, self._last = squares, (row, apart)
            return apart

    def ordinary(self, row: int, odd: Collection[int] = ()) -> list[int]:
        """The ordinary images most like one: of the less strange half, those left out that a person called odd."""
        among = self._ordinary.copy()
        among[list(odd)] = False
        return self.nearest(row, SHOWN_ORDINARY, among)

    def alike(self, row: int, open_: NDArray[np.bool_]) -> tuple[list[int], bool]:
        """The images of one kind with another that are still open, itself first; whether they are a found group.

        Where it is in no group of the ranking's, the nearest are offered.
        """
        if self._group[row] >= 0:
            kin = np.flatnonzero((self._group == self._group[row]) & open_)
            others = kin[kin != row]
            if len(others):
                if self.features.shape[1]:
                    others = others[np.argsort(self._apart(row)[others], kind="stable")]
                return [row, *map(int, others[: MOST_ALIKE - 1])], True
        return [row, *self.nearest(row, OFFERED - 1, open_)], False
