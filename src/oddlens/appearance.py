"""What can be said of an image by itself: how much varies in it, how light, how sharp, how large, how it ends.

Each measure is one number an image, in units that a person can be told. Nothing here knows the other images;
what is far out among them is for ``causes`` to say.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from oddlens.protocols import Doubles, Floats, Pixels

BATCH = 2**22  # values that are turned into floats at a time
ENDS = 0.02  # of the pixels: so many are the lightest, and as many the darkest
FLAT = 3.0  # levels within which a row's values lie if it is part of a flat band
EDGE = 12.0  # levels by which the row above a flat band differs from it where the band ends at once
NOISE = 0.3  # squared levels: rounding to whole levels and a little more, beside which detail does not count
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # how light red, green and blue look (ITU-R BT.601)


def batches(pixels: Pixels) -> Iterator[slice]:
    """Rows that are worked on at a time, a few million values."""
    step = max(1, BATCH // max(1, int(np.prod(pixels.shape[1:]))))
    return (slice(start, min(start + step, len(pixels))) for start in range(0, len(pixels), step))


def greys(pixels: Pixels) -> NDArray[np.float32]:
    """(m, height, width) how light each pixel of (m, height, width, 1 or 3) looks, 0 to 255."""
    return pixels[..., 0].astype(np.float32) if pixels.shape[3] == 1 else pixels.astype(np.float32) @ LUMA


def resized(images: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """(m, side, side) of (m, height, width): each new pixel is the mean of what it covers, in parts."""
    down, across = (_covers(size, side) for size in images.shape[1:])
    return np.asarray(down @ images @ across.T, np.float32)


def appearance(pixels: Pixels, grey: NDArray[np.float32]) -> dict[str, Doubles]:
    """Measure -> (m,) of one batch of (m, height, width, channels) and their (m, height, width) greys.

    spread:      the standard deviation of all values, in levels.
    brightness:  the mean of the greys; and the means of the lightest and the darkest 2 % of them:
    lightest, darkest:  what an image reaches, however much or little there is in it.
    contrast:    lightest less darkest.
    detail:      the finest detail over the next finer, as amplitudes. Edges of one sharpness give the same number
                 however many there are; a blur takes the finest first.
    band:        the share of the height that a flat band at the bottom takes, the last row's colour throughout;
    band_more:   the same less that of one at the top: a frame has both;
    band_edge:   as band_more, each band times the share of the width along which it ends at once.
    colour:      how far apart the channels are, in levels, in the 5 % most coloured pixels; only of RGB.
    """
    flat = grey.reshape(len(grey), -1)
    most = max(1, round(ENDS * flat.shape[1]))
    ordered = np.partition(flat, (most - 1, flat.shape[1] - most), axis=1)
    found = {
        "spread": _spread(pixels),
        "brightness": flat.mean(1, dtype=np.float64),
        "lightest": ordered[:, -most:].mean(1, dtype=np.float64),
        "darkest": ordered[:, :most].mean(1, dtype=np.float64),
        "detail": _detail(grey),
    }
    (below, sharply_below), (above, sharply_above) = _band(pixels), _band(pixels[:, ::-1])
    found |= {"band": below, "band_more": below - above, "band_edge": sharply_below - sharply_above}
    found["contrast"] = found["lightest"] - found["darkest"]
    if pixels.shape[3] == 3:
        apart = (pixels.max(3) - pixels.min(3)).reshape(len(pixels), -1)
        many = max(1, apart.shape[1] // 20)
        found["colour"] = np.partition(apart, apart.shape[1] - many, axis=1)[:, -many:].mean(1, dtype=np.float64)
    return {name: np.asarray(values, np.float64) for name, values in found.items()}


def _spread(pixels: Pixels) -> Doubles:
    """(m,) the standard deviation about each channel's own mean: an image of one colour has none."""
    values = pixels.reshape(len(pixels), -1, pixels.shape[3])
    return np.asarray(np.sqrt(values.var(1, dtype=np.float64).mean(1)))


def _detail(grey: NDArray[np.float32]) -> Doubles:
    smooth = smoothed(grey, 1)
    smoother = smoothed(smooth, 2)
    fine, coarse = (np.square(part).mean((1, 2), dtype=np.float64) for part in (grey - smooth, smooth - smoother))
    return np.asarray(np.sqrt((fine + NOISE) / (coarse + NOISE)))


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
    rows = np.cumprod((apart <= FLAT).all(2), axis=1).sum(1)
    next_row = apart[np.arange(len(apart)), np.minimum(rows, height - 1)]
    share = rows / height
    return share, share * (next_row > EDGE).mean(1)


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
