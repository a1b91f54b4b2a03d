"""The rows of an array as images, in memory or in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from oddlens.errors import SourceError, UnreadableImage
from oddlens.reading.array_files import RowsInFile

SMALLEST_PICTURE = 8  # pixels: of rows of so many or more, an axis of 3 or 4 is taken for colours, not for columns


class ArraySource:
    """The rows of an array as images, named by their numbers."""

    root: Path | None = None

    def __init__(self, array: NDArray[Any] | RowsInFile, path: Path | None = None) -> None:
        what = "the array" if path is None else str(path)
        if array.ndim not in (3, 4) or (array.ndim == 4 and array.shape[3] not in (1, 3, 4)):
            raise SourceError(f"{what} has shape {array.shape}; images need (n, height, width) or "
                              "(n, height, width, channels) with 1, 3 or 4 channels"
                              + (": move the channels to the end." if array.ndim == 4 else "."))
        if array.ndim == 3 and array.shape[2] in (3, 4) and array.shape[1] >= SMALLEST_PICTURE:
            height, width, channels = array.shape
            raise SourceError(f"{what} has shape {array.shape}, which looks like one picture in colour rather than "
                              f"{height} grey images of {width} x {channels} pixels. Give several as (n, height, "
                              f"width, {channels}); if it is the grey images, say so with array[..., None].")
        if 0 in array.shape:
            raise SourceError(f"{what} has shape {array.shape}, which holds no pixels.")
        if array.dtype.kind not in "bfu" or array.dtype.itemsize > (2 if array.dtype.kind == "u" else 8):
            raise SourceError(f"{what} holds {array.dtype}; images need uint8, bool, uint16, or floating-point "
                              "numbers from 0 to 1: convert it with .astype(np.uint8).")
        self.array = array
        self.path = path  # of the file that the array is in, if it is in one
        self._width = len(str(len(array) - 1))

    def __len__(self) -> int:
        return len(self.array)

    def name(self, index: int) -> str:
        """The row's number, with leading zeros so that names sort as the rows do."""
        return f"{index:0{self._width}d}"

    @property
    def pixels(self) -> NDArray[np.uint8] | None:
        """All rows as (n, height, width, 1 or 3) where they are pixels as they stand, so that none need be read."""
        if self.array.dtype != np.uint8 or self.array.shape[3:] == (4,):
            return None
        if isinstance(self.array, RowsInFile):
            return cast("NDArray[np.uint8]", self.array.with_channels())  # it is sliced as an array is
        return self.array[..., None] if self.array.ndim == 3 else self.array

    def read(self, index: int) -> NDArray[np.uint8]:
        """The row as uint8 (height, width, 1 or 3); a fourth channel is opacity, on white."""
        image = self.array[index]
        if image.ndim == 2:
            image = image[..., None]
        if image.dtype.kind == "b":
            image = image.astype(np.uint8) * 255
        elif image.dtype.kind == "u" and image.dtype.itemsize == 2:  # of either byte order
            image = image >> 8
        elif image.dtype.kind == "f":
            image = np.asarray(image, np.float64)
            if not (np.isfinite(image).all() and image.min() >= 0 and image.max() <= 1):
                raise UnreadableImage(self.name(index), "its values are not all numbers from 0 to 1: scale the array "
                                      "to 0..1, or give it as uint8")
            image = np.round(image * 255)
        image = image.astype(np.uint8, copy=False)
        if image.shape[2] == 4:
            opacity = image[..., 3:].astype(np.uint16)
            image = ((image[..., :3] * opacity + 255 * (255 - opacity) + 127) // 255).astype(np.uint8)
        return np.asarray(image)
