"""The loss at the encoder's pretext task: an image that it does badly at is strange.

An encoder that learned, say, to tell how an image was rotated learned it from what most of the images share. Where an
image has little of that, the answer is wrong or undecided, and costs more. The score is that cost.

Golan, El-Yaniv, *Deep anomaly detection using geometric transformations*, 2018; Wang et al., *Effective end-to-end
unsupervised outlier detection via inlier priority of discriminative network*, 2019.
"""

from __future__ import annotations

from typing import Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from oddlens.errors import OptionError, SavedModelError
from oddlens.protocols import Doubles, Encoded, State


class Surprise(BaseEstimator):
    """Scores an image by the encoder's loss at its pretext task, in nats.

    It has no options. **Own and new scores differ:** a fitted image has had its part in what the encoder learned, a new
    one has not, and so a new image surprises more than a fitted one of the same kind. The smaller the collection, the
    more: with 500 fitted images the median of new ones was 1.2 to 1.7 times as high (docs/lab/transforms.md). Rank each
    among its own; do not compare new images with the fitted ones by this score where the collection is small.

    >>> Surprise().fit(Encoded(surprise=np.array([0.1, 2.4]))).score_own()
    array([0.1, 2.4])
    """

    needs = frozenset({"surprise"})
    judges = "by how badly the network does at its task"
    seeks = "images on which the encoder fails at its pretext task"

    def fit(self, encoded: Encoded) -> Self:
        """Keep the fitted images' surprise."""
        self.own_ = self._surprise(encoded)
        return self

    def score_own(self) -> Doubles:
        """(n,) the fitted images' surprise."""
        return self._fitted().copy()

    def score_new(self, encoded: Encoded) -> Doubles:
        """(m,) other images' surprise."""
        self._fitted()
        return self._surprise(encoded)

    def get_state(self) -> State:
        """The fitted images' surprise."""
        return {"own": self._fitted()}

    def set_state(self, state: State) -> Self:
        """Take back what ``get_state`` gave."""
        own = state.get("own")
        if set(state) != {"own"} or own is None or own.ndim != 1 or own.dtype != np.float64 or not len(own):
            raise SavedModelError("The saved surprise detector holds no list of surprises.")
        if not np.isfinite(own).all():
            raise SavedModelError("The saved surprises are not all finite numbers.")
        self.own_ = own
        return self

    def _fitted(self) -> Doubles:
        check_is_fitted(self, "own_")
        return self.own_

    @staticmethod
    def _surprise(encoded: Encoded) -> Doubles:
        if encoded.surprise is None:
            raise OptionError("Surprise needs the surprise of an encoder with a pretext task, got none.")
        surprise = np.array(encoded.surprise, np.float64)
        if surprise.ndim != 1 or not np.isfinite(surprise).all():
            raise OptionError(f"Surprise needs one finite number an image, got an array of {surprise.shape}.")
        return surprise
