"""What the fine detail of a picture is like, measured at its own resolution, cell by cell.

A picture of twelve megapixels cannot be kept, and shrunk to what can, its grain and its scratches are gone. So before
it is shrunk it is measured: in each cell of a grid, and at each scale from the pixel to the cell and somewhat beyond,
how strong the detail is, which way it runs, whether it is dark on light or light on dark, and how strong where it is
strongest. The result is a small picture of its own, with a channel for each measure, in uint8 like every other.

Burt, Adelson, *The Laplacian pyramid as a compact image code*, 1983 (scales); Bigun, Granlund, *Optimal orientation
detection of linear symmetry*, 1987 (the structure tensor: how much runs which way).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from oddlens.kernels import kernel_of_one_thread
from oddlens.protocols import Pixels

CELLS = 32  # along the longer side
BEYOND = 3  # scales whose detail is larger than a cell, up to eight times
FEWEST_PIXELS = 4  # of a cell's side
MEASURES = ("strength", "along", "across", "strongest", "polarity", "lightness")
FAINTEST = 1e-5  # variance in units of the pixel range, added before logarithms: fainter is noise of rounding
FAINTEST_STRENGTH = math.sqrt(FAINTEST)


def grid_of(height: int, width: int) -> tuple[int, int]:
    """(rows, columns) of the cells of pictures of that size."""
    cell = max(FEWEST_PIXELS, max(height, width) / CELLS)
    return max(1, round(height / cell)), max(1, round(width / cell))


def scales_of(height: int, width: int) -> int:
    """How many scales pictures of that size are measured at, each twice as coarse as the one before."""
    cell = max(height, width) / max(grid_of(height, width))
    return max(1, round(math.log2(cell)) + BEYOND)


def measures(height: int, width: int, channels: int) -> tuple[int, int, int]:
    """(rows, columns, measures): the shape of what ``texture_of`` gives for pictures of that size."""
    return *grid_of(height, width), len(MEASURES) * scales_of(height, width) + channels


def texture_of(image: Pixels) -> Pixels:
    """(rows, columns, measures) uint8 of one picture (height, width, 1 or 3).

    For each scale the measures of ``MEASURES``, then the mean of each channel.
    """
    found = np.empty(measures(*image.shape), np.float32)
    measure(image, scales_of(*image.shape[:2]), found)
    return np.rint(found * 255).astype(np.uint8)


@kernel_of_one_thread
def measure(image: NDArray[np.uint8], scales: int, found: NDArray[np.float32]) -> None:
    """Fill (rows, columns, measures) with numbers from 0 to 1."""
    height, width, channels = image.shape
    rows, columns = found.shape[:2]
    level = np.zeros((height, width), np.float32)
    for y in range(height):
        for x in range(width):
            for c in range(channels):
                level[y, x] += image[y, x, c]
            level[y, x] /= np.float32(255 * channels)
    sums = np.empty((rows, columns, 6), np.float32)
    for scale in range(scales):
        tall, wide = level.shape
        smooth = np.empty_like(level)
        across = np.empty(wide, np.float32)
        for y in range(tall):
            one, two, three, four = max(y - 2, 0), max(y - 1, 0), min(y + 1, tall - 1), min(y + 2, tall - 1)
            for x in range(wide):
                across[x] = (level[one, x] + level[four, x] + 4 * (level[two, x] + level[three, x])
                             + 6 * level[y, x]) / 16
            for x in range(wide):
                smooth[y, x] = (across[max(x - 2, 0)] + across[min(x + 2, wide - 1)]
                                + 4 * (across[max(x - 1, 0)] + across[min(x + 1, wide - 1)]) + 6 * across[x]) / 16
        for row in range(rows):
            top, bottom = row * tall // rows, -(-(row + 1) * tall // rows)
            for column in range(columns):
                left, right = column * wide // columns, -(-(column + 1) * wide // columns)
                square = downwards = sidewards = slanted = signed = mean = strongest = np.float32(0)
                for y in range(top, bottom):
                    above, below = max(y - 1, 0), min(y + 1, tall - 1)
                    for x in range(left, right):
                        detail = level[y, x] - smooth[y, x]
                        dx = (level[y, min(x + 1, wide - 1)] - level[y, max(x - 1, 0)]) / 2
                        dy = (level[below, x] - level[above, x]) / 2
                        square += detail * detail
                        signed += detail * abs(detail)
                        mean += detail
                        sidewards += dx * dx
                        downwards += dy * dy
                        slanted += dx * dy
                        strongest = max(strongest, abs(detail))
                count = np.float32((bottom - top) * (right - left))
                sums[row, column, 0] = square / count
                sums[row, column, 1] = sidewards / count
                sums[row, column, 2] = downwards / count
                sums[row, column, 3] = slanted / count
                sums[row, column, 4] = signed / count
                sums[row, column, 5] = mean / count
                at = 6 * scale
                found[row, column, at + 3] = 1 + np.log(strongest + FAINTEST_STRENGTH) / -np.log(FAINTEST_STRENGTH)
        for row in range(rows):
            for column in range(columns):
                square = sidewards = downwards = slanted = signed = np.float32(0)
                count = np.float32(0)
                for y in range(max(row - 1, 0), min(row + 2, rows)):  # one cell alone says little of a direction
                    for x in range(max(column - 1, 0), min(column + 2, columns)):
                        square += sums[y, x, 0]
                        sidewards += sums[y, x, 1]
                        downwards += sums[y, x, 2]
                        slanted += sums[y, x, 3]
                        signed += sums[y, x, 4]
                        count += 1
                at = 6 * scale
                total = (sidewards + downwards) / count + FAINTEST
                mean = sums[row, column, 5]
                found[row, column, at] = 1 + np.log(square / count + FAINTEST) / -np.log(FAINTEST)
                found[row, column, at + 1] = 0.5 + (sidewards - downwards) / count / total / 2
                found[row, column, at + 2] = 0.5 + slanted / count / total
                found[row, column, at + 4] = 0.5 + signed / count / (square / count + FAINTEST) / 2
                found[row, column, at + 5] = 0.5 + np.sign(mean) * np.sqrt(abs(mean)) / 2
        half = np.empty(((tall + 1) // 2, (wide + 1) // 2), np.float32)
        for y in range(half.shape[0]):
            below = min(2 * y + 1, tall - 1)
            for x in range(half.shape[1]):
                right = min(2 * x + 1, wide - 1)
                half[y, x] = (smooth[2 * y, 2 * x] + smooth[below, 2 * x] + smooth[2 * y, right]
                              + smooth[below, right]) / 4
        level = half
    for row in range(rows):
        top, bottom = row * height // rows, -(-(row + 1) * height // rows)
        for column in range(columns):
            left, right = column * width // columns, -(-(column + 1) * width // columns)
            for c in range(channels):
                light = np.float32(0)
                for y in range(top, bottom):
                    for x in range(left, right):
                        light += image[y, x, c]
                found[row, column, 6 * scales + c] = light / (255 * (bottom - top) * (right - left))
    for row in range(rows):
        for column in range(columns):
            for at in range(found.shape[2]):
                found[row, column, at] = min(max(found[row, column, at], np.float32(0)), np.float32(1))
