"""Measures of an image by itself: how much varies in it, how light and how sharp it is, how it ends.

Each measure is one number an image, in units that a person understands. Nothing here knows the other images; ``rules``
says what is far out among them.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d, minimum_filter1d

from oddlens.protocols import Doubles, Floats, Pixels

BATCH_VALUES = 2**22  # values that are turned into floats at a time
EXTREME_SHARE = 0.005  # share of the pixels that count as the lightest, and as the darkest
EDGE_REACH = 4  # pixels on either side of an edge within which its lightest and darkest lie
EDGE_SHARE = 0.01  # share of all steps between neighbouring pixels that count as the sharpest edges
FLAT_LEVELS = 3.0  # levels within which a row's values lie if it is part of a flat band
BAND_EDGE_LEVELS = 12.0  # levels by which the row above a flat band differs from it where the band ends at once
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # how light red, green and blue look (ITU-R BT.601)


def batches(pixels: Pixels) -> Iterator[slice]:
    """Rows that are worked on at a time, a few million values."""
    step = max(1, BATCH_VALUES // max(1, int(np.prod(pixels.shape[1:]))))
    return (slice(start, min(start + step, len(pixels))) for start in range(0, len(pixels), step))


def greys(pixels: Pixels) -> NDArray[np.float32]:
    """(m, height, width) how light each pixel of (m, height, width, 1 or 3) looks, 0 to 255."""
    return pixels[..., 0].astype(np.float32) if pixels.shape[3] == 1 else pixels.astype(np.float32) @ LUMA


def resized(images: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """(m, side, side) of (m, height, width): each new pixel is the mean of what it covers, in parts."""
    down, across = (_covers(size, side) for size in images.shape[1:])
    return np.asarray(down @ images @ across.T, np.float32)


def of_batch(pixels: Pixels, grey: NDArray[np.float32]) -> dict[str, Doubles]:
    """Measure -> (m,) of one batch of (m, height, width, channels) and their (m, height, width) greys.

    spread:      the standard deviation of all values, in levels.
    span:        from the darkest place to the lightest, in the channel where that is most; a place is 3 x 3 pixels.
    brightness:  the mean over the pixels of the mean of the largest and the smallest channel: pure red is not dark.
    lightest:    the mean of the largest channel, of the .5 % of the pixels where it is largest;
    darkest:     the mean of the smallest channel, of the .5 % where it is smallest.
    contrast:    the lightest .5 % less the darkest, in the channel where that is most.
    edge_width:  how many pixels wide the sharpest edges are: how far the values around go apart, over the step there.
    band:        the share of the height that a flat band at the bottom takes, the last row's colour throughout;
    band_more:   the same less that of one at the top: a frame has both;
    band_edge:   as band_more, each band times the share of the width along which it ends at once.
    colour:      how far apart the channels are, in levels, in the 5 % most coloured pixels; only of RGB.
    """
    most, least = pixels.max(3).reshape(len(pixels), -1), pixels.min(3).reshape(len(pixels), -1)
    many = max(1, round(EXTREME_SHARE * most.shape[1]))
    ends = [_ends(pixels[..., channel].reshape(len(pixels), -1), many) for channel in range(pixels.shape[3])]
    found = {
        "spread": _spread(pixels),
        "span": np.max([_span(pixels[..., channel]) for channel in range(pixels.shape[3])], axis=0),
        "brightness": (most.mean(1, dtype=np.float64) + least.mean(1, dtype=np.float64)) / 2,
        "lightest": _ends(most, many)[1],
        "darkest": _ends(least, many)[0],
        "contrast": np.max([lightest - darkest for darkest, lightest in ends], axis=0),
        "edge_width": _edge_width(grey),
    }
    (below, sharply_below), (above, sharply_above) = _band(pixels), _band(pixels[:, ::-1])
    found |= {"band": below, "band_more": below - above, "band_edge": sharply_below - sharply_above}
    if pixels.shape[3] == 3:
        apart = most - least
        many = max(1, apart.shape[1] // 20)
        found["colour"] = np.partition(apart, apart.shape[1] - many, axis=1)[:, -many:].mean(1, dtype=np.float64)
    return {name: np.asarray(values, np.float64) for name, values in found.items()}


def _spread(pixels: Pixels) -> Doubles:
    """(m,) the standard deviation about each channel's own mean: an image of one colour has none."""
    values = pixels.reshape(len(pixels), -1, pixels.shape[3])
    return np.asarray(np.sqrt(values.var(1, dtype=np.float64).mean(1)))


