"""Which images to call odd, at a stated false-discovery rate: pure functions on arrays of scores, no labels.

The collection is its own and only reference, and odd images are in it. Its own ranks say nothing: they are uniform
whatever it holds. So the *null distribution*, how ordinary images score, is estimated from the bulk: Student's t,
fitted by quantiles to the (log) scores between their median and .85 quantile, where odd images are few (the empirical
null of Efron 2004, 2007). Its upper half is then extrapolated into the tail. Ordinary images have heavier tails than a
normal distribution, hence t with 8 degrees of freedom, chosen on labelled sets so that the realised rate keeps to the
stated one (docs/lab/decisions.md).

Efron, *Large-scale simultaneous hypothesis testing: the choice of a null hypothesis*, 2004; *Size, power and false
discovery rates*, 2007. Benjamini, Hochberg, *Controlling the false discovery rate*, 1995. Meinshausen, Rice,
*Estimating the proportion of false null hypotheses*, 2006.
Bates, Candès, Lei, Romano, Sesia, *Testing for outliers with conformal p-values*, 2023.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtr, stdtrit
from scipy.stats import false_discovery_control

from oddlens.errors import OptionError
from oddlens.protocols import LARGEST_SCORE, Bools, Doubles
from oddlens.statement import RARITY_FACTOR, Finding

FEWEST_SCORES = 10  # scores; with fewer nothing is ever flagged
NULL_QUANTILES = np.linspace(0.5, 0.85, 41)  # the quantiles that the null is fitted to
NULL_FREEDOM = 8.0  # degrees of freedom of the null: how heavy its tail is
IMAGES_PER_DEGREE = 20  # images for each degree of freedom, at least: a tail estimated from few is itself uncertain
NORMAL_FREEDOM = 1e6  # degrees of freedom at which Student's t is a normal distribution
TAIL_P_VALUE = 0.2  # p-values below this are where odd images are counted
ALLOWED_SHARE = 0.02  # share of ordinary images that may stand out beyond the null, being of a rare kind
MOST_ODD = 0.3  # the largest share of odd images that the null is corrected for
SHARE_ROUNDS = 5  # rounds of correction for the upper bound of the share


@dataclass(frozen=True)
class Null:
    """How ordinary images score: location + scale * t in the (log) score, t being Student's.

    location, scale:  in the unit of the (log) score; scale is inf where nothing could be read: all p-values are 1/2.
    freedom:          degrees of freedom; the fewer, the heavier the tail.
    floor:            the least score that a logarithm is taken of; 0: no logarithm is taken.
    least:            no p-value that is stated is smaller: n images say nothing of what is rarer than 1 in 10 n.
    """

    location: float
    scale: float
    freedom: float
    floor: float
    least: float = 0.0

    @property
    def known(self) -> bool:
        """Whether a null could be read at all."""
        return bool(np.isfinite(self.scale))

    def p_values(self, scores: ArrayLike) -> Doubles:
        """(m,) the share of ordinary images that would score at least so high; each image judged alone.

        Meant for the upper half: below the median it is a rough number above 1/2. Raises ``OptionError`` for nan.
        """
        return np.maximum(self.raw(scores), self.least)

    def raw(self, scores: ArrayLike) -> Doubles:
        """(m,) the same as the curve has it, however small: to decide and to combine by, not to state."""
        values = _values(_checked(scores, "the scores to judge"), self.floor)
        return _upper_tail(values, self.location, self.scale, self.freedom)

    def score_at(self, p: float) -> float:
        """The score that has this p-value: inf where no null could be read."""
        if not self.known:
            return float("inf")
        value = self.location - self.scale * float(stdtrit(self.freedom, p))
        if not self.floor:
            return value
        with np.errstate(over="ignore"):
            return float(np.exp(value))


@dataclass(frozen=True)
class Share:
    """The share of odd images in the fitted collection, 0 to 1, and the bounds it is believed to lie between."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Decision:
    """Which of the fitted images stand out, and how sure that is.

    null:            how ordinary images score; judges new images, each by its score alone.
    rate:            the false-discovery rate asked for: the share of ordinary images among the flagged, on average.
    p_values:        (n,) the share of ordinary images that would score at least so high; none below 1 in 10 n.
    q_values:        (n,) the least rate at which each image would be flagged.
    flagged:         (n,) whether it is flagged.
    threshold:       an image is flagged if its score is at least this, also a new one, each judged alone. Where none
                     is flagged, the score that a single image would have needed; inf where no null could be read.
    expected_false:  how many of the flagged are expected to be ordinary, by the null.
    share:           of odd images in the collection, flagged or not.
    """

    null: NullDistribution
    rate: float
    p_values: Doubles
    q_values: Doubles
    flagged: Bools
    threshold: float
    expected_false: float
    share: Share

    @property
    def finding(self) -> Finding:
        """What was found, as the statement is made of it."""
        share = self.share
        return Finding(len(self.flagged), int(self.flagged.sum()), share.value, share.low, share.high, rate=self.rate,
                       expected_false=self.expected_false, known=self.null.known)

    @property
    def statement(self) -> str:
        """What was found, in two lines: see ``statement.Finding``."""
        return self.finding.statement


