"""Which images to call odd once some are labelled: flags, p-values and the share of odd images from probabilities.

What was said stands: an image called odd is flagged and one called normal is not. Of the others as many are
flagged as keep the mean probability of being normal among them at or under the rate (the Bayesian false-discovery rate
of Efron, Tibshirani, Storey and Tusher, 2001). With few labels these are fewer than the scores alone flag; then as many
as these left are flagged, as long as what was looked at of them bears them out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from oddlens.decisions import Decision, Share
from oddlens.feedback import BEYOND, Lesson
from oddlens.protocols import Bools, Doubles
from oddlens.review_outlook import expected, outlook
from oddlens.statement import RARITY_FACTOR, Finding, Reviewed


@dataclass(frozen=True, eq=False)
class WeightedNull:
    """How ordinary images score: the fitted ones, each weighted by the probability that it is ordinary.

    scores:  (n,) ascending.
    above:   (n,) the share of ordinary images that score at least so high.
    least:   no p-value that is stated is smaller.
    known:   whether it could be read at all.
    """

    scores: Doubles
    above: Doubles
    least: float
    known: bool = True

    def p_values(self, scores: ArrayLike) -> Doubles:
        """(m,) the share of ordinary images that would score at least so high; each image judged alone."""
        place = np.searchsorted(self.scores, np.asarray(scores, np.float64), side="left")
        return np.asarray(np.maximum(np.r_[self.above, 0.0][place], self.least))

    def score_at(self, p: float) -> float:
        """The least fitted score that has this p-value or a smaller one; inf where none has."""
        reached = np.flatnonzero(self.above <= p)
        return float(self.scores[reached[0]]) if len(reached) else float("inf")


@dataclass(frozen=True, eq=False)
class LabelledDecision(Decision):
    """A decision that rests on labels; ``reviewed`` is what was found so far and what is left."""

    reviewed: Reviewed | None = None

    @property
    def finding(self) -> Finding:
        """What was found, with what a person found."""
        return replace(super().finding, reviewed=self.reviewed)


def decide_labelled(lesson: Lesson, rate: float, before: Bools | None = None) -> LabelledDecision:
    """Flag by what was learned from labels, at a false-discovery rate above 0 and below 0.5.

    before:  (n,) which images are flagged at this rate without labels.
    """
    n, unseen = len(lesson.scores), lesson.unseen
    rows = np.fromiter(lesson.labels, np.intp, len(lesson.labels))
    odd = np.fromiter(lesson.labels.values(), bool, len(lesson.labels))
    ordinary = 1 - lesson.probability
    q = np.zeros(n)  # of images that were called odd
    falls = np.cumsum(ordinary[unseen]) / np.arange(1, len(unseen) + 1)
    q[unseen] = np.minimum.accumulate(falls[::-1])[::-1]
    carried = unseen[: _borne_out(before, rows, odd, rate)]
    q[carried] = np.minimum(q[carried], rate)
    q[rows[~odd]] = 1.0
    flagged = q <= rate
    judged = np.zeros(n, bool)
    judged[unseen] = True
    among = flagged & judged
    threshold = float(lesson.scores[among].min()) if among.any() else _needed(lesson, rate)
    left = expected(lesson, unseen)
    share = Share(*((float(odd.sum()) + number) / max(n, 1) for number in (left.value, left.low, left.high)))
    null = _null(lesson.scores, ordinary)
    return LabelledDecision(null, rate, null.p_values(lesson.scores), q, flagged, threshold,
                            float(ordinary[among].sum()), share, outlook(lesson))


def _borne_out(before: Bools | None, rows: NDArray[np.intp], odd: Bools, rate: float) -> int:
    """How many images without a label the scores alone flag, if as many of those with one are odd as should be."""
    if before is None:
        return 0
    looked = before[rows]
    enough = odd[looked].sum() >= (1 - rate) * looked.sum()
    return int(before.sum() - looked.sum()) if enough else 0


def _null(scores: Doubles, ordinary: Doubles) -> WeightedNull:
    order = np.argsort(scores, kind="stable")
    total = float(ordinary.sum())
    above = np.minimum(np.cumsum(ordinary[order][::-1])[::-1] / total, 1) if total > 0 else np.ones(len(order))
    return WeightedNull(scores[order], np.asarray(above), 1 / (RARITY_FACTOR * max(len(order), 1)), total > 0)


def _needed(lesson: Lesson, rate: float) -> float:
    """The score that a single image would have needed to be flagged, where none is; below those that were called odd.

    By bisection: the probability rises with the score.
    """
    low, high = -BEYOND / 2, BEYOND / 2
    for _ in range(60):
        middle = (low + high) / 2
        enough = lesson.certainty.probability(np.array([middle]))[0] >= 1 - rate
        low, high = (low, middle) if enough else (middle, high)
    return high

