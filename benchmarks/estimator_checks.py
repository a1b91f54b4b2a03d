"""How many of scikit-learn's checks of an estimator hold: oddlens beside scikit-learn's own detectors and PyOD's.

``check_estimator`` runs the checks that scikit-learn has for the kind of estimator that one says it is, so their number
differs. One that the estimator does not come to, because of what it is or what is installed, is skipped.

    SCIPY_ARRAY_API=1 python benchmarks/estimator_checks.py
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

from pyod.models.iforest import IForest
from pyod.models.knn import KNN
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import LocalOutlierFactor
from sklearn.utils.estimator_checks import check_estimator

from oddlens import Outliers


def estimators() -> Iterator[tuple[str, Any]]:
    """Each with what it is called in the table."""
    for name in ("forest", "neighbors", "subspace", "burnout", "self_training"):
        yield f'`oddlens.Outliers("{name}")`', Outliers(name)
    yield "scikit-learn `IsolationForest()`", IsolationForest()
    yield "scikit-learn `LocalOutlierFactor()`", LocalOutlierFactor()
    yield "scikit-learn `LocalOutlierFactor(novelty=True)`", LocalOutlierFactor(novelty=True)
    yield "PyOD `IForest()`", IForest()
    yield "PyOD `KNN()`", KNN()


def main() -> None:
    """Print the table, and below it which checks did not hold and why."""
    print(f"scikit-learn {version('scikit-learn')}, PyOD {version('pyod')}\n")
    print("| | checks | passed | failed | skipped |\n| --- | --- | --- | --- | --- |")
    notes = []
    for name, estimator in estimators():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of others' deprecations
            done = check_estimator(estimator, on_skip=None, on_fail=None)
        count = Counter(each["status"] for each in done)
        print(f"| {name} | {len(done)} | {count['passed']} | {count['failed']} | {count['skipped']} |", flush=True)
        notes += [f"{name}: {each['check_name']} {each['status']}: {_line(each['exception'])}"
                  for each in done if each["status"] != "passed"]
    print("", *notes, sep="\n")


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:140] or type(error).__name__


if __name__ == "__main__":
    main()
