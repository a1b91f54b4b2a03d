"""Gradients of images, and how their directions are spread over each part of the picture.

Dalal, Triggs, *Histograms of oriented gradients for human detection*, 2005.
"""

from __future__ import annotations

import numpy as np

from oddlens.protocols import Doubles, Pixels

BLOCK_CELLS = 2  # cells a side of a block, which is normalised together
MOST_OF_BLOCK = 0.2  # clipping of the normalised histograms (L2-Hys)
LEAST_LENGTH = 1e-5  # added to lengths, so that a flat block is not divided by 0


def histograms(pixels: Pixels, orientations: int, cell: int) -> Doubles:
    """(n, features) of uint8 (n, height, width, channels): blocks from left to right and down, cells, directions."""
    down, across = gradients(pixels)
    n, height, width = down.shape
    rows, columns = height // cell, width // cell
    strength = np.hypot(down, across)
    angle = np.rad2deg(np.arctan2(down, across)) % 180  # half a turn: an edge and its opposite are one
    number = np.searchsorted(180 / orientations * np.arange(1, orientations), angle, side="right")
    cells = np.empty((n, rows, columns, orientations))
    for direction in range(orientations):
        part = np.where(number == direction, strength, 0)[:, : rows * cell, : columns * cell]
        cells[..., direction] = part.reshape(n, rows, cell, columns, cell).mean((2, 4))
    # (n, r, c, directions, 2, 2)
    blocks = np.lib.stride_tricks.sliding_window_view(cells, (BLOCK_CELLS, BLOCK_CELLS), (1, 2))
    blocks = blocks.transpose(0, 1, 2, 4, 5, 3).reshape(n, rows - BLOCK_CELLS + 1, columns - BLOCK_CELLS + 1, -1)
    return of_length_1(np.minimum(of_length_1(blocks), MOST_OF_BLOCK)).reshape(n, -1)


def gradients(pixels: Pixels) -> tuple[Doubles, Doubles]:
    """(n, height, width) differences down and across, 0 at the rim, of the channel where they are the greatest."""
    values = pixels.astype(np.float64)
    down, across = np.zeros_like(values), np.zeros_like(values)
    down[:, 1:-1] = values[:, 2:] - values[:, :-2]
    across[:, :, 1:-1] = values[:, :, 2:] - values[:, :, :-2]
    strongest = np.hypot(down, across).argmax(3)[..., None]
    return np.take_along_axis(down, strongest, 3)[..., 0], np.take_along_axis(across, strongest, 3)[..., 0]


def of_length_1(blocks: Doubles) -> Doubles:
    """The rows of the last axis brought to length 1, but for those that are nearly 0."""
    return np.asarray(blocks / np.sqrt((blocks**2).sum(-1, keepdims=True) + LEAST_LENGTH**2))
