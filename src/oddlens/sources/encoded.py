"""Image files whose content lies within something else: an archive, a table, a data set, another machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from oddlens.errors import UnreadableImage
from oddlens.reading.bounds import in_bytes
from oddlens.reading.isolation import decode_within
from oddlens.reading.limits import Limits
from oddlens.sources.image_files import distinct, printable


class EncodedSource:
    """Image files by number, each fetched when it is asked for and decoded within limits, as files are.

    fetch:        number -> the content of an image file, or the path of one; it may raise anything.
    path:         the file that holds all of them, if one does: opened again, it gives the same numbers,
    column:       if that is named again where it was.
    passed_over:  what was found beside them and is no image, in words, and how often.
    pages:        which page of its file each image is, from 0; of files of several pages.
    stamp:        number -> by what it is noticed that an image changed; None where its content has to be looked at.
    """

    root: Path | None = None

    def __init__(
        self, names: Sequence[str], fetch: Callable[[int], bytes | Path], limits: Limits | None = None, *,
        path: Path | None = None, column: str | None = None, passed_over: Mapping[str, int] | None = None,
        pages: Sequence[int] = (), stamp: Callable[[int], tuple[str | int, ...] | None] | None = None,
    ) -> None:
        self._names = distinct([printable(name) for name in names])
        self._fetch = fetch
        self.limits = limits or Limits()
        self.path, self.column = path, column
        self.passed_over = dict(passed_over or {})
        self._pages = pages
        self._stamp = stamp

    @property
    def skipped(self) -> int:
        """How much was passed over."""
        return sum(self.passed_over.values())

    def __len__(self) -> int:
        return len(self._names)

    def name(self, index: int) -> str:
        """The name of the image where it lies."""
        return self._names[index]

    def content(self, index: int) -> bytes | Path:
        """The image file, or where it is; raises ``UnreadableImage``."""
        try:
            found = self._fetch(index)
        except UnreadableImage as error:
            raise UnreadableImage(self.name(index), error.reason) from error
        except Exception as error:  # a damaged archive, a connection that breaks: one image never stops a run
            raise UnreadableImage(self.name(index), f"cannot be fetched: {error or type(error).__name__}") from error
        if isinstance(found, bytes) and len(found) > self.limits.memory:
            raise UnreadableImage(self.name(index), f"the file has {in_bytes(len(found))}; the limit of memory is "
                                  f"{in_bytes(self.limits.memory)}")
        return found

    def stamp(self, index: int) -> tuple[str | int, ...]:
        """The size and time of the file that holds all images; where none does, the digest of the image's content."""
        try:
            if self.path is not None:
                return (*_changed(self.path), self.column or "")
            if self._stamp is not None and (told := self._stamp(index)) is not None:
                return told
            content = self._fetch(index)
            return _changed(content) if isinstance(content, Path) else (blake2b(content).hexdigest(),)
        except Exception:  # what cannot be fetched now is read again
            return ()

    def read(self, index: int) -> NDArray[np.uint8]:
        """The image at full size."""
        return self._decode(index, None)[0]

    def read_near(self, index: int, side: int) -> tuple[NDArray[np.uint8], tuple[int, int]]:
        """The image, maybe reduced with ``side`` pixels or more left on its shorter side, and its (height, width)."""
        return self._decode(index, side)

    def page(self, index: int) -> int:
        """Which page of its file an image is, from 0."""
        return self._pages[index] if self._pages else 0

    def _decode(self, index: int, side: int | None) -> tuple[NDArray[np.uint8], tuple[int, int]]:
        return decode_within(self.content(index), self.name(index), side, self.page(index), self.limits)


def numbered(n: int) -> list[str]:
    """Names for n images that have none: their numbers, with leading zeros so that they sort."""
    width = len(str(max(n - 1, 0)))
    return [f"{number:0{width}d}" for number in range(n)]


def stored_names(paths: Sequence[object]) -> list[str] | None:
    """The paths that images were stored with, if all have one of their own; else None."""
    given = [path for path in paths if isinstance(path, str) and path]
    return given if given and len(set(given)) == len(paths) else None


def _changed(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns
