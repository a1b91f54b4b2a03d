"""Patches cut from maps of values, the atoms that they cluster to, and how the atoms answer at every place.

A map is a picture with its channels, or the answers of one dictionary, which a second one takes for its pictures.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

SHARPNESS = 15.0  # inverse temperature of the softmax over cosines
CONTRAST_POWER = 0.5  # power of the local contrast that weights an answer
ROUNDING = 1e-10  # of a variance: that of one pixel in a patch that is a 255th lighter is a thousand times as large
POOLING_POWER = 0.3  # power applied to the averages, so that large ones do not dominate
MOST_PATCHES = 25_000  # patches that atoms are learned from
REGISTERS = 32  # numbers that vector code takes at once, at most: two registers of 16
MOST_MAPS = 2_000  # maps that patches are cut from


def some_patches(maps: Tensor, side: int, least: int, flat: float, rng: np.random.Generator) -> Tensor:
    """(about 25,000, channels * side^2) patches with some contrast, mean 0 and length 1.

    flat:   the standard deviation up to which a patch is flat and is left out.
    least:  so many there are at least, of noise where nearly everything is flat, so that there are atoms at all.
    """
    n, _, height, width = maps.shape
    windows = np.lib.stride_tricks.sliding_window_view(maps.numpy(), (side, side), axis=(2, 3))
    found: list[np.ndarray[tuple[int, ...], np.dtype[np.float32]]] = []
    for _ in range(8):  # flat places are thrown away, so it may take several rounds
        place = (rng.integers(n, size=2 * MOST_PATCHES), rng.integers(height - side + 1, size=2 * MOST_PATCHES),
                 rng.integers(width - side + 1, size=2 * MOST_PATCHES))
        cut = windows[place[0], :, place[1], place[2]].reshape(2 * MOST_PATCHES, -1)
        cut = cut - cut.mean(1, keepdims=True)
        found.append(cut[cut.std(1) > flat])
        if sum(len(part) for part in found) >= MOST_PATCHES:
            break
    patches = np.concatenate(found)[:MOST_PATCHES]
    if len(patches) < least:
        noise = rng.normal(size=(least, windows.shape[1] * side**2)).astype(np.float32)
        patches = np.concatenate([patches, noise])
    return torch.from_numpy(patches / np.linalg.norm(patches, axis=1, keepdims=True))


def spherical_means(patches: Tensor, count: int, rng: np.random.Generator) -> Tensor:
    """(count, values) of length 1: k-means by cosine, 20 rounds; an empty cluster begins again at a patch."""
    means = patches[torch.from_numpy(rng.choice(len(patches), count, replace=False))].clone()
    for _ in range(20):
        nearest = (patches @ means.T).argmax(1)
        total = torch.zeros_like(means).index_add_(0, nearest, patches)
        empty = total.norm(dim=1) < 1e-6
        if empty.any():
            total[empty] = patches[torch.from_numpy(rng.choice(len(patches), int(empty.sum())))]
        means = total / total.norm(dim=1, keepdim=True)
    return means


def answers(maps: Tensor, atoms: Tensor, side: int, step: int = 1, ground: Tensor | None = None) -> Tensor:
    """(n, atoms, height, width): at each place a softmax of the atoms' cosines, weighed by the root of the contrast.

    step:    pixels from one place to the next; the answers then are so many times fewer a side.
    ground:  the value from which the maps are seen, as ``grounds`` finds it; it changes nothing but rounding.
    """
    channels = maps.shape[1]
    padded = functional.pad(maps, (side // 2,) * 4)
    # In double precision, and next to nothing is nothing: else a flat place has the contrast of rounding, which the
    # roots make large, and another on each processor.
    exact = padded.double()
    mean = functional.avg_pool2d(exact.mean(1, keepdim=True), side, step)
    square = functional.avg_pool2d(exact.square().mean(1, keepdim=True), side, step)
    contrast = functional.threshold(square - mean.square(), ROUNDING, 0).sqrt().float()
    length = contrast * (channels * side**2) ** 0.5
    kernels = atoms.view(-1, channels, side, side)
    if ground is None:
        product = functional.conv2d(padded, kernels, stride=step)
    else:
        of_ground = atoms.double().sum(1).float().view(1, -1, 1, 1)
        product = functional.conv2d(padded - ground, kernels, stride=step) + ground * of_ground
    cosine = product / (length + 1e-4)
    return torch.softmax(SHARPNESS * cosine, 1) * contrast**CONTRAST_POWER


def grounds(maps: Tensor) -> Tensor:
    """(n, 1, 1, 1) the median value of each, over all channels, from which its faint patches are to be seen.

    A faint patch's products with the atoms are next to nothing, for atoms sum to 0, and are divided by next to nothing.
    Of a bright picture the products are sums of large numbers, whose rounding is another on each processor. One value
    does for all channels: where they differ, a patch is not faint. Every second value each way says it as well.
    """
    values = maps[..., ::2, ::2].flatten(1)
    ordered = values.sort(1).values  # torch's median refuses where a user wants what is deterministic on a GPU
    return ordered[:, (values.shape[1] - 1) // 2].view(-1, 1, 1, 1)


def pooled(maps: Tensor, grid: int) -> Tensor:
    """(n, channels * grid^2) of length 1: roots of the averages over a grid of overlapping parts."""
    rows, columns = (tents(size, grid).to(maps.device) for size in maps.shape[2:])
    averages = (rows @ (maps @ columns.T)).flatten(1)
    width = averages.shape[1]
    # Powers of the last few numbers, that fill no register, are computed by other code: these are then zeros.
    averages = functional.pad(averages, (0, -width % REGISTERS)) ** POOLING_POWER
    length = averages.norm(dim=1, keepdim=True).clamp_min(1e-9)
    return averages.div(length)[:, :width]


def tents(size: int, count: int) -> Tensor:
    """(count, size) weights of overlapping parts of an axis, each a tent about its middle."""
    middle = (torch.arange(count) + 0.5) * size / count
    reach = (1 - (torch.arange(size) + 0.5 - middle[:, None]).abs() * count / size).clamp_min(0)
    return reach * count / size
