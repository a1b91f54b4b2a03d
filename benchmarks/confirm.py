"""The polycrystalline solar cells, which nothing was chosen on: the default beside its views and its rivals.

    python benchmarks/confirm.py      (ELPV_DIR: the folder of elpv-dataset's data, or the package installed)

Nominal: defect probability 0; odd: probability 1, 5 % of the number of nominal cells; 5 draws; AUROC / average
precision.
"""

from __future__ import annotations

import csv
import os
from collections import defaultdict
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.metrics import average_precision_score, roc_auc_score

from oddlens import AnomalyModel
from oddlens.evaluation.peers import hog, neighbors, pixels

SIDE = 128


def cells(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """(n, 128, 128, 1) pictures of the polycrystalline cells and their (n,) defect probabilities."""
    with (folder / "labels.csv").open() as file:
        rows = [line for line in csv.reader(file, delimiter=" ", skipinitialspace=True) if line and line[2] == "poly"]
    pictures = [np.asarray(Image.open(folder / row[0]).convert("L").resize((SIDE, SIDE), Image.Resampling.BOX))
                for row in rows]
    return np.stack(pictures)[..., None], np.array([float(row[1]) for row in rows])


def main() -> None:
    """Five draws."""
    images, defect = cells(Path(os.environ["ELPV_DIR"]))
    nominal, odd = np.flatnonzero(defect == 0), np.flatnonzero(defect == 1)
    found = defaultdict(list)
    for seed in range(5):
        rng = np.random.default_rng(seed)
        added = rng.choice(odd, round(0.05 * len(nominal)), replace=False)
        rows = rng.permutation(np.r_[nominal, added])
        chosen, labels = images[rows], np.isin(rows, added)
        ranking = AnomalyModel().fit(chosen).rank()
        scores = {"oddlens": ranking.scores, **{f"oddlens: {view}": own for view, own in ranking.members.items()}}
        for name, features in (("hog", hog(chosen)), ("pixels", pixels(chosen))):
            scores |= {f"{name}-knn{k}": neighbors(k)(features, None, 0, None) for k in (50, 5)}
        for name, values in scores.items():
            found[name].append([roc_auc_score(labels, values), average_precision_score(labels, values)])
    for name, pairs in found.items():
        print("| {} | {:.3f} / {:.3f} |".format(name, *np.mean(pairs, 0)))


if __name__ == "__main__":
    main()
