"""Distances to the k nearest of very many rows, of which a model keeps a sample.

Which rows are strange is told roughly: by the reference, a sample of the rows, where enough of it is among the k
nearest, else by the rows in the lists around a row's own. Then the strangest are compared with all rows in the lists
near them (``inverted_lists``), and the others' scores are brought to their level. New rows are compared with the
reference alone, and their scores brought to that level too.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from oddlens.errors import SavedModelError
from oddlens.kernels import kernel_of_one_thread
from oddlens.protocols import Doubles, State
from oddlens.scoring.inverted_lists import InvertedLists, Rows, parts
from oddlens.scoring.large_neighborhood import brought_together, chosen_again, probed_share
from oddlens.scoring.neighborhood import Neighborhood, Tightness, sampled

FEWEST_AMONG = 30.0  # reference rows among the k nearest; where there are fewer they say little of the k-th
ROUGH_ROWS, ROUGH_FACTOR = 1000, 10  # rows that are looked through roughly, and so many more for each of the k
MOST_ROUGH = 16_384  # of these at most
ROUGH_PART = 512  # rows compared with them at a time


class SampledNeighbors:
    """The k-th or mean nearest distances of many rows, and of new ones beside a sample of these.

    near:   the sample, the rank at which it is asked, and how long a distance there counts as 1.
    plain:  (m,) the sample's distances, which others are measured against; local: how far, as in ``Tightness``.
    k:      how many neighbours among all.
    """

    def __init__(self, near: Neighborhood, plain: Doubles, local: float, k: int) -> None:
        self.near, self.plain, self.local, self.k = near, plain, local, k
        self.tightness = Tightness(plain, local)

    @classmethod
    def fitted(
        cls, rows: Rows, sizes: NDArray[np.int64], k: int, combine: str, local: float, n_jobs: int | None
    ) -> tuple[SampledNeighbors, Doubles]:
        """Of (g,) rows that are there ``sizes`` times each, and their own scores.

        combine:  "kth", "mean" or "root mean square" of the k nearest distances.
        """
        g, sample = len(rows), sampled(len(rows), np.random.default_rng(0))
        among = k * float(sizes[sample].sum() / sizes.sum())
        ranks = np.array([max(1, round(among))])
        near = Neighborhood(np.ascontiguousarray(rows[sample]), ranks, np.ones(1))
        lists, plain = InvertedLists(near, rows, sample, n_jobs, sizes), np.empty(g)

        def take(part: slice, distances: Doubles) -> None:
            plain[part] = distances[:, 0]

        around = lists.survey(take, ranks)
        if among < FEWEST_AMONG:
            plain = roughly(lists, k)
        scores = plain * Tightness(plain[sample], local).factor(around)
        again, control = chosen_again(scores, sample)
        told, ranked = lists.beside_lists(again, probed_share(g), ranks, np.array([k]))
        better = (ranked.distances(np.array([k]))[:, 0] if combine == "kth" else
                  ranked.means(k, 1 if combine == "mean" else 2))
        better = np.where(np.isfinite(better), better, told[:, 0])
        better[sizes[again] - 1 > k] = 0
        brought_together(plain, scores, again, control, better, ranked.nearest, local)
        scores[sizes - 1 > k] = 0
        known = told[control, 0] * Tightness(plain[sample], local).factor(around[again[control]])
        middle, wanted = float(np.median(known)), float(np.median(scores[again[control]])) / near.unit
        near.usual[:] = middle / wanted if middle > 0 and wanted > 0 else near.unit
        return cls(near, plain[sample], local, k), scores / near.unit

    def scores(self, rows: NDArray[np.float32], n_jobs: int | None) -> Doubles:
        """(q,) the scores of new rows."""
        distances, around = self.near.distances(rows, n_jobs)
        return np.asarray(self.near.ratios(distances) * self.tightness.factor(around))

    def state(self) -> State:
        """What is saved."""
        return {"rows": self.near.reference, "rank": self.near.ranks, "usual": self.near.usual, "plain": self.plain,
                "numbers": np.array([self.local, self.k])}

    @classmethod
    def saved(cls, state: State) -> SampledNeighbors:
        """From what was saved; raises ``SavedModelError`` for what cannot be."""
        types = {"rows": "<f4", "rank": "<i8", "usual": "<f8", "plain": "<f8", "numbers": "<f8"}
        wrong = [name for name, type_ in types.items() if name not in state or state[name].dtype.str != type_]
        if wrong:
            raise SavedModelError(f"The saved neighbors lack {', '.join(wrong)}, or hold them in another type.")
        near = Neighborhood.saved(state["rows"], state["rank"], state["usual"])
        plain, numbers = state["plain"], state["numbers"]
        if numbers.shape != (2,) or not (0 <= numbers[0] <= 1 and 1 <= numbers[1] <= 2**31):
            raise SavedModelError(f"The saved neighbors hold numbers that cannot be: {numbers.tolist()}.")
        if plain.shape != near.reference.shape[:1] or len(near.ranks) != 1 or not np.isfinite(plain).all():
            raise SavedModelError("The saved neighbors hold arrays whose shapes do not fit, or that are not finite.")
        return cls(near, plain, float(numbers[0]), int(numbers[1]))


def roughly(lists: InvertedLists, k: int) -> Doubles:
    """(n,) about the distance to the k-th nearest, from the lists around a row's own."""
    n, m = len(lists.rows), len(lists.sample)
    count = min(m, int(np.ceil((ROUGH_FACTOR * k + ROUGH_ROWS) * m / n)) + 1)
    found, starts = np.empty(n), np.r_[0, lists.ends[:-1]]

    def work(part: slice) -> None:
        between = lists.lengths - 2 * (lists.reference[part] @ lists.reference.T)
        closest = np.argpartition(between, count - 1, axis=1)[:, :count] if count < m else np.argsort(between, axis=1)
        for number, others in zip(range(part.start, part.stop), closest, strict=True):
            mine = lists.members[starts[number] : lists.ends[number]]
            names = np.concatenate([lists.members[starts[other] : lists.ends[other]] for other in others])
            names = names[np.linspace(0, len(names) - 1, min(len(names), MOST_ROUGH)).astype(np.int64)]
            columns = lists.read(names)
            lengths = np.einsum("nd,nd->n", columns, columns)
            for piece in parts(len(mine), ROUGH_PART):
                rows = lists.read(mine[piece])
                found[mine[piece]] = kth_distances(rows @ columns.T, np.einsum("nd,nd->n", rows, rows), lengths,
                                                   mine[piece], names, k)

    lists.in_threads(work, parts(m, 32), 0)
    return found


@kernel_of_one_thread
def kth_distances(products: Any, lengths: Any, others: Any, own: Any, names: Any, k: Any) -> Any:
    """(q,) the k-th smallest distance of each row to others than itself, the largest where there are fewer."""
    found = np.zeros(len(own))
    for q in range(len(own)):
        squares = np.empty(len(names), np.float32)
        count = 0
        for j in range(len(names)):
            if names[j] != own[q]:
                squares[count] = max(lengths[q] + others[j] - np.float32(2) * products[q, j], np.float32(0))
                count += 1
        if count:
            at = min(k, count) - 1
            found[q] = np.sqrt(np.partition(squares[:count], at)[at])
    return found
