"""Image files, each with its name; each page of a TIFF is an image of its own."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from oddlens.errors import UnreadableImage
from oddlens.ranking import tame
from oddlens.reading import dicom
from oddlens.reading.isolation import decode_within
from oddlens.reading.limits import Limits
from oddlens.reading.tiff_pages import count_pages
from oddlens.result_marks import is_marked

# A file of one of these names is meant to be an image: if its content is not, it is listed as unreadable instead
# of being passed over.
IMAGE_SUFFIXES = frozenset(
    [".apng", ".avif", ".bmp", ".dib", ".gif", ".ico", ".jfif", ".jpe", ".jpeg", ".jpg", ".jp2", ".pbm", ".pgm", ".png",
     ".pnm", ".ppm", ".tga", ".tif", ".tiff", ".webp", *dicom.SUFFIXES]
)


class FileSource:
    """Image files, each with its name.

    passed_over:  what was found beside them and is no image of the collection, in words, and how often.
    pages:        which page of its file each image is, from 0; of files of several pages.
    """

    def __init__(
        self, paths: list[Path], names: list[str], root: Path | None = None,
        passed_over: Mapping[str, int] | None = None, pages: Sequence[int] = (), limits: Limits | None = None,
    ) -> None:
        self.paths = paths
        self.root = root  # the folder that they were found in, if it was one
        self.passed_over = dict(passed_over or {})
        self.limits = limits or Limits()
        self._pages = pages
        self._names = distinct([printable(name) for name in names])
        self._results: dict[Path, bool] = {}

    @property
    def skipped(self) -> int:
        """How many files, links and folders were passed over."""
        return sum(self.passed_over.values())

    @property
    def folders(self) -> set[Path]:
        """Every folder that one of the files lies in; results are never written there."""
        return {path.parent for path in self.paths}

    def __len__(self) -> int:
        return len(self.paths)

    def name(self, index: int) -> str:
        """The path within the folder, or as it was listed."""
        return self._names[index]

    def stamp(self, index: int) -> tuple[str | int, ...]:
        """The file's size in bytes and when it was last changed, in nanoseconds since 1970; of a missing one none."""
        try:
            status = self.paths[index].stat()
        except OSError:
            return ()
        return status.st_size, status.st_mtime_ns

    def page(self, index: int) -> int:
        """Which page of its file an image is, from 0."""
        return self._pages[index] if self._pages else 0

    def read(self, index: int) -> NDArray[np.uint8]:
        """The image at full size."""
        return self._decode(index, None)[0]

    def read_near(self, index: int, side: int) -> tuple[NDArray[np.uint8], tuple[int, int]]:
        """The image, maybe reduced with ``side`` pixels or more left on its shorter side, and its (height, width)."""
        return self._decode(index, side)

    def _decode(self, index: int, side: int | None) -> tuple[NDArray[np.uint8], tuple[int, int]]:
        path = self.paths[index]
        try:
            if not path.is_file():  # a pipe or a device would be read for ever
                raise UnreadableImage(self.name(index), _what_instead(path))
        except OSError as error:
            raise UnreadableImage(self.name(index), f"cannot be opened: {error.strerror or error}") from error
        if self._is_result(path.parent):
            raise UnreadableImage(self.name(index), "a picture that oddlens made, in a folder of its results")
        return decode_within(path, self.name(index), side, self.page(index), self.limits)

    def _is_result(self, folder: Path) -> bool:
        if folder not in self._results:
            self._results[folder] = is_marked(folder)
        return self._results[folder]


def _what_instead(path: Path) -> str:
    """What is at a path where there is no file."""
    if not path.is_dir():
        return "not a file" if path.exists() else "there is no such file"
    try:
        os.scandir(path).close()
    except OSError as error:
        return f"a folder that cannot be listed: {error.strerror or error}"
    return "a folder, not a file"


def printable(name: str) -> str:
    """A name that can be written anywhere: what is not UTF-8, and control characters, are shown as their escapes."""
    try:
        raw = name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half a surrogate pair, which no name on a disk can hold but a list can
        raw = name.encode("utf-8", "backslashreplace")
    return tame(raw.decode("utf-8", "backslashreplace"))


def _count(path: Path) -> int:
    suffix = path.suffix.lower()
    if suffix in (".tif", ".tiff"):
        return count_pages(path)
    return dicom.count_frames(path) if suffix in ("", *dicom.SUFFIXES) else 1  # scanners write names without endings


def with_pages(
    paths: list[Path], names: list[str], root: Path | None = None, passed_over: Mapping[str, int] | None = None,
    limits: Limits | None = None,
) -> FileSource:
    """Files as a source; each page of a TIFF and each frame of a DICOM file is an image of its own."""
    counts = [_count(path) for path in paths]
    if max(counts, default=1) == 1:
        return FileSource(paths, names, root, passed_over, (), limits)
    every = [(path, name, page) for path, name, count in zip(paths, names, counts, strict=True)
             for page in range(count)]
    return FileSource([path for path, _, _ in every],
                      [f"{name}#{page + 1}" if page else name for _, name, page in every], root, passed_over,
                      [page for _, _, page in every], limits)


def distinct(names: list[str]) -> list[str]:
    """Names with a number added to all but the first of those that are the same."""
    seen: dict[str, int] = {}
    taken = set(names)
    result = []
    for name in names:
        count = seen[name] = seen.get(name, 0) + 1
        candidate = name
        while count > 1 and candidate in taken:
            candidate = f"{name} ({count})"
            count += 1
        seen[name] = max(seen[name], count - 1)  # so that what is taken is not tried again for the next
        taken.add(candidate)
        result.append(candidate)
    return result
