"""What a score means: pure functions on arrays, each against the scores of the fitted images.

Detectors score in units of their own: squared errors, distances, depths. To be put together they must speak of the same
thing, how rare so high a score is among ordinary images, and that is always taken against the fitted collection, never
within the batch being scored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from oddlens.protocols import Doubles

LOW, HIGH = 0.5, 0.9  # the quantiles of the fitted scores between which the fall of the tail is read


@dataclass(frozen=True)
class Tail:
    """How a detector's scores fall off above their median: exponentially, in the score or in its logarithm."""

    middle: float
    slope: float  # of the (log) score, for each unit of surprise
    floor: float  # the least score that a logarithm is taken of; 0: no logarithm is taken

    def surprise(self, scores: Doubles) -> Doubles:
        """(m,) about minus the natural log of the share of ordinary images that score as high.

        0.69 (one half) at the fitted median and 2.3 (one tenth) at the ninth decile, straight on beyond, so that what
        lies twice as far out is twice as surprising, also beyond every fitted score. Strictly increasing (but for
        scores below ``floor``), so no order is lost; below the median it falls below 0.
        """
        scores = np.asarray(scores, np.float64)
        values = np.log(np.maximum(scores, self.floor)) if self.floor else scores
        return np.asarray((values - self.middle) / self.slope - np.log(1 - LOW))


def fit_tail(fitted: Doubles) -> Tail:
    """The tail of (n,) fitted scores, read between their median and their ninth decile.

    These two quantiles hardly move while up to a tenth of the images are odd. Logarithms are taken where no score is
    negative: distances, errors and their kind have long tails, and their logarithms about exponential ones.
    """
    fitted = np.asarray(fitted, np.float64)
    positive = fitted[fitted > 0]
    floor = float(positive.min()) if len(positive) and fitted.min() >= 0 else 0.0
    values = np.log(np.maximum(fitted, floor)) if floor else fitted
    middle, high = (float(value) for value in np.quantile(values, [LOW, HIGH]))
    rise = high - middle
    if not rise > 1e-12 * max(abs(high), abs(middle)):  # half of the scores are one value: take what spread there is
        rise = float(values.std()) or 1.0
    return Tail(middle, rise / np.log((1 - LOW) / (1 - HIGH)), floor)


@dataclass(frozen=True)
class Fusion:
    """How several views make one score.

    leads:  view -> its share in the leading surprise; the shares sum to 1.
    tails:  view -> the weight of its squared surprise, where that is above 0: it is heard only where it is loud.
    """

    leads: Mapping[str, float]
    tails: Mapping[str, float]

    def combine(self, surprises: Mapping[str, Doubles]) -> Doubles:
        """(m,) one score from each view's surprise, in the same unit; larger is stranger.

        With L the leading surprise, the score is the signed root of sign(L) L^2 + sum of weight * max(surprise, 0)^2.
        Averaging views would dilute the best of them in the bulk; squares let a view speak in its tail alone
        (docs/lab/fusion.md).
        """
        lead = np.sum([share * surprises[view] for view, share in self.leads.items()], axis=0)
        total = np.sign(lead) * lead**2
        for view, weight in self.tails.items():
            total = total + weight * np.maximum(surprises[view], 0) ** 2
        return np.asarray(np.sign(total) * np.sqrt(np.abs(total)))


def fuse(fusion: Fusion, fitted: Mapping[str, Doubles], scores: Mapping[str, Doubles]) -> Doubles:
    """(m,) one score from each view's (m,) scores, each placed in the tail of its own (n,) fitted ones."""
    return fusion.combine({view: fit_tail(own).surprise(scores[view]) for view, own in fitted.items()})
