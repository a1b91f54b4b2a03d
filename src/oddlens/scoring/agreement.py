"""How ordinary images score where several views are fused: a null distribution by their agreement.

A single fused score has one tail, and nobody knows how heavy it is: too heavy a null finds nothing among digits, too
light a one flags ordinary drawings. Several views say more. Each image gets three p-values, each by a null of its own
(``decisions.fit_null``):

* how far out is it by the leading views? That tail is short where the lead is strong, in grey images of one kind;
* how far out is it by all views together, the sum of their normal scores (Stouffer)? Views fail independently, so it is
  rare that many agree by chance, whatever the tails of each;
* how far out is its fused score? There one extreme view is enough, so the strongest evidence is asked for.

The weighted harmonic mean of the three is valid under any dependence, but for a small factor, and is dominated by the
smallest. So one extreme view alone needs stronger evidence than several that agree. The weights and the tails' degrees
of freedom were chosen with labels (docs/lab/decisions.md). Then the p-values are made monotone in the fused score by
isotonic regression, so that one threshold decides, for new images too.

Wilson, *The harmonic mean p-value for combining dependent tests*, 2019; Stouffer et al., *The American soldier*, 1949
(the sum of normal scores); Barlow, Bartholomew, Bremner, Brunk, *Statistical inference under order restrictions*, 1972.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri
from sklearn.isotonic import isotonic_regression

from oddlens.calibration import Fusion, fit_tail
from oddlens.decisions import Decision, Null, Share, decide, fit_null, judged, shared
from oddlens.protocols import Doubles
from oddlens.statement import RARITY_FACTOR

LEAST_P_VALUE = 1e-12  # a p-value this small is a normal score of 7; none counts for more


@dataclass(frozen=True)
class AnswerWeights:
    """The weight of each of the three answers, and the tail of its null, in degrees of freedom of Student's t.

    lead, stouffer, fused:  shares that sum to 1.
    lead_freedom, stouffer_freedom, fused_freedom:  the fewer, the stronger the evidence must be.
    """

    lead: float
    stouffer: float
    fused: float
    lead_freedom: float
    stouffer_freedom: float
    fused_freedom: float

    def towards(self, other: AnswerWeights, share: float) -> AnswerWeights:
        """A share of 0 to 1 of the way to another."""
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return AnswerWeights(*(a + (b - a) * share for a, b in pairs))


UNIMODAL = AnswerWeights(0.9, 0.05, 0.05, 14.0, 12.0, 6.0)  # grey images of one kind, where the lead is strong
MULTIMODAL = AnswerWeights(0.2, 0.2, 0.6, 12.0, 12.0, 8.0)  # grey images of many kinds
COLOUR = AnswerWeights(0.0, 0.9, 0.1, 14.0, 12.0, 5.0)  # images in colour, where no view is reliable alone
PHOTOGRAPH = AnswerWeights(1 / 3, 1 / 3, 1 / 3, 10.0, 12.0, 8.0)  # grey photographs, found on half of them


def answer_weights(channels: int, unimodality: float, detail: bool = False) -> AnswerWeights:
    """The weights for a collection with so many channels, 1 or 3, and ``unimodality`` from 0 (many kinds) to 1.

    detail:  whether views of detail lead: these are photographs.
    """
    if channels == 3:
        return COLOUR
    return PHOTOGRAPH if detail else MULTIMODAL.towards(UNIMODAL, unimodality)


@dataclass(frozen=True, eq=False)
class StepNull:
    """How ordinary images score, as steps: the p-value of a score is that of the last step that it reaches.

    scores:  (k,) ascending.
    p:       (k,) descending, in 0..1; a score below the first step has the p-value 1.
    beyond:  the null that alone judges scores above all fitted ones.
    share:   the weight of its answer.
    least:   no p-value that is stated is smaller.
    """

    scores: Doubles
    p: Doubles
    beyond: Null
    share: float
    least: float

    @property
    def known(self) -> bool:
        """Whether a null could be read at all."""
        return self.beyond.known

    def p_values(self, scores: ArrayLike) -> Doubles:
        """(m,) the share of ordinary images that would score at least so high; each image judged alone."""
        return np.maximum(self.raw(scores), self.least)

    def raw(self, scores: ArrayLike) -> Doubles:
        """(m,) the same, however small: to decide by, not to state."""
        scores = np.asarray(scores, np.float64)
        if not self.known:
            return np.full(scores.shape, 0.5)
        found = np.r_[1.0, self.p][np.searchsorted(self.scores, scores, side="right")]
        farther = scores > self.scores[-1]
        return np.asarray(np.where(farther, np.minimum(found, self.beyond.raw(scores) / self.share), found))

    def score_at(self, p: float) -> float:
        """The least score that has this p-value or a smaller one: inf where no null could be read."""
        if not self.known:
            return float("inf")
        reached = np.flatnonzero(self.p <= p)
        if len(reached):
            return float(self.scores[reached[0]])
        return max(self.beyond.score_at(p * self.share), float(np.nextafter(self.scores[-1], np.inf)))


def decide_fused(
    fused: Doubles, fusion: Fusion, own: Mapping[str, Doubles], sees: Mapping[str, str],
    weights: AnswerWeights, rate: float,
) -> Decision:
    """Flag by the agreement of several views.

    fused:   (n,) what ``fusion`` made of the views' own scores.
    own:     view -> (n,) own scores.
    sees:    view -> whose features it reads: views that read the same features, and all that lead, count as one.
    """
    if not fusion.tails:  # no view beside those that lead: there is but one answer
        return decide(fused, rate, log=False)
    groups: dict[tuple[str, bool], list[str]] = {}
    for view in own:  # also one that the fused score leaves out: it can still agree
        leads = view in fusion.leads
        groups.setdefault(("" if leads else sees[view], leads), []).append(view)
    lead = fusion.lead({view: fit_tail(own[view]).surprisal(own[view]) for view in fusion.leads})
    return decide_by_agreement(fused, lead, grouped(own, [*groups.values()]), weights, rate)


def decide_by_agreement(
    fused: Doubles, lead: Doubles, views: Sequence[Doubles], weights: AnswerWeights, rate: float = 0.1
) -> Decision:
    """Flag those of (n,) fused own scores that stand out, at a false-discovery rate above 0 and below 0.5.

    lead:   (n,) the leading surprisal.
    views:  (n,) normal scores each, of the views that fail independently.
    """
    p = combined_p_values(fused, lead, views, weights)
    null = stepwise(fused, p, weights)
    return judged(fused, null, null.raw(fused), rate, shared(p, fused) if null.known else Share(0.0, 0.0, 1.0))


def combined_p_values(fused: Doubles, lead: Doubles, views: Sequence[Doubles], weights: AnswerWeights) -> Doubles:
    """(n,) the p-value of each fitted image, by the three answers together; all 1/2 where nothing could be read.

    fused, lead:  (n,) scores that are sums of surprisals.
    views:        (n,) normal scores each, of the views that fail independently.
    """
    answers = [
        (weights.lead, fit_null(lead, False, weights.lead_freedom).raw(lead)),
        (weights.stouffer, stouffer(views, weights.stouffer_freedom)),
        (weights.fused, fit_null(fused, False, weights.fused_freedom).raw(fused)),
    ]
    total = np.sum([weight / np.maximum(p, 1e-300) for weight, p in answers if weight], axis=0)
    return np.asarray(np.minimum(1 / total, 1.0))


def stouffer(views: Sequence[Doubles], freedom: float) -> Doubles:
    """(n,) p-values of the sum of the views' normal scores; how much they depend on each other is in its spread."""
    total = np.sum(views, axis=0)
    return fit_null(total, False, freedom).raw(total)


