"""Image transforms of squares, for a network to tell apart: rotated, translated, scaled, permuted.

The first of every list is the image as it came. Rims that a translation or a smaller scale lays bare are filled with
the image mirrored, so that no black bar gives the answer away.

Rotations and translations: Golan, El-Yaniv, *Deep anomaly detection using geometric transformations*, 2018.
Permutations: Wang et al., *Effective end-to-end unsupervised outlier detection via inlier priority of discriminative
network*, 2019 (there "patch re-arranging").
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from oddlens.errors import OptionError

Transform = Callable[[Tensor], Tensor]

ROTATIONS = 8  # rotations and flips of the square
ZOOM = 1.5
# The order of the image's quarters, row by row: halves swapped either way or both ways, and all moved on by one.
PERMUTATIONS = ((2, 3, 0, 1), (1, 0, 3, 2), (3, 2, 1, 0), (2, 0, 3, 1))
DIRECTIONS = ((-1, 0), (1, 0), (0, -1), (0, 1))


def rotated(images: Tensor, number: int) -> Tensor:
    """Square (n, channels, side, side) in one of the eight rotations and flips."""
    return torch.rot90(images.flip(3) if number >= ROTATIONS // 2 else images, number % (ROTATIONS // 2), (2, 3))


def translated(images: Tensor, down: int, right: int) -> Tensor:
    """Moved by a quarter of the side, down and right for 1, up and left for -1."""
    side = images.shape[2]
    by = max(1, side // 4)
    padded = functional.pad(images, (by,) * 4, mode="reflect")
    top, left = by - by * down, by - by * right
    return padded[:, :, top : top + side, left : left + side]


def scaled(images: Tensor, zoom: float) -> Tensor:
    """So many times as large about the middle, cut to the same size; mirrored at the rim where it is smaller."""
    side = images.shape[2]
    if zoom < 1:
        images = functional.pad(images, (max(1, round(side * (1 / zoom - 1) / 2)),) * 4, mode="reflect")
    else:
        rim = max(1, round(side * (1 - 1 / zoom) / 2))
        images = images[:, :, rim : side - rim, rim : side - rim]
    return functional.interpolate(images, size=(side, side), mode="bilinear", antialias=True, align_corners=False)


def permuted(images: Tensor, order: tuple[int, ...]) -> Tensor:
    """With its quarters in another order: at place i, row by row, is quarter order[i]."""
    half = images.shape[2] // 2
    size = 2 * half  # of an odd side the last row and column stay as they are
    quarters = [images[:, :, top : top + half, left : left + half] for top in (0, half) for left in (0, half)]
    rows = [torch.cat([quarters[order[2 * row]], quarters[order[2 * row + 1]]], 3) for row in (0, 1)]
    found = images.clone()
    found[:, :, :size, :size] = torch.cat(rows, 2)
    return found


AUGMENTATIONS: dict[str, tuple[Transform, ...]] = {
    "rotations": tuple(partial(rotated, number=number) for number in range(1, ROTATIONS)),
    "translations": tuple(partial(translated, down=down, right=right) for down, right in DIRECTIONS),
    "scales": (partial(scaled, zoom=ZOOM), partial(scaled, zoom=1 / ZOOM)),
    "permutations": tuple(partial(permuted, order=order) for order in PERMUTATIONS),
}


def parse(kinds: str) -> list[Transform]:
    """The image as it came and then every transform of the kinds, names separated by commas.

    Raises ``OptionError`` for a kind that there is not or that is named twice, and for none.
    """
    asked = [kind.strip() for kind in kinds.split(",")] if isinstance(kinds, str) else [repr(kinds)]
    for kind in asked:
        if kind not in AUGMENTATIONS:
            raise OptionError(f"augmentations takes some of {', '.join(AUGMENTATIONS)}, separated by commas; got "
                              f"{kinds!r}.")
    if len(set(asked)) < len(asked):
        raise OptionError(f"augmentations names a kind twice: {kinds!r}.")
    return [partial(rotated, number=0), *(transform for kind in asked for transform in AUGMENTATIONS[kind])]
