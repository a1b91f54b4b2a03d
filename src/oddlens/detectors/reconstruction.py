"""Reconstruction error: an image that the encoder cannot rebuild is strange.

What was learned from the collection is what most of its images share; an image with something else in it
loses that something on the way through the encoder. The score is the mean squared error of what comes back.

Hawkins, He, Williams, Baxter, *Outlier detection using replicator neural networks*, 2002.
"""

from __future__ import annotations

from typing import Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from oddlens.errors import OptionError, SavedModelError
from oddlens.protocols import Doubles, Encoded, State


class Reconstruction(BaseEstimator):
    """Scores an image by its reconstruction error, in squared units of the pixel range 0..1.

    It has no options. A fitted image has had its part in what the encoder learned; with many images that part
    is small, and it is the same for all.

    >>> Reconstruction().fit(Encoded(residual=np.array([0.1, 0.4]))).score_own()
    array([0.1, 0.4])
    """

    needs = frozenset({"residual"})
    judges = "by how well it can be rebuilt"
    seeks = "images that the encoder could not rebuild from what it learned"

    def fit(self, encoded: Encoded) -> Self:
        """Keep the fitted images' errors."""
        self.own_ = self._residual(encoded)
        return self

    def score_own(self) -> Doubles:
        """(n,) the fitted images' errors."""
        return self._fitted().copy()

    def score_new(self, encoded: Encoded) -> Doubles:
        """(m,) other images' errors."""
        self._fitted()
        return self._residual(encoded)

    def get_state(self) -> State:
        """The fitted images' errors."""
        return {"own": self._fitted()}

    def set_state(self, state: State) -> Self:
        """Take back what ``get_state`` gave."""
        own = state.get("own")
        if set(state) != {"own"} or own is None or own.ndim != 1 or own.dtype != np.float64 or not len(own):
            raise SavedModelError("The saved reconstruction detector holds no list of errors.")
        if not np.isfinite(own).all():
            raise SavedModelError("The saved reconstruction errors are not all finite numbers.")
        self.own_ = own
        return self

    def _fitted(self) -> Doubles:
        check_is_fitted(self, "own_")
        return self.own_

    @staticmethod
    def _residual(encoded: Encoded) -> Doubles:
        if encoded.residual is None:
            raise OptionError("Reconstruction needs the residual of an encoder that reconstructs, got none.")
        residual = np.array(encoded.residual, np.float64)
        if residual.ndim != 1:
            raise OptionError(f"Reconstruction needs one residual an image, got an array of shape {residual.shape}.")
        if not np.isfinite(residual).all():
            raise OptionError(f"{(~np.isfinite(residual)).sum()} reconstruction errors are not finite numbers.")
        return residual
