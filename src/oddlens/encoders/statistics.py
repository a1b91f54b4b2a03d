"""A few statistics of the whole picture: how bright, how much contrast, how much detail of what size, what colours.

They say nothing about what is shown, but see at once what a description of content is blind to: blur, noise, darkness,
and pictures of another kind altogether. The energies of bands of detail are those of a Laplacian pyramid: a picture
minus its average over 3 x 3 pixels, over three octaves. The whitening is learned from the bulk of the pictures: odd
ones would stretch it towards themselves and so hide, most of all a tenth of similar ones. The bulk is found by
repeatedly taking the three quarters nearest to the middle; it is then all that lies not far beyond them.

Burt, Adelson, *The Laplacian pyramid as a compact image code*, 1983; Gnanadesikan, Kettenring, *Robust estimates,
residuals, and outlier detection with multiresponse data*, 1972 (trimming the scatter); Rousseeuw, Van Driessen, *A fast
algorithm for the minimum covariance determinant estimator*, 1999 (concentration, and taking back what lies near).
"""

from __future__ import annotations

from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted
from torch import Tensor
from torch.nn import functional

from oddlens.arrays import allocate
from oddlens.errors import OptionError
from oddlens.kernels import one_blas_thread
from oddlens.learning.saved_state import check_images, refusing, saved_shape
from oddlens.learning.training import filled, one_thread
from oddlens.options import require_numbers
from oddlens.progress import advance
from oddlens.protocols import Doubles, Encoded, Pixels, State

OCTAVES = 3
DETAIL_QUANTILES = (0.3, 0.5, 0.75, 0.9, 0.97)  # quantiles of the detail of an octave
BRIGHTNESS_QUANTILES = (0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98)
LARGEST_SIDE = 64  # pixels of the shorter side, at most; larger pictures are averaged down
FAINT_DETAIL = 0.01  # added before taking logarithms: fainter detail counts as none
BATCH = 32
WHITENING_IMAGES = 20_000  # images that the whitening is learned from
CORE_SHARE = 0.75  # share of these images, nearest to the middle, that the bulk is found from
BULK_STEPS = 5  # rounds of taking that share anew
BULK_FACTOR = 1.6  # times the median distance from the middle, up to which an image belongs to the bulk
DECILES = 2.563  # standard deviations from the first decile to the ninth of a normal law
LEAST_SCALE = 0.01  # smallest scale of a statistic: what hardly varies is not blown up


class Statistics(BaseEstimator):
    """Gives statistics of brightness, detail and colour: 33 of a grey picture, 41 of one in colour, whitened.

    ridge:  regularises the whitening, in units of the mean variance; stronger in collections of fewer than about 250
            images.

    For each of three octaves: the mean detail and five quantiles of it, and the mean step across and down; then seven
    quantiles, mean and spread of the brightness; in colour, mean and spread of the saturation and of red, green and
    blue. Pictures of more than 64 pixels on the shorter side are averaged down to that.

    Fitted: ``middle_``, ``scale_`` (of each statistic), ``whitening_`` (the whitening).

    >>> images = np.random.default_rng(0).integers(0, 256, (40, 12, 12, 1), dtype=np.uint8)
    >>> Statistics().fit(images).encode(images, frozenset({"embedding"})).embedding.shape
    (40, 33)
    """

    gives = frozenset({"embedding"})
    tail_freedom = 1.5  # few numbers, each of the whole picture: in hardly a collection do ordinary ones keep together
    looks_at = "brightness and colour"

    def __init__(self, ridge: float = 0.02) -> None:
        self.ridge = ridge

    @one_blas_thread()
    def fit(self, pixels: Pixels) -> Self:
        """Learn from (n, height, width, channels) uint8 how much each statistic varies, and which vary together."""
        require_numbers(self)
        self._check()
        self.shape_ = tuple(pixels.shape[1:])
        some = np.sort(np.random.default_rng(0).permutation(len(pixels))[:WHITENING_IMAGES])
        measured = self._measured(pixels, some, "learning").astype(np.float64)
        self.middle_ = np.median(measured, axis=0)
        low, high = np.quantile(measured, [0.1, 0.9], axis=0)
        self.scale_ = (high - low) / DECILES + LEAST_SCALE
        scaled = (measured - self.middle_) / self.scale_
        away = np.linalg.norm(scaled, axis=1)
        for _ in range(BULK_STEPS):
            inside = scaled[away <= np.quantile(away, CORE_SHARE)]
            away = np.linalg.norm((scaled - inside.mean(0)) @ self._whitening(inside), axis=1)
        bulk = away <= max(BULK_FACTOR * float(np.median(away)), float(np.quantile(away, CORE_SHARE)))
        self.whitening_ = self._whitening(scaled[bulk])
        return self

    def _whitening(self, scaled: Doubles) -> Doubles:
        """(statistics, statistics) to multiply with, so that the rows vary by about 1 in every direction.

        Of few rows, no more than seven to a statistic, the directions in which they hardly vary are chance: any other
        row lies far out along them. So these are stretched the more gently the fewer rows there are.
        """
        centred = scaled - scaled.mean(0)
        variance, axes = np.linalg.eigh(centred.T @ centred / len(centred))
        variance = np.maximum(variance, 0)
        ridge = max(self.ridge, (scaled.shape[1] / len(scaled)) ** 2) * float(variance.mean())
        return np.asarray(axes / np.sqrt(variance + max(ridge, 1e-9)))

    def encode(self, pixels: Pixels, needs: frozenset[str]) -> Encoded:
        """The embedding, (n, 33) or (n, 41)."""
        check_is_fitted(self, "whitening_")
        check_images(pixels, self.shape_)
        if "embedding" not in needs:
            return Encoded()
        measured = self._measured(pixels, np.arange(len(pixels)), "encoding")
        embedding = allocate(measured.shape, np.float32)
        # einsum, not a matrix product: a row's sum is the same whatever other rows are in the batch
        embedding[:] = np.einsum("ns,st->nt", (measured - self.middle_) / self.scale_, self.whitening_)
        return Encoded(embedding=embedding)

    def get_state(self) -> State:
        """The middle, the scale and the whitening."""
        check_is_fitted(self, "whitening_")
        return {"middle": self.middle_, "scale": self.scale_, "whitening": self.whitening_,
                "shape": np.array(self.shape_)}

    def set_state(self, state: State) -> Self:
        """Take back what ``get_state`` gave."""
        with refusing("statistics"):
            self._check()
            shape = saved_shape(state)
            middle, scale, whitening = (state[key] for key in ("middle", "scale", "whitening"))
            width = count(shape[2])
            if middle.shape != (width,) or scale.shape != (width,) or whitening.shape != (width, width):
                raise ValueError(f"a whitening of {whitening.shape} for {width} statistics")
            if not all(a.dtype == np.float64 and np.isfinite(a).all() for a in (middle, scale, whitening)):
                raise ValueError("numbers that are not finite")
            if (scale <= 0).any():
                raise ValueError("scales that are not above 0")
        self.shape_, self.middle_, self.scale_, self.whitening_ = shape, middle, scale, whitening
        return self

    def _check(self) -> None:
        if not self.ridge > 0:
            raise OptionError(f"ridge must be above 0, got {self.ridge!r}.")

    def _measured(self, pixels: Pixels, chosen: NDArray[np.int64], stage: str) -> NDArray[np.float32]:
        found = np.empty((len(chosen), count(self.shape_[2])), np.float32)
        with torch.inference_mode(), one_thread():
            for start in range(0, len(chosen), BATCH):
                rows = slice(start, min(start + BATCH, len(chosen)))
                found[rows] = measure(filled(pixels[chosen[rows]], BATCH))[: rows.stop - start].numpy()
                advance(stage, rows.stop, len(chosen))
        return found


