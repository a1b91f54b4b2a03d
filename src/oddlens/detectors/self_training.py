"""Self-training: the strangest images teach a linear rule, and the rule judges images that it did not learn from.

The distance to the k-th neighbour ranks the images first. The strangest share of them is taken for odd, the more so
the farther it stands out, the rest for ordinary, and a ridge regression learns to tell the two apart; each image is
judged by rules learned without it. Then the strangest share is taken anew, three times over. Features in which odd
images agree come to count, which no distance knows of. It helps in a collection of one kind of image with some
percent of others; with hardly any odd image, or with many kinds of ordinary ones, it learns a rule about nothing.

Pang, Yan, Shen, van den Hengel, Bai, *Self-trained deep ordinal regression for end-to-end video anomaly detection*,
2020 (pseudo-labels from a first ranking); Ramaswamy, Rastogi, Shim, 2000 (that ranking).
"""

from __future__ import annotations

from typing import Self

import faiss
import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from oddlens.errors import OptionError, SavedModelError
from oddlens.modes import neighbours, one_mode
from oddlens.options import require_numbers
from oddlens.protocols import Doubles, Encoded, State

SAMPLE = 10_000  # rows that are compared with and learned from
FOLDS, REPEATS = 5, 3
FEWEST = 300  # images; of fewer no rule about some hundred features can be learned
PART = 4096  # rows searched at a time
VERDICT = 0.5  # what the rule counts beside the distance, each in its own standard deviations


