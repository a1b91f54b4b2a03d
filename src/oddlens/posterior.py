"""What a few yes-or-no labels say of all other points: Gaussian process classification by Laplace's approximation.

Before any label each point has log odds of its own, and what the labels may add is a random function whose values are
the more alike the more alike two points are. Its most probable values, given the labels, are found by Newton's method,
and a normal distribution is put there. n labels take n^3 steps, and m other points m n^2; nothing depends on chance.

Rasmussen, Williams, *Gaussian processes for machine learning*, 2006, algorithms 3.1 and 3.2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cholesky, solve_triangular
from scipy.special import expit

from oddlens.protocols import Bools, Doubles, Floats

STEPS = 50  # of Newton's method, at most
LARGEST_STEP = 5.0  # in log odds: Newton's method may overshoot where it starts far from the mode
SETTLED = 1e-6  # a step so small is the last


@dataclass(frozen=True, eq=False)
class Posterior:
    """What n labels say.

    pull:      (n,) by how much each label draws the log odds of a point, for each unit of their likeness.
    factor:    (n, n) lower triangular; the covariance that the labels leave is the likeness less that of
               ``factor @ likeness``.
    left_out:  (n,) the log odds of each labelled point as the other labels have them, without its own.
    """

    pull: Doubles
    factor: Doubles
    left_out: Doubles

    def shift(self, likeness: Floats) -> Floats:
        """(m,) what the labels add to the log odds of points with (m, n) likenesses to the labelled ones."""
        return np.asarray(likeness @ self.pull.astype(likeness.dtype))


def fitted(likeness: Doubles, prior: Doubles, odd: Bools) -> Posterior:
    """The posterior of n labels.

    likeness:  (n, n) the covariance of the log odds of the labelled points, before any label; positive semi-definite.
    prior:     (n,) their mean before any label.
    """
    n = len(prior)
    odds = prior.astype(np.float64)
    for _ in range(STEPS):
        p = expit(odds)
        root = np.sqrt(p * (1 - p))
        lower = cholesky(np.eye(n) + root[:, None] * likeness * root, lower=True)
        wanted = root**2 * (odds - prior) + odd - p
        inner = solve_triangular(lower, root * (likeness @ wanted), lower=True)
        pull = wanted - root * solve_triangular(lower, inner, lower=True, trans="T")
        step = prior + likeness @ pull - odds
        size = float(np.abs(step).max(initial=0.0))
        odds = odds + step * min(1.0, LARGEST_STEP / max(size, SETTLED))
        if size < SETTLED:
            break
    p = expit(odds)
    root = np.sqrt(p * (1 - p))
    lower = cholesky(np.eye(n) + root[:, None] * likeness * root, lower=True)
    factor = solve_triangular(lower, np.diag(root), lower=True)
    pull = odd - p  # at the mode
    # Each label as a measurement of its log odds, taken out again (Rasmussen and Williams, equations 5.10 to 5.12).
    kept = np.maximum(np.einsum("kn,kn->n", factor, factor), 1e-12)
    left_out = odds - pull * (1 / kept - 1 / np.maximum(p * (1 - p), 1e-12))
    return Posterior(np.asarray(pull, np.float64), np.asarray(factor), np.asarray(left_out))


@dataclass(frozen=True, eq=False)
class Line:
    """The log odds of being odd as a line in a score: intercept and slope, and their (2, 2) covariance."""

    at: Doubles
    covariance: Doubles

    def odds(self, scores: Doubles) -> tuple[Doubles, Doubles]:
        """(m,) the log odds at these scores, and their variances."""
        (level, both), (_, slope) = self.covariance
        return self.at[0] + self.at[1] * scores, level + scores * (2 * both + scores * slope)


def line(scores: Doubles, odd: Bools, weights: Doubles, mean: Doubles, spread: Doubles) -> Line:
    """The line through (n,) labelled scores that is most probable, by logistic regression.

    weights:       of each score, in labels.
    mean, spread:  of intercept and slope before any label, independent and normally distributed.
    """
    design = np.column_stack([np.ones(len(scores)), scores])
    at = np.array(mean, np.float64)
    for _ in range(STEPS):
        p = expit(design @ at)
        fall = design.T @ (weights * (p - odd)) + (at - mean) / spread**2
        curve = (design * (weights * p * (1 - p))[:, None]).T @ design + np.diag(1 / spread**2)
        step = np.linalg.solve(curve, fall)
        size = float(np.abs(design @ step).max(initial=0.0))
        at = at - step * min(1.0, LARGEST_STEP / max(size, SETTLED))
        if size < SETTLED:
            break
    return Line(at, np.linalg.inv(curve))


def averaged(odds: Floats, variance: Floats) -> NDArray[np.float64]:
    """The mean probability where log odds are normally distributed (MacKay 1992): less sure than that of their mean."""
    return np.asarray(expit(odds / np.sqrt(1 + np.pi / 8 * variance)), np.float64)
