"""What was measured at each place of a picture, and of the picture as a whole, each measure brought to one scale."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from oddlens.arrays import allocate
from oddlens.errors import OptionError
from oddlens.learning.saved_state import LARGEST_SIDE, check_images, refusing
from oddlens.options import require_numbers
from oddlens.progress import advance
from oddlens.protocols import Encoded, Floats, Pixels, State

BATCH = 256


class MeasuredPlaces(BaseEstimator):
    """An encoder that gives measures: the parts that encoders of several kinds of measure share.

    A class made of it sets ``name``, by which it is registered; ``least_scale``, in units of a measure, so that what
    hardly varies is not blown up; and ``learned_images``, from how many the scales are learned. In ``grid``,
    ``measured`` and ``summed`` it says what is measured.

    Fitted: ``middle_`` and ``scale_``, (d,), of each measure over all places, and of each number of the embedding
    ``embedding_middle_`` and ``embedding_scale_``.
    """

    gives = frozenset({"embedding", "maps"})
    name: ClassVar[str]
    least_scale: ClassVar[float]
    learned_images: ClassVar[int] = 20_000
    extreme_share: float

    def measured(self, pixels: Pixels) -> Floats:
        """(n, places, d) float32 of (n, height, width, channels) uint8."""
        raise NotImplementedError

    def grid(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """(rows, columns) of the places of pictures of (height, width, channels)."""
        raise NotImplementedError

    def summed(self, measures: Floats) -> Floats:
        """(n, k) of (n, places, d): what stands in the embedding."""
        raise NotImplementedError

    def fit(self, pixels: Pixels) -> Self:
        """Learn the scale of each measure from (n, height, width, channels) uint8."""
        require_numbers(self)
        self._check()
        self.shape_ = tuple(pixels.shape[1:])
        some = np.sort(np.random.default_rng(0).permutation(len(pixels))[: self.learned_images])
        total, square, count, summed = 0.0, 0.0, 0, []
        for start in range(0, len(some), BATCH):
            measures = self.measured(pixels[some[start : start + BATCH]])
            total += measures.sum((0, 1), dtype=np.float64)
            square += np.square(measures, dtype=np.float64).sum((0, 1))
            count += measures.shape[0] * measures.shape[1]
            summed.append(self.summed(measures))
            advance("learning", min(start + BATCH, len(some)), len(some))
        middle = np.asarray(total / count)
        self.middle_ = middle.astype(np.float32)
        self.scale_ = np.sqrt((square / count - np.square(middle)).clip(self.least_scale**2)).astype(np.float32)
        learned = np.concatenate(summed)
        self.embedding_middle_ = learned.mean(0, dtype=np.float64).astype(np.float32)
        self.embedding_scale_ = learned.std(0, dtype=np.float64).clip(self.least_scale).astype(np.float32)
        return self

    def encode(self, pixels: Pixels, needs: frozenset[str]) -> Encoded:
        """The embedding, (n, k) float32, and the maps, (n, rows, columns, d) float16."""
        check_is_fitted(self, "middle_")
        check_images(pixels, self.shape_)
        wanted = needs & self.gives
        if not wanted:
            return Encoded()
        n, grid = len(pixels), self.grid(self.shape_)
        embedding = np.empty((n, len(self.embedding_middle_)), np.float32) if "embedding" in wanted else None
        maps = allocate((n, *grid, len(self.middle_)), np.float16) if "maps" in wanted else None
        for start in range(0, n, BATCH):
            rows = slice(start, min(start + BATCH, n))
            measures = self.measured(pixels[rows])
            if embedding is not None:
                embedding[rows] = (self.summed(measures) - self.embedding_middle_) / self.embedding_scale_
            if maps is not None:
                maps[rows] = ((measures - self.middle_) / self.scale_).reshape(-1, *grid, len(self.middle_))
            advance("encoding", rows.stop, n)
        return Encoded(embedding=embedding, maps=maps)

    def get_state(self) -> State:
        """The middle and scale of each number."""
        check_is_fitted(self, "middle_")
        return {"middle": self.middle_, "scale": self.scale_, "embedding_middle": self.embedding_middle_,
                "embedding_scale": self.embedding_scale_, "shape": np.array(self.shape_)}

    def set_state(self, state: State) -> Self:
        """Take back what ``get_state`` gave."""
        with refusing(self.name):
            self._check()
            height, width, channels = (int(size) for size in state["shape"])
            if not all(1 <= size <= LARGEST_SIDE for size in (height, width, channels)):
                raise ValueError(f"images of {(height, width, channels)}")
            arrays = [state[key] for key in ("middle", "scale", "embedding_middle", "embedding_scale")]
            measures = self.measured(np.zeros((1, height, width, channels), np.uint8))
            d, k = measures.shape[2], self.summed(measures).shape[1]
            if [array.shape for array in arrays] != [(d,), (d,), (k,), (k,)]:
                raise ValueError(f"{arrays[0].shape} measures of images of {(height, width, channels)}")
            if not all(array.dtype == np.float32 and np.isfinite(array).all() for array in arrays):
                raise ValueError("numbers that are not finite")
            if (arrays[1] < np.float32(self.least_scale)).any() or (arrays[3] < np.float32(self.least_scale)).any():
                raise ValueError("a scale that no measure has")
        self.shape_ = (height, width, channels)
        self.middle_, self.scale_, self.embedding_middle_, self.embedding_scale_ = map(np.array, arrays)
        return self

    def _check(self) -> None:
        if not 0 < self.extreme_share <= 0.5:
            raise OptionError(f"extreme_share must be above 0 and at most 0.5, got {self.extreme_share!r}.")

    def ends(self, measures: Floats) -> tuple[Floats, Floats]:
        """(n, d) each of (n, places, d): the means over the lowest and over the highest places."""
        count = max(1, round(self.extreme_share * measures.shape[1]))
        inner = np.partition(measures, (count - 1, measures.shape[1] - count), axis=1)
        return inner[:, :count].mean(1), inner[:, -count:].mean(1)