class NullDistribution(Protocol):
    """How ordinary images score: what judges an image by its score alone."""

    @property
    def known(self) -> bool:
        """Whether it could be read at all."""

    def p_values(self, scores: ArrayLike) -> Doubles:
        """(m,) the share of ordinary images that would score at least so high, as far as it can be stated."""

    def score_at(self, p: float) -> float:
        """The score that has this p-value; inf where there is none."""


def fit_null(scores: ArrayLike, log: bool | None = None, freedom: float = NULL_FREEDOM) -> Null:
    """The null of (n,) own scores, each image scored without itself.

    freedom:  degrees of freedom of the tail; fewer in a collection of fewer than 20 images for each.
    log:  whether to take logarithms; by default where no score is negative: distances, errors and their kind.
          Scores that are sums of logarithms or of surprises need none.

    location and scale are those of the line of least squares through the (log) scores' quantiles at u (1 - s) against
    the quantiles of Student's t at u, u from .5 to .85. s is the lower bound of the share of odd images, 0 in the first
    of two rounds: odd images lie above the bulk, so the bulk's quantiles are so much lower. The null is fitted to what
    odd images are left as well, which makes it too wide rather than too narrow.

    Fewer than 10 scores, or no spread in the upper half: nothing is known, and every p-value is 1/2.
    Raises ``OptionError`` for scores that are nan or beyond 1e100.
    """
    checked = _finite(scores)
    floor = _floor(checked, log)
    values = _values(checked, floor)
    freedom = min(freedom, max(len(values), 1) / IMAGES_PER_DEGREE)
    least = 1 / (RARITY_FACTOR * max(len(values), 1))
    if len(values) < FEWEST_SCORES:
        return Null(0.0, float("inf"), freedom, floor, least)
    location, scale = _line(values, freedom, 0.0)
    certain = excess(_upper_tail(values, location, scale, freedom), allowance(len(values)))
    return Null(*_line(values, freedom, min(certain, MOST_ODD)), freedom, floor, least)


def decide(scores: ArrayLike, rate: float = 0.1, log: bool | None = None, freedom: float = NULL_FREEDOM) -> Decision:
    """Flag those of (n,) own scores that stand out, at a false-discovery rate above 0 and below 0.5.

    A rate of 0.1: on average at most one in ten of the flagged images is an ordinary one. ``log`` and
    ``freedom`` as in ``fit_null``.

    >>> scores = np.r_[np.random.default_rng(0).lognormal(0, 0.2, 500), [4.0, 5.0, 6.0]]
    >>> decision = decide(scores)
    >>> np.flatnonzero(decision.flagged), decision.statement[:29]
    (array([500, 501, 502]), '3 of 503 images stand out; ex')
    """
    null = fit_null(scores, log, freedom)
    own = _finite(scores)
    return judged(own, null, null.raw(own), rate, share_of_odd(own, null))


