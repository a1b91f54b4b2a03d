"""Distance from the subspace of the principal components: an image that they cannot rebuild is strange.

The leading principal components hold what the features of ordinary images have in common; the length of what is left
of an image beyond them is its score. Components follow whatever they are fitted to, odd images too, so each fitted
image is judged by components found without it.

Jackson, Mudholkar, *Control procedures for residuals associated with principal component analysis*, 1979.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from oddlens.errors import OptionError, SavedModelError
from oddlens.kernels import one_blas_thread
from oddlens.options import require_numbers
from oddlens.progress import advance
from oddlens.protocols import Doubles, Encoded, State
from oddlens.scoring.exact_copies import Known, digests
from oddlens.scoring.features import checked_features

FOLDS = 5
SAMPLED_ROWS = 4000  # rows that the components of a fold are found from
# Features above which half as many rows are sampled: finding components costs the cube of their number.
WIDE_FEATURES = 1024
BATCH_VALUES = 2**22  # numbers processed at a time
SMALL_PRODUCT = 2**17  # numbers in the components up to which rows are projected one by one
BLOCK_ROWS = 64  # rows of a matrix product, where the components are larger
LARGEST_NUMBER = 1e40  # that fitting can make of features in single precision


class Subspace(BaseEstimator):
    """Scores an image by how far its features lie from the subspace of the leading principal components.

    share:         the share of the variance that the components explain, above 0 and below 1. What is left over should
                   be more than noise: choose a smaller share for noisy features.
    random_state:  fixes the folds and which of very many images the components are found from.

    A fitted image is judged by the components of the four fifths of the collection that it is not in, a new one by the
    mean over all five. Copies, rows that are the same to the last digit, share a fold, or an image's copies would teach
    the components to rebuild it. At most 4,000 images find the components of a fold, 2,000 where there are more than
    1,024 features, so that cost grows with the images, not with their square.

    >>> rows = np.arange(20.0, dtype=np.float32)[:, None] * np.ones(3, np.float32)
    >>> rows[7, 0] += 5
    >>> int(Subspace(share=0.9).fit(Encoded(embedding=rows)).score_own().argmax())
    7
    """

    needs = frozenset({"embedding"})
    judges = "put together from what the others share"
    seeks = "images that the main directions in which the features vary cannot put together"

    def __init__(self, share: float = 0.9, random_state: int = 0) -> None:
        self.share = share
        self.random_state = random_state

    def fit(self, encoded: Encoded) -> Self:
        """Find the components of each fold's complement, and score the fold by them."""
        require_numbers(self)
        if not 0 < self.share < 1:
            raise OptionError(f"share must be above 0 and below 1, got {self.share!r}.")
        rows = checked_features(encoded, self)
        n = len(rows)
        if n < 2:
            raise OptionError(f"Subspace needs 2 images or more, got {n}.")
        rng = np.random.default_rng(self.random_state)
        first = Known(digests(rows)).first()
        distinct = np.unique(first)
        folds = min(FOLDS, len(distinct))
        fold = (rng.permutation(len(distinct)) % folds)[np.searchsorted(distinct, first)]
        means, axes, self.own_ = [], [], np.zeros(n)
        most = SAMPLED_ROWS if rows.shape[1] <= WIDE_FEATURES else SAMPLED_ROWS // 2
        for number in range(folds):
            others = np.flatnonzero(fold != number) if folds > 1 else np.arange(n)
            chosen = np.sort(rng.permutation(others)[:most])
            with one_blas_thread():
                mean, kept = _components(rows[chosen], self.share)
            means.append(mean)
            axes.append(kept)
            inside = np.flatnonzero(fold == number)
            self.own_[inside] = _beyond(rows, inside, mean, kept)
            advance("subspace", number + 1, folds)
        self.means_, self.axes_ = np.array(means), axes
        return self

    def score_own(self) -> Doubles:
        """(n,) the fitted images' distances, each from components found without it."""
        check_is_fitted(self, "own_")
        return self.own_.copy()

    def score_new(self, encoded: Encoded) -> Doubles:
        """(m,) other images' distances, the mean over the folds."""
        check_is_fitted(self, "own_")
        rows = checked_features(encoded, self)
        if rows.shape[1] != self.means_.shape[1]:
            raise OptionError(f"Subspace was fitted to {self.means_.shape[1]} features, got {rows.shape[1]}.")
        everyone = np.arange(len(rows))
        parts = [_beyond(rows, everyone, mean, kept) for mean, kept in zip(self.means_, self.axes_, strict=True)]
        return np.asarray(np.mean(parts, axis=0))

    def get_state(self) -> State:
        """The means and components of each fold, and the fitted images' scores."""
        check_is_fitted(self, "own_")
        axes = {f"axes.{number}": kept for number, kept in enumerate(self.axes_)}
        return {"means": self.means_, "own": self.own_, **axes}

    def set_state(self, state: State) -> Self:
        """Take back what ``get_state`` gave."""
        means, own = state.get("means"), state.get("own")
        if means is None or own is None or means.ndim != 2 or not 1 <= len(means) <= FOLDS or own.ndim != 1:
            raise SavedModelError("The saved subspace lacks its means or its scores.")
        axes = [state.get(f"axes.{number}") for number in range(len(means))]
        if any(kept is None or kept.ndim != 2 or kept.shape[0] != means.shape[1] for kept in axes):
            raise SavedModelError("The saved subspace lacks components that fit its means.")
        known = [kept for kept in axes if kept is not None]
        arrays = (means, own, *known)
        if any(array.dtype != np.float64 or not (np.abs(array) <= LARGEST_NUMBER).all() for array in arrays):
            raise SavedModelError("The saved subspace holds numbers that are too large, not finite or not as saved.")
        self.means_, self.axes_, self.own_ = means, known, own
        return self


