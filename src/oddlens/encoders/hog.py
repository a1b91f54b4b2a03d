"""Histograms of oriented gradients: which way the edges run in each part of the picture.

At each pixel the difference of its neighbours gives the direction of an edge and its strength. In each cell of the
picture a histogram sums the strengths by direction, light to dark being the same as dark to light; 2 x 2 cells make a
block, and each block is normalised to length 1, clipped at 0.2 and normalised again, so that light and contrast drop
out. Nothing is learned: these are the classic hand-engineered features, which learned ones must beat.

Dalal, Triggs, *Histograms of oriented gradients for human detection*, 2005.
"""

from __future__ import annotations

from typing import Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from oddlens.arrays import allocate
from oddlens.errors import OptionError
from oddlens.learning.edges import BLOCK_CELLS, histograms
from oddlens.learning.saved_state import check_images, refusing, saved_shape
from oddlens.progress import advance
from oddlens.protocols import Encoded, Pixels, State

CELLS = 4  # cells along the shorter side, unless another size is asked for
BATCH = 2**20  # pixels processed at a time


class Hog(BaseEstimator):
    """Gives the directions of the edges in each part of the picture; it learns nothing but the images' size.

    orientations:  how many directions, evenly over half a turn.
    cell:          side of a cell in pixels, at least 2; by default a quarter of the shorter side of the images, 7 of
                   28 x 28. Two cells must fit into each side; pixels at the right and at the bottom that fill no cell
                   are left out.

    The features are those of ``skimage.feature.hog`` with ``block_norm="L2-Hys"``: at each pixel of a colour image the
    channel with the strongest gradient counts. Fitted: ``cell_``, the side of a cell.

    >>> images = np.zeros((3, 28, 28, 1), np.uint8)
    >>> Hog().fit(images).encode(images, frozenset({"embedding"})).embedding.shape
    (3, 324)
    """

    gives = frozenset({"embedding"})
    looks_at = "edge directions"

    def __init__(self, orientations: int = 9, cell: int | None = None) -> None:
        self.orientations = orientations
        self.cell = cell

    def fit(self, pixels: Pixels) -> Self:
        """Take note of the size of (n, height, width, channels) uint8."""
        self._take(tuple(pixels.shape[1:]))
        return self

    def encode(self, pixels: Pixels, needs: frozenset[str]) -> Encoded:
        """The embedding, (n, blocks down * blocks across * 4 * orientations)."""
        check_is_fitted(self, "cell_")
        check_images(pixels, self.shape_)
        if "embedding" not in needs:
            return Encoded()
        height, width, _ = self.shape_
        blocks = (height // self.cell_ - BLOCK_CELLS + 1) * (width // self.cell_ - BLOCK_CELLS + 1)
        embedding = allocate((len(pixels), blocks * BLOCK_CELLS**2 * self.orientations), np.float32)
        step = max(1, BATCH // (height * width))
        for start in range(0, len(pixels), step):
            rows = slice(start, min(start + step, len(pixels)))
            embedding[rows] = histograms(pixels[rows], self.orientations, self.cell_)
            advance("encoding", rows.stop, len(pixels))
        return Encoded(embedding=embedding)

    def get_state(self) -> State:
        """The images' size."""
        check_is_fitted(self, "cell_")
        return {"shape": np.array(self.shape_, np.int64)}

    def set_state(self, state: State) -> Self:
        """Take back what ``get_state`` gave."""
        with refusing("hog encoder"):
            self._take(saved_shape(state))
        return self

    def _take(self, shape: tuple[int, ...]) -> None:
        if not isinstance(self.orientations, int | np.integer) or not 1 <= self.orientations <= 360:
            raise OptionError(f"orientations must be a whole number from 1 to 360, got {self.orientations!r}.")
        short = min(shape[:2])
        if short < BLOCK_CELLS * 2:
            raise OptionError(f"Hog needs images of 4 x 4 pixels or more, got {shape[:2]}: set image_size.")
        cell = max(2, round(short / CELLS)) if self.cell is None else self.cell
        if not isinstance(cell, int | np.integer) or not 2 <= cell <= short // BLOCK_CELLS:
            raise OptionError(f"cell must be a whole number from 2 to {short // BLOCK_CELLS} for images of "
                              f"{shape[:2]}, got {cell!r}.")
        self.shape_, self.cell_ = shape, int(cell)
