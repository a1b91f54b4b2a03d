"""The features that a detector reads: an embedding of finite numbers, or an error that says what was got."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oddlens.arrays import let_go
from oddlens.errors import OptionError
from oddlens.protocols import Encoded

BATCH_VALUES = 2**22  # values checked at a time: a mapped embedding is not read into memory


def checked_features(encoded: Encoded, detector: object) -> NDArray[np.float32]:
    """(n, d) the embedding in single precision; raises ``OptionError`` where there is none or it is not finite."""
    name, rows = type(detector).__name__, encoded.embedding
    if rows is None or rows.ndim != 2 or not rows.shape[1]:
        raise OptionError(f"{name} needs an embedding of (n, d) features, got none.")
    with np.errstate(over="ignore"):
        rows = np.asarray(rows, np.float32)
    if not all_finite(rows):
        raise OptionError(f"{name} needs finite features; the embedding holds nan, infinity or beyond 1e38.")
    return rows


def all_finite(rows: NDArray[np.floating[Any]]) -> bool:
    """Whether (n, ...) rows hold no nan and no infinity; a mapped array is looked at a part at a time."""
    step = max(1, BATCH_VALUES // max(1, math.prod(rows.shape[1:])))
    for start in range(0, len(rows), step):
        part = rows[start : start + step]
        if not np.isfinite(part).all():
            return False
        let_go(part)
    return True
