"""The pixels as they are, or averaged down: what every learned encoder must beat."""

from __future__ import annotations

from typing import Self

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted
from torch.nn import functional

from oddlens import protocols
from oddlens.arrays import allocate
from oddlens.errors import OptionError
from oddlens.learning.saved_state import check_images, refusing, saved_shape
from oddlens.learning.training import filled, one_thread
from oddlens.progress import advance
from oddlens.protocols import Encoded, State

BATCH = 32


class Pixels(BaseEstimator):
    """Gives the values of the pixels in 0..1; it learns nothing but the images' size.

    side:  the longer side in pixels, at most: larger images are averaged down to it, smaller ones stay as they are.

    >>> images = np.zeros((3, 28, 28, 1), np.uint8)
    >>> Pixels(side=14).fit(images).encode(images, frozenset({"embedding"})).embedding.shape
    (3, 196)
    """

    gives = frozenset({"embedding"})
    looks_at = "pixels"

    def __init__(self, side: int = 32) -> None:
        self.side = side

    def fit(self, pixels: protocols.Pixels) -> Self:
        """Take note of the size of (n, height, width, channels) uint8."""
        if not isinstance(self.side, int | np.integer) or not 1 <= self.side <= 4096:
            raise OptionError(f"side must be a whole number from 1 to 4096, got {self.side!r}.")
        self.shape_ = tuple(pixels.shape[1:])
        return self

    def encode(self, pixels: protocols.Pixels, needs: frozenset[str]) -> Encoded:
        """The embedding, (n, height * width * channels) of the averaged image."""
        check_is_fitted(self, "shape_")
        check_images(pixels, self.shape_)
        if "embedding" not in needs:
            return Encoded()
        height, width, channels = self.shape_
        shrink = max(1.0, max(height, width) / self.side)
        size = max(1, round(height / shrink)), max(1, round(width / shrink))
        embedding = allocate((len(pixels), size[0] * size[1] * channels), np.float32)
        with torch.inference_mode(), one_thread():
            for start in range(0, len(pixels), BATCH):
                rows = slice(start, min(start + BATCH, len(pixels)))
                averaged = functional.adaptive_avg_pool2d(filled(pixels[rows], BATCH), size).flatten(1)
                embedding[rows] = averaged[: rows.stop - start].numpy()
                advance("encoding", rows.stop, len(pixels))
        return Encoded(embedding=embedding)

    def get_state(self) -> State:
        """The images' size."""
        check_is_fitted(self, "shape_")
        return {"shape": np.array(self.shape_, np.int64)}

    def set_state(self, state: State) -> Self:
        """Take back what ``get_state`` gave."""
        with refusing("pixels encoder"):
            self.fit(np.empty((0, *saved_shape(state)), np.uint8))
        return self
