"""What the fine detail of a picture is like, from the pixel to an eighth of the picture: how strong, which way.

Larger pictures are measured at their own resolution, before they are shrunk (``reading.texture``), so that grain, a
hair, a scratch of a few pixels in thousands are seen. Here each measure is brought to one scale; of each picture stand
its mean over all places, how much it varies, and its mean at the places where it is highest and lowest, so that one
place suffices to be seen. Nothing is said of what the picture shows. Smoother than usual is as odd as rougher.

Heeger, Bergen, *Pyramid-based texture analysis/synthesis*, 1995 (a texture is known by the strengths of its bands);
Portilla, Simoncelli, *A parametric texture model based on joint statistics of complex wavelet coefficients*, 2000.
"""

from __future__ import annotations

import numpy as np

from oddlens.learning.measured_places import MeasuredPlaces
from oddlens.protocols import Floats, Pixels
from oddlens.reading.texture import grid_of, texture_of


class Texture(MeasuredPlaces):
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

    looks_at = "texture and small things"
    sees_texture = True
    name = "texture"
    least_scale = 1.0  # of the 255 steps of a measure

    def __init__(self, extreme_share: float = 0.02) -> None:
        self.extreme_share = extreme_share

    def measured(self, pixels: Pixels) -> Floats:
        """(n, places, d) float32, from 0 to 255: as they were measured, or of pixels measured now."""
        if pixels.shape[3] in (1, 3):
            pixels = np.stack([texture_of(image) for image in pixels])
        return pixels.reshape(len(pixels), -1, pixels.shape[3]).astype(np.float32)

    def grid(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """(rows, columns) of the cells."""
        rows, columns = grid_of(*shape[:2]) if shape[2] in (1, 3) else shape[:2]
        return rows, columns

    def summed(self, measures: Floats) -> Floats:
        """(n, 4 d) the mean, the spread, and the means over the highest and the lowest places."""
        lowest, highest = self.ends(measures)
        return np.concatenate([measures.mean(1), measures.std(1), highest, lowest], axis=1)
