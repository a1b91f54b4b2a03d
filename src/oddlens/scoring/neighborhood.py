"""How far away an image's neighbours are, at many ranks at once, beside how far they usually are.

The distance to the k-th neighbour has a cliff: when there are more than k similar odd images, they are each other's
neighbours and none is detected. But their own kind is used up at some rank, and from there on all others are far: the
distance jumps, where that of an ordinary image goes on growing slowly ("neighbor-burnout"). So each distance is divided
by that of the median image at the same rank, and the largest ratio counts, over the ranks from a third of the usual k
to a quarter of the collection.

Le-Gia, Ahn, *On the problem of consistent anomalies in zero-shot anomaly detection* (CoDeGraph), 2025. Measuring a
distance against those around it: after Breunig, Kriegel, Ng, Sander, *LOF: identifying density-based local outliers*,
2000.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numba import prange
from numpy.typing import NDArray

from oddlens.errors import SavedModelError
from oddlens.kernels import kernel, kernel_of_one_thread, resolve_jobs, threads
from oddlens.progress import advance
from oddlens.protocols import Doubles
from oddlens.scoring.structure import neighbour_count, unimodality

REFERENCE_ROWS = 10_000  # rows that all are compared with; a sample where there are more
USUAL_ROWS = 1000  # reference rows that the usual distances are taken from
RANKS = 14  # ranks that distances are taken at, evenly spaced in their logarithm
NARROW_DIVISOR, WIDE_DIVISOR = 3, 4  # the ranks go from the usual k over the first to the rows over the second
MULTIMODAL_WIDTH = 6  # the last rank in multiples of k in a collection of many kinds: a quarter is more than a kind
TIGHTNESS_NEIGHBOURS = 10  # nearest rows whose own ratios say how tight the place is
LEAST_RANK = 1.5  # the usual k among the reference rows, at least
LOCAL_SHARE = 0.25  # how far a ratio is measured against those around it, in a collection of many kinds
WIDE_QUANTILE = 0.75  # of those ratios: from here on a place is not tight at all
LEAST_TIGHTNESS = 0.1  # of that quantile: no ratio counts for less
LEAST_DISTANCE = 1e-6  # share of the largest distance that every distance is at least taken for
LEAST_USUAL = 1e-150  # the usual distance that a saved neighbourhood may have: ratios to it stay finite
FARTHEST_DISTANCE = np.float32(1e16)  # in units of the largest feature; greater distances are cut to it
BLOCK_ROWS = 512  # rows that are compared at a time


class Neighborhood:
    """Ratios of distances to their usual size, for fitted rows and for others.

    reference:  (m, d) float32, the rows compared with.
    ranks:      (r,) which neighbours are looked at, counted from 1.
    usual:      (r,) the median row's distance at each rank, above 0.
    """

    def __init__(self, reference: NDArray[np.float32], ranks: NDArray[np.int64], usual: Doubles) -> None:
        self.reference, self.ranks, self.usual = reference, ranks, usual
        # A power of two changes no digit, and squares of numbers about 1 neither under- nor overflow.
        self.unit = np.float32(2.0 ** -float(np.frexp(np.abs(reference).max(initial=0))[1]))
        self.scaled = reference * self.unit

    @classmethod
    def of(cls, rows: NDArray[np.float32], sample: NDArray[np.int64], n_jobs: int | None = None) -> Neighborhood:
        """The neighbourhood of (n, d) rows, two or more, those compared with being the rows of the (m,) sample."""
        n, m = len(rows), len(sample)
        kind = unimodality(rows)
        ranks = ranks_of(neighbours_among(n, m, kind) * m / n, m, kind)
        found = cls(np.ascontiguousarray(rows[sample]), ranks, np.ones(len(ranks)))
        some = found.reference[np.linspace(0, m - 1, min(m, USUAL_ROWS)).astype(np.int64)]
        distances = found.distances(some, n_jobs)[0]
        usual, most = np.median(distances, axis=0), float(distances.max())
        found.usual = np.maximum(usual, LEAST_DISTANCE * most) if most > 0 else np.ones(len(ranks))
        return found

    @classmethod
    def saved(cls, reference: NDArray[Any], ranks: NDArray[Any], usual: NDArray[Any]) -> Neighborhood:
        """From arrays of a saved model; raises ``SavedModelError`` for what cannot be."""
        if reference.ndim != 2 or len(reference) < 2 or not reference.shape[1] or ranks.ndim != 1 or not len(ranks):
            raise SavedModelError(f"A saved neighbourhood holds rows {reference.shape} and ranks {ranks.shape}.")
        if usual.shape != ranks.shape or not (np.isfinite(reference).all() and np.isfinite(usual).all()):
            raise SavedModelError("A saved neighbourhood holds numbers that are missing or not finite.")
        if ranks.min() < 1 or ranks.max() >= len(reference) or usual.min() < LEAST_USUAL:
            raise SavedModelError("A saved neighbourhood holds ranks or distances that cannot be.")
        return cls(np.ascontiguousarray(reference), ranks, usual)

    def distances(self, rows: NDArray[np.float32], n_jobs: int | None = None) -> tuple[Doubles, NDArray[np.int64]]:
        """(n, r) the distances at the ranks, in a unit of their own, and (n, 10) the nearest reference rows, or -1.

        A reference row at distance 0 is taken for the row itself, one such row and no more. Each row alone.
        """
        m = len(self.reference)
        found = np.empty((len(rows), len(self.ranks)))
        around = np.full((len(rows), TIGHTNESS_NEIGHBOURS), -1, np.int64)
        wanted = np.unique(np.r_[0, self.ranks - 1, np.minimum(self.ranks, m - 1)])
        near = min(TIGHTNESS_NEIGHBOURS + 1, m)

        def rank(squares: NDArray[np.float32], part: slice) -> None:
            first = nearest_columns(squares, near)
            squares.partition(wanted, axis=1)
            itself = squares[:, 0] == 0
            at = np.minimum(self.ranks - 1 + itself[:, None], m - 1)
            found[part] = np.sqrt(np.take_along_axis(squares, at, 1))
            around[part, : near - 1] = np.where(itself[:, None], first[:, 1:], first[:, :-1])

        jobs = resolve_jobs(n_jobs)
        size = -(-BLOCK_ROWS // jobs)  # of the part of a block that a thread ranks
        with ThreadPoolExecutor(jobs) as pool:
            for start in range(0, len(rows), BLOCK_ROWS):
                block = slice(start, min(start + BLOCK_ROWS, len(rows)))
                with threads(n_jobs):
                    squares = squares_between(self.brought_to_scale(rows[block]), self.scaled)
                parts = [slice(at, min(at + size, block.stop)) for at in range(start, block.stop, size)]
                list(pool.map(rank, (squares[part.start - start : part.stop - start] for part in parts), parts))
                advance("neighbors", block.stop, len(rows))
        return found, around

    def brought_to_scale(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """The rows in the unit of the distances, those far beyond the reference cut."""
        with np.errstate(over="ignore"):
            return np.ascontiguousarray(np.clip(rows * self.unit, -FARTHEST_DISTANCE, FARTHEST_DISTANCE))

    def ratios(self, distances: Doubles) -> Doubles:
        """(n,) the largest of a row's distances over the usual ones."""
        return np.asarray((distances / self.usual).max(1))


