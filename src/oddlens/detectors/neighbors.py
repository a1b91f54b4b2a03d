"""Distance to the k nearest neighbours: an image whose features lie far from those of all others is strange.

The score is the distance to the k-th nearest other image, or the mean distance to the k nearest. The search is
exact (FAISS); the distances of the neighbours it finds are then computed again from the differences, because
the search's own (squares less twice the product) lose their digits where images are nearly alike.

Ramaswamy, Rastogi, Shim, *Efficient algorithms for mining outliers from large data sets*, 2000 (k-th);
Angiulli, Pizzuti, *Fast outlier detection in high dimensional spaces*, 2002 (mean).
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

import faiss
import numpy as np
from numba import prange
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from oddlens.errors import OptionError, SavedModelError
from oddlens.kernels import kernel, threads
from oddlens.progress import advance
from oddlens.protocols import Doubles, Encoded, State

SPARE = 8  # neighbours beyond k that are looked at, for the search orders near ties by rounded distances
BATCH = 16384  # rows whose neighbours are held at a time
PART = 4096  # rows that one thread searches at a time; fewer than that and the search takes twice as long


class Neighbors(BaseEstimator):
    """Scores an image by its distance to its nearest neighbours among the fitted images.

    k:        how many neighbours; by default 50, and a twentieth of the collection where that is fewer.
    combine:  "kth", the distance to the k-th; or "mean", the mean distance to the k nearest.
    metric:   "euclidean", in the embedding's units; or "cosine", the Euclidean distance of rows brought to
              length 1, which is the square root of twice the cosine distance.
    n_jobs:   threads; by default one for each core.

    A fitted image is judged without itself. **Copies:** rows that are the same to the last digit are copies. An
    image's own copies are not its neighbours either, or the copies of one odd image would hide each other;
    unless it has more than k of them: then it is a common sight in the collection, and its score is 0. Copies
    of other images count each. A new image that is a copy of a fitted one gets the score of that one. Where fewer
    than k images are left, as many as there are count; where none is left, the score is 0.

    Fitted: ``k_``, the number of neighbours used.

    >>> line = np.arange(10.0, dtype=np.float32)[:, None]
    >>> line[9] = 30
    >>> Neighbors(k=2).fit(Encoded(embedding=line)).score_own()
    array([ 2.,  1.,  1.,  1.,  1.,  1.,  1.,  1.,  2., 23.])
    """

    needs = frozenset({"embedding"})

    def __init__(
        self, k: int | None = None, combine: str = "kth", metric: str = "euclidean", n_jobs: int | None = None
    ) -> None:
        self.k = k
        self.combine = combine
        self.metric = metric
        self.n_jobs = n_jobs

    def fit(self, encoded: Encoded) -> Self:
        """Keep the features, and score each row among the others."""
        self._take(self._rows(encoded))
        # A row's copies: how many others are the same, found by their bytes.
        _, group, sizes = np.unique(_bytes_of(self.rows_), return_inverse=True, return_counts=True)
        copies = sizes[group.ravel()] - 1
        self.own_ = np.zeros(len(self.rows_))
        alone, some = np.flatnonzero(copies == 0), np.flatnonzero((copies > 0) & (copies <= self.k_))
        self.own_[alone] = self._far(self.rows_[alone], 1, without_copies=True)
        self.own_[some] = self._far(self.rows_[some], self.k_ + 1, without_copies=True)
        return self

    def score_own(self) -> Doubles:
        """(n,) the fitted images' scores, each without itself and its copies."""
        self._require_fit()
        return self.own_.copy()

    def score_new(self, encoded: Encoded) -> Doubles:
        """(m,) other images' scores."""
        self._require_fit()
        rows = self._rows(encoded)
        if rows.shape[1] != self.rows_.shape[1]:
            raise OptionError(f"Neighbors was fitted to {self.rows_.shape[1]} features, got {rows.shape[1]}.")
        if not len(rows):
            return np.empty(0)
        scores = self._far(rows, 0)
        distances, found = self._search(rows, 1)
        copies = np.flatnonzero(distances[:, 0] == 0)
        scores[copies] = self.own_[found[copies, 0]]
        return scores

    def neighbors_of(self, encoded: Encoded, k: int) -> tuple[Doubles, NDArray[np.int64]]:
        """(m, k) distances and (m, k) row numbers of the fitted images nearest to each row, copies included."""
        self._require_fit()
        if not 1 <= k <= len(self.rows_):
            raise OptionError(f"k must be from 1 to {len(self.rows_)}, the number of fitted images, got {k!r}.")
        distances, found = self._search(self._rows(encoded), k)
        return distances[:, :k], found[:, :k]

    def get_state(self) -> State:
        """The features and the fitted images' scores."""
        self._require_fit()
        return {"rows": self.rows_, "own": self.own_}

    def set_state(self, state: State) -> Self:
        """Take back what ``get_state`` gave."""
        rows, own = state.get("rows"), state.get("own")
        sound = (
            rows is not None and own is not None and rows.dtype == np.float32 and own.dtype == np.float64
            and rows.ndim == 2 and rows.shape[1] > 0 and own.shape == rows.shape[:1]
            and bool(np.isfinite(rows).all() and np.isfinite(own).all())
        )
        if not sound or rows is None or own is None:
            raise SavedModelError("The saved neighbors do not hold finite rows with a score each.")
        try:
            self._take(rows)
        except OptionError as error:
            raise SavedModelError(f"The saved neighbors do not fit their options: {error}") from error
        self.own_ = own
        return self

    def _take(self, rows: NDArray[np.float32]) -> None:
        n = len(rows)
        if n < 2:
            raise OptionError(f"Neighbors needs 2 images or more, got {n}.")
        for name, known in (("combine", ("kth", "mean")), ("metric", ("euclidean", "cosine"))):
            if getattr(self, name) not in known:
                raise OptionError.unknown(f"{name} of neighbors", getattr(self, name), known)
        if self.k is not None and not (isinstance(self.k, int | np.integer) and 1 <= self.k < n):
            raise OptionError(f"k must be a whole number from 1 to {n - 1} for {n} images, got {self.k!r}.")
        self.k_ = min(50, max(1, n // 20)) if self.k is None else int(self.k)
        self.rows_ = rows
        # Distances do not change when all rows move together, and near the origin the search rounds least.
        self.center_ = rows.mean(0, dtype=np.float64).astype(np.float32)
        self.index_ = faiss.IndexFlatL2(rows.shape[1])
        self.index_.add(rows - self.center_)

    def _far(self, rows: NDArray[np.float32], extra: int, without_copies: bool = False) -> Doubles:
        """(m,) the combined distance to the k nearest, of k + extra looked at."""
        scores = np.zeros(len(rows))
        for start in range(0, len(rows), BATCH):
            batch = slice(start, min(start + BATCH, len(rows)))
            distances, _ = self._search(rows[batch], self.k_ + extra, without_copies)
            scores[batch] = combined(distances, self.k_, self.combine == "mean")
            advance("neighbors", batch.stop, len(rows))
        return scores

    def _search(
        self, rows: NDArray[np.float32], k: int, without_copies: bool = False
    ) -> tuple[Doubles, NDArray[np.int64]]:
        """(m, k or more) exact distances, nearest first, and whose; copies infinitely far if so asked."""
        k = min(k + SPARE, len(self.rows_))
        found = np.empty((len(rows), k), np.int64)

        def search(start: int) -> None:
            # One search thread in each of ours: they share no barrier, so a busy core holds up only its part.
            faiss.omp_set_num_threads(1)
            part = rows[start : start + PART]
            found[start : start + PART] = self.index_.search(part - self.center_, k)[1]

        with threads(self.n_jobs) as count, ThreadPoolExecutor(count) as pool:
            list(pool.map(search, range(0, len(rows), PART)))
            return exact_distances(rows, self.rows_, found, without_copies), found

    def _rows(self, encoded: Encoded) -> NDArray[np.float32]:
        if encoded.embedding is None or encoded.embedding.ndim != 2 or not encoded.embedding.shape[1]:
            raise OptionError("Neighbors needs an embedding of (n, d) features, got none.")
        rows = np.ascontiguousarray(encoded.embedding, np.float32)
        if not np.isfinite(rows).all():
            raise OptionError("Neighbors needs finite features; the embedding holds nan or infinity.")
        if self.metric == "cosine":
            lengths = np.sqrt(np.einsum("nd,nd->n", rows, rows, dtype=np.float64))[:, None]
            rows = (rows / np.where(lengths > 0, lengths, 1)).astype(np.float32)
        return rows + np.float32(0)  # -0 and 0 are the same number; make them the same bytes

    def _require_fit(self) -> None:
        if not hasattr(self, "own_"):
            raise NotFittedError("This Neighbors has seen no images yet: call fit first.")


def _bytes_of(rows: NDArray[np.float32]) -> NDArray[Any]:
    """(n,) each row as one value that compares as its bytes."""
    return np.ascontiguousarray(rows).view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))).ravel()


