"""The sets that the protocols draw from labelled images, fixed by their seeds to the last digit.

A  one class is nominal, contaminated with others; unlabelled, the same images are fitted and scored
B  one class is fitted clean; a whole test split is scored
C  all classes but one are fitted clean; the held-out one is odd in the test split; C5: 5 % of it among the fitted
D  real images contaminated with foreign or damaged ones
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.uint8]  # (n, height, width, channels)
Labels = NDArray[Any]  # (n,)
Split = tuple[Images, Labels]


@dataclass(frozen=True)
class Draw:
    """One set: what is fitted, what is scored (None: the fitted images themselves), and which of those are odd.

    case says which of its kind it is: the nominal class, the held-out one, or nothing.
    """

    fitted: Images
    scored: Images | None
    odd: NDArray[np.bool_]
    case: str = ""


def one_class(images: Images, labels: Labels, c: float, seed: int) -> Iterator[Draw]:
    """A: one class in turn is nominal, with c outliers per inlier from the others (as many as there are, at least one).

    The draws of RSRAE (Lai et al. 2020) and LFR.
    """
    rng = np.random.default_rng(seed)
    for nominal in np.unique(labels):
        inliers, others = np.flatnonzero(labels == nominal), np.flatnonzero(labels != nominal)
        outliers = rng.choice(others, min(max(1, round(len(inliers) * c)), len(others)), replace=False)
        order = rng.permutation(len(inliers) + len(outliers))
        odd = np.r_[np.zeros(len(inliers), bool), np.ones(len(outliers), bool)][order]
        yield Draw(images[np.r_[inliers, outliers]][order], None, odd, str(nominal))


def named_odd(images: Images, labels: Labels, odd: str, c: float | None, seed: int) -> Draw:
    """One label is odd and all others are nominal; c odd images per nominal one, by default all that there are."""
    inliers, outliers = np.flatnonzero(labels != odd), np.flatnonzero(labels == odd)
    rng = np.random.default_rng(seed)
    if c is not None:
        wanted = min(max(1, round(len(inliers) * c)), len(outliers))
        outliers = rng.choice(outliers, wanted, replace=False)
    rows = rng.permutation(np.r_[inliers, outliers])
    return Draw(images[rows], None, np.asarray(labels[rows] == odd), f"{odd} is odd")


def halved(images: Images, labels: Labels, seed: int) -> tuple[Split, Split]:
    """Half of each class to fit, the rest to score."""
    order = np.random.default_rng(seed).permutation(len(images))
    images, labels = images[order], labels[order]
    half = np.concatenate([np.flatnonzero(labels == k)[: (labels == k).sum() // 2] for k in np.unique(labels)])
    rest = np.setdiff1d(np.arange(len(labels)), half)
    return (images[half], labels[half]), (images[rest], labels[rest])


def some_of_each(images: Images, labels: Labels, most: int, seed: int) -> Split:
    """At most so many images of each class."""
    rng = np.random.default_rng(seed)
    some = np.concatenate([rng.permutation(np.flatnonzero(labels == k))[:most] for k in np.unique(labels)])
    return images[some], labels[some]


def one_class_clean(fit: Split, test: Split) -> Iterator[Draw]:
    """B: one class in turn is fitted, nothing else among it; the whole test split is scored."""
    for nominal in np.unique(fit[1]):
        yield Draw(fit[0][fit[1] == nominal], test[0], np.asarray(test[1] != nominal), str(nominal))


def leave_one_out(fit: Split, test: Split) -> Iterator[Draw]:
    """C, clean: all classes but one in turn are fitted; the one is odd in the test split."""
    for left_out in np.unique(fit[1]):
        yield Draw(fit[0][fit[1] != left_out], test[0], np.asarray(test[1] == left_out), str(left_out))


def leave_one_out_contaminated(images: Images, labels: Labels, c: float, seed: int) -> Iterator[Draw]:
    """C, contaminated: all classes but one, and c of their number from the one, fitted and scored alike."""
    rng = np.random.default_rng(seed)
    for left_out in np.unique(labels):
        nominal, odd = np.flatnonzero(labels != left_out), np.flatnonzero(labels == left_out)
        rows = rng.permutation(np.r_[nominal, rng.choice(odd, round(c * len(nominal)), replace=False)])
        yield Draw(images[rows], None, np.asarray(labels[rows] == left_out), str(left_out))


def foreign(images: Images, others: Images, share: float, seed: int) -> Draw:
    """D: images of another data set added, a share of the number of images."""
    added = others[np.random.default_rng(seed).choice(len(others), round(share * len(images)), replace=False)]
    return Draw(np.concatenate([images, added]), None, np.arange(len(images) + len(added)) >= len(images))


def corrupted(
    images: Images, damage: Callable[[Images, np.random.Generator], Images], share: float, seed: int
) -> Draw:
    """D: a share of the images is damaged where it stands."""
    rng = np.random.default_rng(seed)
    chosen = rng.choice(len(images), round(share * len(images)), replace=False)
    images, odd = images.copy(), np.zeros(len(images), bool)
    images[chosen], odd[chosen] = damage(images[chosen], rng), True
    return Draw(images, None, odd)


def beside(images: Images, labels: Labels, nominal: Any, share: float, seed: int) -> Draw:
    """D: all images of one label and a share of their number, at least 5, from all others together."""
    inside, others = images[labels == nominal], images[labels != nominal]
    added = others[np.random.default_rng(seed).choice(len(others), max(5, int(share * len(inside))), replace=False)]
    return Draw(np.concatenate([inside, added]), None, np.arange(len(inside) + len(added)) >= len(inside),
                str(nominal))
