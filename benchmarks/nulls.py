"""Other ways to p-values that were weighed for ``oddlens.decisions``: (n,) own scores in, (n,) p-values out.

All see scores in logarithms or in surprises (sums of them), as ``fit_null`` does. The numbers: docs/lab/decisions.md.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import stdtr, stdtrit
from scipy.stats import genpareto

from oddlens.decisions import ALLOWED_SHARE, MOST_ODD, NORMAL_FREEDOM, allowance, benjamini_hochberg, excess

Doubles = NDArray[np.float64]
Design = Callable[[Doubles], Doubles]


def students(low: float, high: float, freedom: float = NORMAL_FREEDOM, rounds: int = 0, strict: bool = True) -> Design:
    """Student's t (by default a normal law) to the quantiles between two; corrected for the excess so many times.

    strict: only for the excess that is beyond doubt.
    """

    def p_values(values: Doubles) -> Doubles:
        u = np.linspace(low, high, 41)
        allowed = allowance(len(values)) if strict else None
        odd = 0.0
        for left in range(rounds, -1, -1):
            scale, location = np.polyfit(stdtrit(freedom, u), np.quantile(values, u * (1 - odd)), 1)
            p = stdtr(freedom, (location - values) / scale)
            odd = min(excess(p, allowed), MOST_ODD) if left else odd
        return np.asarray(p)

    return p_values


def flag_and_refit(low: float, high: float, freedom: float) -> Design:
    """The same, but corrected for what is flagged at a rate of .1, until no more is."""

    def p_values(values: Doubles) -> Doubles:
        u, odd = np.linspace(low, high, 41), 0.0
        for _ in range(10):
            scale, location = np.polyfit(stdtrit(freedom, u), np.quantile(values, u * (1 - odd)), 1)
            p = np.asarray(stdtr(freedom, (location - values) / scale))
            more = min(0.9 * float(benjamini_hochberg(p, 0.1).mean()), MOST_ODD)
            if more <= odd:
                break
            odd = more
        return p

    return p_values


def skewed(low: float, high: float) -> Design:
    """A normal law after a shifted power, x = (exp(g z) - 1) / g, g estimated too (Tukey's g; Box-Cox in the score)."""

    def p_values(values: Doubles) -> Doubles:
        u = np.linspace(low, high, 41)
        z, found = stdtrit(NORMAL_FREEDOM, u), np.quantile(values, u)
        best: tuple[float, float, float, float] = (np.inf, 0.0, 0.0, 1.0)
        for g in np.linspace(0.02, 1.2, 60):
            x = np.expm1(g * z) / g
            scale, location = np.polyfit(x, found, 1)
            best = min(best, (float(((found - location - scale * x) ** 2).sum()), float(g), location, scale))
        _, g, location, scale = best
        inside = np.maximum(1 + g * (values - location) / scale, 1e-300)
        return np.asarray(stdtr(NORMAL_FREEDOM, -np.log(inside) / g))

    return p_values


def pareto(low: float, top: float, censored: bool) -> Design:
    """A generalised Pareto law above a quantile (Pickands 1975) by maximum likelihood, the top share left out.

    censored: the top counts as so many above its quantile; otherwise the law is truncated there.
    """

    def p_values(values: Doubles) -> Doubles:
        start, end = np.quantile(values, [low, 1 - top])
        x, reach, above = values[(values > start) & (values <= end)] - start, end - start, int((values > end).sum())

        def cost(point: Doubles) -> float:
            scale, shape = float(np.exp(point[0])), float(point[1])
            if 1 + shape * reach / scale <= 1e-9 or abs(shape) > 1 or abs(shape) < 1e-9:
                return 1e9
            logs, last = np.log1p(shape * x / scale) / shape, float(np.log1p(shape * reach / scale) / shape)
            beyond = above * last if censored else len(x) * np.log(-np.expm1(-last))
            return float(len(x) * np.log(scale) + (1 + shape) * logs.sum() + beyond)

        log_scale, shape = minimize(cost, [np.log(x.mean()), -0.1], method="Nelder-Mead").x
        tail = (1 - low) * genpareto.sf(values - start, shape, scale=np.exp(log_scale))
        return np.where(values > start, tail, 0.5)

    return p_values


def exponential(values: Doubles) -> Doubles:
    """Straight on from the median and the ninth decile, as ``calibration.Tail`` reads surprises."""
    low, high = np.quantile(values, [0.5, 0.9])
    return np.minimum(0.5 * 0.2 ** ((values - low) / (high - low)), 1)


def mirrored(values: Doubles) -> Doubles:
    """The lower half about the mode (half-sample mode), turned over, as the null of the upper half."""
    ordered = np.sort(values)
    while len(ordered) > 8:
        half = len(ordered) // 2
        at = int(np.argmin(ordered[half:] - ordered[: len(ordered) - half]))
        ordered = ordered[at : at + half + 1]
    mode = float(ordered.mean())
    below = np.sort(mode - values[values < mode])
    p = (1 + len(below) - np.searchsorted(below, values - mode)) / (1 + 2 * len(below))
    return np.where(values > mode, p, 1.0)


def trimmed_conformal(top: float) -> Design:
    """Conformal p-values against the own (n-fold cross-fitted) scores, the top share taken out as if it were odd."""

    def p_values(values: Doubles) -> Doubles:
        reference = np.sort(values)[: round(len(values) * (1 - top))]
        return (1 + len(reference) - np.searchsorted(reference, values)) / (len(reference) + 1)

    return p_values


def widest_gap(values: Doubles) -> Doubles:
    """Zero above the widest gap between neighbouring scores in the top 15 %, if it is 1 scale unit wide; else one."""
    ordered = np.sort(values)
    start = int(0.85 * len(ordered))
    gaps = np.diff(ordered[start:])
    unit = (ordered[start] - np.median(ordered)) / 1.036
    at = int(np.argmax(gaps))
    wide = gaps[at] > unit
    return np.where(wide & (values > ordered[start + at]), 0.0, 1.0)


DESIGNS: dict[str, Design] = {
    "(a) normal, quantiles .1 to .5": students(0.1, 0.5),
    "(a) normal, .1 to .7": students(0.1, 0.7),
    "(a) normal, .5 to .85": students(0.5, 0.85),
    "(a) normal, .5 to .85, corrected for its excess 5 times": students(0.5, 0.85, rounds=5, strict=False),
    "(a) normal after an estimated power, .1 to .7": skewed(0.1, 0.7),
    "(a) normal after an estimated power, .5 to .85": skewed(0.5, 0.85),
    "(a) t, 20 degrees of freedom, .5 to .85, corrected once": students(0.5, 0.85, 20, rounds=1),
    "(a) t, 16, .6 to .9, corrected once": students(0.6, 0.9, 16, rounds=1),
    "(a) t, 8, .5 to .85, not corrected": students(0.5, 0.85, 8),
    "(a) t, 8, .5 to .85, flagged and refitted": flag_and_refit(0.5, 0.85, 8),
    "(b) exponential from .5 and .9": exponential,
    "(b) generalised Pareto from .5, top .1 truncated": pareto(0.5, 0.1, censored=False),
    "(b) generalised Pareto from .5, top .1 censored": pareto(0.5, 0.1, censored=True),
    "(b) generalised Pareto from .7, top .05 truncated": pareto(0.7, 0.05, censored=False),
    "(c) conformal, cross-fitted": trimmed_conformal(0.0),
    f"(c) conformal, top {ALLOWED_SHARE:.0%} trimmed": trimmed_conformal(ALLOWED_SHARE),
    "(c) conformal, top 10% trimmed": trimmed_conformal(0.1),
    "(d) lower half mirrored": mirrored,
    "widest gap": widest_gap,
}
