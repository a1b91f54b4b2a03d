"""A Gaussian at each place of the picture: an image is strange where a place does not look as it does in the others.

In pictures that show the same thing in the same frame (parts, cells, scenes by a fixed camera) each place has a look of
its own: a mean and a covariance of its features, over the images. How far an image's place lies from that, as
Mahalanobis measures it, is how strange it is there; the strangest places make the image's score. Each image is judged
by the mean and covariance of the others. Leaving the strangest tenth out at each place was tried and made it worse: the
ordinary images' own extremes then lie far out (docs/lab/maps.md).

Defard, Setkov, Loesch, Audigier, *PaDiM*, 2021; Ledoit, Wolf, *A well-conditioned estimator for large-dimensional
covariance matrices*, 2004 (shrinking); Sherman, Morrison, *Adjustment of an inverse matrix corresponding to a change in
one element of a given matrix*, 1950 (taking one image out).
"""

from __future__ import annotations

from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from oddlens.arrays import let_go
from oddlens.errors import OptionError, SavedModelError
from oddlens.learning.training import one_thread
from oddlens.options import require_numbers
from oddlens.progress import advance
from oddlens.protocols import Encoded, State
from oddlens.scoring.place_scores import ScoredByPlaces, checked_maps, strangest

LEAST_VARIANCE = 1e-6  # added in each direction: what never varies is not infinitely strange when it does
MAPPED = 2**27  # bytes of maps in a file that are in memory at a time
LEAST_LEFT = 0.05  # of a place's spread along an image that is left when it is taken out


