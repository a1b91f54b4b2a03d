"""What detectors of maps share: the maps that they read, and one score of an image from those of its places."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from oddlens.errors import OptionError
from oddlens.protocols import Doubles, Encoded
from oddlens.scoring.features import all_finite


def checked_maps(encoded: Encoded, detector: object) -> NDArray[np.float16]:
    """(n, rows, columns, d) the maps; raises ``OptionError`` where there are none or they are not finite."""
    name, maps = type(detector).__name__, encoded.maps
    if maps is None or maps.ndim != 4 or 0 in maps.shape[1:]:
        raise OptionError(f"{name} needs maps of (n, rows, columns, d) features, got none.")
    if not all_finite(maps):
        raise OptionError(f"{name} needs finite features; the maps hold nan or infinity.")
    return maps


def strangest(apart: NDArray[np.float32], share: float) -> Doubles:
    """(m,) the mean over the strangest share of the places of (m, places)."""
    count = max(1, round(share * apart.shape[1]))
    ordered = np.sort(apart, axis=1)[:, ::-1]
    return np.asarray(np.ascontiguousarray(ordered[:, :count], np.float64).mean(1))