def judged(own: Doubles, null: NullDistribution, p: Doubles, rate: float, share: Share) -> Decision:
    """The decision on (n,) own scores whose p-values by the null are p, not cut off at what can be stated."""
    flagged = benjamini_hochberg(p, rate)
    found = int(flagged.sum())
    if found:
        threshold = float(own[flagged].min())
        flagged = own >= threshold  # the same, but for scores that rounding gave two p-values
        expected = len(own) * float(p[flagged].max())
    else:
        threshold, expected = null.score_at(rate / max(len(own), 1)), 0.0
    return Decision(null, rate, null.p_values(own), q_values(p), flagged, threshold, expected, share)


def benjamini_hochberg(p_values: ArrayLike, rate: float) -> Bools:
    """(n,) which hypotheses to reject: those up to the largest k with p_(k) <= rate k / n.

    Holds the false-discovery rate where the p-values of ordinary images are uniform or larger, and independent or
    positively dependent. Raises ``OptionError`` for a rate not above 0 and below 0.5, or p-values not in 0 to 1.
    """
    if not 0 < rate < 0.5:
        raise OptionError(f"The false-discovery rate must be above 0 and below 0.5, got {rate!r}.")
    p = _p_values(p_values)
    ordered = np.sort(p)
    passed = np.flatnonzero(ordered <= rate * np.arange(1, len(p) + 1) / len(p))
    return np.asarray(p <= ordered[passed[-1]]) if len(passed) else np.zeros(len(p), bool)


def q_values(p_values: ArrayLike) -> Doubles:
    """(n,) the least false-discovery rate at which each would be rejected: min over k >= its place of n p_(k) / k."""
    p = _p_values(p_values)
    return np.asarray(false_discovery_control(p)) if len(p) else p


def share_of_odd(scores: ArrayLike, null: Null) -> Share:
    """The share of odd images among (n,) own scores, given their null.

    value:  the largest excess of small p-values, (F(t) - t) / (1 - t) over t < .2, F being their distribution.
    low:    the same less an allowance for chance and for the natural tail of ordinary images (Meinshausen and Rice's
            lower bound); 0 says that there may be none.
    high:   the excess over a normal null instead, corrected for itself five times: all that could be odd.
    Odd images that score like ordinary ones cannot be counted. Bounds by experience, not by a theorem.
    """
    checked = _finite(scores)
    if not null.known:
        return Share(0.0, 0.0, 1.0)
    return shared(null.raw(checked), _values(checked, null.floor))


def shared(p: Doubles, values: Doubles) -> Share:
    """The same, from (n,) p-values of ordinary images and the (log) scores that the upper bound is read from."""
    value, low = excess(p), excess(p, allowance(len(p)))
    high = 0.0
    for _ in range(SHARE_ROUNDS):
        location, scale = _line(values, NORMAL_FREEDOM, min(high, MOST_ODD))
        high = excess(_upper_tail(values, location, scale, NORMAL_FREEDOM))
    return Share(value, low, max(high, value))


def excess(p_values: ArrayLike, allowed: Any = None) -> float:
    """The largest (F(t) - t - allowed(t)) / (1 - t) over t < .2, at least 0; allowed: t -> allowance, by default 0."""
    ordered = np.sort(_p_values(p_values))
    known = np.arange(1, len(ordered) + 1) / len(ordered)
    tail = ordered < TAIL_P_VALUE
    t, spare = ordered[tail], known[tail] - ordered[tail]
    if allowed is not None:
        spare = spare - allowed(t)
    return float(max(0.0, (spare / (1 - t)).max())) if len(t) else 0.0


