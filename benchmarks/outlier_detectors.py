"""Others' detectors with the scores that they have for the rows they were fitted to, and judged in folds.

Two questions, both of sets with a tenth of other digits among every other digit in turn: how well
the fitted images' own scores put the odd ones first (AUROC), and how many of the ordinary images that a detector has
not seen lie above the .9 quantile of the fitted ordinary ones' scores, which is .1 where own and new scores mean the
same. Labels are used for measuring alone.

    python benchmarks/outlier_detectors.py
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import LocalOutlierFactor
from sklearn.svm import OneClassSVM

from oddlens.adapters.outlier_detectors import OutlierDetector
from oddlens.encoders.hog import Hog
from oddlens.evaluation import datasets
from oddlens.learning.principal_components import Components
from oddlens.protocols import Encoded

NOMINAL, ORDINARY, ODD, NEW = range(0, 10, 2), 500, 50, 200  # digits; ordinary images; odd ones among them; others
FOLDS = (1, 2, 5, 10)
NEEDS = frozenset({"embedding"})


def detectors() -> dict[str, Callable[[], Any]]:
    """Each as its users make it, with its own defaults."""
    from pyod.models.ecod import ECOD
    from pyod.models.iforest import IForest
    from pyod.models.knn import KNN
    from pyod.models.lof import LOF
    from pyod.models.ocsvm import OCSVM
    from pyod.models.pca import PCA

    theirs = (ECOD, IForest, KNN, LOF, OCSVM, PCA)
    return {"scikit-learn OneClassSVM": OneClassSVM, "scikit-learn LocalOutlierFactor": LocalOutlierFactor,
            "scikit-learn GaussianMixture": lambda: GaussianMixture(8),
            **{f"PyOD {cls.__name__}": cls for cls in theirs}}


def sets() -> list[tuple[Encoded, np.ndarray, Encoded]]:
    """(what is fitted, which of it is odd, ordinary images that are not), 40 features an image."""
    images, labels = datasets.load("mnist")
    rows = Hog().fit(images[:10]).encode(images, NEEDS).embedding
    rng, found = np.random.default_rng(0), []
    for nominal in NOMINAL:
        own = rng.permutation(np.flatnonzero(labels == nominal))
        others = rng.choice(np.flatnonzero(labels != nominal), ODD, replace=False)
        fitted = rng.permutation(np.r_[own[:ORDINARY], others])
        axes = Components.found(rows[fitted])
        some = np.asarray(axes.project(rows[fitted]), np.float32)[:, :40]
        new = np.asarray(axes.project(rows[own[ORDINARY : ORDINARY + NEW]]), np.float32)[:, :40]
        found.append((Encoded(embedding=some), labels[fitted] != nominal, Encoded(embedding=new)))
    return found


def main() -> None:
    """Print a row for each detector."""
    warnings.simplefilter("ignore")  # of others' deprecations
    drawn = sets()
    print("| detector | " + " | ".join(f"{what} {folds}" for what in ("AUROC", "new above") for folds in FOLDS)
          + " | seconds 1 | seconds 5 |\n" + "| --- " * (3 + 2 * len(FOLDS)) + "|")
    for name, make in detectors().items():
        aurocs, above, seconds = {}, {}, {}
        for folds in FOLDS:
            start = time.perf_counter()
            found = []
            for fitted, odd, new in drawn:
                detector = OutlierDetector(make(), folds=folds).fit(fitted)
                own = detector.score_own()
                over = detector.score_new(new) > np.quantile(own[~odd], 0.9)
                found.append((roc_auc_score(odd, own), over.mean()))
            aurocs[folds], above[folds] = np.mean(found, axis=0)
            seconds[folds] = (time.perf_counter() - start) / len(drawn)
        print(f"| {name} | " + " | ".join(f"{values[folds]:.3f}" for values in (aurocs, above) for folds in FOLDS)
              + f" | {seconds[1]:.2f} | {seconds[5]:.2f} |", flush=True)


if __name__ == "__main__":
    main()