def _span(channel: Pixels) -> Doubles:
    """(m,) from the darkest to the lightest of (m, height, width), where single noisy pixels do not count."""
    places = smoothed(channel.astype(np.float32), 1).reshape(len(channel), -1)
    return np.asarray(places.max(1) - places.min(1), np.float64)


def _ends(values: Pixels, many: int) -> tuple[Doubles, Doubles]:
    """(m,) the means of the ``many`` smallest and of the ``many`` largest of (m, d)."""
    ordered = np.partition(values, (many - 1, values.shape[1] - many), axis=1)
    return (np.asarray(ordered[:, :many].mean(1, dtype=np.float64)),
            np.asarray(ordered[:, -many:].mean(1, dtype=np.float64)))


def _edge_width(grey: NDArray[np.float32]) -> Doubles:
    """(m,) the width of the sharpest edges, in pixels: 1 is a clean edge, and a blur of so many pixels gives 2.5 times.

    Local contrast over the largest step, as in Marziliano, Dufaux, Winkler, Ebrahimi, *A no-reference perceptual blur
    metric*, 2002, of the steepest places alone: what is out of focus behind a sharp object is no blur. 0: no edges.
    """
    steps, heights = [], []
    for axis in (1, 2):
        size = grey.shape[axis]
        high, low = (around(grey, 2 * EDGE_REACH + 1, axis=axis) for around in (maximum_filter1d, minimum_filter1d))
        steps.append(np.abs(np.diff(grey, axis=axis)).reshape(len(grey), -1))
        heights.append(np.take(high - low, np.arange(size - 1), axis).reshape(len(grey), -1))
    step, height = np.concatenate(steps, 1), np.concatenate(heights, 1)
    if not step.shape[1]:
        return np.zeros(len(grey))
    many = min(max(4, int(EDGE_SHARE * step.shape[1])), step.shape[1])
    at = np.argpartition(-step, many - 1, axis=1)[:, :many]
    step, height = np.take_along_axis(step, at, 1), np.take_along_axis(height, at, 1)
    sharp = step >= step.max(1, keepdims=True) / 2  # or beside a small thing its surroundings would count
    total = (step * sharp).sum(1, dtype=np.float64)
    return np.asarray((height * sharp).sum(1, dtype=np.float64) / np.where(total > 0, total, np.inf))


def smoothed(images: NDArray[np.float32], step: int) -> NDArray[np.float32]:
    """Weighted 1, 2, 1 with the pixels ``step`` away, along both axes; the rim goes on as it ends."""
    for axis in (1, 2):
        size = images.shape[axis]
        before = np.take(images, np.maximum(np.arange(size) - step, 0), axis)
        after = np.take(images, np.minimum(np.arange(size) + step, size - 1), axis)
        images = (before + 2 * images + after) / 4
    return images


def _band(pixels: Pixels) -> tuple[Doubles, Doubles]:
    """(m,) the share of the rows, from the last one upwards, that are all of the last row's colour.

    And (m,) the same times the share of the width along which the next row above is of another colour.
    """
    height = pixels.shape[1]
    colour = np.median(pixels[:, -1], axis=1)[:, None, None].astype(np.float32)  # (m, 1, 1, channels)
    apart = np.abs(pixels - colour).max(3)[:, ::-1]  # (m, height, width), the last row first
    rows = np.cumprod((apart <= FLAT_LEVELS).all(2), axis=1).sum(1)
    next_row = apart[np.arange(len(apart)), np.minimum(rows, height - 1)]
    share = rows / height
    return share, share * (next_row > BAND_EDGE_LEVELS).mean(1)


def _covers(size: int, side: int) -> NDArray[np.float32]:
    """(side, size) how much of each new pixel each old one covers."""
    edges = np.arange(side + 1) * size / side
    starts = np.arange(size)
    overlap = np.minimum(edges[1:, None], starts + 1) - np.maximum(edges[:-1, None], starts)
    return np.asarray(np.maximum(overlap, 0) * side / size, np.float32)


def lightness(images: Floats) -> Floats:
    """(m, d) each image less its mean and of length 1; a blank one stays zero."""
    flat = images.reshape(len(images), -1)
    flat = flat - flat.mean(1, keepdims=True)
    lengths = np.linalg.norm(flat, axis=1, keepdims=True)
    return np.asarray(flat / np.where(lengths > 1e-3, lengths, np.inf))