def allowance(n: int) -> Any:
    """How far F(t) may exceed t in n p-values with nothing odd, by chance and by ordinary images' own tail: t -> that.

    sqrt(2 log log n / n) sqrt(t (1 - t)) (Meinshausen and Rice 2006), and the share of rare ordinary images where that
    is more.
    """
    wide = np.sqrt(2 * np.log(np.log(max(n, 16))) / max(n, 16))
    return lambda t: np.maximum(ALLOWED_SHARE, wide * np.sqrt(t * (1 - t)))


def conformal_p_values(own: ArrayLike, scores: ArrayLike) -> Doubles:
    """(m,) p-values of new images' scores against the (n,) own ones: (1 + #{own >= score}) / (n + 1).

    Valid without any assumption on the scores (Bates et al. 2023; the leave-one-out scores make it approximate) where
    the fitted collection is *clean*: then prefer these. Where it holds odd images, these hide behind them, and for the
    fitted images themselves they are just their ranks: use ``decide``. None is smaller than 1 / (n + 1), so
    to flag one of m new images at a rate q takes n >= m / q.
    """
    fitted = np.sort(_finite(own))
    below = np.searchsorted(fitted, _checked(scores, "the scores to judge"), side="left")
    return np.asarray((1 + len(fitted) - below) / (len(fitted) + 1))


def _upper_tail(values: Doubles, location: float, scale: float, freedom: float) -> Doubles:
    """(m,) the share of location + scale * t that lies above each value."""
    with np.errstate(over="ignore"):  # where the fitted scores hardly differ, any other is infinitely far
        return np.asarray(stdtr(freedom, (location - values) / scale))


def _line(values: Doubles, freedom: float, odd: float) -> tuple[float, float]:
    """Location and scale of the values' upper half, with a share of odd values at its top left out."""
    wanted, found = stdtrit(freedom, NULL_QUANTILES), np.quantile(values, NULL_QUANTILES * (1 - odd))
    steps = wanted - wanted.mean()
    scale = float(steps @ (found - found.mean()) / (steps @ steps))
    if not scale > 1e-12 * np.abs(found).max():
        return float(found[0]), float("inf")
    return float(found.mean() - scale * wanted.mean()), scale


def _floor(scores: Doubles, log: bool | None) -> float:
    """The least score that a logarithm is taken of; 0: none is taken."""
    positive = scores[scores > 0]
    if log and len(scores) and scores.min() < 0:
        raise OptionError(f"Logarithms need scores of 0 or more, got {scores.min():.6g}; pass log=False.")
    wanted = log if log is not None else bool(len(scores)) and float(scores.min()) >= 0
    return float(positive.min()) if wanted and len(positive) else 0.0


def _values(scores: Doubles, floor: float) -> Doubles:
    return np.log(np.maximum(scores, floor)) if floor else scores


def _checked(scores: ArrayLike, what: str) -> Doubles:
    array = np.asarray(scores, np.float64)
    if array.ndim != 1 or np.isnan(array).any():
        raise OptionError(f"Decisions need one number an image, no nan; {what} have shape {array.shape} "
                          f"and {int(np.isnan(array).sum())} nan.")
    return array


def _finite(scores: ArrayLike) -> Doubles:
    array = _checked(scores, "the fitted scores")
    if (beyond := np.abs(array) > LARGEST_SCORE).any():
        raise OptionError(f"Decisions need scores of the fitted images between -{LARGEST_SCORE:g} and "
                          f"{LARGEST_SCORE:g}; {int(beyond.sum())} of {len(array)} lie beyond.")
    return array


def _p_values(p_values: ArrayLike) -> Doubles:
    array = np.asarray(p_values, np.float64)
    if array.ndim != 1 or not ((array >= 0) & (array <= 1)).all():
        raise OptionError(f"p-values are one number from 0 to 1 an image; got shape {array.shape}, or others.")
    return array
