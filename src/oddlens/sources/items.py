"""Anything that has items by number, each a picture or something with a picture in it: lists, data sets.

An item is asked for when its picture is, and at first only as many as it takes to understand them.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oddlens.errors import SourceError, UnreadableImage
from oddlens.reading.decoding import shrunk
from oddlens.reading.limits import Limits
from oddlens.sources.image_files import distinct
from oddlens.sources.picture import as_array, as_pixels, is_pillow, part_of
from oddlens.sources.value_range import spread, white_of

TRIED = 5  # items that are asked for until one can be understood
SAMPLED = 16  # items that say which number means white


class ItemSource:
    """Items by number, named by their numbers or by names of their own. They are read in this process.

    items:    has ``__len__`` and ``__getitem__``.
    numbers:  which of them, by default all.
    """

    root: Path | None = None

    def __init__(self, items: Any, numbers: Sequence[int] | None = None, limits: Limits | None = None) -> None:
        self.items = items
        self.numbers = range(len(items)) if numbers is None else [int(number) for number in numbers]
        self.limits = limits or Limits()
        self._width = len(str(max(len(items) - 1, 0)))
        self._lock = threading.Lock()  # Pillow's pictures are decoded when they are first looked at
        what = f"The {type(items).__name__}"
        if len(self.numbers) == 0:
            raise SourceError(f"{what} is empty.")
        self._names = None if numbers is None else distinct([self._number(number) for number in self.numbers])
        first, self._part = _understood(items, [self.numbers[place] for place in spread(len(self), TRIED)], what)
        self._white = 1.0
        if (image := as_array(self._picture_in(first))) is not None and image.dtype.kind == "f":
            self._white = white_of(self._sample(), what)

    def __len__(self) -> int:
        return len(self.numbers)

    def name(self, index: int) -> str:
        """The number of the item, with leading zeros so that names sort as the items do."""
        return self._number(self.numbers[index]) if self._names is None else self._names[index]

    def read(self, index: int) -> NDArray[np.uint8]:
        """The picture of an item at full size; raises ``UnreadableImage``, whatever goes wrong in the data set."""
        name = self.name(index)
        try:
            thing = self._picture_in(self.items[self.numbers[index]])
        except Exception as error:  # a data set of the user's own may fail in any way; one image never stops a run
            raise UnreadableImage(name, f"{type(error).__name__}: {error}") from error
        if is_pillow(thing):
            with self._lock:
                return as_pixels(thing, name, self._white, self.limits)
        return as_pixels(thing, name, self._white, self.limits)

    def read_near(self, index: int, side: int) -> tuple[NDArray[np.uint8], tuple[int, int]]:
        """The same reduced as a file's would be, and its (height, width)."""
        image = self.read(index)
        return shrunk(image, side), (image.shape[0], image.shape[1])

    def _number(self, number: int) -> str:
        return f"{number:0{self._width}d}"

    def _picture_in(self, item: Any) -> Any:
        return item if self._part is None else item[self._part]

    def _sample(self) -> Iterable[NDArray[Any]]:
        """The arrays of some items, those left out that cannot be had."""
        for place in spread(len(self), SAMPLED):
            try:
                image = as_array(self._picture_in(self.items[self.numbers[place]]))
            except Exception:  # noqa: S112  it is listed as unreadable when it is read
                continue
            if image is not None and image.dtype.kind == "f":
                yield image


def has_items(thing: Any) -> bool:
    """Whether a thing is asked for its items by number, and is neither text nor a table by name nor an array."""
    if isinstance(thing, str | bytes | bytearray | memoryview | Mapping) or hasattr(thing, "__array__"):
        return False
    return hasattr(thing, "__getitem__") and hasattr(thing, "__len__")


def _understood(items: Any, numbers: Sequence[int], what: str) -> tuple[Any, Any]:
    """The first item that can be had and understood, and where the picture in it is."""
    problem: Exception | None = None
    for number in numbers:
        try:
            item = items[number]
            return item, part_of(item, what)
        except Exception as error:  # a broken item is no reason to refuse the others
            problem = problem or error
    if isinstance(problem, SourceError):
        raise problem
    raise SourceError(f"{what} gives none of its items {', '.join(map(str, numbers))}: "
                      f"{type(problem).__name__}: {problem}") from problem