@kernel
def exact_distances(rows: Any, fitted: Any, found: Any, without_copies: Any) -> Any:
    """(m, k) the distances of rows to the fitted rows found, from the differences in double precision.

    They are put in order, nearest first and ties by row number, and ``found`` with them.
    """
    m, k = found.shape
    distances = np.empty((m, k))
    for i in prange(m):
        for j in range(k):
            row = found[i, j]
            total = 0.0
            for c in range(rows.shape[1]):
                difference = np.float64(rows[i, c]) - np.float64(fitted[row, c])
                total += difference * difference
            distance = np.inf if without_copies and total == 0 else np.sqrt(total)
            # Insertion sort: the search has them in order already, but for rounding.
            at = j
            while at > 0 and (distances[i, at - 1] > distance
                              or (distances[i, at - 1] == distance and found[i, at - 1] > row)):
                distances[i, at], found[i, at] = distances[i, at - 1], found[i, at - 1]
                at -= 1
            distances[i, at], found[i, at] = distance, row
    return distances


def combined(distances: Doubles, k: int, mean: bool) -> Doubles:
    """(m,) the k-th or the mean of the k nearest finite distances, of as many as there are; 0 if there are none."""
    nearest = distances[:, :k]
    counts = np.isfinite(nearest).sum(1)
    nearest = np.where(np.isfinite(nearest), nearest, 0)
    if mean:
        return np.asarray(nearest.sum(1) / np.maximum(counts, 1))
    return np.asarray(nearest[np.arange(len(nearest)), np.maximum(counts, 1) - 1])
