"""What a score means: pure functions on arrays, each against the scores of the fitted images.

Detectors score in units of their own: squared errors, distances, depths. To be put together they must speak
of the same thing, the share of ordinary images that would score as high, and that share is always taken
against the fitted collection, never within the batch being scored.
"""

from __future__ import annotations

import numpy as np

from oddlens.protocols import Doubles

TAIL = 0.1  # the share of the fitted scores that describes how the tail falls


def log_tail(fitted: Doubles, scores: Doubles) -> Doubles:
    """(m,) minus the natural log of the share of fitted scores at or above each score; larger is stranger.

    fitted:  (n,) the fitted images' own scores.
    scores:  (m,) what is to be placed among them, the fitted scores themselves or others.

    The bulk is placed by rank (ties share the middle of their ranks). Above the upper tenth the ranks say
    no more than "among the few largest", so there the tail is taken to fall exponentially at the rate of its
    mean excess (Pickands 1975, with shape 0): a score twice as far out is placed twice as far, also beyond
    every fitted score. Strictly increasing above that point, so no order is lost.
    """
    fitted = np.sort(np.asarray(fitted, np.float64))
    scores = np.asarray(scores, np.float64)
    n = len(fitted)
    below = np.searchsorted(fitted, scores, "left")
    not_above = np.searchsorted(fitted, scores, "right")
    bulk = -np.log1p(-np.minimum((below + not_above) / 2, n * (1 - TAIL)) / n)
    start = fitted[min(int(n * (1 - TAIL)), n - 1)]
    excess = fitted[fitted > start] - start
    if not len(excess):  # the upper tenth is one value: only ranks are left
        return np.asarray(bulk + (scores > start))
    return np.asarray(np.where(scores > start, -np.log(TAIL) + (scores - start) / excess.mean(), bulk))


def fuse(fitted: list[Doubles], scores: list[Doubles]) -> Doubles:
    """(m,) the mean of several detectors' log tails; see :func:`log_tail`."""
    return np.asarray(np.mean([log_tail(own, new) for own, new in zip(fitted, scores, strict=True)], axis=0))
