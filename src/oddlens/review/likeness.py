"""Which images of a run are alike: the nearest ordinary ones, a whole group, those that a label speaks of too."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from oddlens.ranking import Ranking

SHOWN_ORDINARY = 4  # nearest ordinary images that are shown
MOST_ALIKE = 48  # images of a group that are shown at once
OFFERED = 12  # nearest images that are offered where an image is in no group


class Likeness:
    """Distances among the images of a ranking, by (n, d) features; with d of 0 nothing is like anything.

    ``group`` of the ranking's measures says which odd images are of one kind.
    """

    def __init__(self, features: NDArray[np.float32], ranking: Ranking) -> None:
        self.features = np.ascontiguousarray(features, np.float32)
        self._squares = np.einsum("nd,nd->n", self.features, self.features)
        self._ordinary = ranking.scores <= np.median(ranking.scores) if len(ranking) else np.zeros(0, np.bool_)
        group = ranking.measures.get("group")
        self._group = group if isinstance(group, np.ndarray) else np.full(len(ranking), -1.0)

    def nearest(self, row: int, count: int, among: NDArray[np.bool_] | None = None) -> list[int]:
        """The rows most like one, the nearest first, itself left out."""
        if not self.features.shape[1]:
            return []
        apart = self._squares - 2 * (self.features @ self.features[row])
        apart[row] = np.inf
        if among is not None:
            apart[~among] = np.inf
        count = min(count, int(np.isfinite(apart).sum()))
        found = np.argpartition(apart, count - 1)[:count] if count else np.empty(0, np.intp)
        return [int(other) for other in found[np.argsort(apart[found], kind="stable")]]

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
            others = [int(other) for other in kin if other != row]
            if others:
                near = {other: place for place, other in enumerate(self.nearest(row, len(self.features)))}
                others.sort(key=lambda other: near.get(other, 0))
                return [row, *others[: MOST_ALIKE - 1]], True
        return [row, *self.nearest(row, OFFERED - 1, open_)], False

    @staticmethod
    def linked(partners: Sequence[Sequence[str] | NDArray[np.float64]], row_of: Mapping[str, int]) -> list[list[int]]:
        """Rows that columns of names link to each other, as groups, the largest first."""
        pairs = [(row, row_of[name]) for column in partners if isinstance(column, tuple)
                 for row, name in enumerate(column) if name in row_of]
        n = len(row_of)
        one, other = (np.array(side, np.intp) for side in (zip(*pairs, strict=True) if pairs else ((), ())))
        label = connected_components(coo_array((np.ones(len(one)), (one, other)), (n, n)), directed=False)[1]
        groups: dict[int, list[int]] = {}
        for row in np.flatnonzero(np.bincount(label, minlength=1)[label] > 1) if n else ():
            groups.setdefault(int(label[row]), []).append(int(row))
        return sorted(groups.values(), key=len, reverse=True)
