"""Real images with labels, and the sets that the protocols draw from them. Labels are for evaluation alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from oddlens.demo import DIGITS, LABELS
from oddlens.sources import read_idx

#: Where Debian's package dataset-fashion-mnist puts its files.
FASHION = Path(os.environ.get("FASHION_DIR", "/usr/share/datasets/fashion-mnist"))


@dataclass(frozen=True)
class Draw:
    """One set: what is fitted, what is scored (None: the fitted images themselves), and which of those are odd."""

    fitted: NDArray[np.uint8]
    scored: NDArray[np.uint8] | None
    odd: NDArray[np.bool_]


def load(name: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """(n, 28, 28, 1) and (n,) labels of "mnist" (10,000), "fashion" (10,000) or "fashion-train" (60,000)."""
    if name == "mnist":
        return read_idx(DIGITS)[..., None], read_idx(LABELS, dimensions=(1,))
    part = {"fashion": "t10k", "fashion-train": "train"}[name]
    return (read_idx(FASHION / f"{part}-images-idx3-ubyte.gz")[..., None],
            read_idx(FASHION / f"{part}-labels-idx1-ubyte.gz", dimensions=(1,)))


def one_class(name: str, c: float, seed: int) -> Iterator[Draw]:
    """Protocol A: one class in turn is nominal, with c outliers per inlier from the others; fitted and scored alike.

    The draws of RSRAE (Lai et al. 2020) and LFR, the same to the digit whoever makes them.
    """
    images, labels = load(name)
    rng = np.random.default_rng(seed)
    for nominal in range(10):
        inliers, others = np.flatnonzero(labels == nominal), np.flatnonzero(labels != nominal)
        outliers = rng.choice(others, round(len(inliers) * c), replace=False)
        order = rng.permutation(len(inliers) + len(outliers))
        odd = np.r_[np.zeros(len(inliers), bool), np.ones(len(outliers), bool)][order]
        yield Draw(images[np.r_[inliers, outliers]][order], None, odd)


def leave_one_out(name: str, seed: int, most: int = 1000) -> Iterator[Draw]:
    """Protocol C, clean: nine classes are fitted, the tenth is odd among other images of the nine.

    MNIST has 10,000 images here: half of each class is fitted, the rest scored. Fashion-MNIST fits ``most`` images a
    class of its train split and scores its whole test split.
    """
    rng = np.random.default_rng(seed)
    if name == "mnist":
        images, labels = load("mnist")
        order = rng.permutation(len(images))
        images, labels = images[order], labels[order]
        half = np.concatenate([np.flatnonzero(labels == k)[: (labels == k).sum() // 2] for k in range(10)])
        rest = np.setdiff1d(np.arange(len(labels)), half)
        fit_images, fit_labels, test_images, test_labels = images[half], labels[half], images[rest], labels[rest]
    else:
        (fit_images, fit_labels), (test_images, test_labels) = load("fashion-train"), load("fashion")
        some = np.concatenate([rng.permutation(np.flatnonzero(fit_labels == k))[:most] for k in range(10)])
        fit_images, fit_labels = fit_images[some], fit_labels[some]
    for left_out in range(10):
        yield Draw(fit_images[fit_labels != left_out], test_images, test_labels == left_out)


def leave_one_out_contaminated(name: str, seed: int, c: float = 0.05) -> Iterator[Draw]:
    """Protocol C, contaminated: nine classes and c of their number from the tenth, fitted and scored alike."""
    images, labels = load(name)
    rng = np.random.default_rng(seed)
    for left_out in range(10):
        nine, tenth = np.flatnonzero(labels != left_out), np.flatnonzero(labels == left_out)
        rows = rng.permutation(np.r_[nine, rng.choice(tenth, round(c * len(nine)), replace=False)])
        yield Draw(images[rows], None, labels[rows] == left_out)
