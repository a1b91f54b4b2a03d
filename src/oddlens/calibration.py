"""What a score means: pure functions on arrays, each against the scores of the fitted images.

Detectors score in units of their own: squared errors, distances, depths. Before they can be combined, each score is
turned into a surprisal, how rare so high a score is among ordinary images. That is always taken against the fitted
collection, never within the batch being scored.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np

from oddlens.protocols import Doubles

TAIL_LOW, TAIL_HIGH = 0.5, 0.9  # the quantiles of the fitted scores between which the fall of the tail is read
GAP_UNIT = 0.75  # the quantile that gives the unit when a gap is searched for: odd images hardly move it
FEWEST_APART, MOST_APART = 2, 0.2  # the fewest values that may form a group above the gap, and the largest share
MOST_IN_GAP = 0.1  # values inside the gap, as a share of those above it
GAP_CERTAINTY = 12.0  # minus the log of the largest probability at which a gap counts as one
LARGEST_SURPRISAL = 1e50  # its square is still a number, and a sum of squares too
ORDINARY_SLOPE = 0.02  # slope of the score in a leading surprisal below 0: just enough to keep the order


@dataclass(frozen=True)
class Tail:
    """How a detector's scores fall off above their median: exponentially, in the score or in its logarithm."""

    middle: float
    slope: float  # of the (log) score, for each unit of surprisal
    floor: float  # the least score that a logarithm is taken of; 0: no logarithm is taken

    def surprisal(self, scores: Doubles) -> Doubles:
        """(m,) about minus the natural log of the share of ordinary images that score as high.

        0.69 (one half) at the fitted median and 2.3 (one tenth) at the ninth decile, straight on beyond, so that what
        lies twice as far out is twice as surprising, also beyond every fitted score. Strictly increasing (but for
        scores below ``floor``, and for surprisals beyond 1e50), so no order is lost; below the median it falls
        below 0.
        """
        scores = np.asarray(scores, np.float64)
        values = np.log(np.maximum(scores, self.floor)) if self.floor else scores
        with np.errstate(over="ignore"):  # fitted scores that hardly differ make any other infinitely far
            far = (values - self.middle) / self.slope
        return np.asarray(np.clip(far, -LARGEST_SURPRISAL, LARGEST_SURPRISAL) - np.log(1 - TAIL_LOW))


def fit_tail(fitted: Doubles) -> Tail:
    """The tail of (n,) fitted scores, read between their median and their ninth decile.

    These two quantiles hardly move while up to a twentieth of the images are odd. More odd images would stretch the
    scale until they are no surprise themselves; where a gap sets them apart from the bulk, the bulk alone is read
    (:func:`set_apart`). Logarithms are taken where no score is negative: distances, errors and their kind have long
    tails, and their logarithms about exponential ones.
    """
    fitted = np.asarray(fitted, np.float64)
    positive = fitted[fitted > 0]
    floor = float(positive.min()) if len(positive) and fitted.min() >= 0 else 0.0
    values = np.log(np.maximum(fitted, floor)) if floor else fitted
    bulk = values[values <= set_apart(values)]
    middle, high = (float(value) for value in np.quantile(bulk, [TAIL_LOW, TAIL_HIGH]))
    rise = high - middle
    if not rise > 1e-12 * max(abs(high), abs(middle)):  # half of the scores are one value: take what spread there is
        rise = float(values.std()) or 1.0
    return Tail(middle, rise / np.log((1 - TAIL_LOW) / (1 - TAIL_HIGH)), floor)


