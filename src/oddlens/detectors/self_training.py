"""Self-training: the strangest images are pseudo-labels for a linear rule, which judges images held out from it.

First the images are ranked by their distances to the neighbours, at many ranks, over the usual ones. The strangest
share is labelled odd, with more weight the farther an image stands out, and the rest ordinary; a ridge regression
learns to tell the two apart, and each image is judged by rules learned without it. Then the strangest share is taken
anew, three times over. So features in which odd images agree come to count, which a distance cannot do. It helps in a
collection of one kind of image with a few per cent of others; with hardly any odd image, or with many kinds of ordinary
ones, it learns nothing useful.

Pang, Yan, Shen, van den Hengel, Bai, *Self-trained deep ordinal regression for end-to-end video anomaly detection*,
2020 (pseudo-labels from a first ranking); ``neighborhood`` has the source of that ranking.
"""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from oddlens.errors import OptionError, SavedModelError
from oddlens.kernels import one_blas_thread
from oddlens.options import require_numbers
from oddlens.protocols import Doubles, Encoded, State
from oddlens.scoring.features import checked_features
from oddlens.scoring.large_neighborhood import own_scores
from oddlens.scoring.neighborhood import Neighborhood, sampled

FOLDS, REPEATS = 5, 3
FEWEST_IMAGES = 300  # images; of fewer no rule about some hundred features can be learned
RULE_WEIGHT = 0.5  # weight of the rule beside the distance, each in its own standard deviations


