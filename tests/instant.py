"""The instant stand-in for a learned encoder: principal components of the pixels."""

from __future__ import annotations

from typing import Self

import numpy as np
from sklearn.base import BaseEstimator

from oddlens.protocols import Encoded, Pixels, State


class InstantEncoder(BaseEstimator):
    """Principal components of the pixels, with what they lose as the residual and their signs as activations."""

    gives = frozenset({"embedding", "residual", "activations"})

    def __init__(self, latent: int = 6) -> None:
        self.latent = latent

    def fit(self, pixels: Pixels) -> Self:
        flat = self._flat(pixels)
        self.mean_ = flat.mean(0)
        self.axes_ = np.linalg.svd(flat - self.mean_, full_matrices=False)[2][: self.latent]
        return self

    def encode(self, pixels: Pixels, needs: frozenset[str]) -> Encoded:
        centred = self._flat(pixels) - self.mean_
        # einsum, not a matrix product: each row's sum is the same whatever other rows are in the batch
        embedding = np.einsum("np,dp->nd", centred, self.axes_)
        residual = ((centred - np.einsum("nd,dp->np", embedding, self.axes_)) ** 2).mean(1)
        return Encoded(
            embedding=embedding.astype(np.float32) if "embedding" in needs else None,
            residual=residual if "residual" in needs else None,
            activations={"hidden": np.maximum(embedding, 0).astype(np.float32)} if "activations" in needs else {},
        )

    def get_state(self) -> State:
        return {"mean": self.mean_, "axes": self.axes_}

    def set_state(self, state: State) -> Self:
        self.mean_, self.axes_ = state["mean"], state["axes"]
        return self

    @staticmethod
    def _flat(pixels: Pixels) -> np.ndarray:
        return pixels.reshape(len(pixels), -1).astype(np.float64) / 255
