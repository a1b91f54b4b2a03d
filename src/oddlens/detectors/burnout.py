"""Neighbours at many ranks: an image is strange if from some rank on all others lie unusually far from it.

For each rank from a third of the usual k to a quarter of the collection, the distance to that neighbour is divided by
what it is for the median image; the largest of these ratios is the score. A single odd image is far from all others at
every rank. Fifty similar odd images are near each other, and the distance jumps where their own kind is used up:
however many similar images there are, up to a quarter of the collection, they do not hide each other.

Le-Gia, Ahn, *On the problem of consistent anomalies in zero-shot anomaly detection* (CoDeGraph), 2025.
"""

from __future__ import annotations

from typing import Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from oddlens.errors import OptionError, SavedModelError
from oddlens.options import require_numbers
from oddlens.protocols import Doubles, Encoded, State
from oddlens.scoring.features import checked_features
from oddlens.scoring.large_neighborhood import own_scores
from oddlens.scoring.neighborhood import LOCAL_SHARE, Neighborhood, Tightness, sampled
from oddlens.scoring.structure import unimodality


class Burnout(BaseEstimator):
    """Scores an image by the largest ratio of its neighbour distances to the usual ones, over many ranks.

    local:         0, ratios as they are, to 1, all measured against those of the 10 nearest images; or "auto", a
                   quarter in a collection of many kinds of image, some of which lie closer together than others, and
                   less the more it is of one kind.
    random_state:  which 10,000 images of a larger collection all are compared with.
    n_jobs:        threads; by default one for each core. The scores do not depend on it.

    A fitted image is judged without itself: one image at distance 0 is taken for itself. So a new image that is a copy
    of a fitted one gets that one's score, among up to 20,000 images. In a larger collection the strangest fitted images
    are looked at again, beside all others that lie near. Memory for 10,000 rows, time that grows with the number of
    images.

    Fitted: ``neighborhood_``, with the ranks and the usual distances; ``local_``.

    >>> rows = np.random.default_rng(0).normal(size=(400, 4)).astype(np.float32)
    >>> rows[:40] = 9 + rows[:40] / 10
    >>> scores = Burnout().fit(Encoded(embedding=rows)).score_own()
    >>> bool(scores[:40].min() > scores[40:].max())
    True
    """

    needs = frozenset({"embedding"})
    judges = "compared with near and far neighbours"
    seeks = "images that lie unusually far from all others but those of their own kind"

    def __init__(self, local: float | str = "auto", random_state: int = 0, n_jobs: int | None = None) -> None:
        self.local = local
        self.random_state = random_state
        self.n_jobs = n_jobs

    def fit(self, encoded: Encoded) -> Self:
        """Learn the usual distances and score each row beside them."""
        require_numbers(self)
        self._check()
        rows = np.ascontiguousarray(checked_features(encoded, self))
        if len(rows) < 2:
            raise OptionError(f"Burnout needs 2 images or more, got {len(rows)}.")
        sample = sampled(len(rows), np.random.default_rng(self.random_state))
        self.neighborhood_ = Neighborhood.of(rows, sample, self.n_jobs)
        self.local_ = LOCAL_SHARE * (1 - unimodality(rows)) if self.local == "auto" else float(self.local)
        plain, self.own_ = own_scores(self.neighborhood_, rows, sample, self.local_, self.n_jobs)
        self._surround(plain)
        return self

    def _surround(self, plain: Doubles) -> None:
        self.plain_ = plain
        self.tightness_ = Tightness(plain, self.local_)

    def score_own(self) -> Doubles:
        """(n,) the fitted images' scores, each without itself."""
        check_is_fitted(self, "own_")
        return self.own_.copy()

    def score_new(self, encoded: Encoded) -> Doubles:
        """(m,) other images' scores."""
        check_is_fitted(self, "own_")
        rows = np.ascontiguousarray(checked_features(encoded, self))
        width = self.neighborhood_.reference.shape[1]
        if rows.shape[1] != width:
            raise OptionError(f"Burnout was fitted to {width} features, got {rows.shape[1]}.")
        distances, around = self.neighborhood_.distances(rows, self.n_jobs)
        return np.asarray(self.neighborhood_.ratios(distances) * self.tightness_.factor(around))

    def get_state(self) -> State:
        """The rows compared with, the ranks, the usual distances and the scores."""
        check_is_fitted(self, "own_")
        near = self.neighborhood_
        return {"reference": near.reference, "ranks": near.ranks, "usual": near.usual, "plain": self.plain_,
                "local": np.array([self.local_]), "own": self.own_}

    def set_state(self, state: State) -> Self:
        """Take back what ``get_state`` gave."""
        types = {"reference": "<f4", "ranks": "<i8", "usual": "<f8", "plain": "<f8", "local": "<f8", "own": "<f8"}
        wrong = [name for name, type_ in types.items() if name not in state or state[name].dtype.str != type_]
        if wrong:
            raise SavedModelError(f"The saved burnout lacks {', '.join(wrong)}, or holds them in another type.")
        reference, ranks, usual, plain, local, own = (state[name] for name in types)
        self.neighborhood_ = Neighborhood.saved(reference, ranks, usual)
        if plain.shape != reference.shape[:1] or local.shape != (1,) or own.ndim != 1:
            raise SavedModelError("The saved burnout holds arrays whose shapes do not fit each other.")
        if not all(np.isfinite(array).all() for array in (plain, local, own)) or not 0 <= local[0] <= 1:
            raise SavedModelError("The saved burnout holds numbers that cannot be.")
        self.local_, self.own_ = float(local[0]), own
        self._surround(plain)
        return self

    def _check(self) -> None:
        if self.local != "auto" and not (isinstance(self.local, int | float) and 0 <= self.local <= 1):
            raise OptionError(f'local of burnout must be from 0 to 1, or "auto"; got {self.local!r}.')
