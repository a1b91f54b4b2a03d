"""oddlens's detectors on arrays of features, as scikit-learn's users and PyOD's know detectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from oddlens.decisions import decide
from oddlens.errors import OptionError
from oddlens.methods import made, name_of
from oddlens.protocols import Detector, Doubles, Encoded
from oddlens.scoring.exact_copies import Known, digests

GIVEN = frozenset({"embedding"})  # all that an array of features can be to a detector


class Outliers(OutlierMixin, BaseEstimator):
    """Which rows of an (n, d) array are odd: a detector of oddlens with scikit-learn's face.

    detector:       the name of a detector that reads features, such as "forest", "neighbors", "subspace", "burnout" or
                    "self_training" (``oddlens list`` shows all), or an object: of oddlens, scikit-learn or PyOD.
    contamination:  the share of the fitted rows to call odd, above 0 and at most 0.5; None: by ``fdr``.
    fdr:            where contamination is None, the false-discovery rate: the expected share of ordinary rows among
                    those called odd, at most; above 0 and below 0.5.
    options:        name -> value, of a detector given by name; None: its defaults. An object's own are reached as
                    ``detector__k``.
    n_jobs:         threads; by default one for each core; of a detector given by name.
    random_state:   the seed, a whole number; of a detector given by name.

    Fitted rows are judged each without itself, as far as the detector knows how. A row that equals a fitted one is that
    one and gets its score, so ``fit(X).predict(X)`` says what ``fit_predict(X)`` says. Other rows are judged alone, by
    what was fixed when the detector was fitted. Features are compared in single precision.

    Signs are scikit-learn's where scikit-learn has the method: ``score_samples`` and ``decision_function`` are lower
    for stranger rows and ``predict`` gives -1 for odd ones. PyOD's attributes have PyOD's: ``decision_scores_`` is
    larger for stranger rows and ``labels_`` is 1 for odd ones. So of a program that used PyOD the line that makes the
    detector changes, ``decision_scores_``, ``labels_`` and ``threshold_`` stay, and what asks about new rows turns
    round: ``decision_function(X)`` becomes ``-score_samples(X)``, and ``predict(X)`` becomes ``predict(X) == -1``.

    Fitted: ``detector_`` (the fitted detector), ``decision_scores_`` (n,), ``threshold_`` (rows whose score is above
    it are odd), ``labels_`` (n,) 0 or 1, ``offset_`` (minus the threshold), ``n_features_in_``,
    ``feature_names_in_`` (where the features had names).

    >>> rows = np.random.default_rng(0).normal(size=(100, 3))
    >>> rows[7] = 9
    >>> found = Outliers("neighbors", contamination=0.01).fit(rows)
    >>> np.flatnonzero(found.labels_), found.predict([[9, 9, 9], [0, 0, 0]])
    (array([7]), array([-1,  1]))
    """

    def __init__(
        self,
        detector: str | Detector = "forest",
        *,
        contamination: float | None = 0.1,
        fdr: float = 0.1,
        options: Mapping[str, Any] | None = None,
        n_jobs: int | None = None,
        random_state: int = 0,
    ) -> None:
        self.detector = detector
        self.contamination = contamination
        self.fdr = fdr
        self.options = options
        self.n_jobs = n_jobs
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: None = None) -> Self:  # noqa: ARG002  scikit-learn passes y to everything
        """Learn what is ordinary from (n, d) numbers, and judge each row; ``OptionError`` for what cannot work."""
        detector = self._made()
        rows = validate_data(self, X, dtype=np.float32, ensure_min_samples=2)
        own = np.asarray(detector.fit(Encoded(embedding=rows)).score_own(), np.float64)
        self.known_ = Known(digests(_without_negative_zero(rows)))
        self.detector_: Detector = detector
        self.decision_scores_: Doubles = own[self.known_.first()]  # equal rows have one score
        self.threshold_: float = self._threshold()
        self.offset_: float = -self.threshold_
        self.labels_: NDArray[np.int64] = (self.decision_scores_ > self.threshold_).astype(np.int64)
        return self

    def score_samples(self, X: ArrayLike) -> Doubles:
        """(m,) minus the score of each row: lower is stranger."""
        check_is_fitted(self, "decision_scores_")
        rows = validate_data(self, X, dtype=np.float32, reset=False)
        found = self.known_.find(_without_negative_zero(rows))
        new = found < 0
        scores = self.decision_scores_[found]
        if new.any():
            scores[new] = self.detector_.score_new(Encoded(embedding=rows[new]))
        return -scores

    def decision_function(self, X: ArrayLike) -> Doubles:
        """(m,) ``score_samples`` less ``offset_``: negative is odd."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: ArrayLike) -> NDArray[np.int64]:
        """(m,) 1 for ordinary rows, -1 for odd ones."""
        return np.where(self.decision_function(X) < 0, -1, 1)

    def fit_predict(self, X: ArrayLike, y: None = None) -> NDArray[np.int64]:
        """(n,) as ``predict``, of the fitted rows, each judged without itself."""
        return 1 - 2 * self.fit(X, y).labels_

    def _threshold(self) -> float:
        scores = self.decision_scores_
        if self.contamination is None:
            return float(np.nextafter(decide(scores, self.fdr).threshold, -np.inf))  # odd from the threshold on
        return float(np.quantile(scores, 1 - self.contamination))

    def _made(self) -> Detector:
        """The detector, unfitted; raises ``OptionError`` where it or an option cannot work."""
        if self.contamination is not None and not 0 < self.contamination <= 0.5:
            raise OptionError(f"contamination must be above 0 and at most 0.5, or None, got {self.contamination!r}.")
        if not 0 < self.fdr < 0.5:
            raise OptionError(f"fdr must be above 0 and below 0.5, got {self.fdr!r}.")
        if self.options and not isinstance(self.detector, str):
            raise OptionError("options are for a detector given by name; give them to the object, or set them as "
                              "detector__NAME.")
        detector: Detector = made("detector", self.detector, self.options or {},
                                  {"n_jobs": self.n_jobs, "random_state": self.random_state})
        if not detector.needs <= GIVEN:
            raise OptionError(f"Detector {name_of('detector', detector)} needs {', '.join(sorted(detector.needs))}: "
                              "an array of features is an embedding alone. AnomalyModel makes the others from images.")
        return detector


def _without_negative_zero(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """The rows with every -0.0 as 0.0: equal numbers are to have equal bytes."""
    return rows + np.float32(0)
