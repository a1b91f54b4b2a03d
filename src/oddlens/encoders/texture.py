"""What the fine detail of a picture is like, from the pixel to an eighth of the picture: how strong, which way.

Larger pictures are measured at their own resolution, before they are shrunk (``reading.texture``), so that grain, a
hair, a scratch of a few pixels in thousands are seen. Here each measure is brought to one scale; of each picture stand
its mean over all places, how much it varies, and its mean at the places where it is highest and lowest, so that one
place suffices to be seen. Nothing is said of what the picture shows. Smoother than usual is as odd as rougher.

Heeger, Bergen, *Pyramid-based texture analysis/synthesis*, 1995 (a texture is known by the strengths of its bands);
Portilla, Simoncelli, *A parametric texture model based on joint statistics of complex wavelet coefficients*, 2000.
"""

from __future__ import annotations

from typing import Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from oddlens.arrays import allocate
from oddlens.errors import OptionError
from oddlens.learning.saved_state import LARGEST_SIDE, check_images, refusing
from oddlens.options import require_numbers
from oddlens.progress import advance
from oddlens.protocols import Encoded, Floats, Pixels, State
from oddlens.reading.texture import grid_of, texture_of

LEARNED_IMAGES = 20_000  # that the scales are learned from
LEAST_SCALE = 1.0  # of the 255 steps of a measure: what hardly varies is not blown up
BATCH = 256


class Texture(BaseEstimator):
    """Gives the strength, direction and polarity of the detail at each scale, and the light, at about 32 x 32 places.

    extreme_share:  the share of the places that the highest and the lowest mean of a measure are taken over.

    It is shown what ``reading.texture`` measured of larger pictures, or pixels, which it measures itself.

    Fitted: ``middle_`` and ``scale_``, (d,), of each measure over all places, and of each number of the embedding
    ``embedding_middle_`` and ``embedding_scale_``, (4 d,).

    >>> images = np.random.default_rng(0).integers(0, 256, (20, 32, 32, 1), dtype=np.uint8)
    >>> encoded = Texture().fit(images).encode(images, frozenset({"embedding", "maps"}))
    >>> encoded.embedding.shape, encoded.maps.shape
    ((20, 124), (20, 8, 8, 31))
    """

    gives = frozenset({"embedding", "maps"})
    looks_at = "texture and small things"
    sees_texture = True

    def __init__(self, extreme_share: float = 0.02) -> None:
        self.extreme_share = extreme_share

    def fit(self, pixels: Pixels) -> Self:
        """Learn the scale of each measure from (n, height, width, channels) uint8."""
        require_numbers(self)
        self._check()
        self.shape_ = tuple(pixels.shape[1:])
        some = np.sort(np.random.default_rng(0).permutation(len(pixels))[:LEARNED_IMAGES])
        total, square, count, summed = 0.0, 0.0, 0, []
        for start in range(0, len(some), BATCH):
            measures = _measures(pixels[some[start : start + BATCH]])
            total += measures.sum((0, 1), dtype=np.float64)
            square += np.square(measures, dtype=np.float64).sum((0, 1))
            count += measures.shape[0] * measures.shape[1]
            summed.append(self._summed(measures))
            advance("learning", min(start + BATCH, len(some)), len(some))
        middle = np.asarray(total / count)
        self.middle_ = middle.astype(np.float32)
        self.scale_ = np.sqrt((square / count - np.square(middle)).clip(LEAST_SCALE**2)).astype(np.float32)
        learned = np.concatenate(summed)
        self.embedding_middle_ = learned.mean(0, dtype=np.float64).astype(np.float32)
        self.embedding_scale_ = learned.std(0, dtype=np.float64).clip(LEAST_SCALE).astype(np.float32)
        return self

    def encode(self, pixels: Pixels, needs: frozenset[str]) -> Encoded:
        """The embedding, (n, 4 d) float32, and the maps, (n, rows, columns, d) float16."""
        check_is_fitted(self, "middle_")
        check_images(pixels, self.shape_)
        wanted = needs & self.gives
        if not wanted:
            return Encoded()
        n, grid = len(pixels), _grid(self.shape_)
        embedding = np.empty((n, len(self.embedding_middle_)), np.float32) if "embedding" in wanted else None
        maps = allocate((n, *grid, len(self.middle_)), np.float16) if "maps" in wanted else None
        for start in range(0, n, BATCH):
            rows = slice(start, min(start + BATCH, n))
            measures = _measures(pixels[rows])
            if embedding is not None:
                embedding[rows] = (self._summed(measures) - self.embedding_middle_) / self.embedding_scale_
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
        with refusing("texture"):
            self._check()
            height, width, channels = (int(size) for size in state["shape"])
            if not all(1 <= size <= LARGEST_SIDE for size in (height, width, channels)):
                raise ValueError(f"images of {(height, width, channels)}")
            arrays = [state[key] for key in ("middle", "scale", "embedding_middle", "embedding_scale")]
            d = _measures(np.zeros((1, height, width, channels), np.uint8)).shape[2]
            if [array.shape for array in arrays] != [(d,), (d,), (4 * d,), (4 * d,)]:
                raise ValueError(f"{arrays[0].shape} measures of images of {(height, width, channels)}")
            if not all(array.dtype == np.float32 and np.isfinite(array).all() for array in arrays):
                raise ValueError("numbers that are not finite")
            if (arrays[1] < LEAST_SCALE).any() or (arrays[3] < LEAST_SCALE).any():
                raise ValueError("a scale that no measure has")
        self.shape_ = (height, width, channels)
        self.middle_, self.scale_, self.embedding_middle_, self.embedding_scale_ = map(np.array, arrays)
        return self

    def _check(self) -> None:
        if not 0 < self.extreme_share <= 0.5:
            raise OptionError(f"extreme_share must be above 0 and at most 0.5, got {self.extreme_share!r}.")

    def _summed(self, measures: Floats) -> Floats:
        """(n, 4 d) of (n, places, d): the mean, the spread, and the means over the highest and the lowest places."""
        count = max(1, round(self.extreme_share * measures.shape[1]))
        inner = np.partition(measures, (count - 1, measures.shape[1] - count), axis=1)
        ends = (inner[:, -count:].mean(1), inner[:, :count].mean(1))
        return np.concatenate([measures.mean(1), measures.std(1), *ends], axis=1)


def _measures(pixels: Pixels) -> Floats:
    """(n, places, d) float32, from 0 to 255: as they were measured, or of pixels measured now."""
    if pixels.shape[3] in (1, 3):
        pixels = np.stack([texture_of(image) for image in pixels])
    return pixels.reshape(len(pixels), -1, pixels.shape[3]).astype(np.float32)


def _grid(shape: tuple[int, ...]) -> tuple[int, int]:
    rows, columns = grid_of(*shape[:2]) if shape[2] in (1, 3) else shape[:2]
    return rows, columns
