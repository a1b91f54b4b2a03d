"""The rows of an array as images, in memory or in a file."""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from oddlens.errors import SourceError
from oddlens.reading.array_files import RowsInFile
from oddlens.sources.value_range import as_uint8, spread, white_of

SMALLEST_PICTURE = 8  # pixels: of rows of so many or more, an axis of 3 or 4 is taken for colours, not for columns
CHANNELS = (1, 3, 4)


class ArraySource:
    """The rows of an array as images, named by their numbers."""

    root: Path | None = None

    def __init__(self, array: NDArray[Any] | RowsInFile, path: Path | None = None) -> None:
        what = "The array" if path is None else str(path)
        self._channels_first = require_pictures(array, what)
        self.array = array
        self.path = path  # of the file that the array is in, if it is in one
        self._width = len(str(len(array) - 1))
        self._white = 1.0
        if array.dtype.kind == "f":
            self._white = white_of((array[row] for row in spread(len(array))), what)

    def __len__(self) -> int:
        return len(self.array)

    def name(self, index: int) -> str:
        """The row's number, with leading zeros so that names sort as the rows do."""
        return f"{index:0{self._width}d}"

    @property
    def pixels(self) -> NDArray[np.uint8] | None:
        """All rows as (n, height, width, 1 or 3) where they are pixels as they stand, so that none need be read."""
        channels = 1 if self.array.ndim == 3 else self.array.shape[1 if self._channels_first else 3]
        if self.array.dtype != np.uint8 or channels == 4:
            return None
        if isinstance(self.array, RowsInFile):  # it is sliced as an array is
            return None if self._channels_first else cast("NDArray[np.uint8]", self.array.with_channels())
        if self.array.ndim == 3:
            return self.array[..., None]
        return np.moveaxis(self.array, 1, 3) if self._channels_first else self.array

    def stamp(self, index: int) -> tuple[str | int, ...]:
        """A digest of the image's values."""
        return (blake2b(np.ascontiguousarray(self.array[index]).tobytes(), digest_size=16).hexdigest(),)

    def read(self, index: int) -> NDArray[np.uint8]:
        """The row as uint8 (height, width, 1 or 3); a fourth channel is opacity, on white."""
        return pixels_of(self.array[index], self._channels_first, self._white, self.name(index))


def require_pictures(array: NDArray[Any] | RowsInFile, what: str) -> bool:
    """Raise ``SourceError`` unless an array holds images; whether the axis of channels is the first of each."""
    shape = array.shape
    if array.ndim not in (3, 4) or (array.ndim == 4 and shape[3] not in CHANNELS and shape[1] not in CHANNELS):
        raise SourceError(f"{what} has shape {shape}; images need (n, height, width), (n, height, width, channels) or "
                          "(n, channels, height, width) with 1, 3 or 4 channels.")
    if array.ndim == 3 and shape[2] in (3, 4) and shape[1] >= SMALLEST_PICTURE:
        height, width, channels = shape
        raise SourceError(f"{what} has shape {shape}, which looks like one picture in colour rather than "
                          f"{height} grey images of {width} x {channels} pixels. Give several as (n, height, "
                          f"width, {channels}); if it is the grey images, say so with array[..., None].")
    if 0 in shape:
        raise SourceError(f"{what} has shape {shape}, which holds no pixels.")
    if array.dtype.kind not in "bfu" or array.dtype.itemsize > (2 if array.dtype.kind == "u" else 8):
        raise SourceError(f"{what} holds {array.dtype}; images need uint8, bool, uint16, or floating-point "
                          "numbers from 0 to 1 or 0 to 255: convert it with .astype(np.uint8).")
    return array.ndim == 4 and channels_first(shape[1:], what)


def channels_first(shape: tuple[int, ...], what: str) -> bool:
    """Whether an image of three axes has its channels in the first of them; ``SourceError`` where it may be either."""
    if shape[0] in CHANNELS and shape[2] in CHANNELS and shape[1] >= SMALLEST_PICTURE:
        raise SourceError(f"{what} has images of shape {shape}, whose channels may be the first axis or the last. "
                          "Give them as Pillow's, which say it: [Image.fromarray(image) for image in images].")
    return shape[2] not in CHANNELS


def pixels_of(image: NDArray[Any], first: bool, white: float, name: str) -> NDArray[np.uint8]:
    """One image of two or three axes as uint8 (height, width, 1 or 3); a fourth channel is opacity, on white."""
    if image.ndim == 2:
        image = image[..., None]
    elif first:
        image = np.moveaxis(image, 0, 2)
    pixels = as_uint8(image, white, name)
    if pixels.shape[2] == 4:
        opacity = pixels[..., 3:].astype(np.uint16)
        pixels = ((pixels[..., :3] * opacity + 255 * (255 - opacity) + 127) // 255).astype(np.uint8)
    return np.asarray(pixels)
