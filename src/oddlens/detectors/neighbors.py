"""Distance to the k nearest neighbours: an image whose features lie far from those of all others is strange.

The score is the distance to the k-th nearest other image, or the mean distance to the k nearest. Of up to 100,000
images it is exact. FAISS proposes neighbours by squares less twice the product, which lose their digits where images
are nearly alike; so the distances are computed again from the differences, and where the lost digits could have
hidden a neighbour, all images are compared anew. Of more images, the strangest alone are compared with all that lie
near them.

Ramaswamy, Rastogi, Shim, *Efficient algorithms for mining outliers from large data sets*, 2000 (k-th);
Angiulli, Pizzuti, *Fast outlier detection in high dimensional spaces*, 2002 (mean). Measuring a distance against those
around it: after Breunig, Kriegel, Ng, Sander, *LOF: identifying density-based local outliers*, 2000.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

import faiss
import numpy as np
from numba import prange
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from oddlens.arrays import read_only
from oddlens.errors import OptionError, SavedModelError
from oddlens.kernels import helper, kernel, one_faiss_thread, resolve_jobs, threads
from oddlens.progress import advance
from oddlens.protocols import Bools, Doubles, Encoded, State
from oddlens.scoring.distinct_rows import DistinctRows, comparable
from oddlens.scoring.features import checked_features
from oddlens.scoring.neighborhood import LOCAL_SHARE, TIGHTNESS_NEIGHBOURS, Tightness
from oddlens.scoring.sampled_neighbors import SampledNeighbors
from oddlens.scoring.structure import SAMPLED_ROWS, neighbour_count, unimodality

SPARE_CANDIDATES = 8  # neighbours beyond k that FAISS proposes: room for those that it puts in the wrong order
BATCH_ROWS = 16384  # rows whose neighbours are held at a time
MOST_EXACT = 100_000  # distinct images up to which the search is exact; a search of all pairs takes minutes there
SEARCH_ROWS = 4096  # rows that one thread searches at a time; with fewer FAISS works half as fast


class Neighbors(BaseEstimator):
    """Scores an image by its distance to its nearest neighbours among the fitted images.

    k:        how many neighbours, 1 to n - 1 of n images. By default 50, enough that a few odd images of one
              kind do not make each other look ordinary; a twentieth of the collection where that is fewer; and in a
              collection of one kind of image a share of .045 where that is more, to at most 500.
    combine:  "kth", the distance to the k-th; or "mean", the mean distance to the k nearest.
    metric:   "euclidean", in the embedding's units; or "cosine", one minus the cosine of the angle. A row of
              zeros has no angle: it is 1/2 from every other row.
    local:    0, distances as they are, to 1, all measured against those of the 10 nearest images; or "auto", a quarter
              in a collection of many kinds of image, where some kinds lie closer together than others, and less the
              more it is of one kind. With d the distance, g the geometric mean of what the 10 nearest have for it, and
              c the third quartile over all fitted images, the score is d (c / g)^local. Each of the 10 counts as c at
              most, so that odd images do not make each other look ordinary, and as c / 10 at least.
    n_jobs:   threads; by default one for each core. The scores do not depend on it.

    A fitted image is judged without itself. **Copies:** rows that are the same to the last digit are copies.
    An image's own copies are not its neighbours either, or the copies of one odd image would hide each other;
    unless there are more than k besides it: then it is a common sight here, and its score is 0. Copies of other
    images count each. A new image that is a copy of a fitted one gets the score of that one. Where fewer than
    k images are left, as many as there are count; where none is left, the score is 0.

    **More than 100,000** different images: the strangest 3 % are compared with all that lie near them, to a
    thousandth; the scores of the rest are rougher. A sample of 10,000 is kept, and new images are compared with these
    alone, on the scale of the others; a copy of a fitted image is one like any other then.

    Fitted: ``k_``, the number of neighbours used; ``local_``, how far distances are measured against those around.

    >>> line = np.arange(10.0, dtype=np.float32)[:, None]
    >>> line[9] = 30
    >>> Neighbors(k=2).fit(Encoded(embedding=line)).score_own()
    array([ 2.,  1.,  1.,  1.,  1.,  1.,  1.,  1.,  2., 23.])
    """

    needs = frozenset({"embedding"})
    judges = "compared with its nearest neighbours"
    seeks = "images whose learned features lie far from those of every other image"

    def __init__(
        self,
        k: int | None = None,
        combine: str = "kth",
        metric: str = "euclidean",
        local: float | str = 0.0,
        n_jobs: int | None = None,
    ) -> None:
        self.k = k
        self.combine = combine
        self.metric = metric
        self.local = local
        self.n_jobs = n_jobs

    def fit(self, encoded: Encoded) -> Self:
        """Keep the features, and score each row among the others."""
        self.sampled_: SampledNeighbors | None = None
        features = checked_features(encoded, self)
        if len(features) > MOST_EXACT and self._sample(features):
            return self
        self._take(self._rows(encoded))
        plain = np.zeros(len(self.sizes_))
        around = np.full((len(plain), min(TIGHTNESS_NEIGHBOURS, self.k_)), -1, np.int32)
        rare = np.flatnonzero(self.sizes_ - 1 <= self.k_)
        for batch in _batches(len(rare)):
            one = rare[batch]
            distances, found = self._nearest(self.distinct_[one], self.k_, without_copies=True)
            plain[one] = self._combined(distances, found)
            around[one, : found.shape[1]] = found[:, : around.shape[1]]
            advance("neighbors", batch.stop, len(rare))
        self.plain_ = plain[self.group_]
        self.tightness_ = Tightness(plain, self.local_)  # of each group of copies
        self.own_ = (plain * self.tightness_.factor(around))[self.group_]
        return self

    def _sample(self, rows: NDArray[np.float32]) -> bool:
        """Score many rows without searching all pairs, unless hardly any of them differ."""
        distinct = DistinctRows(rows, self.metric == "cosine")
        if len(distinct) <= MOST_EXACT:
            return False
        some = np.sort(np.random.default_rng(0).permutation(len(distinct))[:SAMPLED_ROWS])
        self._choose(distinct[some], len(rows))
        squared = self.metric == "cosine"  # the mean is of what a score is, half the squares
        combine = "root mean square" if self.combine == "mean" and squared else self.combine
        self.sampled_, own = SampledNeighbors.fitted(
            distinct, distinct.sizes, self.k_, combine, self.local_, self.n_jobs)
        self.own_ = self._in_unit(own)[distinct.group]
        return True

    def _in_unit(self, distances: Doubles) -> Doubles:
        """Of rows of length 1, one minus the cosine is half the squared distance."""
        return np.asarray(np.square(distances) / 2 if self.metric == "cosine" else distances)

    def score_own(self) -> Doubles:
        """(n,) the fitted images' scores, each without itself and its copies."""
        check_is_fitted(self, "own_")
        return self.own_.copy()

    def score_new(self, encoded: Encoded) -> Doubles:
        """(m,) other images' scores."""
        rows = self._rows_like_fitted(encoded)
        if self.sampled_ is not None:
            return self._in_unit(self.sampled_.scores(rows, self.n_jobs))
        scores = np.zeros(len(rows))
        for batch in _batches(len(rows)):
            distances, found = self._nearest(rows[batch], self.k_)
            copy_of = self.members_[self.first_[found[:, 0]]]
            apart = self._combined(distances, found) * self.tightness_.factor(found[:, :TIGHTNESS_NEIGHBOURS])
            scores[batch] = np.where(distances[:, 0] == 0, self.own_[copy_of], apart)
            advance("neighbors", batch.stop, len(rows))
        return scores

    def get_state(self) -> State:
        """The features, the fitted images' scores and, where these are other, their plain distances.

        Of more than 100,000 images: a sample of the features, and what new images need to be compared with it.
        """
        check_is_fitted(self, "own_")
        if self.sampled_ is not None:
            return {**self.sampled_.state(), "own": self.own_}
        return {"rows": self.rows_, "own": self.own_, **({"plain": self.plain_} if self.local_ else {})}

    def set_state(self, state: State) -> Self:
        """Take back what ``get_state`` gave."""
        rows, own = state.get("rows"), state.get("own")
        if rows is None or own is None or rows.dtype != np.float32 or own.dtype != np.float64:
            raise SavedModelError("The saved neighbors lack their rows (float32) or their scores (float64).")
        self.sampled_ = None
        if "rank" in state:
            return self._take_sample(state, own)
        if rows.ndim != 2 or not rows.shape[1] or own.shape != rows.shape[:1]:
            raise SavedModelError(f"The saved neighbors hold rows {rows.shape} but scores {own.shape}.")
        plain = state.get("plain", own)
        if plain.shape != own.shape or plain.dtype != np.float64:
            raise SavedModelError("The saved neighbors' plain distances (float64) do not fit their scores.")
        if not all(np.isfinite(array).all() for array in (rows, own, plain)):
            raise SavedModelError("The saved neighbors hold numbers that are not finite.")
        try:
            self._take(read_only(rows))
        except OptionError as error:
            raise SavedModelError(f"The saved neighbors do not fit their options: {error}") from error
        if self.local_ and "plain" not in state:
            raise SavedModelError("The saved neighbors lack the plain distances that scores are measured against.")
        self.own_, self.plain_ = own, plain
        self.tightness_ = Tightness(plain[self.members_[self.first_]], self.local_)
        return self

    def _take_sample(self, state: State, own: Doubles) -> Self:
        self.sampled_ = SampledNeighbors.saved(state)
        self.k_, self.local_ = self.sampled_.k, self.sampled_.local
        if own.ndim != 1 or not np.isfinite(own).all():
            raise SavedModelError("The saved neighbors hold scores that are not one finite number an image.")
        self.own_ = own
        return self

    def _choose(self, rows: NDArray[np.float32], n: int) -> None:
        """Check the options for n images, and choose k and how far distances are measured against those around."""
        if n < 2:
            raise OptionError(f"Neighbors needs 2 images or more, got {n}.")
        for name, known in (("combine", ("kth", "mean")), ("metric", ("euclidean", "cosine"))):
            if getattr(self, name) not in known:
                raise OptionError.unknown(f"{name} of neighbors", getattr(self, name), known)
        if self.k is not None and not (isinstance(self.k, int | np.integer) and 1 <= self.k < n):
            raise OptionError(f"k must be a whole number from 1 to {n - 1} for {n} images, got {self.k!r}.")
        if self.local != "auto" and not (isinstance(self.local, int | float) and 0 <= self.local <= 1):
            raise OptionError(f'local of neighbors must be from 0 to 1, or "auto"; got {self.local!r}.')
        kind = unimodality(rows) if self.k is None or self.local == "auto" else 0.0
        self.k_ = neighbour_count(n, kind) if self.k is None else int(self.k)
        self.local_ = LOCAL_SHARE * (1 - kind) if self.local == "auto" else float(self.local)

    def _take(self, rows: NDArray[np.float32]) -> None:
        """Check the options, tell the copies apart and build the index of the distinct rows."""
        self._choose(rows, len(rows))
        self.rows_ = rows
        self._tell_copies_apart(rows)
        # Distances stay the same when all rows move together, and near the origin FAISS loses the least.
        self.center_ = self.distinct_.mean(0, dtype=np.float64).astype(np.float32)
        self.index_ = faiss.IndexFlatL2(rows.shape[1])
        self.index_.add(_moved(self.distinct_, self.center_))

    def _tell_copies_apart(self, rows: NDArray[np.float32]) -> None:
        """Group the rows that are the same; groups stand in the order of their first rows."""
        _, first, group, sizes = np.unique(
            _bytes_of(rows), return_index=True, return_inverse=True, return_counts=True)
        order = np.argsort(first)
        self.sizes_ = sizes[order]
        self.group_ = np.argsort(order)[group.ravel()]  # row -> its group of copies
        self.members_ = np.argsort(self.group_, kind="stable")  # the rows, group by group,
        self.first_ = np.cumsum(self.sizes_) - self.sizes_  # and where among them each group begins
        self.distinct_ = rows if len(first) == len(rows) else read_only(rows[first[order]])

    def _nearest(
        self, rows: NDArray[np.float32], k: int, without_copies: bool = False
    ) -> tuple[Doubles, NDArray[np.int64]]:
        """(m, k) distances to the nearest groups of copies, nearest first, and (m, k) which; inf and -1 beyond."""
        groups = len(self.distinct_)
        k = min(k, groups)
        proposed, last = self._propose(rows, min(k + 1 + SPARE_CANDIDATES, groups))
        with threads(self.n_jobs):
            squares, found = nearest_among(rows, self.distinct_, proposed, k, without_copies)
            if proposed.shape[1] < groups:
                unsure = np.flatnonzero(~self._settled(rows, squares[:, -1], last))
                if len(unsure):
                    again = nearest_of_all(read_only(rows[unsure]), self.distinct_, k, without_copies)
                    squares[unsure], found[unsure] = again
        return squares / 2 if self.metric == "cosine" else np.sqrt(squares), found

    def _propose(self, rows: NDArray[np.float32], k: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """(m, k) the nearest groups as FAISS sees them, and (m,) its squared distance of the last of them."""
        proposed, last = np.empty((len(rows), k), np.int64), np.empty(len(rows), np.float32)

        def search(start: int) -> None:
            # One FAISS thread in each of ours: they share no barrier, so a busy core holds up only its part.
            part = slice(start, start + SEARCH_ROWS)
            with one_faiss_thread():
                squares, proposed[part] = self.index_.search(_moved(rows[part], self.center_), k)
            last[part] = squares[:, -1]

        with ThreadPoolExecutor(resolve_jobs(self.n_jobs)) as pool:
            list(pool.map(search, range(0, len(rows), SEARCH_ROWS)))
        return proposed, last

    def _settled(self, rows: NDArray[np.float32], farthest: Doubles, last: NDArray[np.float32]) -> Bools:
        """(m,) whether no group that FAISS left out can be as near as the farthest found, for all its rounding.

        In its sums of d squares and products rounding is at most about d units in the last place of
        (|x| + |y|)^2 (Higham, *Accuracy and Stability of Numerical Algorithms*, 2002, section 3.1), and a row y
        that is as near to x as the farthest is no longer than |x| + farthest.
        """
        lengths = np.sqrt(np.square(_moved(rows, self.center_), dtype=np.float64).sum(1))
        reach = 2 * lengths + np.sqrt(farthest)
        rounding = (rows.shape[1] + 8) * 2.0**-24 * reach**2
        within_range = (reach > 1e-15) & (reach < 1e18)  # where single precision neither under- nor overflows
        return np.asarray((farthest + rounding < last) & within_range)

    def _shares(self, found: NDArray[np.int64], k: int) -> NDArray[np.int64]:
        """(m, k) how many images of each group found are among the k nearest, copies counting each."""
        sizes = np.where(found >= 0, self.sizes_[found], 0)
        before = np.cumsum(sizes, 1) - sizes
        return np.asarray(np.clip(k - before, 0, sizes))

    def _combined(self, distances: Doubles, found: NDArray[np.int64]) -> Doubles:
        """(m,) the k-th or the mean of the k nearest distances, of as many as there are; 0 if there are none."""
        shares = self._shares(found, self.k_)
        counted = np.where(shares > 0, distances, 0)
        if self.combine == "kth":
            return np.asarray(counted.max(1))
        return np.asarray((shares * counted).sum(1) / np.maximum(shares.sum(1), 1))

    def _rows(self, encoded: Encoded) -> NDArray[np.float32]:
        """(n, d) the features as they are compared, of the length 1 where it is angles that count."""
        return read_only(comparable(checked_features(encoded, self), self.metric == "cosine"))

    def _rows_like_fitted(self, encoded: Encoded) -> NDArray[np.float32]:
        check_is_fitted(self, "own_")
        rows = self._rows(encoded)
        width = (self.rows_ if self.sampled_ is None else self.sampled_.near.reference).shape[1]
        if rows.shape[1] != width:
            raise OptionError(f"Neighbors was fitted to {width} features, got {rows.shape[1]}.")
        return rows



def _batches(n: int) -> Iterator[slice]:
    return (slice(start, min(start + BATCH_ROWS, n)) for start in range(0, n, BATCH_ROWS))


def _bytes_of(rows: NDArray[np.float32]) -> NDArray[Any]:
    """(n,) each row as one value that compares as its bytes."""
    return rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))).ravel()


