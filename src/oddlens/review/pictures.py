"""The pictures of a review: each image by its number, decoded within the same limits as always and encoded anew.

No byte of a file is passed on as it is: what a browser gets was decoded here, so no file can be more to it than a
picture.
"""

from __future__ import annotations

import io
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image

from oddlens.errors import UnreadableImage
from oddlens.reading.decoding import as_picture
from oddlens.review.opened_run import OpenedRun

THUMBNAIL = 192  # pixels on the longer side
LARGEST = 2048  # pixels on the longer side of what is shown large
HEATED = 640  # pixels on the longer side of a heat map
TINY = 96  # pixels on the longer side: up to here every pixel is kept as it is
MOST_BYTES = 96 * 2**20  # bytes of pictures that are kept
DECODED_AT_ONCE = 2


@dataclass(frozen=True)
class Encoded:
    """A picture for a browser."""

    content: bytes
    kind: str  # its media type


class Busy(Exception):
    """Another heat map was asked for since: ask again."""


class Pictures:
    """Pictures of the images of a run by their rows, the last used ones kept. Threads may share it."""

    def __init__(self, run: OpenedRun, most_bytes: int = MOST_BYTES) -> None:
        self.run, self.most_bytes = run, most_bytes
        self._kept: OrderedDict[tuple[str, int], Encoded] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()
        self._decoding = threading.Semaphore(DECODED_AT_ONCE)
        self._heating = threading.Lock()
        self.heats = 0  # heat maps that were asked for so far

    def thumbnail(self, row: int) -> Encoded:
        """An image of 192 pixels or less; raises ``UnreadableImage``."""
        return self._have("small", row, lambda: self._small(row))

    def full(self, row: int) -> Encoded:
        """An image as large as it is, up to 2,048 pixels a side; raises ``UnreadableImage``."""
        return self._have("full", row, lambda: self._large(row))

    def heat(self, row: int) -> Encoded:
        """An image with the strange places coloured; raises ``UnreadableImage`` where there are none to show.

        One is made at a time. Who waits while another is asked for has gone on to that one as a rule, and is told so by
        ``Busy``.
        """
        with self._lock:
            self.heats += 1
            number, found = self.heats, self._kept.get(("heat", row))
        if found is not None:
            return found
        with self._heating:
            if number != self.heats:
                raise Busy
            return self._have("heat", row, lambda: self._heated(row))

    def _have(self, what: str, row: int, make: Callable[[], Encoded]) -> Encoded:
        with self._lock:
            found = self._kept.get((what, row))
            if found is not None:
                self._kept.move_to_end((what, row))
                return found
        made = make()
        with self._lock:
            if (what, row) not in self._kept:
                self._kept[what, row] = made
                self._bytes += len(made.content)
            while self._bytes > self.most_bytes and len(self._kept) > 1:
                _, old = self._kept.popitem(last=False)
                self._bytes -= len(old.content)
        return made

    def _read(self, row: int, side: int) -> Image.Image:
        with self._decoding:
            try:
                return as_picture(self.run.images.read_near(row, side)[0])
            except Exception as error:  # a source of the user's own may fail in any way
                try:
                    return as_picture(self.run.kept(row))  # the page says that the image is gone
                except UnreadableImage:
                    raise UnreadableImage(self.run.ranking.names[row], str(error)) from error

    def _small(self, row: int) -> Encoded:
        picture = self._read(row, THUMBNAIL)
        picture.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS, reducing_gap=3)
        return encoded(picture, 82)

    def _large(self, row: int) -> Encoded:
        picture = self._read(row, LARGEST)
        picture.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS, reducing_gap=3)
        return encoded(picture, 92)

    def _heated(self, row: int) -> Encoded:
        found = self.run.heat(row)
        if found is None:
            raise UnreadableImage(self.run.ranking.names[row], "no place in it stands out")
        from oddlens.report.thumbnails import overlaid

        picture = self._read(row, HEATED)
        picture.thumbnail((HEATED, HEATED), Image.Resampling.LANCZOS, reducing_gap=3)
        return encoded(as_picture(overlaid(picture, found[0], HEATED)), 88)


def encoded(picture: Image.Image, quality: int) -> Encoded:
    """A picture as PNG where it is tiny, else as JPEG."""
    content = io.BytesIO()
    picture.info.clear()  # comments and the like, which would be written again
    if max(picture.size) <= TINY:
        picture.save(content, "PNG")
        return Encoded(content.getvalue(), "image/png")
    picture.save(content, "JPEG", quality=quality)
    return Encoded(content.getvalue(), "image/jpeg")
