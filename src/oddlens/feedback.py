"""Learning from a person's labels: a few images called odd or normal re-rank all others.

A logistic model on what the views say of each image and on the principal components of its embedding, anchored at the
order that was found without labels: its prior *is* that order, as log odds that fall with the rank, and every label
moves it as far as it is evidence. A few thousand unlabelled images count as faintly normal, for most images are. The
posterior is approximated by a normal distribution at its mode (Laplace), which gives each probability its interval.

Pure functions on arrays: nothing here knows of images, files or pages.

Das, Wong, Dietterich, Fern, Emmott, *Incorporating expert feedback into active anomaly discovery*, 2016; Siddiqui et
al., *Feedback-guided anomaly discovery via online optimization*, 2018; Spiegelhalter, Lauritzen, *Sequential updating
of conditional probabilities on directed graphical structures*, 1990 (the Laplace approximation).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import rankdata

from oddlens.errors import OptionError
from oddlens.protocols import Doubles

COMPONENTS = 60  # principal components of an embedding that are kept, at most
FAINT = 2000  # unlabelled images that count as faintly normal, at most
FAINT_WEIGHT = 10.0  # of all of them together, in labels
SPREAD = 1.0  # standard deviation of a coefficient before any label
ANCHOR_SPREAD = 0.5  # of the coefficient of the unlabelled order, which is 1 before any label
LEVEL_SPREAD = 2.0  # of the level
STEPS = 30  # of Newton's method, at most
INTERVAL = 1.645  # standard deviations to each side: 90 %


@dataclass(frozen=True, eq=False)
class Evidence:
    """What is known of n fitted images without labels.

    scores:    (n,) float64 the unlabelled score, larger is stranger.
    members:   (n, m) float32 the surprisal by each view.
    features:  (n, d) float32 the principal components of the embedding, the first the widest; d may be 0.
    """

    scores: Doubles
    members: NDArray[np.float32]
    features: NDArray[np.float32]

    def __post_init__(self) -> None:
        n = len(self.scores)
        if self.members.ndim != 2 or self.features.ndim != 2 or {len(self.members), len(self.features)} != {n}:
            raise OptionError(f"Evidence needs a row an image in each part; got {np.shape(self.scores)} scores, "
                              f"{self.members.shape} members and {self.features.shape} features.")

    def __len__(self) -> int:
        return len(self.scores)


@dataclass(frozen=True, eq=False)
class Lesson:
    """What was learned from labels.

    scores:       (n,) float64, larger is stranger; without labels the unlabelled ones, as they are. An image that was
                  called odd lies above all that were not looked at, one that was called normal below.
    probability:  (n,) that the image is odd; 1 and 0 where it was said.
    low, high:    (n,) the bounds that the probability lies between, nine times in ten.
    labels:       row -> True (odd) or False (normal), what was learned from.
    """

    scores: Doubles
    probability: Doubles
    low: Doubles
    high: Doubles
    labels: Mapping[int, bool]


def learn(evidence: Evidence, labels: Mapping[int, bool]) -> Lesson:
    """Re-rank all images by the labels of some: row -> True (odd) or False (normal).

    Raises ``OptionError`` for a row that there is not.
    """
    n = len(evidence)
    if wrong := [row for row in labels if not 0 <= row < n]:
        raise OptionError(f"There is no row {wrong[0]}: the evidence has {n}, from 0 to {n - 1}.")
    anchor = anchored(evidence.scores)
    if not labels:
        probability = expit(anchor)
        return Lesson(evidence.scores, probability, np.zeros(n), np.maximum(probability, 0.5), {})
    rows = np.fromiter(labels, np.intp, len(labels))
    odd = np.fromiter(labels.values(), bool, len(labels))
    columns = np.column_stack([standard(evidence.members), whitened(evidence.features)])
    design = np.column_stack([anchor, np.ones(n), columns])
    mean = np.r_[1.0, 0.0, np.zeros(columns.shape[1])]
    spread = np.r_[ANCHOR_SPREAD, LEVEL_SPREAD, np.full(columns.shape[1], SPREAD / np.sqrt(columns.shape[1] or 1))]
    others = np.argsort(-evidence.scores, kind="stable")
    others = others[~np.isin(others, rows)]
    faint = others[:: max(-(-len(others) // FAINT), 1)]  # evenly along the order, whatever order the images came in
    used = np.r_[rows, faint]
    weights = np.r_[np.ones(len(rows)), np.full(len(faint), FAINT_WEIGHT / max(len(faint), 1))]
    truth = np.r_[odd, np.zeros(len(faint), bool)]
    coefficients, covariance = posterior(design[used], truth, weights, mean, spread)
    odds = design @ coefficients
    error = np.sqrt(np.einsum("nd,nd->n", design @ covariance, design))
    bounds = [expit(odds + side * INTERVAL * error) for side in (-1, 0, 1)]
    for bound in bounds:
        bound[rows] = odd
    span = max(float(np.ptp(odds)), 1.0)
    odds[rows] += np.where(odd, 2 * span, -2 * span)
    return Lesson(odds, bounds[1], bounds[0], bounds[2], dict(labels))


def next_shown(lesson: Lesson, seen: Collection[int], count: int) -> NDArray[np.intp]:
    """So many rows in the order in which they should be shown: the strangest that were not ``seen``."""
    order = np.argsort(-lesson.scores, kind="stable")
    return order[~np.isin(order, np.fromiter(seen, np.intp, len(seen)))][:count]


def anchored(scores: Doubles) -> Doubles:
    """(n,) the log odds that stand for the unlabelled order: 1 : the rank, so the first is odd as likely as not."""
    return np.asarray(-np.log(rankdata(-np.asarray(scores), method="average")))


def standard(columns: NDArray[np.float32]) -> Doubles:
    """(n, m) each column with mean 0 and standard deviation 1; one that is constant is 0."""
    values = np.asarray(columns, np.float64)
    spread = values.std(0)
    return np.asarray((values - values.mean(0)) / np.where(spread > 0, spread, 1))


def whitened(features: NDArray[np.float32]) -> Doubles:
    """(n, d) features in units of their root mean square: the widest count most."""
    values = np.asarray(features, np.float64)
    values = values - values.mean(0) if len(values) else values
    return np.asarray(values / (np.sqrt((values**2).mean()) if values.any() else 1.0))


def posterior(
    design: Doubles, odd: NDArray[np.bool_], weights: Doubles, mean: Doubles, spread: Doubles
) -> tuple[Doubles, Doubles]:
    """The mode and the covariance of the coefficients of a logistic model, by Newton's method.

    mean, spread:  of each coefficient before any label; independent normal distributions.
    """
    precision = 1 / spread**2
    found = mean.copy()
    for _ in range(STEPS):
        p = expit(design @ found)
        slope = design.T @ (weights * (p - odd)) + precision * (found - mean)
        curve = (design * (weights * p * (1 - p))[:, None]).T @ design + np.diag(precision)
        step = np.linalg.solve(curve, slope)
        found = found - step * min(1.0, 5.0 / max(float(np.abs(design @ step).max(initial=0.0)), 1e-9))
        if np.abs(step).max() < 1e-6:
            break
    return found, np.linalg.inv(curve)
