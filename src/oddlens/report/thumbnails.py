"""Thumbnails for a page: each image once, within a budget of bytes, and the same with the strange places coloured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from oddlens.errors import UnreadableImage
from oddlens.explaining.heatmap import layer, overlay
from oddlens.protocols import Doubles
from oddlens.reading.decoding import as_picture
from oddlens.thumbnails import MOST_BYTES, THUMBNAIL, Picture, Reader, data_uri, encoded, picture, within

LARGE = 1600  # pixels on the longer side of a picture that is shown whole, at most
MOST_LARGE_BYTES = 12 * 2**20  # bytes of all of these together
LARGE_STEPS = ((LARGE, 82), (LARGE, 60), (1200, 50), (900, 40), (600, 30))


@dataclass(frozen=True)
class Large:
    """A picture as a click shows it: by itself, as large as the page may hold it, with its heat to lay over it."""

    key: str
    uri: str
    width: int
    height: int
    heat: str | None


class Pictures:
    """Thumbnails by row, each made once; ``most`` of them share the budget. ``prefix`` tells two such sets apart."""

    def __init__(self, read: Reader, most: int, prefix: str = "p") -> None:
        self._read, self._prefix = read, prefix
        self.limit = MOST_BYTES // max(most, 1)
        self._made: dict[int, Picture | None] = {}

    def __getitem__(self, index: int) -> Picture | None:
        made = self._made.get(index)
        if made is not None:
            return Picture(made.key, None, made.width, made.height, made.shown)
        if index not in self._made:
            try:
                self._made[index] = picture(f"{self._prefix}{index}", self._read(index), self.limit)
            except UnreadableImage:
                self._made[index] = None
        return self._made[index]


def heated(key: str, base: Picture, image: NDArray[np.uint8], heat: Doubles, limit: int = MOST_BYTES) -> Picture:
    """An image with its heat over it, to be shown in the frame and at the size of ``base``, its thumbnail.

    heat:  (height, width) in the frame of the image, of any resolution.
    """
    small = as_picture(image)
    small.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS, reducing_gap=3)
    made = picture(key, overlaid(small, heat, THUMBNAIL), limit)
    return Picture(key, made.uri, base.width, base.height, base.shown)


def overlaid(small: Image.Image, heat: Doubles, side: int) -> NDArray[np.uint8]:
    """(height, width, 3) a picture with its heat over it, drawn larger where ``side`` pixels are a multiple of its own.

    heat:  (height, width) in the frame of the picture, of any resolution.
    """
    array = np.asarray(small)
    laid = Image.fromarray(heat.astype(np.float32)).resize(small.size, Image.Resampling.BILINEAR)
    return overlay(array[..., None] if array.ndim == 2 else array, np.asarray(laid, np.float64), side=side)


def large(key: str, image: NDArray[np.uint8], heat: Doubles | None, limit: int) -> Large | None:
    """A picture to be shown whole, in about ``limit`` bytes at most; None for one that its thumbnail shows whole.

    heat:  (height, width) in the frame of the image, of any resolution.
    """
    whole = as_picture(image)
    if max(whole.size) <= THUMBNAIL:
        return None
    uri = within(whole, LARGE_STEPS, limit)
    laid = None if heat is None else data_uri(encoded(Image.fromarray(layer(heat)), "PNG", optimize=True), "png")
    return Large(key, uri, *whole.size, laid)