def set_apart(values: Doubles) -> float:
    """The value above which at most a fifth of (n,) values lies apart from the rest; inf where there is no such group.

    A group is set apart if the values thin out below it as they would hardly do by chance: if the tail below the gap
    were carried on (as a power law, since tails are heavy), it would hold E values where there are m; the chance of
    that few is about exp(-(E - m - m log(E / m))), and the exponent must be 12 or more. A tenth as many values as lie
    above the gap may lie in it. The widest such gap is taken, in this sense.
    """
    n = len(values)
    middle, high = np.quantile(values, [TAIL_LOW, GAP_UNIT]) if n else (0.0, 0.0)
    if not high > middle:
        return float("inf")
    unit = (high - middle) / np.log((1 - TAIL_LOW) / (1 - GAP_UNIT))
    with np.errstate(over="ignore"):
        ordered = np.sort((values - middle) / unit - np.log(1 - TAIL_LOW))[::-1]
    above = np.arange(FEWEST_APART, int(MOST_APART * n) + 1)  # how many lie above the gap
    best, cut = GAP_CERTAINTY, float("inf")
    for within in (np.zeros_like(above), (MOST_IN_GAP * above).astype(np.int64)):  # how many lie in it
        below = above + within
        far, near = ordered[above - 1], ordered[below]
        last = np.minimum(below + np.maximum(above, 10), n // 2)  # down to here the tail below the gap is read
        base = ordered[last]
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            power = np.log((last + 1) / (below + 1)) / np.log(near / base)
            expected = above * np.expm1(np.minimum(power * np.log(far / near), 20))
            exponent = expected - within - within * np.log(expected / np.maximum(within, 1))
        known = (base > 0.1) & (near > base) & (expected > within)
        exponent = np.where(known, exponent, 0)
        if len(exponent) and exponent.max() > best:
            at = int(exponent.argmax())
            best = float(exponent[at])
            cut = float((near[at] + np.log(1 - TAIL_LOW)) * unit + middle)
    return cut


@dataclass(frozen=True)
class Fusion:
    """How several views make one score.

    leads:  view -> its share in the leading surprisal; the shares sum to 1.
    tails:  view -> the tail weight: the weight of its squared surprisal, where that is above 0.
    sees:   view -> the kind of features that it reads. Leads that read the same are averaged; to be odd in what one
            kind shows is enough. A view that is not named reads what all do that are not.
    """

    leads: Mapping[str, float]
    tails: Mapping[str, float]
    sees: Mapping[str, str] = field(default_factory=dict)

    def only(self, views: Collection[str]) -> Fusion:
        """The same of some of the views; raises ``ValueError`` where none of these leads."""
        leads = {view: share for view, share in self.leads.items() if view in views}
        if not leads:
            raise ValueError("none of these views leads")
        total = sum(leads.values())
        return Fusion({view: share / total for view, share in leads.items()},
                      {view: weight for view, weight in self.tails.items() if view in views},
                      {view: kind for view, kind in self.sees.items() if view in views})

    def lead(self, surprisals: Mapping[str, Doubles]) -> Doubles:
        """(m,) the leading surprisal."""
        return np.asarray(np.sum([share * surprisals[view] for view, share in self.leads.items()], axis=0))

    def combine(self, surprisals: Mapping[str, Doubles]) -> Doubles:
        """(m,) one score from each view's surprisal, in the same unit; larger is stranger.

        With L_k the mean surprisal of the leads that read features of kind k, and s_k their share, the score is the
        root of sum of s_k * max(L_k, 0)^2 + sum of weight * max(surprisal, 0)^2, and a small multiple of the leading
        surprisal where that is below 0, which keeps the order. Averaging all views would dilute the best of them; with
        squares, a view counts only in its tail. An image that is ordinary by one kind of features may still be odd by
        another, so no kind lowers what the others add (docs/lab/fusion.md).
        """
        lead = self.lead(surprisals)
        total = np.zeros_like(lead)
        for kind in dict.fromkeys(self.sees.get(view, "") for view in self.leads):
            alike = [view for view in self.leads if self.sees.get(view, "") == kind]
            share = sum(self.leads[view] for view in alike)
            total = total + share * np.maximum(self.only(alike).lead(surprisals), 0) ** 2
        for view, weight in self.tails.items():
            total = total + weight * np.maximum(surprisals[view], 0) ** 2
        return np.asarray(np.sqrt(total) + ORDINARY_SLOPE * np.minimum(lead, 0))


def fuse(fusion: Fusion, fitted: Mapping[str, Doubles], scores: Mapping[str, Doubles]) -> Doubles:
    """(m,) one score from each view's (m,) scores, each placed in the tail of its own (n,) fitted ones."""
    return fusion.combine({view: fit_tail(own).surprisal(scores[view]) for view, own in fitted.items()})
