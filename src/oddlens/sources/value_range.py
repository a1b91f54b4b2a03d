"""Which number means white in floating-point images, which say it nowhere: 1 or 255.

It is found once for a collection, from some of its images, and where they do not say it clearly it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oddlens.errors import SourceError, UnreadableImage

SAMPLE = 64  # images that are looked at
CLEARLY_BYTES = 16  # from this value on an image is not one of 0..1 that overshoots: a sixteenth of white


def spread(n: int, sample: int = SAMPLE) -> list[int]:
    """So many of n numbers, spread evenly over them."""
    chosen: list[int] = np.unique(np.linspace(0, n - 1, min(sample, n)).astype(int)).tolist()
    return chosen


def white_of(images: Iterable[NDArray[Any]], what: str) -> float:
    """1.0 or 255.0, as most images say; ``SourceError`` where they do not agree or say neither.

    Images of nothing but 0 and 1, or with what is no number, say nothing and go by the others. One that fits neither is
    unreadable later.

    >>> white_of([np.array([0.0, 0.5]), np.array([0.0, 1.0])], "the array")
    1.0
    """
    low, high = np.inf, -np.inf
    said = set()
    for image in images:
        values = np.asarray(image, np.float64)
        least, greatest = (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
        low, high = np.fmin(low, least), np.fmax(high, greatest)
        if np.isin(values, (0, 1)).all() or not np.isfinite(values).all():  # what is no number is unreadable later
            said.add("nothing")
        elif least >= 0 and greatest <= 1:
            said.add("1")
        elif least >= 0 and CLEARLY_BYTES <= greatest <= 255:
            said.add("255")
    if {"1", "255"} <= said:
        raise SourceError(f"{what} holds images of numbers from 0 to 1 and others up to {high:g}, so which number "
                          "means white is not clear. Bring all to one range: uint8, or all from 0 to 1.")
    if not said:
        raise SourceError(f"{what} holds numbers from {low:g} to {high:g}, which is neither 0..1 nor clearly 0..255. "
                          "Give images before they are normalised, or bring them to a range: "
                          "(x - x.min()) / (x.max() - x.min()), over all of them, or uint8.")
    return 255.0 if "255" in said else 1.0


def as_uint8(image: NDArray[Any], white: float, name: str) -> NDArray[np.uint8]:
    """An image of any type of number that is taken, as uint8; raises ``UnreadableImage`` for one out of range."""
    kind = image.dtype.kind
    if kind == "b":
        return image.astype(np.uint8) * 255
    if kind == "u" and image.dtype.itemsize == 2:  # of either byte order
        return (image >> 8).astype(np.uint8)
    if kind == "f":
        image = np.asarray(image, np.float64)
        if not (np.isfinite(image).all() and image.min() >= 0 and image.max() <= white):
            raise UnreadableImage(name, f"its values are not all numbers from 0 to {white:g}: scale the array to "
                                  "0..1, or give it as uint8")
        return np.round(image * (255 / white)).astype(np.uint8)
    return image.astype(np.uint8, copy=False)
