"""Long straight lines and edges: how strongly one runs through each place of the picture, in each direction.

A crack, a scratch, the rim of a broken piece is often fainter than the grain of what it runs through, but goes the same
way for long. So the detail is averaged along straight lines of a quarter of the picture (``learning.lines``), and
measured against the detail around. Of each place stands how strong the strongest line and the strongest edge are in
each of 16 directions; of each picture, how strong they are at the places where they are strongest.

Freeman, Adelson, *The design and use of steerable filters*, 1991; Brandt, Dym, *Fast calculation of multiple line
integrals*, 1999.
"""

from __future__ import annotations

import numpy as np

from oddlens.learning.lines import grid_of, lines_of
from oddlens.learning.measured_places import MeasuredPlaces
from oddlens.protocols import Floats, Pixels


class Lines(MeasuredPlaces):
    """Gives the strength of the strongest line and edge in each of 16 directions, at about 31 x 31 places.

    extreme_share:  the share of the places, the strongest, that the mean of the picture is taken over.

    It sees the larger copy of the pictures, of colours their mean.

    Fitted: ``middle_`` and ``scale_``, (32,), of each measure over all places, and of each number of the embedding
    ``embedding_middle_`` and ``embedding_scale_``, (32,).

    >>> images = np.random.default_rng(0).integers(0, 256, (20, 32, 32, 1), dtype=np.uint8)
    >>> encoded = Lines().fit(images).encode(images, frozenset({"embedding", "maps"}))
    >>> encoded.embedding.shape, encoded.maps.shape
    ((20, 32), (20, 31, 31, 32))
    """

    looks_at = "long lines and edges"
    sees_detail = True
    detail_images = 1000  # as patch_maps: it looks at what there is
    name = "lines"
    least_scale = 0.02  # of the strength of the detail around
    learned_images = 1000  # measuring takes time, and a scale is known by then

    def __init__(self, extreme_share: float = 0.02) -> None:
        self.extreme_share = extreme_share

    @property
    def detail_side(self) -> int:
        """Of few images it makes use of a copy of 256 pixels (docs/lab/maps.md); once fitted, of one as it has seen."""
        return max(self.shape_[:2]) if hasattr(self, "shape_") else 256

    def measured(self, pixels: Pixels) -> Floats:
        """(n, places, 32) float32."""
        found = np.stack([lines_of(image) for image in pixels])
        return found.reshape(len(found), -1, found.shape[3])

    def grid(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """(rows, columns) of the places."""
        return grid_of(*shape[:2])

    def summed(self, measures: Floats) -> Floats:
        """(n, 32) the means over the strongest places."""
        return self.ends(measures)[1]
