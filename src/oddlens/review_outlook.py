"""What is left to find while a person looks through a collection, and when it is no longer worth while.

Two answers, which lean on different things. How many odd images are left among some is expected from their
probabilities, with an interval for what the labels leave open of these. That a share of all odd images has been found
rests on no probabilities at all: had more been missed, so long a run of looks would hardly have found so few, were they
drawn at random; and the strangest first find more than that (the stopping rule of Callaghan and Müller-Hansen). The
latter asks for more looks and is what a search can be ended by; it does not hold where the missed ones look more
ordinary than the rest.

Callaghan, Müller-Hansen, *Statistical stopping criteria for automated screening in systematic reviews*, 2020; Lewis,
Yang, Frieder, *Certifying one-phase technology-assisted reviews*, 2021.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import hypergeom, norm

from oddlens.feedback import Lesson
from oddlens.protocols import Bools
from oddlens.statement import Reviewed

AHEAD = 100  # images of which it is said how many are odd: "among the next 100"
WORTH_WHILE = 1.0  # odd images to be expected among so many, below which it is no longer worth looking
LEVELS = (0.95, 0.9, 0.8, 0.5)  # shares of all odd images that may be said to be found
CONFIDENCE = 0.9  # that it is at least this share
RUNS = 200  # runs of looks that are tried, at most
POINTS = 41  # at which the uncertainty of the level is weighed
BINS = 500  # groups of images with about the same log odds that a count is made of
BOUNDS = (0.05, 0.95)


@dataclass(frozen=True)
class Count:
    """How many of some images are odd: expected, and the bounds that it lies between, nine times in ten."""

    value: float
    low: int
    high: int


def expected(lesson: Lesson, rows: NDArray[np.intp]) -> Count:
    """How many of some images without a label are odd.

    All share the level of their log odds, which the labels leave open, so that the number is less sure than it would be
    if each were odd or not by itself.
    """
    if not len(rows):
        return Count(0.0, 0, 0)
    odds = np.sort(lesson.odds[rows])
    groups = np.array_split(odds, min(BINS, len(odds)))
    sizes, odds = np.array([len(group) for group in groups]), np.array([group.mean() for group in groups])
    middle, variance = lesson.certainty.spread(odds)
    quantiles = (np.arange(POINTS) + 0.5) / POINTS
    p = expit(middle + norm.ppf(quantiles)[:, None] * np.sqrt(variance))  # (points, groups)
    means, spreads = p @ sizes, np.sqrt((p * (1 - p)) @ sizes)
    # A mixture of normal distributions, one a level, in numbers of images.
    counts = np.arange(len(rows) + 1)
    below = np.zeros(len(counts))
    for mean, spread in zip(means, spreads, strict=True):
        below += norm.cdf((counts + 0.5 - mean) / max(spread, 1e-9)) / POINTS
    low, high = (int(np.searchsorted(below, bound)) for bound in BOUNDS)
    value = float(means.mean())
    return Count(value, min(low, int(value)), max(min(high, len(rows)), int(np.ceil(value))) if value > 0.5 else high)


def outlook(lesson: Lesson, ahead: int = AHEAD) -> Reviewed | None:
    """What was found and what is left; None where nothing was looked at."""
    if not lesson.labels:
        return None
    odd = np.fromiter(lesson.labels.values(), bool, len(lesson.labels))
    unseen = lesson.unseen
    count = expected(lesson, unseen[:ahead])
    return Reviewed(len(odd), int(odd.sum()), min(ahead, len(unseen)), count.value, count.low, count.high,
                    worth(lesson, unseen), found_share(odd, len(lesson.scores)))


def worth(lesson: Lesson, unseen: NDArray[np.intp]) -> int:
    """How many of the images that come next are worth a look: up to where 100 more hold less than one odd image."""
    probability = lesson.probability[unseen]
    whole = len(unseen) // AHEAD * AHEAD
    blocks = [*probability[:whole].reshape(-1, AHEAD).mean(1), *([probability[whole:].mean()] if whole < len(unseen)
                                                                 else [])]
    enough = [number for number, mean in enumerate(blocks) if mean * AHEAD >= WORTH_WHILE]
    return min(len(unseen), AHEAD * (enough[-1] + 1)) if enough else 0


def found_share(odd: Bools, n: int, confidence: float = CONFIDENCE) -> float:
    """The largest of ``LEVELS`` that the share of all odd images found so far reaches, nine times in ten; 0: none.

    odd:  (k,) what was said of the images that were looked at, in that order.
    n:    how many images there are.
    """
    found = int(odd.sum())
    if not found:
        return 0.0
    if len(odd) >= n:
        return 1.0
    starts = np.unique(np.linspace(0, len(odd) - 1, min(len(odd), RUNS)).astype(np.int64))
    before = np.r_[0, np.cumsum(odd)][starts]
    for level in LEVELS:
        missing = np.floor(found / level + 1e-9) + 1 - before  # the fewest odd among what a run was drawn from, if less
        pool = n - starts
        possible = missing <= pool
        chance = hypergeom.cdf(found - before, pool, np.minimum(missing, pool), len(odd) - starts)
        if np.where(possible, chance, 0.0).min() < 1 - confidence:
            return level
    return 0.0
