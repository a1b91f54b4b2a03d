"""Sets that nothing was chosen on: the default beside its views and its rivals; AUROC / average precision.

    python benchmarks/confirm.py cells     (ELPV_DIR: the folder of elpv-dataset's data)
    python benchmarks/confirm.py digits    (scikit-learn's own, 1,797 of 8 x 8)

cells: the polycrystalline solar cells. Nominal: defect probability 0; odd: probability 1, 5 % of the number of nominal
cells; 5 draws. digits: nine classes are nominal and the tenth is odd, each in turn (protocol C): clean, fitted to half
and scored on the rest; and with 5 % of the tenth among what is fitted and scored.
"""

from __future__ import annotations

import csv
import os
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.metrics import average_precision_score, roc_auc_score

from oddlens import AnomalyModel
from oddlens.evaluation.draws import Draw, halved, leave_one_out, leave_one_out_contaminated
from oddlens.evaluation.peers import hog, neighbors, pixels
from oddlens.views import DEFAULT, FAST

SIDE = 128


def cells(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """(n, 128, 128, 1) pictures of the polycrystalline cells and their (n,) defect probabilities."""
    with (folder / "labels.csv").open() as file:
        rows = [line for line in csv.reader(file, delimiter=" ", skipinitialspace=True) if line and line[2] == "poly"]
    pictures = [np.asarray(Image.open(folder / row[0]).convert("L").resize((SIDE, SIDE), Image.Resampling.BOX))
                for row in rows]
    return np.stack(pictures)[..., None], np.array([float(row[1]) for row in rows])


def drawn_cells() -> Iterator[tuple[str, Draw]]:
    """Five draws."""
    images, defect = cells(Path(os.environ["ELPV_DIR"]))
    nominal, odd = np.flatnonzero(defect == 0), np.flatnonzero(defect == 1)
    for seed in range(5):
        rng = np.random.default_rng(seed)
        added = rng.choice(odd, round(0.05 * len(nominal)), replace=False)
        rows = rng.permutation(np.r_[nominal, added])
        yield "cells", Draw(images[rows], None, np.isin(rows, added))


def drawn_digits() -> Iterator[tuple[str, Draw]]:
    """Ten classes left out, clean and contaminated."""
    digits = load_digits()
    images = np.round(digits.images * 255 / 16).astype(np.uint8)[..., None]
    for draw in leave_one_out(*halved(images, digits.target, 0)):
        yield "clean", draw
    for draw in leave_one_out_contaminated(images, digits.target, 0.05, 0):
        yield "contaminated", draw


def scored(draw: Draw) -> dict[str, np.ndarray]:
    """Every method's scores of a draw."""
    found = {}
    plain = replace(FAST[0], options={})  # distances as they are, not measured against those around
    for name, views in (("oddlens", DEFAULT), ("oddlens-fast", FAST),
                        ("oddlens, local=0", (plain, *DEFAULT[1:])), ("oddlens-fast, local=0", (plain,))):
        ranking = AnomalyModel(views=views).fit(draw.fitted).rank(draw.scored)
        found[name] = ranking.scores
        if name == "oddlens":
            found |= {f"oddlens: {view}": own for view, own in ranking.members.items()}
    seen = {"pixels": pixels} if min(draw.fitted.shape[1:3]) < 21 else {"hog": hog, "pixels": pixels}
    for name, features in seen.items():
        new = None if draw.scored is None else features(draw.scored)
        found |= {f"{name}-knn{k}": neighbors(k)(features(draw.fitted), new, 0, None) for k in (50, 5)}
    return found


def main() -> None:
    """The mean over the draws, set by set."""
    found: dict[tuple[str, str], list[list[float]]] = defaultdict(list)
    for name, draw in {"cells": drawn_cells, "digits": drawn_digits}[sys.argv[1]]():
        for method, values in scored(draw).items():
            found[name, method].append([roc_auc_score(draw.odd, values), average_precision_score(draw.odd, values)])
    for (name, method), pairs in found.items():
        print("| {} | {} | {:.3f} / {:.3f} |".format(name, method, *np.mean(pairs, 0)))


if __name__ == "__main__":
    main()