class SelfTraining(BaseEstimator):
    """Scores an image by its neighbour distance and, half as much, by a rule that the strangest images taught.

    share:         of the images that are taken for odd, above 0 and at most 0.5.
    rounds:        how often the rule is learned and the strangest share taken anew; 0 leaves the distance alone.
    ridge:         of the regression, in units of the features' mean variance, above 0.
    k:             which neighbour's distance ranks first; by default as in ``neighbors``.
    random_state:  fixes the folds and, above 10,000 images, which of them are learned from and compared with.

    Below 300 images no rule is learned. Fitted: ``k_``, ``rule_`` (the weights of the features, and the constant last).

    >>> rows = np.random.default_rng(0).normal(size=(400, 4)).astype(np.float32)
    >>> rows[:20, 0] += 6
    >>> scores = SelfTraining(share=0.05).fit(Encoded(embedding=rows)).score_own()
    >>> bool(scores[:20].min() > scores[20:].max())
    True
    """

    needs = frozenset({"embedding"})
    seeks = "images like those that lie farthest from the others, by a rule that these taught"

    def __init__(
        self, share: float = 0.2, rounds: int = 3, ridge: float = 1.0, k: int | None = None, random_state: int = 0
    ) -> None:
        self.share = share
        self.rounds = rounds
        self.ridge = ridge
        self.k = k
        self.random_state = random_state

    def fit(self, encoded: Encoded) -> Self:
        """Rank by distance, then learn and judge in turn."""
        require_numbers(self)
        rows = self._rows(encoded)
        self._check(len(rows))
        rng = np.random.default_rng(self.random_state)
        sample = np.sort(rng.permutation(len(rows))[:SAMPLE])
        self.rows_ = np.ascontiguousarray(rows[sample])
        self._compare(neighbours(len(sample), one_mode(rows)) if self.k is None else int(self.k))
        inside = np.full(len(rows), -1)
        inside[sample] = np.arange(len(sample))
        distances = self._distances(rows, inside)
        self.floor_ = max(float(distances.max()) * 1e-6, 1e-30)
        base = self._logarithm(distances)
        self.scale_ = np.array([np.median(base), max(float(base.std()), 1e-12), 1.0])
        self.rule_ = np.zeros(rows.shape[1] + 1)
        self.own_ = self._standing(base, np.zeros(len(rows)))
        if len(rows) >= FEWEST:
            for _ in range(self.rounds):
                judged = self._learn(rows, sample, rng)
                self.scale_[2] = max(float(judged.std()), 1e-12)
                self.own_ = self._standing(base, judged)
        return self

    def score_own(self) -> Doubles:
        """(n,) the fitted images' scores: the distance without the image itself, the rule learned without it."""
        self._require_fit()
        return self.own_.copy()

    def score_new(self, encoded: Encoded) -> Doubles:
        """(m,) other images' scores, by the mean of all rules."""
        self._require_fit()
        rows = self._rows(encoded)
        if rows.shape[1] != self.rows_.shape[1]:
            raise OptionError(f"SelfTraining was fitted to {self.rows_.shape[1]} features, got {rows.shape[1]}.")
        distances = self._distances(rows, np.full(len(rows), -1))
        return self._standing(self._logarithm(distances), _judged(rows, self.rule_))

    def get_state(self) -> State:
        """The rows compared with, the rule, the scales and the fitted images' scores."""
        self._require_fit()
        numbers = np.array([float(self.k_), self.floor_, *self.scale_])
        return {"rows": self.rows_, "rule": self.rule_, "numbers": numbers, "own": self.own_}

    def set_state(self, state: State) -> Self:
        """Take back what ``get_state`` gave."""
        try:
            rows, rule, numbers, own = (state[key] for key in ("rows", "rule", "numbers", "own"))
        except KeyError as error:
            raise SavedModelError(f"The saved self_training lacks {error}.") from error
        if [array.dtype.str for array in (rows, rule, numbers, own)] != ["<f4", "<f8", "<f8", "<f8"]:
            raise SavedModelError("The saved self_training is not made of numbers as they are saved.")
        if rows.ndim != 2 or 0 in rows.shape or len(rows) < 2 or rule.shape != (rows.shape[1] + 1,):
            raise SavedModelError(f"The saved self_training holds rows {rows.shape} but a rule {rule.shape}.")
        if numbers.shape != (5,) or own.ndim != 1 or not all(np.isfinite(a).all() for a in (rows, rule, numbers, own)):
            raise SavedModelError("The saved self_training holds numbers that are missing or not finite.")
        if not 1 <= numbers[0] < len(rows) or numbers[0] % 1 or min(numbers[1], numbers[3], numbers[4]) <= 0:
            raise SavedModelError(f"The saved self_training holds k = {numbers[0]} and scales {numbers[1:]}.")
        self.rows_, self.rule_, self.own_ = np.ascontiguousarray(rows), rule, own
        self.floor_, self.scale_ = float(numbers[1]), numbers[2:].copy()
        self._compare(int(numbers[0]))
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
        most = min(n, SAMPLE) - 1
        if self.k is not None and not (isinstance(self.k, int | np.integer) and 1 <= self.k <= most):
            raise OptionError(f"k must be a whole number from 1 to {most} for {n} images, got {self.k!r}.")

    def _require_fit(self) -> None:
        if not hasattr(self, "own_"):
            raise NotFittedError("This SelfTraining has seen no images yet: call fit first.")

    def _rows(self, encoded: Encoded) -> NDArray[np.float32]:
        if encoded.embedding is None or encoded.embedding.ndim != 2 or not encoded.embedding.shape[1]:
            raise OptionError("SelfTraining needs an embedding of (n, d) features, got none.")
        if not np.isfinite(encoded.embedding).all():
            raise OptionError("SelfTraining needs finite features; the embedding holds nan or infinity.")
        return encoded.embedding

    def _compare(self, k: int) -> None:
        self.k_ = k
        self.center_ = self.rows_.mean(0, dtype=np.float64).astype(np.float32)  # FAISS loses the least near the origin
        self.index_ = faiss.IndexFlatL2(self.rows_.shape[1])
        self.index_.add(self.rows_ - self.center_)

    def _distances(self, rows: NDArray[np.float32], inside: NDArray[np.int64]) -> Doubles:
        """(m,) the distance to the k-th nearest row compared with; ``inside`` is each row's own number there, or -1."""
        faiss.omp_set_num_threads(1)
        out = np.empty(len(rows))
        for start in range(0, len(rows), PART):
            part = slice(start, start + PART)
            _, found = self.index_.search(rows[part] - self.center_, self.k_ + 1)
            itself = found == inside[part, None]
            at = np.where(itself[:, :-1].any(1), self.k_, self.k_ - 1)
            # Once more from the differences: FAISS's squares less products lose their digits where rows are near.
            apart = rows[part].astype(np.float64) - self.rows_[found[np.arange(len(at)), at]]
            out[part] = np.sqrt((apart**2).sum(1))
        return out

    def _logarithm(self, distances: Doubles) -> Doubles:
        return np.asarray(np.log(np.maximum(distances, self.floor_)))

    def _standing(self, base: Doubles, judged: Doubles) -> Doubles:
        middle, spread, verdicts = self.scale_
        return np.asarray((base - middle) / spread + VERDICT * judged / verdicts)

    def _learn(self, rows: NDArray[np.float32], sample: NDArray[np.int64], rng: np.random.Generator) -> Doubles:
        """Learn rules from the strangest share of the sample and the rest of it; (n,) verdicts, out of fold there."""
        beyond = np.maximum(self.own_[sample] - np.quantile(self.own_[sample], 1 - self.share), 0)
        odd = beyond > 0
        judged, rules = np.zeros(len(sample)), []
        for _ in range(REPEATS):
            fold = rng.integers(0, FOLDS, len(sample))
            for number in range(FOLDS):
                taught = fold != number
                if odd[taught].sum() < 2 or odd[taught].all() or taught.all():
                    continue
                rules.append(_rule(self.rows_[taught], beyond[taught], self.ridge))
                judged[~taught] += _judged(self.rows_[~taught], rules[-1]) / REPEATS
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
