"""The own scores of a large collection: all rows beside the reference, and the strangest beside all that lie near.

Every row is compared with the reference rows, which are few. That tells which rows are strange, but not in which order:
of a tenth of the rows, the third nearest says little of where the thirtieth of all is. So the strangest are looked at
again. Each row belongs to the list of the reference row that is nearest to it, and a strange row is compared with the
lists of those reference rows that lie nearest to it, a tenth of them. Distances at ranks so far out that the reference
tells them well are taken from there.

A thousand reference rows are looked at again with them. Their median distances are the usual ones, and as much as their
scores change on the whole, all others are changed, so that one null fits both.

Sivic, Zisserman, *Video Google: a text retrieval approach to object matching in videos*, 2003; Jégou, Douze, Schmid,
*Product quantization for nearest neighbor search*, 2011 (inverted lists).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from oddlens.kernels import one_blas_thread, resolve_jobs
from oddlens.progress import advance
from oddlens.protocols import Doubles
from oddlens.scoring.neighborhood import (
    LEAST_DISTANCE,
    USUAL_ROWS,
    Neighborhood,
    Tightness,
    neighbours_among,
    ranks_of,
)
from oddlens.scoring.ranked_distances import NEAREST, Ranked, count_squares
from oddlens.scoring.structure import unimodality

MOST_EXACT = 20_000  # rows up to which all are compared with the reference in single steps, and none again
STRANGE_SHARE = 0.03  # of the rows that are looked at again
PROBED_SHARE, FEWEST_PROBED = 0.1, 20_000  # of the lists they are compared with; and the fewest rows in these
FAR_RANK = 100  # of the reference: it tells distances at this rank and beyond as well as all rows would
ROWS, COLUMNS = 512, 2048  # rows of a product, and rows that they are multiplied with
PILOT_ROWS = 512  # reference rows that say up to which distance others matter
PACK_ROWS = 8192  # rows whose lists are gone through at a time
CHUNK_ROWS = 2048  # strange rows that one thread compares with them


def own_scores(
    near: Neighborhood, rows: NDArray[np.float32], sample: NDArray[np.int64], local: float, n_jobs: int | None = None
) -> tuple[Doubles, Doubles]:
    """(m,) the ratios of the reference rows, and (n,) those of all beside those around them, each without itself.

    near:    the neighbourhood of the (n, d) rows, whose reference are those of the (m,) ``sample``. Of more than 20,000
             rows, its usual distances are changed a little, so that new rows' scores are on the scale of these.
    local:   how far ratios are measured against those around, as in ``Tightness``.
    """
    if len(rows) <= MOST_EXACT:
        distances, around = near.distances(rows, n_jobs)
        plain = near.ratios(distances)
        return plain[sample], plain * Tightness(plain[sample], local).factor(around)
    return _Collection(near, rows, sample, n_jobs).scores(local)


class _Collection:
    """Many rows, and the reference that they are compared with."""

    def __init__(
        self, near: Neighborhood, rows: NDArray[np.float32], sample: NDArray[np.int64], n_jobs: int | None
    ) -> None:
        self.near, self.rows, self.sample, self.jobs = near, rows, sample, resolve_jobs(n_jobs)
        # Distances stay the same when all rows move together, and near the origin products lose the least.
        self.center = near.scaled.mean(0, dtype=np.float64).astype(np.float32)
        self.reference = near.scaled - self.center
        self.lengths = _lengths(self.reference)
        self.place = np.full(len(rows), -1, np.int32)  # where in the reference each row is
        self.place[sample] = np.arange(len(sample), dtype=np.int32)
        self.pilot = np.linspace(0, len(sample) - 1, PILOT_ROWS).astype(np.int64)

    def scores(self, local: float) -> tuple[Doubles, Doubles]:
        """(m,) the reference rows' ratios and (n,) all rows' scores."""
        n = len(self.rows)
        plain, around = np.empty(n), np.empty((n, NEAREST), np.int32)

        def survey(part: slice) -> None:
            distances, around[part] = self.beside_reference(self.read(part), self.place[part], self.near.ranks)
            plain[part] = self.near.ratios(distances)

        self.in_threads(survey, _parts(n, ROWS), n)
        scores = plain * Tightness(plain[self.sample], local).factor(around)
        control = self.sample[np.linspace(0, len(self.sample) - 1, USUAL_ROWS).astype(np.int64)]
        strange = np.argpartition(scores, n - int(STRANGE_SHARE * n))[n - int(STRANGE_SHARE * n) :]
        again = np.union1d(strange, control)
        home = np.where(self.place >= 0, self.place, around[:, 0])
        distances, nearest = self.beside_lists(again, home)
        return self.joined(plain, scores, again, control, distances, nearest, local)

    def joined(
        self, plain: Doubles, scores: Doubles, again: NDArray[np.int64], control: NDArray[np.int64],
        distances: Doubles, nearest: NDArray[np.int32], local: float,
    ) -> tuple[Doubles, Doubles]:
        """The same, from what each look found."""
        controls = np.searchsorted(again, control)
        usual = np.median(distances[controls], axis=0)
        most = float(distances.max())
        ratios = (distances / np.maximum(usual, LEAST_DISTANCE * most)).max(1) if most > 0 else np.zeros(len(again))
        level = _level(ratios[controls], plain[control])
        plain *= level
        plain[again] = ratios
        found = ratios * Tightness(plain, local).factor(nearest)
        change = _level(found[controls], scores[control])
        self.near.usual /= change
        scores *= change
        scores[again] = found
        return plain[self.sample], scores

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
        which = np.arange(q)
        for start in range(0, m, COLUMNS):
            others = slice(start, min(start + COLUMNS, m))
            names = np.arange(start, others.stop, dtype=np.int32)
            _count(ranked, taken @ self.reference[others].T, lengths, self.lengths[others], names, place, which)
        distances = ranked.distances(ranks)
        short = np.flatnonzero(np.isinf(distances[:, -1]))  # the pilot misled, or all are copies
        if len(short):
            squares = np.maximum(lengths[short, None] + self.lengths - 2 * (taken @ self.reference.T)[short], 0)
            inside = np.flatnonzero(place[short] >= 0)
            squares[inside, place[short[inside]]] = np.inf
            distances[short] = np.sqrt(np.sort(squares, axis=1)[:, ranks - 1])
        return distances, ranked.nearest

    def beside_lists(
        self, again: NDArray[np.int64], home: NDArray[np.int32]
    ) -> tuple[Doubles, NDArray[np.int32]]:
        """(q, r) distances of the rows looked at again, at the ranks among all, and (q, 10) the nearest of all.

        home:  (n,) the reference row that each row is nearest to.
        """
        n, m, q = len(self.rows), len(self.reference), len(again)
        kind = unimodality(self.rows)
        ranks = ranks_of(neighbours_among(n, m, kind), n, kind)
        near = ranks * m < FAR_RANK * n
        taken = np.empty((q, self.rows.shape[1]), np.float32)
        distances, lists = np.empty((q, len(ranks))), np.empty((q, m), np.bool_)
        limits = np.empty(q)
        # One rank more among the reference: beyond it lies nothing that the ranks looked for could reach.
        most = min(int(ranks[near].max(initial=1) * m / n * 1.25 + 4 * FAR_RANK**0.5) + 8, m - 1)
        asked = np.r_[np.clip(np.rint(ranks * m / n).astype(np.int64), 1, m - 1), most]
        order = np.argsort(asked, kind="stable")
        back = np.argsort(order, kind="stable")
        probed = min(m, int(m * max(PROBED_SHARE, FEWEST_PROBED / n)))

        def prepare(part: slice) -> None:
            taken[part] = self.read(again[part])
            found = self.beside_reference(taken[part], self.place[again[part]], asked[order])[0][:, back]
            distances[part], limits[part] = found[:, :-1], found[:, -1]
            apart = self.lengths - 2 * (_filled(taken[part]) @ self.reference.T)[: len(found)]
            lists[part] = False
            np.put_along_axis(lists[part], np.argpartition(apart, probed - 1, axis=1)[:, :probed], True, 1)

        self.in_threads(prepare, _parts(q, ROWS), 0)
        ranked = Ranked.within(limits**2)
        self.go_through(ranked, taken, again, lists, home)
        counted = ranked.distances(ranks[near]) if near.any() else np.empty((q, 0))
        distances[:, near] = np.where(np.isfinite(counted), counted, distances[:, near])
        return distances, ranked.nearest

    def go_through(
        self, ranked: Ranked, taken: NDArray[np.float32], again: NDArray[np.int64], lists: NDArray[np.bool_],
        home: NDArray[np.int32],
    ) -> None:
        """Count the distances of the rows taken to all rows in their lists, reading each row once."""
        members = np.argsort(home, kind="stable")
        ends = np.cumsum(np.bincount(home, minlength=len(self.reference)))
        starts = np.r_[0, ends[:-1]]
        lengths, again = _lengths(taken), again.astype(np.int32)
        first = 0
        while first < len(ends):
            last = max(first + 1, int(np.searchsorted(ends, starts[first] + PACK_ROWS, side="right")))
            whole = members[starts[first] : ends[last - 1]]
            pack, names = self.read(whole), whole.astype(np.int32)
            squares = _lengths(pack)

            def compare(part: slice, first: int = first, last: int = last, pack: NDArray[np.float32] = pack,
                        names: NDArray[np.int32] = names, squares: NDArray[np.float32] = squares) -> None:
                wanted = np.ascontiguousarray(lists[part, first:last].T)
                for number in range(first, last):
                    which = np.flatnonzero(wanted[number - first]) + part.start
                    here = slice(starts[number] - starts[first], ends[number] - starts[first])
                    if len(which) and here.stop > here.start:
                        _count(ranked, taken[which] @ pack[here].T, lengths[which], squares[here], names[here],
                               again[which], which)

            self.in_threads(compare, _parts(len(taken), CHUNK_ROWS), 0)
            first = last

    def read(self, which: slice | NDArray[np.int64]) -> NDArray[np.float32]:
        """(q, d) some rows as they are compared."""
        return np.asarray(self.near.brought_to_scale(np.asarray(self.rows[which])) - self.center)

    def in_threads(self, work: Callable[[slice], None], parts: Sequence[slice], total: int) -> None:
        """Do all parts, each on one thread."""
        with one_blas_thread(), ThreadPoolExecutor(self.jobs) as pool:
            for part, _ in zip(parts, pool.map(work, parts), strict=True):
                if total:
                    advance("neighbors", part.stop, total)


def _parts(n: int, size: int) -> list[slice]:
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
    names: NDArray[np.int32], own: NDArray[np.int32], which: NDArray[np.int64],
) -> None:
    count_squares(products, lengths, others, names, own, which, ranked.limits, ranked.counts, ranked.squares,
                  ranked.nearest)


def _level(better: Doubles, rough: Doubles) -> float:
    """By what factor the better numbers differ from the rough ones on the whole."""
    middle, other = float(np.median(better)), float(np.median(rough))
    return middle / other if middle > 0 and other > 0 else 1.0
