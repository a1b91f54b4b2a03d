"""Outlier detectors of scikit-learn and of PyOD, as they are: signs turned right, each image judged without itself.

Most of these score the very rows that they were fitted to, each a part of what it is compared with, so an odd row looks
more ordinary than it is and a new one stranger. Here the fitted images are judged in folds, each by a detector that was
fitted to the others, and a new image by all of these, on average: own and new scores are both of images that a detector
has not seen (measured: docs/own_models.md).
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from oddlens.adapters.seeding import seeded
from oddlens.errors import OptionError
from oddlens.progress import advance
from oddlens.protocols import Doubles, Encoded, State
from oddlens.scoring.exact_copies import Known, digests
from oddlens.scoring.features import checked_features

KINDS = ("outlier_detector", "density_estimator")  # of scikit-learn, both with lower scores for stranger rows
BLOCK = 4096  # rows that are scored at a time
TRIED = 8  # rows that are scored together and alone, to see whether company matters


class OutlierDetector(BaseEstimator):
    """Scores an image by an outlier detector of another library, on the embedding.

    detector:      an object of scikit-learn (``OneClassSVM()``, a pipeline that ends in one, a density like
                   ``GaussianMixture()``) or of PyOD (``ECOD()``), or one with their methods.
    folds:         2 to 20 parts, each judged by a detector fitted to the others; 1: one detector is fitted to all and
                   gives the fitted images the scores it has for them, which as a rule are in-sample.
    random_state:  which images are in which fold, and the seed of a detector that was given none.

    Copies share a fold. Fitted: ``detectors_``, ``own_`` (n,), ``alone_`` (whether new rows are scored one by one,
    since the detector's score of a row depends on the others it is asked about, as ECOD's and COPOD's do).

    >>> from sklearn.svm import OneClassSVM
    >>> rows = np.random.default_rng(0).normal(size=(60, 2)).astype(np.float32)
    >>> rows[3] = 6
    >>> int(OutlierDetector(OneClassSVM(nu=0.1)).fit(Encoded(embedding=rows)).score_own().argmax())
    3
    """

    needs = frozenset({"embedding"})

    def __init__(self, detector: Any, folds: int = 5, random_state: int = 0) -> None:
        self.detector = detector
        self.folds = folds
        self.random_state = random_state

    @property
    def called(self) -> str:
        """What its column is called: its class."""
        return type(_last(self.detector)).__name__.lower()

    @property
    def judges(self) -> str:
        """How it judges an image, in words."""
        return f"by {type(_last(self.detector)).__name__}{', in-sample' if self.folds == 1 else ''}"

    @property
    def seeks(self) -> str:
        """What it looks for, in words."""
        cls = type(_last(self.detector))
        return f"images whose features are strange to {cls.__name__} of {cls.__module__.partition('.')[0]}"

    @property
    def unsavable(self) -> str:
        """Why a model with it is not saved."""
        return (f"{type(_last(self.detector)).__name__} cannot be saved: what it learns is in objects of another "
                "library, which only pickle can save, and loading a pickle runs whatever code is in it.")

    def fit(self, encoded: Encoded) -> Self:
        """Fit one detector for each fold, to all other rows, and judge the rows of the fold by it."""
        if not isinstance(self.folds, int | np.integer) or not 1 <= self.folds <= 20:
            raise OptionError(f"folds must be a whole number from 1 to 20, got {self.folds!r}.")
        rows = checked_features(encoded, self).astype(np.float64)
        self.columns_ = rows.shape[1]
        if self.folds == 1:
            self.detectors_ = [self._fitted(rows)]
            own = _own_scores(self.detectors_[0], rows)
        else:
            own, self.detectors_ = np.empty(len(rows)), []
            fold = self._drawn(rows)
            for number in range(fold.max() + 1):
                self.detectors_.append(self._fitted(rows[fold != number]))
                own[fold == number] = self._scores([self.detectors_[-1]], rows[fold == number])
                advance("scoring", number + 1, int(fold.max()) + 1)
        self.alone_ = self._company_matters(rows[:TRIED])
        self.own_: Doubles = own
        return self

    def score_own(self) -> Doubles:
        """(n,) the fitted images' scores, each by detectors that have not seen it."""
        check_is_fitted(self, "own_")
        return self.own_.copy()

    def score_new(self, encoded: Encoded) -> Doubles:
        """(m,) other images' scores, the mean over the folds' detectors."""
        check_is_fitted(self, "own_")
        rows = checked_features(encoded, self).astype(np.float64)
        if rows.shape[1] != self.columns_:
            raise OptionError(f"{self.called} was fitted to {self.columns_} features, got {rows.shape[1]}.")
        return self._scores(self.detectors_, rows, 1 if self.alone_ else BLOCK)

    def get_state(self) -> State:
        """Nothing: what others' detectors learn is in objects of theirs, which only pickle can save."""
        check_is_fitted(self, "own_")
        raise OptionError(self.unsavable)

    def set_state(self, state: State) -> Self:  # noqa: ARG002  there is none
        """Nothing: there is no state."""
        raise OptionError(self.unsavable)

    def _drawn(self, rows: Doubles) -> NDArray[np.int64]:
        """(n,) the fold of each row, about as many in each; equal rows are in one."""
        _, group = np.unique(Known(digests(rows)).first(), return_inverse=True)
        kinds = int(group.max()) + 1
        if kinds < 2:
            raise OptionError(f"{self.called} cannot be fitted: the features of all {len(rows)} images are the same.")
        order = np.random.default_rng(self.random_state).permutation(kinds)
        return np.asarray(order[group] % min(self.folds, kinds))

    def _fitted(self, rows: Doubles) -> Any:
        detector = clone(self.detector)
        novel = {key: True for key in detector.get_params() if key.rpartition("__")[2] == "novelty"}
        try:
            seeded(detector, self.random_state).set_params(**novel).fit(rows)  # not all of PyOD's give themselves
        except (ValueError, TypeError) as error:
            raise OptionError(f"{self.called} cannot be fitted to {len(rows)} images of {rows.shape[1]} features: "
                              f"{type(error).__name__}: {error}") from error
        return detector

    def _scores(self, detectors: list[Any], rows: Doubles, block: int = BLOCK) -> Doubles:
        """(m,) the mean of the detectors' scores, larger for stranger rows."""
        found = np.zeros(len(rows))
        for start in range(0, len(rows), block):
            part = slice(start, min(start + block, len(rows)))
            found[part] = np.mean([_scores_of(detector, rows[part]) for detector in detectors], axis=0)
            advance("scoring", part.stop, len(rows))
        return found

    def _company_matters(self, rows: Doubles) -> bool:
        together, alone = (self._scores(self.detectors_, rows, block) for block in (len(rows), 1))
        return not np.allclose(together, alone, rtol=1e-6, atol=1e-9)


def is_outlier_detector(thing: object) -> bool:
    """Whether a thing is an outlier detector or a density of scikit-learn's kind, or a detector of PyOD's."""
    if isinstance(thing, type) or not (hasattr(thing, "fit") and hasattr(thing, "get_params")):
        return False
    return _is_pyods(thing) or hasattr(_last(thing), "score_samples") or get_tags(thing).estimator_type in KINDS


def _last(detector: Any) -> Any:
    """Of a pipeline its last step, which is the detector."""
    return detector.steps[-1][1] if hasattr(detector, "steps") else detector


def _is_pyods(detector: object) -> bool:
    """Whether it is of PyOD's kind, where larger is stranger: PyOD says nothing of it that scikit-learn would."""
    last = _last(detector)
    return any(cls.__name__ == "BaseDetector" for cls in type(last).__mro__) and hasattr(last, "decision_function")


def _scores_of(detector: Any, rows: Doubles) -> Doubles:
    """(m,) larger for stranger rows."""
    if _is_pyods(detector):
        found = detector.decision_function(rows)
    else:
        found = -(detector.score_samples if hasattr(detector, "score_samples") else detector.decision_function)(rows)
    return np.asarray(found, np.float64).reshape(len(rows))


def _own_scores(detector: Any, rows: Doubles) -> Doubles:
    """(n,) what a fitted detector says of the rows that it was fitted to, larger for stranger rows."""
    kept = getattr(detector, "decision_scores_", None)  # PyOD's
    if kept is None and hasattr(detector, "negative_outlier_factor_"):
        kept = -detector.negative_outlier_factor_
    return _scores_of(detector, rows) if kept is None else np.asarray(kept, np.float64)
