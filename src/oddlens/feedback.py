"""Learning from a person's labels: a few images called odd or normal re-rank all others.

Each image begins with the log odds of its place in the unlabelled order. Labels change them: images that are like one
that was called odd rise, those like one that was called normal fall. Two images are alike by what the views say of
them and by the principal components of their embedding, in a linear way, which carries what was learned far, and by
their distance, which tells kinds apart. So where labels say nothing the unlabelled order stands, and where odd images
form kinds a few labels find the rest (docs/lab/feedback.md compares other designs).

Pure functions on arrays: nothing here knows of images, files or pages. A new image is judged by what was fixed when the
labels were learned from, alone.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from oddlens.errors import OptionError
from oddlens.kernels import one_blas_thread
from oddlens.posterior import Line, Posterior, averaged, fitted, line
from oddlens.protocols import Bools, Doubles, Floats

COMPONENTS = 60  # principal components of an embedding that are kept, at most
ANCHOR, LEVEL = 0.5, 2.0  # standard deviation of the weight of the unlabelled order, which is 1, and of the level
LINEAR = 3.0  # of what images may differ by that is linear in their columns
LOCAL = 6.0  # of what they may differ by that is alike in neighbours alone
REACH = 0.85  # how far that carries, in the root mean square distance of two images / sqrt(2)
WORTH, WORTH_SPREAD = (-1.0, 1.3), (2.0, 0.5)  # intercept and slope of what log odds are worth, before any label
FAINT, MOST_FAINT = 20.0, 2000  # all unlabelled images count as so many normal ones; so many of them stand for all
DRIFT, DRIFT_EARLY = 1.0, 40.0  # standard deviation of the unseen from it; more variance with few labels
LARGEST_ODDS = 30.0  # log odds beyond these are certainties
INTERVAL = 1.645  # standard deviations to each side: nine times in ten
BLOCK = 2**22  # numbers that are compared at a time: 16 MiB
BEYOND = 1000.0  # added to the log odds of an image that was called odd, taken off where it was called normal


@dataclass(frozen=True, eq=False)
class Evidence:
    """What is known of n images without labels.

    scores:    (n,) float64 the unlabelled score, larger is stranger.
    members:   (n, m) float32 the surprisal by each view.
    features:  (n, d) the principal components of the embedding, the widest first, in single or half precision; d may
               be 0.
    """

    scores: Doubles
    members: NDArray[np.float32]
    features: NDArray[np.floating[Any]]

    def __post_init__(self) -> None:
        n = len(self.scores)
        if self.members.ndim != 2 or self.features.ndim != 2 or {len(self.members), len(self.features)} != {n}:
            raise OptionError(f"Evidence needs a row an image in each part; got {np.shape(self.scores)} scores, "
                              f"{self.members.shape} members and {self.features.shape} features.")

    def __len__(self) -> int:
        return len(self.scores)

    def of(self, rows: NDArray[np.intp]) -> Evidence:
        """Some of the images."""
        return Evidence(self.scores[rows], self.members[rows], self.features[rows])

    @cached_property
    def frame(self) -> Frame:
        """What other images are placed by."""
        members, (middle, spread) = _moments(self.members), _moments(self.features)
        # Half-way to whitening: the widest components count most, but the narrow ones count.
        scale = np.sqrt(spread * spread.sum() / max(len(spread), 1)) if len(self) else spread
        return Frame(np.sort(self.scores), members[0], _nonzero(members[1]), middle, _nonzero(scale))

    @cached_property
    def placed(self) -> Placed:
        """The images themselves, placed."""
        return self.frame.place(self)


@dataclass(frozen=True, eq=False)
class Placed:
    """Images as they are compared: (m,) log odds by the unlabelled order, (m, k) all columns, (m, d) the features."""

    anchor: Doubles
    columns: NDArray[np.float32]
    features: NDArray[np.float32]

    def of(self, rows: NDArray[np.intp] | slice) -> Placed:
        """Some of the images."""
        return Placed(self.anchor[rows], self.columns[rows], self.features[rows])


@dataclass(frozen=True, eq=False)
class Frame:
    """What the fitted images fix: their ordered scores, and the middle and unit of every column."""

    scores: Doubles
    member_middle: Doubles
    member_unit: Doubles
    feature_middle: Doubles
    feature_unit: Doubles

    def place(self, images: Evidence) -> Placed:
        """Images among the fitted ones, each by itself."""
        views = images.members.shape[1]
        columns = np.empty((len(images), views + images.features.shape[1]), np.float32)
        for part in _blocks(len(images), columns.shape[1]):  # in double precision all would take four times as much
            columns[part, :views] = (images.members[part] - self.member_middle) / self.member_unit
            columns[part, views:] = (images.features[part] - self.feature_middle) / self.feature_unit
        return Placed(self.anchor(images.scores), columns, columns[:, views:])

    def anchor(self, scores: Doubles) -> Doubles:
        """(m,) the log odds that stand for the unlabelled order: 1 to the rank; the first is odd as likely as not."""
        above = len(self.scores) - np.searchsorted(self.scores, scores, side="right")
        level = len(self.scores) - np.searchsorted(self.scores, scores, side="left")
        return np.asarray(-np.log((above + np.maximum(level, 1) + 1) / 2))


@dataclass(frozen=True, eq=False)
class Lesson:
    """What was learned from labels, of the fitted images.

    scores:       (n,) float64, larger is stranger; without labels the unlabelled ones, as they are. With labels log
                  odds; an image that was called odd lies above all that were not looked at, one called normal below.
    probability:  (n,) that the image is odd; 1 and 0 where it was said.
    low, high:    (n,) the bounds that the probability lies between, nine times in ten.
    labels:       row -> True (odd) or False (normal), what was learned from, in the order in which it was said.
    odds:         (n,) log odds as the labels leave them, before they were compared with what was found.
    certainty:    how these became probabilities.
    """

    scores: Doubles
    probability: Doubles
    low: Doubles
    high: Doubles
    labels: Mapping[int, bool]
    odds: Doubles
    certainty: Certainty
    evidence: Evidence
    posterior: Posterior | None = None

    @property
    def unseen(self) -> NDArray[np.intp]:
        """The rows that have no label, the strangest first."""
        return next_shown(self, self.labels, len(self.scores))

    def of_copies(self, first: NDArray[np.int64]) -> Lesson:
        """The same with every image as the first that is the same picture; first: (n,) the row of that one."""
        return replace(self, scores=self.scores[first], probability=self.probability[first], low=self.low[first],
                       high=self.high[first], odds=self.odds[first])

    def judge(self, images: Evidence) -> tuple[Doubles, Doubles]:
        """(m,) scores and probabilities of other images, each alone, by what was fixed when this was learned."""
        placed = self.evidence.frame.place(images)
        if self.posterior is None:
            return images.scores, self.certainty.probability(placed.anchor)
        shared = likeness(placed, self.evidence.placed.of(_rows(self.labels)), alone=True)
        odds = placed.anchor + np.einsum("mn,n->m", shared, self.posterior.pull)
        return odds, self.certainty.probability(odds)


@dataclass(frozen=True, eq=False)
class Certainty:
    """What log odds are worth, by the labels: each label beside what was expected of it without it.

    line:   the log odds of what was said, as a line in what was expected.
    drift:  the variance of its level between images that were looked at and those that were not: the latter lie lower
            in the order, and of their kinds nothing was said.
    """

    line: Line
    drift: float

    def spread(self, odds: Doubles) -> tuple[Doubles, Doubles]:
        """(m,) the log odds that these are worth, and their variances."""
        middle, variance = self.line.odds(odds)
        return middle, variance + self.drift

    def probability(self, odds: Doubles) -> Doubles:
        """(m,) the probability that images with these log odds are odd: never less for larger ones.

        Far from all that was said it would fall again, for the line is known less and less; there it stays as it is.
        """
        (level, both), (_, slope) = self.line.covariance
        start, rise = self.line.at
        # The sign of the derivative of the mean over its spread is that of fixed + bend * odds.
        fixed = rise * (8 / np.pi + level + self.drift) - start * both
        bend = rise * both - start * slope
        low, high = (-fixed / bend, np.inf) if bend > 0 else (-np.inf, -fixed / bend) if bend < 0 else (-np.inf, np.inf)
        return averaged(*self.spread(np.clip(odds, low, high)))


def learn(evidence: Evidence, labels: Mapping[int, bool]) -> Lesson:
    """Re-rank all images by the labels of some: row -> True (odd) or False (normal).

    60,000 images and 300 labels take a fraction of a second. Raises ``OptionError`` for a row that there is not.
    """
    n = len(evidence)
    if wrong := [row for row in labels if not 0 <= row < n]:
        raise OptionError(f"There is no row {wrong[0]}: the evidence has {n}, from 0 to {n - 1}.")
    odds, posterior = evidence.frame.anchor(evidence.scores), None  # the rest of what places them is for labels alone
    rows, odd = _rows(labels), np.fromiter(labels.values(), bool, len(labels))
    if labels:
        placed = evidence.placed
        shown = placed.of(rows)
        with one_blas_thread():
            posterior = fitted(likeness(shown, shown).astype(np.float64), shown.anchor, odd)
            shift = np.empty(n, np.float32)
            for part in _blocks(n, len(rows)):
                shift[part] = posterior.shift(likeness(placed.of(part), shown))
            odds = odds + shift
    unseen = np.sort(np.delete(odds, rows))
    certainty = compared(np.empty(0) if posterior is None else posterior.left_out, odd, unseen)
    middle, variance = certainty.spread(odds)
    side = INTERVAL * np.sqrt(variance)
    probability = certainty.probability(odds)
    low, high = np.minimum(expit(middle - side), probability), np.maximum(expit(middle + side), probability)
    for bound in (probability, low, high):
        bound[rows] = odd
    scores = evidence.scores
    if labels:
        scores = odds.copy()
        scores[rows] += np.where(odd, BEYOND, -BEYOND)
    return Lesson(scores, probability, low, high, dict(labels), odds, certainty, evidence, posterior)


def compared(expected: Doubles, odd: Bools, unseen: Doubles) -> Certainty:
    """What log odds are worth: those that were (n,) expected of labelled images, each without its own label.

    unseen:  log odds of those without a label, sorted: most of them are normal, which counts as so many labels.
    """
    few = unseen[:: -(-len(unseen) // MOST_FAINT) or 1]
    weights = np.r_[np.ones(len(odd)), np.full(len(few), FAINT / max(len(few), 1))]
    # A label that alone says what it says is expected by nothing: how far off that is counts no further than this.
    values = np.clip(np.r_[expected, few], -LARGEST_ODDS, LARGEST_ODDS)
    found = line(values, np.r_[odd, np.zeros(len(few), bool)], weights, np.array(WORTH), np.array(WORTH_SPREAD))
    return Certainty(found, DRIFT**2 + DRIFT_EARLY / (len(odd) + 1))


def next_shown(lesson: Lesson, seen: Collection[int], count: int) -> NDArray[np.intp]:
    """So many rows in the order in which they should be shown: the strangest that were not ``seen``."""
    order = np.argsort(-lesson.scores, kind="stable")
    return order[~np.isin(order, np.fromiter(seen, np.intp, len(seen)))][:count]


def likeness(some: Placed, others: Placed, alone: bool = False) -> Floats:
    """(m, n) the covariance of the log odds of images, before any label.

    alone: each row is computed the same whatever other rows there are, to the last digit; slower.
    """
    product = np.einsum("md,nd->mn", some.columns, others.columns) if alone else some.columns @ others.columns.T
    found = np.float32(LINEAR**2 / max(some.columns.shape[1], 1)) * product + np.float32(LEVEL**2)
    found += np.float32(ANCHOR**2) * some.anchor.astype(np.float32)[:, None] * others.anchor.astype(np.float32)
    if d := some.features.shape[1]:
        left, right = some.features, others.features
        distance = np.einsum("md,nd->mn", left, right) if alone else left @ right.T
        distance *= np.float32(-2)
        distance += _squares(left)[:, None]
        distance += _squares(right)
        distance *= np.float32(-1 / (2 * REACH**2 * d))
        np.exp(np.minimum(distance, 0, out=distance), out=distance)
        found += np.float32(LOCAL**2) * distance
    return found


def prior_variance(placed: Placed) -> Doubles:
    """(m,) the variance of the log odds of images before any label: the likeness of each to itself."""
    local = LOCAL**2 if placed.features.shape[1] else 0.0
    linear = LINEAR**2 / max(placed.columns.shape[1], 1) * _squares(placed.columns)
    return np.asarray(linear + LEVEL**2 + ANCHOR**2 * placed.anchor**2 + local, np.float64)


def _squares(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(np.einsum("nd,nd->n", values, values))


def _rows(labels: Mapping[int, bool]) -> NDArray[np.intp]:
    return np.fromiter(labels, np.intp, len(labels))


def _moments(values: NDArray[np.floating[Any]]) -> tuple[Doubles, Doubles]:
    """(d,) the mean and the standard deviation of (n, d) columns, one at a time in double precision."""
    middle, spread = np.zeros(values.shape[1]), np.zeros(values.shape[1])
    for place in range(values.shape[1] if len(values) else 0):
        column = values[:, place].astype(np.float64)
        middle[place], spread[place] = column.mean(), column.std()
    return middle, spread


def _blocks(count: int, width: int) -> list[slice]:
    """So many rows in blocks, each of no more numbers than fit, in rows of ``width``."""
    step = max(1, BLOCK // max(width, 1))
    return [slice(start, start + step) for start in range(0, count, step)]


def _nonzero(values: Doubles) -> Doubles:
    return np.asarray(np.where(values > 0, values, 1.0))
