"""How strongly long straight lines and edges run through each place of a picture, against the detail around them.

A hairline crack is fainter, pixel by pixel, than the grain that it runs through. But along its whole length it goes the
same way, which grain does not: the mean over many pixels in a row keeps the line and levels the grain. So at each pixel
and in each of some directions the picture's curvature and slope across that direction are averaged along it, over about
a quarter of the picture, by doubling: the mean over 2 pixels is that of 2 neighbours, over 4 that of two means over 2.
The strongest of each small cell is divided by how strong the detail is around there, so that a rough picture does not
look full of lines.

Freeman, Adelson, *The design and use of steerable filters*, 1991 (curvature and slope in any direction from few);
Brandt, Dym, *Fast calculation of multiple line integrals*, 1999 (doubling); Lindeberg, *Edge detection and ridge
detection with automatic scale selection*, 1998 (ridges and edges).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from oddlens.kernels import vector_kernel
from oddlens.protocols import Floats, Pixels

DIRECTIONS = 16
KINDS = 2  # lines, then edges
CELLS = 32  # along the longer side
PART = 4  # a line's mean is taken over the longer side divided by this
AROUND = 2  # cells on each side whose detail a place is compared with
FAINTEST = 0.002  # in units of the pixel range, added to the detail around: fainter is noise of rounding
BINOMIAL = np.array([1, 6, 15, 20, 15, 6, 1], np.float32)  # sixty-fourths; as wide as a Gaussian of 1.2 pixels
WIDTH = 1.2  # pixels; slopes and curvatures are of a step and a line so wide
REACH = len(BINOMIAL) // 2 + 1  # pixels that the smoothing and the differences look beyond


def grid_of(height: int, width: int) -> tuple[int, int]:
    """(rows, columns) of the places of pictures of that size: two cells by two each, overlapping by one."""
    rows, columns = cells_of(height, width)
    return max(1, rows - 1), max(1, columns - 1)


def lines_of(image: Pixels) -> Floats:
    """(rows, columns, 2 x DIRECTIONS) float32 of one picture (height, width, channels) uint8: lines, then edges.

    1 where the strongest line is as strong, in the mean along it, as the detail around is at a pixel.
    """
    height, width = image.shape[:2]
    shifts = shifts_of(height, width)
    margin = int(np.abs(shifts).max(2).sum(1).max()) + REACH
    light = np.pad(image.sum(2, dtype=np.float32), margin, mode="symmetric")
    cells = np.zeros((*cells_of(height, width), KINDS * DIRECTIONS), np.float32)
    tops, lefts = (margin + starts_of(side, count) for side, count in zip(image.shape, cells.shape[:2], strict=False))
    _fill(light, tops, lefts, turned(image.shape[2]).astype(np.float32), shifts, cells)
    if len(cells) > 1:
        cells = np.maximum(cells[:-1], cells[1:])
    if cells.shape[1] > 1:
        cells = np.maximum(cells[:, :-1], cells[:, 1:])
    return cells


def cells_of(height: int, width: int) -> tuple[int, int]:
    """(rows, columns) of the cells of pictures of that size, as square as whole pixels allow."""
    side = max(1.0, max(height, width) / CELLS)
    return max(1, round(height / side)), max(1, round(width / side))


def starts_of(side: int, cells: int) -> NDArray[np.int64]:
    """(cells + 1,) where along an axis each cell begins, and where the last one ends."""
    return np.arange(cells + 1) * side // cells


def shifts_of(height: int, width: int) -> NDArray[np.int64]:
    """(DIRECTIONS, doublings, 4) how far down and across the two means lie that each doubling takes the mean of."""
    doublings = max(1, int(math.log2(max(height, width) / PART)))
    found = np.empty((DIRECTIONS, doublings, 4), np.int64)
    for direction in range(DIRECTIONS):
        down, across = (f(direction * math.pi / DIRECTIONS) for f in (math.sin, math.cos))
        for level in range(doublings):
            length = 2**level
            ahead = round(down * length / 2), round(across * length / 2)
            found[direction, level] = *ahead, ahead[0] - round(down * length), ahead[1] - round(across * length)
    return found


def turned(channels: int) -> NDArray[np.float64]:
    """(KINDS, DIRECTIONS, 3) what makes the three curvatures, or the two slopes, that across a direction, in 0..1.

    Curvatures and slopes are sums of whole numbers below 2 to the 24th, which float32 holds: so what is flat is flat.
    """
    angles = np.arange(DIRECTIONS) * math.pi / DIRECTIONS
    across, down = np.cos(angles), np.sin(angles)
    found = np.array([[WIDTH**2 * down**2, -(WIDTH**2) / 2 * down * across, WIDTH**2 * across**2],
                      [-WIDTH / 2 * down, WIDTH / 2 * across, np.zeros(DIRECTIONS)]])
    return np.asarray(found.transpose(0, 2, 1) / (255 * channels * BINOMIAL.sum(dtype=np.float64) ** 2))


@vector_kernel
def _fill(
    light: Floats, tops: NDArray[np.int64], lefts: NDArray[np.int64], weights: Floats, shifts: NDArray[np.int64],
    cells: Floats,
) -> None:
    """Fill (rows, columns, 2 x directions) with the strongest of each cell; rows are views, so they become vectors."""
    tall, wide = light.shape
    rows, columns, directions = cells.shape[0], cells.shape[1], weights.shape[1]
    parts = _derivatives(light)
    old, new = np.empty_like(light), np.empty_like(light)
    square = np.empty((rows, columns), np.float32)
    for kind in range(KINDS):
        square[:] = 0
        for direction in range(directions):
            one, two, three = weights[kind, direction]
            first = 0 if kind == 0 else 3
            for y in range(REACH, tall - REACH):
                line, a, b, c = old[y], parts[first, y], parts[first + 1, y], parts[2, y]
                for x in range(wide):
                    line[x] = one * a[x] + two * b[x] + three * c[x]
            _add_squares(old, tops, lefts, square)
            edge = REACH
            for step in range(shifts.shape[1]):
                y1, x1, y2, x2 = shifts[direction, step]
                far = max(max(abs(y1), abs(x1)), max(abs(y2), abs(x2)))
                edge += far
                count = wide - 2 * edge
                for y in range(edge, tall - edge):
                    line = new[y, edge : edge + count]
                    a, b = old[y + y1, edge + x1 : edge + x1 + count], old[y + y2, edge + x2 : edge + x2 + count]
                    for x in range(count):
                        line[x] = (a[x] + b[x]) * np.float32(0.5)
                old, new = new, old
            _put_strongest(old, tops, lefts, cells[:, :, kind * directions + direction])
        for row in range(rows):
            for column in range(columns):
                total, count = np.float32(0), 0
                for y in range(max(row - AROUND, 0), min(row + AROUND + 1, rows)):
                    for x in range(max(column - AROUND, 0), min(column + AROUND + 1, columns)):
                        total += square[y, x]
                        count += 1
                around = np.sqrt(total / count / directions) + np.float32(FAINTEST)
                for at in range(kind * directions, (kind + 1) * directions):
                    cells[row, column, at] /= around


@vector_kernel
def _derivatives(light: Floats) -> Floats:
    """(5, tall, wide) of the smoothed light, in whole numbers: curvature across, slanting, down, slope across, down."""
    tall, wide = light.shape
    found = np.zeros((5, tall, wide), np.float32)
    smooth, passed = np.zeros_like(light), np.zeros_like(light)
    taps = len(BINOMIAL)
    for y in range(tall - taps + 1):
        line = passed[y + taps // 2]
        for tap in range(taps):
            source = light[y + tap]
            for x in range(wide):
                line[x] += BINOMIAL[tap] * source[x]
    for y in range(tall):
        line = smooth[y, taps // 2 : wide - taps // 2]
        for tap in range(taps):
            source = passed[y, tap : tap + len(line)]
            for x in range(len(line)):
                line[x] += BINOMIAL[tap] * source[x]
    for y in range(1, tall - 1):
        above, here, below = smooth[y - 1], smooth[y], smooth[y + 1]
        left, middle, right = here[: wide - 2], here[1 : wide - 1], here[2:]
        for x in range(wide - 2):
            found[0, y, x + 1] = left[x] - 2 * middle[x] + right[x]
            found[1, y, x + 1] = below[x + 2] - below[x] - above[x + 2] + above[x]
            found[2, y, x + 1] = above[x + 1] - 2 * middle[x] + below[x + 1]
            found[3, y, x + 1] = right[x] - left[x]
            found[4, y, x + 1] = below[x + 1] - above[x + 1]
    return found


@vector_kernel
def _add_squares(values: Floats, tops: NDArray[np.int64], lefts: NDArray[np.int64], square: Floats) -> None:
    """Add to each cell the mean square of the values in it."""
    for row in range(len(tops) - 1):
        for column in range(len(lefts) - 1):
            cell = values[tops[row] : tops[row + 1], lefts[column] : lefts[column + 1]]
            total = np.float32(0)
            for line in cell:
                for value in line:
                    total += value * value
            square[row, column] += total / cell.size


@vector_kernel
def _put_strongest(values: Floats, tops: NDArray[np.int64], lefts: NDArray[np.int64], found: Floats) -> None:
    """Put into each cell the largest of the values in it, whatever its sign."""
    for row in range(len(tops) - 1):
        for column in range(len(lefts) - 1):
            most = np.float32(0)
            for line in values[tops[row] : tops[row + 1], lefts[column] : lefts[column + 1]]:
                for value in line:
                    most = max(most, abs(value))
            found[row, column] = most