class SelfTraining(BaseEstimator):
    """Scores an image by its neighbour distance and, half as much, by a rule trained on the strangest images.

    share:         the share of the images that is labelled odd, above 0 and at most 0.5.
    rounds:        how often the rule is learned and the strangest share taken anew; 0 leaves the distance alone.
    ridge:         of the regression, in units of the features' mean variance, above 0.
    random_state:  fixes the folds and, above 10,000 images, which of them are learned from and compared with.
    n_jobs:        threads; by default one for each core. The scores do not depend on it.

    Below 300 images no rule is learned. Of more than 20,000, the strangest are compared with all others that lie near,
    the rest with the 10,000. Fitted: ``neighborhood_``, ``rule_`` (the weights of
    the features, and the constant last).

    >>> rows = np.random.default_rng(0).normal(size=(400, 4)).astype(np.float32)
    >>> rows[:20, 0] += 6
    >>> scores = SelfTraining(share=0.05).fit(Encoded(embedding=rows)).score_own()
    >>> bool(scores[:20].min() > scores[20:].max())
    True
    """

    needs = frozenset({"embedding"})
    judges = "by a rule learned from the strangest"
    seeks = "images like those that lie farthest from the others, by a rule trained on these"

    def __init__(
        self, share: float = 0.2, rounds: int = 3, ridge: float = 1.0, random_state: int = 0,
        n_jobs: int | None = None,
    ) -> None:
        self.share = share
        self.rounds = rounds
        self.ridge = ridge
        self.random_state = random_state
        self.n_jobs = n_jobs

    def fit(self, encoded: Encoded) -> Self:
        """Rank by distance, then learn and judge in turn."""
        require_numbers(self)
        rows = checked_features(encoded, self)
        self._check(len(rows))
        rng = np.random.default_rng(self.random_state)
        sample = sampled(len(rows), rng)
        self.rows_ = np.ascontiguousarray(rows[sample])
        self.neighborhood_ = Neighborhood.of(rows, sample, self.n_jobs)
        distances = own_scores(self.neighborhood_, rows, sample, 0.0, self.n_jobs)[1]
        self.floor_ = max(float(distances.max()) * 1e-6, 1e-30)
        base = self._logarithm(distances)
        self.scale_ = np.array([np.median(base), max(float(base.std()), 1e-12), 1.0])
        self.rule_ = np.zeros(rows.shape[1] + 1)
        self.own_ = self._standing(base, np.zeros(len(rows)))
        if len(rows) >= FEWEST_IMAGES:
            with one_blas_thread():
                for _ in range(self.rounds):
                    judged = self._learn(rows, sample, rng)
                    self.scale_[2] = max(float(judged.std()), 1e-12)
                    self.own_ = self._standing(base, judged)
        return self

    def score_own(self) -> Doubles:
        """(n,) the fitted images' scores: the distance without the image itself, the rule learned without it."""
        check_is_fitted(self, "own_")
        return self.own_.copy()

    def score_new(self, encoded: Encoded) -> Doubles:
        """(m,) other images' scores, by the mean of all rules."""
        check_is_fitted(self, "own_")
        rows = checked_features(encoded, self)
        if rows.shape[1] != self.rows_.shape[1]:
            raise OptionError(f"SelfTraining was fitted to {self.rows_.shape[1]} features, got {rows.shape[1]}.")
        distances = self._ratios(rows)
        return self._standing(self._logarithm(distances), _judged(rows, self.rule_))

    def get_state(self) -> State:
        """The rows compared with, the rule, the scales and the fitted images' scores."""
        check_is_fitted(self, "own_")
        numbers = np.array([self.floor_, *self.scale_])
        near = self.neighborhood_
        return {"rows": self.rows_, "ranks": near.ranks, "usual": near.usual, "rule": self.rule_, "numbers": numbers,
                "own": self.own_}

    def set_state(self, state: State) -> Self:
        """Take back what ``get_state`` gave."""
        types = {"rows": "<f4", "ranks": "<i8", "usual": "<f8", "rule": "<f8", "numbers": "<f8", "own": "<f8"}
        wrong = [name for name, type_ in types.items() if name not in state or state[name].dtype.str != type_]
        if wrong:
            raise SavedModelError(f"The saved self_training lacks {', '.join(wrong)}, or holds them in another type.")
        rows, ranks, usual, rule, numbers, own = (state[name] for name in types)
        if rows.ndim != 2 or rule.shape != (rows.shape[1] + 1,):
            raise SavedModelError(f"The saved self_training holds rows {rows.shape} but a rule {rule.shape}.")
        if numbers.shape != (4,) or own.ndim != 1 or not all(np.isfinite(a).all() for a in (rule, numbers, own)):
            raise SavedModelError("The saved self_training holds numbers that are missing or not finite.")
        if min(numbers[0], numbers[2], numbers[3]) <= 0:
            raise SavedModelError(f"The saved self_training holds scales {numbers}.")
        self.neighborhood_ = Neighborhood.saved(rows, ranks, usual)
        self.rows_, self.rule_, self.own_ = self.neighborhood_.reference, rule, own
        self.floor_, self.scale_ = float(numbers[0]), numbers[1:].copy()
        return self

    def _check(self, n: int) -> None:
        if n < 2:
            raise OptionError(f"SelfTraining needs 2 images or more, got {n}.")
        if not 0 < self.share <= 0.5:
            raise OptionError(f"share must be above 0 and at most 0.5, got {self.share!r}.")
        if not isinstance(self.rounds, int | np.integer) or not 0 <= self.rounds <= 100:
            raise OptionError(f"rounds must be a whole number from 0 to 100, got {self.rounds!r}.")
        if not self.ridge > 0:
            raise OptionError(f"ridge must be above 0, got {self.ridge!r}.")

    def _ratios(self, rows: NDArray[np.float32]) -> Doubles:
        return self.neighborhood_.ratios(self.neighborhood_.distances(rows, self.n_jobs)[0])

    def _logarithm(self, distances: Doubles) -> Doubles:
        return np.asarray(np.log(np.maximum(distances, self.floor_)))

    def _standing(self, base: Doubles, judged: Doubles) -> Doubles:
        middle, spread, verdicts = self.scale_
        return np.asarray((base - middle) / spread + RULE_WEIGHT * judged / verdicts)

    def _learn(self, rows: NDArray[np.float32], sample: NDArray[np.int64], rng: np.random.Generator) -> Doubles:
        """Learn rules from the strangest share of the sample and the rest of it; (n,) verdicts, out of fold there."""
        beyond = np.maximum(self.own_[sample] - np.quantile(self.own_[sample], 1 - self.share), 0)
        odd = beyond > 0
        judged, rules = np.zeros(len(sample)), []
        for _ in range(REPEATS):
            fold = rng.integers(0, FOLDS, len(sample))
            for number in range(FOLDS):
                trained = fold != number
                if odd[trained].sum() < 2:
                    continue
                rules.append(_rule(self.rows_[trained], beyond[trained], self.ridge))
                judged[~trained] += _judged(self.rows_[~trained], rules[-1]) / REPEATS
        if rules:
            self.rule_ = np.mean(rules, axis=0)
        verdicts = _judged(rows, self.rule_)
        verdicts[sample] = judged
        return verdicts


def _rule(rows: NDArray[np.float32], beyond: Doubles, ridge: float) -> Doubles:
    """(d + 1,) ridge regression on -1 and 1, the constant last.

    Rows that stand ``beyond`` the boundary are odd and weigh by its square, the others are ordinary and weigh the same;
    together odd and ordinary ones weigh the same.
    """
    odd = beyond > 0
    weight = np.where(odd, 0.5 * beyond**2 / (beyond**2).sum(), 0.5 / (~odd).sum())
    mean = weight @ rows
    centred = rows - mean
    weighted = centred * weight[:, None]
    scatter = weighted.T @ centred
    scatter[np.diag_indices(len(scatter))] += max(ridge * float(np.trace(scatter)) / len(scatter), 1e-12)
    answer = np.linalg.solve(scatter, weighted.T @ np.where(odd, 1.0, -1.0))
    return np.append(answer, -mean @ answer)


def _judged(rows: NDArray[np.float32], rule: Doubles) -> Doubles:
    return np.asarray(np.einsum("nd,d->n", rows, rule[:-1], dtype=np.float64) + rule[-1])
