"""One heat map from what several views say of the places of a picture.

Each view's map is in a unit of its own: how far each place is above the picture's median, in standard deviations of its
places. Chance peaks of single places are smoothed away. Smoothing averages fewer places at the rim, where chance would
peak more often than elsewhere; so what it leaves is divided by the spread that it leaves of chance. Its spread is then
the same at each place; its mean is less at the rim, where a place has to stand out somewhat more (docs/lab/maps.md).
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from scipy.ndimage import gaussian_filter

from oddlens.explaining.heatmap import SMOOTHING, framed
from oddlens.protocols import Doubles

LEAST_SPREAD = 1e-6  # of the places of one image


def heat_of_places(found: Iterable[tuple[float, Doubles]], height: int, width: int) -> Doubles | None:
    """(height, width) the heat of a picture, 0 or more; None where no view says anything.

    found:  of each view, how much it counts, and how strange each place is to it, (rows, columns) of any size.

    >>> places = np.zeros((8, 8))
    >>> places[2, 5] = 1
    >>> heat = heat_of_places([(1.0, places), (0.5, np.zeros((4, 4)))], 32, 32)
    >>> row, column = np.unravel_index(heat.argmax(), heat.shape)
    >>> bool(8 <= row < 12 and 20 <= column < 24)
    True
    """
    heat = np.zeros((height, width))
    for weight, places in found:
        above = np.maximum(places - np.median(places), 0) / max(float(places.std()), LEAST_SPREAD)
        heat += weight * framed(evenly_smoothed(above), height, width)
    return heat if heat.any() else None


def evenly_smoothed(places: Doubles) -> Doubles:
    """(rows, columns) blurred by 4.5 % of each side, such that chance alone has the same spread at each place."""
    sides = np.array(places.shape)
    blurred = gaussian_filter(places, SMOOTHING * sides, mode="constant")
    # The square of a Gaussian is one of half the variance: its mass inside the picture is what is left of a variance.
    left = gaussian_filter(np.ones(places.shape), SMOOTHING / math.sqrt(2) * sides, mode="constant")
    return np.asarray(blurred / np.sqrt(left))