def neighbours_among(n: int, m: int, kind: float) -> float:
    """The usual k of n rows of which m are compared with: enough that some of these are among the k nearest."""
    return max(neighbour_count(n, kind), LEAST_RANK * n / m)


def ranks_of(k: float, m: int, kind: float = 1.0) -> NDArray[np.int64]:
    """(r,) the ranks looked at among m rows, none twice and none that is not there.

    From k / 3 to m / 4 where ``kind``, the collection's ``unimodality``, is 1; to 6 k at most where it is 0: beyond the
    size of a kind a distance says how far apart the kinds are. Between, in proportion of logarithms.
    """
    low, high = max(1.0, k / NARROW_DIVISOR), max(2.0, m / WIDE_DIVISOR)
    high = min(high, MULTIMODAL_WIDTH * k) ** (1 - kind) * high**kind
    ranks = np.unique(np.rint(np.geomspace(low, max(low, high), RANKS)).astype(np.int64))
    return ranks[ranks <= max(1, m - 1)]


def sampled(n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """(m,) which of n rows are compared with, in order: all, or 10,000 drawn at random."""
    return np.sort(rng.permutation(n)[:REFERENCE_ROWS])


class Tightness:
    """How tight the place is that a row lies in, from the ratios of the ten reference rows around it.

    With g the geometric mean of their ratios and c the third quartile of all, the factor is (c / g)^local. Each of the
    ten counts as c at most, so that odd ones do not make each other look ordinary, and as c / 10 at least.
    """

    def __init__(self, plain: Doubles, local: float) -> None:
        wide = float(np.quantile(plain, WIDE_QUANTILE))
        self.local = local
        self.logs = np.log(np.clip(plain / wide, LEAST_TIGHTNESS, 1)) if wide > 0 else np.zeros(len(plain))

    def factor(self, around: NDArray[np.integer[Any]]) -> Doubles:
        """(n,) 1 where the rows around lie far apart, to 10^local where they lie close together."""
        if not self.local:
            return np.ones(len(around))
        there = around >= 0
        logs = np.where(there, self.logs[around], 0.0).sum(1) / np.maximum(there.sum(1), 1)
        return np.asarray(np.exp(-self.local * logs))


@kernel
def squares_between(rows: Any, reference: Any) -> Any:
    """(n, m) float32 squared distances, summed from the differences, so that none is lost where rows are near."""
    n, d = rows.shape
    m = len(reference)
    out = np.empty((n, m), np.float32)
    chunk, block = 32, 256  # so many rows meet so many reference rows at a time, while these are in the cache
    for number in prange((n + chunk - 1) // chunk):
        columns, sums = np.zeros((d, block), np.float32), np.zeros(block, np.float32)
        for start in range(0, m, block):
            size = min(block, m - start)
            for r in range(size):
                for c in range(d):
                    columns[c, r] = reference[start + r, c]
            for i in range(number * chunk, min(n, number * chunk + chunk)):
                sums[:] = 0
                for c in range(d):
                    value = rows[i, c]
                    for r in range(block):  # side by side, as vector code
                        difference = value - columns[c, r]
                        sums[r] += difference * difference
                for r in range(size):
                    out[i, start + r] = sums[r]
    return out


@kernel_of_one_thread
def nearest_columns(squares: Any, count: Any) -> Any:
    """(n, count) which of each row's squared distances are the smallest, in order, and of equals the first."""
    n, m = squares.shape
    which, least = np.empty((n, count), np.int64), np.empty(count, np.float32)
    for i in range(n):
        for j in range(m):
            square = squares[i, j]
            if j < count or square < least[count - 1]:
                at = min(j, count - 1)
                while at > 0 and square < least[at - 1]:
                    least[at], which[i, at] = least[at - 1], which[i, at - 1]
                    at -= 1
                least[at], which[i, at] = square, j
    return which
