"""Ways in which a square image can be shown, for a network to tell which: turned, shifted, scaled, in pieces.

The first way of every list is the image as it came. Rims that a shift or a smaller scale lays bare are filled with
the image mirrored, so that no black bar gives the answer away.

Turns and shifts: Golan, El-Yaniv, *Deep anomaly detection using geometric transformations*, 2018. Pieces put in another
order: Wang et al., *Effective end-to-end unsupervised outlier detection via inlier priority of discriminative
network*, 2019 (there "patch re-arranging").
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from oddlens.errors import OptionError

Way = Callable[[Tensor], Tensor]

TURNS = 8  # and flips of the square
ZOOM = 1.5
# The quarters of the image, row by row, in another order: halves exchanged, both, and all moved on by one.
ORDERS = ((2, 3, 0, 1), (1, 0, 3, 2), (3, 2, 1, 0), (2, 0, 3, 1))
DIRECTIONS = ((-1, 0), (1, 0), (0, -1), (0, 1))


def turned(images: Tensor, way: int) -> Tensor:
    """Square (n, channels, side, side) in one of the eight turns and flips."""
    return torch.rot90(images.flip(3) if way >= TURNS // 2 else images, way % (TURNS // 2), (2, 3))


def shifted(images: Tensor, down: int, right: int) -> Tensor:
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


KINDS: dict[str, tuple[Way, ...]] = {
    "turns": tuple(partial(turned, way=way) for way in range(1, TURNS)),
    "shifts": tuple(partial(shifted, down=down, right=right) for down, right in DIRECTIONS),
    "scales": (partial(scaled, zoom=ZOOM), partial(scaled, zoom=1 / ZOOM)),
    "pieces": tuple(partial(permuted, order=order) for order in ORDERS),
}


def named(kinds: str) -> list[Way]:
    """The image as it came and then every way of the kinds, which are names with commas between them.

    Raises ``OptionError`` for a kind that there is not or that is named twice, and for none.
    """
    asked = [kind.strip() for kind in kinds.split(",")] if isinstance(kinds, str) else [repr(kinds)]
    for kind in asked:
        if kind not in KINDS:
            raise OptionError(f"ways takes some of {', '.join(KINDS)}, with commas between them; got {kinds!r}.")
    if len(set(asked)) < len(asked):
        raise OptionError(f"ways names a kind twice: {kinds!r}.")
    return [partial(turned, way=0), *(way for kind in asked for way in KINDS[kind])]
