"""Thumbnails: pictures in few bytes, as data URIs; and those of ranked images, read when somebody looks at them.

What a ranking shows in a notebook is read from where the images are. Images in files are read when they are shown:
holding paths costs little. Images in memory would be held by holding their source, so of these the thumbnails of the
strangest are made at once, and nothing else is kept.
"""

from __future__ import annotations

import base64
import io
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, features

from oddlens.errors import UnreadableImage
from oddlens.pixels import read_near
from oddlens.protocols import Doubles, ImageSource
from oddlens.reading.decoding import as_picture
from oddlens.sources.opening import in_files
from oddlens.stream import Found, Stream

Reader = Callable[[int], NDArray[np.uint8]]

THUMBNAIL = 160  # pixels on the longer side, at most
TINY_SIDE = 64  # pixels on the longer side: up to here an image is kept as it is and shown in squares
TINY_SHOWN = 144  # pixels that a tiny image is shown at, less what whole pixels leave over
# A tiny image is not compressed as well as it can be, which takes long, where done quickly it is so far above a limit.
HOPELESS_FACTOR = 2
MOST_BYTES = 8 * 2**20  # bytes of all thumbnails together, before base64 makes them a third larger

# A thumbnail that is too large for its share of the budget is made again, smaller and coarser.
STEPS = ((THUMBNAIL, 82), (THUMBNAIL, 60), (128, 45), (96, 35), (64, 25), (40, 20))

SMALL_BYTES = 12 * 2**10  # of each thumbnail that a ranking shows, about
KEPT = 100  # thumbnails kept of images in memory: those shown first, and those that some labels bring to the fore


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


class ThumbnailsLater(Mapping[str, str]):
    """Name -> the thumbnail of an image as a data URI, made when it is asked for; "" where it cannot be read any more.

    names:  of the images.
    read:   gives the image in a row of the names.
    """

    def __init__(self, names: Sequence[str], read: Reader) -> None:
        self.names, self.read = names, read
        self._made: dict[str, str] = {}

    def __getitem__(self, name: str) -> str:
        row = self._rows[name]
        if name not in self._made:
            try:
                self._made[name] = picture("", self.read(row), SMALL_BYTES).uri or ""
            except UnreadableImage:  # the file is gone, or is another by now
                self._made[name] = ""
        return self._made[name]

    def __contains__(self, name: object) -> bool:
        return name in self._rows

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def __reduce__(self) -> tuple[type, tuple[dict[str, str]]]:
        return dict, (self._made,)  # what is passed on has the thumbnails that were shown, and no way to the images

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {name: row for row, name in enumerate(self.names)}


def thumbnails_of(
    source: ImageSource, names: Sequence[str], places: Sequence[int] | NDArray[np.int64], scores: Doubles
) -> Mapping[str, str]:
    """The thumbnails of images by their names: of files all, when they are asked for; others, the strangest now.

    names, places, scores:  of the images, their names, their numbers in the source and how strange they are.
    """
    later = ThumbnailsLater(names, partial(_near, source, places))
    return later if in_files(source) else _strangest(later, scores)


def thumbnails_in(stream: Stream, found: Found, scores: Doubles) -> Mapping[str, str]:
    """The same of the images that were found in a stream; of such as have no source, as large as they are at hand."""
    if stream.source is not None:
        return thumbnails_of(stream.source, found.names, found.indices, scores)
    finest = stream.hand.pixels if stream.hand.detail is None else stream.hand.detail
    return _strangest(ThumbnailsLater(found.names, finest.__getitem__), scores)


def joined(
    later: Mapping[str, str], before: Mapping[str, str], names: Sequence[str]
) -> Mapping[str, str]:
    """The thumbnails of images that came later and of those from before; names: of all that came, some again."""
    if isinstance(later, ThumbnailsLater):
        return ChainMap(cast(Any, later), cast(Any, before))
    return ChainMap(dict(later), dict.fromkeys(names, ""), cast(Any, before))  # never an earlier image of that name


def _strangest(later: ThumbnailsLater, scores: Doubles) -> dict[str, str]:
    strangest = [later.names[row] for row in np.argsort(-scores, kind="stable")[:KEPT].tolist()]
    wanted = set(strangest)
    made = {name: later[name] for name in later.names if name in wanted}  # in order: a film is wound through once
    return {name: made[name] for name in strangest if made[name]}


def _near(source: ImageSource, places: Sequence[int] | NDArray[np.int64], row: int) -> NDArray[np.uint8]:
    return read_near(source, int(places[row]), THUMBNAIL)[0]


def picture(key: str, image: NDArray[np.uint8], limit: int = MOST_BYTES) -> Picture:
    """A thumbnail of an image, in about ``limit`` bytes at most; tiny images keep every pixel if that allows it."""
    small = as_picture(image)
    longer = max(small.size)
    if longer <= TINY_SIDE and len(encoded(small, "PNG", compress_level=1)) <= HOPELESS_FACTOR * limit:
        content = encoded(small, "PNG", optimize=True)
        if len(content) <= limit:
            return Picture(key, data_uri(content, "png"), *small.size, max(TINY_SHOWN // longer, 1) * longer)
    return Picture(key, within(small, STEPS, limit), *small.size, None)


def within(shrunk: Image.Image, steps: Sequence[tuple[int, int]], limit: int) -> str:
    """A picture in about ``limit`` bytes at most, as a data URI; it is shrunk in place to what that took."""
    kind = "webp" if features.check("webp") else "jpeg"
    for side, quality in steps:
        shrunk.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=3)
        content = encoded(shrunk, kind.upper(), quality=quality)
        if len(content) <= limit:
            break
    return data_uri(content, kind)


def data_uri(content: bytes, kind: str) -> str:
    """A picture of a kind, "png" or "jpeg", within the page itself."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def encoded(small: Image.Image, kind: str, **options: Any) -> bytes:
    """A picture as the content of a file of a kind."""
    content = io.BytesIO()
    small.save(content, kind, **options)
    return content.getvalue()
