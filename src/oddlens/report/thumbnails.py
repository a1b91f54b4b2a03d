"""Thumbnails for a page: each image once, within a budget of bytes, and the same with the strange places coloured."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, features

from oddlens.errors import UnreadableImage
from oddlens.explaining.heatmap import layer, overlay
from oddlens.protocols import Doubles
from oddlens.reading.decoding import as_picture
from oddlens.report.html import data_uri

THUMBNAIL = 160  # pixels on the longer side, at most
TINY_SIDE = 64  # pixels on the longer side: up to here an image is kept as it is and shown in squares
TINY_SHOWN = 144  # pixels that a tiny image is shown at, less what whole pixels leave over
# A tiny image is not compressed as well as it can be, which takes long, where done quickly it is so far above a limit.
HOPELESS_FACTOR = 2
MOST_BYTES = 8 * 2**20  # bytes of all thumbnails together, before base64 makes them a third larger

# A thumbnail that is too large for its share of the budget is made again, smaller and coarser.
STEPS = ((THUMBNAIL, 82), (THUMBNAIL, 60), (128, 45), (96, 35), (64, 25), (40, 20))

LARGE = 1600  # pixels on the longer side of a picture that is shown whole, at most
MOST_LARGE_BYTES = 12 * 2**20  # bytes of all of these together
LARGE_STEPS = ((LARGE, 82), (LARGE, 60), (1200, 50), (900, 40), (600, 30))

Reader = Callable[[int], NDArray[np.uint8]]


@dataclass(frozen=True)
class Picture:
    """A thumbnail. Each image stands once in the page, where it is first shown; later places point there."""

    key: str
    uri: str | None  # a data URI; None where the picture stands further up
    width: int
    height: int
    shown: int | None  # pixels on the longer side to show a tiny image at, in squares

    @property
    def shown_width(self) -> int:
        """The width to show a tiny image at."""
        return round(self.width * (self.shown or 0) / max(self.width, self.height)) or 1


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


def picture(key: str, image: NDArray[np.uint8], limit: int = MOST_BYTES) -> Picture:
    """A thumbnail of an image, in about ``limit`` bytes at most; tiny images keep every pixel if that allows it."""
    small = as_picture(image)
    longer = max(small.size)
    if longer <= TINY_SIDE and len(_encoded(small, "PNG", compress_level=1)) <= HOPELESS_FACTOR * limit:
        content = _encoded(small, "PNG", optimize=True)
        if len(content) <= limit:
            return Picture(key, data_uri(content, "png"), *small.size, max(TINY_SHOWN // longer, 1) * longer)
    return Picture(key, _within(small, STEPS, limit), *small.size, None)


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
    uri = _within(whole, LARGE_STEPS, limit)
    laid = None if heat is None else data_uri(_encoded(Image.fromarray(layer(heat)), "PNG", optimize=True), "png")
    return Large(key, uri, *whole.size, laid)


def _within(shrunk: Image.Image, steps: Sequence[tuple[int, int]], limit: int) -> str:
    """A picture in about ``limit`` bytes at most, as a data URI; it is shrunk in place to what that took."""
    kind = "webp" if features.check("webp") else "jpeg"
    for side, quality in steps:
        shrunk.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=3)
        content = _encoded(shrunk, kind.upper(), quality=quality)
        if len(content) <= limit:
            break
    return data_uri(content, kind)


def _encoded(small: Image.Image, kind: str, **options: Any) -> bytes:
    content = io.BytesIO()
    small.save(content, kind, **options)
    return content.getvalue()