def _batches(shape: tuple[int, ...]) -> Iterator[slice]:
    step = max(1, BATCH_VALUES // shape[1])
    return (slice(start, start + step) for start in range(0, shape[0], step))


def _components(rows: NDArray[np.float32], share: float) -> tuple[Doubles, Doubles]:
    """The (d,) mean and the (d, q) axes that keep ``share`` of the variance, from the smaller of the two products."""
    mean = rows.mean(0, dtype=np.float64)
    centred = rows - mean
    n, d = centred.shape
    variance, vectors = np.linalg.eigh(centred @ centred.T if n < d else centred.T @ centred)
    variance, vectors = np.maximum(variance[::-1], 0), vectors[:, ::-1]
    total = np.cumsum(variance)
    if not total[-1] > 0:  # all rows alike: whatever is not like them is all beyond
        return mean, np.zeros((d, 0))
    count = int(np.searchsorted(total, share * total[-1])) + 1
    if n < d:
        return mean, centred.T @ (vectors[:, :count] / np.sqrt(variance[:count]))
    return mean, np.ascontiguousarray(vectors[:, :count])


def _beyond(rows: NDArray[np.float32], chosen: NDArray[np.int64], mean: Doubles, axes: Doubles) -> Doubles:
    """(m,) the lengths of what the components leave of the chosen rows."""
    found = np.empty(len(chosen))
    for part in _batches((len(chosen), rows.shape[1])):
        centred = rows[chosen[part]] - mean
        found[part] = np.sqrt(np.maximum((centred**2).sum(1) - (_projected(centred, axes) ** 2).sum(1), 0))
    return found


def _projected(rows: Doubles, axes: Doubles) -> Doubles:
    """(n, q) the (n, d) rows times the axes, each row's sums the same whatever other rows there are."""
    if axes.size <= SMALL_PRODUCT:
        return np.asarray(np.einsum("nd,dq->nq", rows, axes))
    # Too slow for very wide features. A matrix product is faster, and in blocks of one size, with rows of zeros after
    # the last, it is the same compiled code for every row.
    blocks = np.zeros((-(-len(rows) // BLOCK_ROWS), BLOCK_ROWS, rows.shape[1]))
    blocks.reshape(-1, rows.shape[1])[: len(rows)] = rows
    with one_blas_thread():
        return np.concatenate([block @ axes for block in blocks])[: len(rows)]
