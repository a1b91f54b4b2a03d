"""Many rows beside a few of them, the reference, and some rows beside all that lie near: inverted lists.

Each row belongs to the list of the reference row that is nearest to it. Whoever looks for a row's neighbours goes
through the lists of the reference rows nearest to it, and through no others.

Sivic, Zisserman, *Video Google: a text retrieval approach to object matching in videos*, 2003; Jégou, Douze, Schmid,
*Product quantization for nearest neighbor search*, 2011.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from oddlens.kernels import one_blas_thread, resolve_jobs
from oddlens.progress import advance
from oddlens.protocols import Doubles
from oddlens.scoring.neighborhood import Neighborhood
from oddlens.scoring.ranked_distances import NEAREST, Ranked, count_squares

ROWS, COLUMNS = 512, 2048  # rows of a product, and rows that they are multiplied with
PILOT_ROWS = 512  # reference rows that say up to which distance others matter
PACK_ROWS = 8192  # members of lists that are gone through at a time
CHUNK_ROWS = 2048  # rows that one thread compares with them


class Rows(Protocol):
    """(n, d) float32 rows, which may lie on disk: they are taken a few at a time."""

    def __len__(self) -> int:
        """How many there are."""

    def __getitem__(self, which: slice | NDArray[np.integer[Any]]) -> NDArray[np.float32]:
        """Some of them."""


class InvertedLists:
    """Rows, the reference that they are compared with, and after ``survey`` the lists.

    near:    whose reference it is; it says how rows are brought to scale.
    sample:  (m,) which of the rows these are, ascending.
    sizes:   (n,) how often each row counts; by default once.

    After ``survey``: ``home`` (n,), the reference row that each row is nearest to.
    """

    def __init__(
        self, near: Neighborhood, rows: Rows, sample: NDArray[np.int64], n_jobs: int | None = None,
        sizes: NDArray[np.int64] | None = None,
    ) -> None:
        n = len(rows)
        self.near, self.rows, self.sample, self.jobs = near, rows, sample, resolve_jobs(n_jobs)
        # Distances stay the same when all rows move together, and near the origin products lose the least.
        self.center = near.scaled.mean(0, dtype=np.float64).astype(np.float32)
        self.reference = near.scaled - self.center
        self.lengths = _lengths(self.reference)
        self.sizes = np.ones(n, np.int32) if sizes is None else sizes.astype(np.int32)
        self.place = np.full(n, -1, np.int32)  # where in the reference each row is
        self.place[sample] = np.arange(len(sample), dtype=np.int32)
        self.pilot = np.linspace(0, len(sample) - 1, PILOT_ROWS).astype(np.int64)

    def survey(self, take: Callable[[slice, Doubles], None], ranks: NDArray[np.int64]) -> NDArray[np.int32]:
        """Compare all rows with the reference: (n, 10) the nearest of it; distances at the ranks go to ``take``.

        take:  called with rows and their (q, r) distances, from several threads.
        """
        around = np.empty((len(self.rows), NEAREST), np.int32)

        def work(part: slice) -> None:
            distances, around[part] = self.beside_reference(self.read(part), self.place[part], ranks)
            take(part, distances)

        self.in_threads(work, parts(len(self.rows), ROWS), len(self.rows))
        self.home = np.where(self.place >= 0, self.place, np.maximum(around[:, 0], 0))
        members = np.argsort(self.home, kind="stable")
        self.members = members.astype(np.int32)
        self.ends = np.cumsum(np.bincount(self.home, minlength=len(self.sample)))
        return around

    def beside_reference(
        self, rows: NDArray[np.float32], place: NDArray[np.int32], ranks: NDArray[np.int64]
    ) -> tuple[Doubles, NDArray[np.int32]]:
        """(q, r) distances to the reference at the ranks and (q, 10) the nearest of it; at most 512 rows."""
        q, m = len(rows), len(self.reference)
        taken, lengths = _filled(rows), _lengths(rows)
        pilot = lengths[:, None] + self.lengths[self.pilot] - 2 * (taken @ self.reference[self.pilot].T)[:q]
        expected = PILOT_ROWS * int(ranks[-1]) / m
        enough = min(int(1.25 * expected + 4 * expected**0.5) + 8, PILOT_ROWS - 1)
        ranked = Ranked.within(np.maximum(np.partition(pilot, enough, axis=1)[:, enough], 0))
        which, weights = np.arange(q), self.sizes[self.sample]
        for start in range(0, m, COLUMNS):
            others = slice(start, min(start + COLUMNS, m))
            names = np.arange(start, others.stop, dtype=np.int32)
            _count(ranked, taken @ self.reference[others].T, lengths, self.lengths[others], names, weights[others],
                   place, which)
        distances = ranked.distances(ranks)
        short = np.flatnonzero(np.isinf(distances[:, -1]))  # the pilot misled, or all are copies
        if len(short):
            squares = np.maximum(lengths[short, None] + self.lengths - 2 * (taken @ self.reference.T)[short], 0)
            inside = np.flatnonzero(place[short] >= 0)
            squares[inside, place[short[inside]]] = np.inf
            distances[short] = np.sqrt(np.sort(squares, axis=1)[:, ranks - 1])
        return distances, ranked.nearest

    def beside_lists(
        self, again: NDArray[np.int64], share: float, asked: NDArray[np.int64], ranks: NDArray[np.int64]
    ) -> tuple[Doubles, Ranked]:
        """Compare (q,) rows with all rows in the lists near to them: (q, r) what the reference says, and what is found.

        share:  of the lists, those that are gone through.
        asked:  (r,) ascending ranks at which the reference is asked for distances.
        ranks:  those that are looked for among all rows; it is counted a little farther than they should reach.
        """
        q, n, m = len(again), len(self.rows), len(self.sample)
        taken, lists = np.empty((q, self.reference.shape[1]), np.float32), np.empty((q, -(-m // 8)), np.uint8)
        told, limits = np.empty((q, len(asked))), np.empty(q)
        probed = max(1, min(m, round(share * m)))
        reach = float(ranks.max(initial=1)) * m / n
        most = min(int(1.25 * reach + 4 * max(reach, 1) ** 0.5) + 8, m - 1)
        at = int(np.searchsorted(asked, most, side="right"))

        def prepare(part: slice) -> None:
            taken[part] = self.read(again[part])
            found = self.beside_reference(taken[part], self.place[again[part]], np.insert(asked, at, most))[0]
            limits[part], told[part] = found[:, at], np.delete(found, at, axis=1)
            apart = self.lengths - 2 * (_filled(taken[part]) @ self.reference.T)[: len(found)]
            wanted = np.zeros((len(found), m), np.bool_)
            np.put_along_axis(wanted, np.argpartition(apart, probed - 1, axis=1)[:, :probed], True, 1)
            lists[part] = np.packbits(wanted, axis=1)

        self.in_threads(prepare, parts(q, ROWS), 0)
        ranked = Ranked.within(limits**2)
        self.go_through(ranked, taken, again.astype(np.int32), lists, probed == m)
        return told, ranked

    def go_through(
        self, ranked: Ranked, taken: NDArray[np.float32], again: NDArray[np.int32], lists: NDArray[np.uint8],
        everything: bool,
    ) -> None:
        """Count the distances of the rows taken to all rows in their lists, each of these read once.

        lists:       (q, m / 8) a bit for each list, the first the highest of its byte.
        everything:  whether all bits are set.
        """
        lengths = _lengths(taken)
        for start in range(0, len(self.members), PACK_ROWS):
            names = self.members[start : start + PACK_ROWS]
            pack, stop = self.read(names), start + len(names)
            squares, weights = _lengths(pack), self.sizes[names]
            numbers = np.unique(self.home[names])  # in the order of the members
            if everything:  # who goes through all need not go through one after the other
                numbers = numbers[-1:]
            ends = np.minimum(self.ends[numbers], stop) - start
            starts = np.r_[0, ends[:-1]]

            def compare(part: slice, of: tuple[NDArray[np.int64], ...] = (numbers, starts, ends),
                        pack: NDArray[np.float32] = pack, names: NDArray[np.int32] = names,
                        squares: NDArray[np.float32] = squares, weights: NDArray[np.int32] = weights) -> None:
                wanted = np.ascontiguousarray((lists[part][:, of[0] >> 3] >> (7 - (of[0] & 7)).astype(np.uint8) & 1).T)
                for row, (first, last) in enumerate(zip(of[1], of[2], strict=True)):
                    which, here = np.flatnonzero(wanted[row]) + part.start, slice(first, last)
                    if len(which):
                        _count(ranked, taken[which] @ pack[here].T, lengths[which], squares[here], names[here],
                               weights[here], again[which], which)

            self.in_threads(compare, parts(len(taken), CHUNK_ROWS), 0)

    def read(self, which: slice | NDArray[np.integer[Any]]) -> NDArray[np.float32]:
        """(q, d) some rows as they are compared."""
        return np.asarray(self.near.brought_to_scale(np.asarray(self.rows[which])) - self.center)

    def in_threads(self, work: Callable[[slice], None], parts: Sequence[slice], total: int) -> None:
        """Do all parts, each on one thread."""
        with one_blas_thread(), ThreadPoolExecutor(self.jobs) as pool:
            for part, _ in zip(parts, pool.map(work, parts), strict=True):
                if total:
                    advance("neighbors", part.stop, total)


def parts(n: int, size: int) -> list[slice]:
    """The numbers below n, so many at a time."""
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]


def _lengths(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """(q,) squared lengths, each summed by itself."""
    return np.asarray(np.einsum("nd,nd->n", rows, rows))


def _filled(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """The rows with rows of zeros after the last: products of one shape end in the same digits for every row."""
    if len(rows) == ROWS:
        return rows
    whole = np.zeros((ROWS, rows.shape[1]), np.float32)
    whole[: len(rows)] = rows
    return whole


def _count(
    ranked: Ranked, products: NDArray[np.float32], lengths: NDArray[np.float32], others: NDArray[np.float32],
    names: NDArray[np.int32], weights: NDArray[np.int32], own: NDArray[np.int32], which: NDArray[np.int64],
) -> None:
    count_squares(products, lengths, others, names, weights, own, which, ranked.limits, ranked.counts, ranked.squares,
                  ranked.nearest)