def count(channels: int) -> int:
    """How many statistics there are of a picture."""
    return OCTAVES * (1 + len(DETAIL_QUANTILES) + 2) + len(BRIGHTNESS_QUANTILES) + 2 + (8 if channels == 3 else 0)


def measure(images: Tensor) -> Tensor:
    """(n, 33 or 41) statistics of (n, channels, height, width) in 0..1; those of detail are logarithms."""
    short = min(images.shape[2:])
    if short > LARGEST_SIDE:
        size = [max(1, round(side * LARGEST_SIDE / short)) for side in images.shape[2:]]
        images = functional.interpolate(images, size=size, mode="bilinear", antialias=True, align_corners=False)
    grey = images.mean(1, keepdim=True)
    found = []
    octave = grey
    for _ in range(OCTAVES):
        smooth = functional.avg_pool2d(functional.pad(octave, (1, 1, 1, 1), mode="replicate"), 3, 1)
        detail = (octave - smooth).abs().flatten(1)
        found += [_log(detail.mean(1, keepdim=True)), _log(_quantiles(detail, DETAIL_QUANTILES))]
        found += [_log(_steps(octave, 3)), _log(_steps(octave, 2))]
        octave = functional.avg_pool2d(smooth, 2) if min(smooth.shape[2:]) > 1 else smooth
    brightness = grey.flatten(1)
    found += [_quantiles(brightness, BRIGHTNESS_QUANTILES), _mean_and_spread(brightness)]
    if images.shape[1] == 3:
        found.append(_mean_and_spread((images.amax(1) - images.amin(1)).flatten(1)))
        found += [_mean_and_spread(images[:, channel].flatten(1)) for channel in range(3)]
    return torch.cat(found, 1)


def _quantiles(values: Tensor, shares: tuple[float, ...]) -> Tensor:
    ordered = values.sort(1).values
    last = ordered.shape[1] - 1
    return ordered[:, [min(last, int(share * ordered.shape[1])) for share in shares]]


def _mean_and_spread(values: Tensor) -> Tensor:
    return torch.stack([values.mean(1), values.std(1, correction=0)], 1)


def _steps(images: Tensor, axis: int) -> Tensor:
    """(n, 1) the mean absolute difference of neighbouring pixels along an axis; 0 where there is but one."""
    if images.shape[axis] < 2:
        return torch.zeros(len(images), 1)
    return images.diff(dim=axis).abs().flatten(1).mean(1, keepdim=True)


def _log(values: Tensor) -> Tensor:
    return torch.log(values + FAINT_DETAIL)
