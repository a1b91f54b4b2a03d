"""Which detector to take for features that were made elsewhere, where nothing is known of them.

Features of two kinds stand for these: hand-engineered (hog) and the pixels averaged down. Sets: each digit in turn
nominal among a tenth of others (one kind), and all digits but one with a twentieth of the last (many kinds). Mean AUROC
of the fitted images' own scores; labels are used for measuring alone.

    python benchmarks/given_features.py
"""

from __future__ import annotations

import numpy as np
from sklearn.metrics import roc_auc_score

from oddlens import registry
from oddlens.calibration import Fusion, fuse
from oddlens.evaluation import datasets
from oddlens.protocols import Encoded

SIZE = 200
KINDS = {"hog": {}, "pixels": {"side": 14}}
NEEDS = frozenset({"embedding"})
DETECTORS = ("neighbors", "burnout", "forest", "subspace", "self_training")
MIXED = {"neighbors+forest": ("neighbors", "forest"), "burnout+subspace": ("burnout", "subspace"),
         "neighbors+burnout": ("neighbors", "burnout"),
         "burnout+forest+subspace": ("burnout", "forest", "subspace")}


def main() -> None:
    """Print a row for each detector or mixture."""
    images, labels = datasets.load("mnist")
    rng = np.random.default_rng(0)
    some = np.sort(rng.permutation(len(images))[:2500])
    images, labels = images[some], labels[some]
    print("| detector | " + " | ".join(f"{kind}, {what}" for kind in KINDS for what in ("one", "many")) + " |")
    print("| --- " * (1 + 2 * len(KINDS)) + "|", flush=True)
    found: dict[str, list[float]] = {}
    for kind, options in KINDS.items():
        encoder = registry.create("encoder", kind, **options).fit(images)
        rows = encoder.encode(images, NEEDS).embedding
        for many in (False, True):
            results = [_scored(rows, labels, digit, many) for digit in range(10)]
            for name in results[0]:
                found.setdefault(name, []).append(float(np.mean([each[name] for each in results])))
    for name, values in found.items():
        print(f"| {name} | " + " | ".join(f"{value:.3f}" for value in values) + " |")


def _scored(rows: np.ndarray, labels: np.ndarray, digit: int, many: bool) -> dict[str, float]:
    rng = np.random.default_rng(digit)
    ordinary = rng.permutation(np.flatnonzero((labels == digit) != many))[: 10**4 if many else SIZE]
    share = 0.05 if many else 0.1
    odd = rng.permutation(np.flatnonzero((labels == digit) == many))[: round(share * len(ordinary))]
    chosen = rng.permutation(np.r_[ordinary, odd])
    encoded, truth = Encoded(embedding=rows[chosen]), np.isin(chosen, odd)
    own = {name: registry.create("detector", name).fit(encoded).score_own() for name in DETECTORS}
    aurocs = {name: roc_auc_score(truth, scores) for name, scores in own.items()}
    for name, parts in MIXED.items():
        members = {part: own[part] for part in parts}
        fused = fuse(Fusion({part: 1 / len(parts) for part in parts}, {}), members, members)
        aurocs[name] = roc_auc_score(truth, fused)
    return aurocs


if __name__ == "__main__":
    main()