def _moved(rows: NDArray[np.float32], center: NDArray[np.float32]) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):  # such rows are compared anew
        return rows - center



@helper
def insert(squares: Any, found: Any, i: Any, square: Any, row: Any) -> Any:
    """Put a row among the nearest of row i, nearest first and of equals the one that comes first."""
    at = squares.shape[1] - 1
    if square < squares[i, at] or (square == squares[i, at] and row < found[i, at]):
        while at > 0 and (square < squares[i, at - 1] or (square == squares[i, at - 1] and row < found[i, at - 1])):
            squares[i, at], found[i, at] = squares[i, at - 1], found[i, at - 1]
            at -= 1
        squares[i, at], found[i, at] = square, row


@kernel
def nearest_among(rows: Any, fitted: Any, proposed: Any, k: Any, without_copies: Any) -> Any:
    """(m, k) squared distances and (m, k) numbers of the nearest fitted rows, of those proposed to each row."""
    m, d = rows.shape
    squares, found = np.full((m, k), np.inf), np.full((m, k), -1)
    for i in prange(m):
        for row in proposed[i]:
            if row >= 0:  # FAISS says -1 where it overflowed
                square = 0.0
                for c in range(d):
                    difference = np.float64(rows[i, c]) - np.float64(fitted[row, c])
                    square += difference * difference
                if square > 0 or not without_copies:
                    insert(squares, found, i, square, row)
    return squares, found


@kernel
def nearest_of_all(rows: Any, fitted: Any, k: Any, without_copies: Any) -> Any:
    """The same, of all fitted rows; the same sums in the same order, so the same to the last digit."""
    m, d = rows.shape
    squares, found = np.full((m, k), np.inf), np.full((m, k), -1)
    chunk, block = 32, 256  # so many rows meet so many fitted ones at a time, while these are in the cache
    for number in prange((m + chunk - 1) // chunk):
        columns, sums = np.zeros((d, block), np.float32), np.zeros(block)
        for start in range(0, len(fitted), block):
            size = min(block, len(fitted) - start)
            for r in range(size):
                for c in range(d):
                    columns[c, r] = fitted[start + r, c]
            for i in range(number * chunk, min(m, number * chunk + chunk)):
                sums[:] = 0
                for c in range(d):
                    value = np.float64(rows[i, c])
                    for r in range(block):  # side by side, as vector code
                        difference = value - np.float64(columns[c, r])
                        sums[r] += difference * difference
                for r in range(size):
                    if sums[r] <= squares[i, k - 1] and (sums[r] > 0 or not without_copies):
                        insert(squares, found, i, sums[r], start + r)
    return squares, found