def normal_scores(scores: Doubles) -> Doubles:
    """(n,) how far out each is in its view, as a quantile of the standard normal distribution."""
    p = fit_null(scores).raw(scores)
    return np.asarray(-ndtri(np.clip(p, LEAST_P_VALUE, 1 - LEAST_P_VALUE)))


def grouped(members: Mapping[str, Doubles], groups: Sequence[Sequence[str]]) -> list[Doubles]:
    """(n,) the mean of the normal scores of each group of views: those that read the same features count as one."""
    return [np.mean([normal_scores(members[view]) for view in group], axis=0) for group in groups]


def stepwise(fused: Doubles, p: Doubles, weights: AnswerWeights) -> StepNull:
    """The null of the fused score that gives (n,) fitted images these p-values as nearly as a falling one can."""
    order = np.argsort(fused, kind="stable")
    scores, first, count = np.unique(fused[order], return_index=True, return_counts=True)  # one p-value a score
    falling = isotonic_regression(np.add.reduceat(p[order], first) / count, sample_weight=count, increasing=False)
    step = np.r_[True, np.diff(falling) < 0]
    step[-1] = True  # where what is farther than all begins
    return StepNull(scores[step], np.minimum(falling[step], 1), fit_null(fused, False, weights.fused_freedom),
                    weights.fused, 1 / (RARITY_FACTOR * len(fused)))
