"""What detectors of maps share: the maps that they read, and one score of an image from those of its places."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

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


class ScoredByPlaces(ABC):
    """What every detector of maps does alike, once it has ``own_``, ``own_places_`` and ``places_new``."""

    share: float
    own_: Doubles
    own_places_: NDArray[np.float32] | None  # None of a loaded detector: they are not saved

    def score_own(self) -> Doubles:
        """(n,) the fitted images' scores, each judged by the others."""
        check_is_fitted(self, "own_")
        return self.own_.copy()

    def score_new(self, encoded: Encoded) -> Doubles:
        """(m,) other images' scores."""
        return strangest(self.places_new(encoded).reshape(len(encoded), -1), self.share)

    def places_own(self, index: int) -> Doubles | None:
        """(rows, columns) how strange each place of a fitted image is; None of a loaded detector."""
        check_is_fitted(self, "own_")
        return None if self.own_places_ is None else np.asarray(self.own_places_[index], np.float64)

    @abstractmethod
    def places_new(self, encoded: Encoded) -> NDArray[np.float32]:
        """(m, rows, columns) how strange each place of other images is."""