class Places(ScoredByPlaces, BaseEstimator):
    """Scores an image by the Mahalanobis distance of its strangest places from what is usual at each.

    share:   of the places, the strangest, whose mean is the score.
    shrink:  how far a place's covariance is drawn towards a multiple of the identity, 0 to 1.

    Fitted: ``own_``, (n,) float64, each fitted image judged by the others; ``own_places_``, (n, rows, columns) float32,
    where (not saved).

    >>> rng = np.random.default_rng(0)
    >>> maps = rng.normal(size=(60, 5, 5, 3)).astype(np.float16)
    >>> maps[7, 2, 3] = 9
    >>> detector = Places().fit(Encoded(maps=maps))
    >>> int(detector.score_own().argmax()), np.unravel_index(detector.own_places_[7].argmax(), (5, 5))
    (7, (np.int64(2), np.int64(3)))
    """

    needs = frozenset({"maps"})
    judges = "place by place"
    seeks = "images in which some places do not look as these places do in the others"

    def __init__(self, share: float = 0.02, shrink: float = 0.1) -> None:
        self.share = share
        self.shrink = shrink

    def fit(self, encoded: Encoded) -> Self:
        """Learn from (n, rows, columns, d) maps."""
        require_numbers(self)
        for name, low, high in (("share", 0, 1), ("shrink", 0, 1)):
            value = getattr(self, name)
            if not low <= value <= high or (name == "share" and not value):
                raise OptionError(f"{name} must be from {low} to {high}, got {value!r}.")
        maps = checked_maps(encoded, self)
        n, rows, columns, d = maps.shape
        self.grid_ = (rows, columns)
        apart = np.empty((n, rows * columns), np.float32)
        means, inverses = np.empty((rows * columns, d), np.float32), np.empty((rows * columns, d, d), np.float32)
        with torch.inference_mode(), one_thread():
            for row in range(rows):
                line = torch.from_numpy(_row(maps, row))
                for column in range(columns):
                    place = row * columns + column
                    values = line[:, column].double()
                    mean, shrink = values.mean(0), self._shrink(*values.shape)
                    inverse = torch.linalg.inv(_covariance(values - mean, shrink))
                    means[place], inverses[place] = mean.float().numpy(), inverse.float().numpy()
                    apart[:, place] = _without_itself(values - mean, inverse, shrink).float().numpy()
                advance("scoring", row + 1, rows)
        self.means_, self.inverses_ = torch.from_numpy(means), torch.from_numpy(inverses)
        self.own_places_ = apart.reshape(n, rows, columns)
        self.own_ = strangest(apart, self.share)
        return self

    def places_new(self, encoded: Encoded) -> NDArray[np.float32]:
        """(m, rows, columns) how far each place of other images lies from what is usual there."""
        check_is_fitted(self, "own_")
        maps = checked_maps(encoded, self)
        if maps.shape[1:] != (*self.grid_, self.means_.shape[1]):
            raise OptionError(f"Places was fitted to maps of {(*self.grid_, self.means_.shape[1])}, got "
                              f"{maps.shape[1:]}.")
        found = np.empty((len(maps), len(self.means_)), np.float32)
        with torch.inference_mode(), one_thread():
            for number, image in enumerate(maps):  # one at a time: rounding does not depend on the others
                away = torch.from_numpy(image.astype(np.float32)).reshape(len(self.means_), -1) - self.means_
                square = (torch.bmm(self.inverses_, away[:, :, None])[:, :, 0] * away).sum(1)
                found[number] = square.clamp_min(0).sqrt().numpy()
                advance("scoring", number + 1, len(maps))
        return found.reshape(-1, *self.grid_)

    def get_state(self) -> State:
        """What is usual at each place, and the fitted images' scores."""
        check_is_fitted(self, "own_")
        return {"means": self.means_.numpy(), "inverses": self.inverses_.numpy(), "own": self.own_,
                "grid": np.array(self.grid_)}

    def set_state(self, state: State) -> Self:
        """Take back what ``get_state`` gave."""
        types = {"means": "<f4", "inverses": "<f4", "own": "<f8", "grid": "<i8"}
        wrong = [name for name, type_ in types.items() if name not in state or state[name].dtype.str != type_]
        if wrong:
            raise SavedModelError(f"The saved places lack {', '.join(wrong)}, or hold them in another type.")
        means, inverses, own, grid = (state[name] for name in types)
        if (means.ndim != 2 or own.ndim != 1 or grid.shape != (2,) or (grid < 1).any() or (grid > len(means)).any()
                or int(grid[0]) * int(grid[1]) != len(means) or not means.shape[1]
                or inverses.shape != (*means.shape, means.shape[1])):
            raise SavedModelError(f"The saved places hold means {means.shape}, inverses {inverses.shape} and a grid of "
                                  f"{grid.tolist()}, which do not fit each other.")
        if not all(np.isfinite(array).all() for array in (means, inverses, own)):
            raise SavedModelError("The saved places hold numbers that are not finite.")
        self.means_, self.inverses_ = torch.from_numpy(np.array(means)), torch.from_numpy(np.array(inverses))
        self.own_places_ = None
        self.own_, self.grid_ = own, (int(grid[0]), int(grid[1]))
        return self

    def _shrink(self, n: int, d: int) -> float:
        """How far the covariance of n images in d dimensions is shrunk: the fewer, the less single directions say."""
        return max(self.shrink, min(0.9, d / (d + n)))


def _row(maps: NDArray[np.float16], row: int) -> NDArray[np.float16]:
    """(n, columns, d) one row of places of all images.

    Of maps in a file a part at a time: where a row of one image is looked at, the system maps what lies around it too.
    """
    found = np.empty((len(maps), *maps.shape[2:]), maps.dtype)
    step = max(1, MAPPED * len(maps) // max(1, maps.nbytes))
    for start in range(0, len(maps), step):
        part = maps[start : start + step]
        found[start : start + step] = part[:, row]
        let_go(part)
    return found


def _covariance(centred: Tensor, shrink: float) -> Tensor:
    n, d = centred.shape
    found = centred.T @ centred / n
    return found * (1 - shrink) + (shrink * found.trace() / d + LEAST_VARIANCE) * torch.eye(d, dtype=found.dtype)


def _without_itself(away: Tensor, inverse: Tensor, shrink: float) -> Tensor:
    """(n,) how far each of (n, d) differences from the mean lies by the mean and covariance of the others.

    To take one out of n is to add a multiple of the product of its difference with itself, so one inverse serves all.
    """
    n = len(away)
    square = (away @ inverse * away).sum(1)
    if n < 3:
        return square.clamp_min(0).sqrt()
    grown = n / (n - 1)  # of the others' mean it is farther by so much, and their covariance is larger by so much
    left = (1 - (1 - shrink) / (n - 1) * square).clamp_min(LEAST_LEFT)
    return (grown * square / left).clamp_min(0).sqrt()
