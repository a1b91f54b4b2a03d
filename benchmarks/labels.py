"""What labels would reach: solar cells told apart by a classifier that learned from them, from the same features.

    python benchmarks/labels.py [mono] [poly]

All sound and all defective cells (elpv-dataset, 300 x 300; ``cells`` of ``photographs.py`` draws 5 % from the latter),
encoded by what the default learns from draw 0 without labels, from scratch and with EfficientNet-Lite0. A classifier is
given nine tenths of them with their labels and says what the last tenth is, ten times: logistic regression, a support
vector machine and a random forest; the best of the three is taken, which favours labels. AUROC over all; average
precision of the five draws' 5 %. It is no rival, it says how far the labels can be foretold at all (docs/lab/maps.md).
"""

from __future__ import annotations

import sys

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from oddlens import AnomalyModel
from oddlens.detectors.places import Places
from oddlens.protocols import Encoded
from photographs import cells

CLASSIFIERS: dict[str, tuple[BaseEstimator, str]] = {
    "logistic regression": (make_pipeline(StandardScaler(), LogisticRegression(
        C=0.01, class_weight="balanced", max_iter=2000)), "decision_function"),
    "support vectors": (make_pipeline(StandardScaler(), SVC(C=3, class_weight="balanced")), "decision_function"),
    "random forest": (RandomForestClassifier(500, class_weight="balanced", random_state=0), "predict_proba"),
}
STRANGEST = (1, 5, 20, 50, 100, 200)  # places, whose mean strangeness is a feature

Rows = NDArray[np.float32]


def everything(kind: str) -> tuple[NDArray[np.uint8], NDArray[np.bool_], list[NDArray[np.intp]]]:
    """All cells, which are defective, and the rows of each draw."""
    from elpv_dataset.utils import load_dataset

    images, probability, kinds = load_dataset()
    some = np.flatnonzero((kinds == kind) & np.isin(probability, (0, 1)))
    odd, sound = some[probability[some] == 1], some[probability[some] == 0]
    count, rows = round(0.05 * len(sound)), np.r_[sound, odd]
    drawn = [np.random.default_rng(seed).choice(odd, count, replace=False) for seed in range(5)]
    return images[rows][..., None], np.isin(rows, odd), [np.flatnonzero(np.isin(rows, [*sound, *d])) for d in drawn]


def of_maps(maps: NDArray[np.float16]) -> Rows:
    """How strange the strangest places are, and the mean, spread and ends of each feature over the places."""
    apart = np.sort(Places().fit(Encoded(maps=maps)).own_places_.reshape(len(maps), -1), 1)[:, ::-1]
    values = maps.astype(np.float32)
    ends = [f(values, axis=(1, 2)) for f in (np.mean, np.std, np.max, np.min)]
    return np.concatenate([*(apart[:, :count].mean(1, keepdims=True) for count in STRANGEST), *ends], 1)


def features(model: AnomalyModel, images: NDArray[np.uint8]) -> Rows:
    """(n, d) all that the encoders say: embeddings, and what is read from maps."""
    columns = model.ensemble_.encode(model.read_new(images).copies).columns
    return np.concatenate([of_maps(values) if values.ndim == 4 else values for values in columns.values()], 1)


def foretold(rows: Rows, odd: NDArray[np.bool_], draws: list[NDArray[np.intp]]) -> str:
    """The best classifier's AUROC and average precision, and its name."""
    found = []
    for name, (classifier, says) in CLASSIFIERS.items():
        folds = StratifiedKFold(10, shuffle=True, random_state=0)
        scores = cross_val_predict(classifier, rows, odd, cv=folds, method=says)
        scores = scores[:, 1] if scores.ndim > 1 else scores
        precision = np.mean([average_precision_score(odd[draw], scores[draw]) for draw in draws])
        found.append((float(roc_auc_score(odd, scores)), float(precision), name))
    return "{:.3f} / {:.3f} ({})".format(*max(found))


if __name__ == "__main__":
    print("| cells | defective | with labels, from scratch | with labels and Lite0 |")
    print(f"|{' --- |' * 4}", flush=True)
    for kind in sys.argv[1:] or ("mono", "poly"):
        images, odd, draws = everything(kind)
        first, _, _ = cells(kind, 0, 0.05, np.random.default_rng(0))
        models = [AnomalyModel(random_state=0, backbone=given).fit(first) for given in (None, "efficientnet-lite0")]
        found = [foretold(features(model, images), odd, draws) for model in models]
        print(f"| {kind} | {odd.sum()} of {len(odd)} | {' | '.join(found)} |", flush=True)
