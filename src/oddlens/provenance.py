"""Where the images of a run came from, so that it can open them again: ``images.csv``.

A file is known by its path, its place in the folder that was ranked, its size, time and SHA-256; a row of an array by
its file, its number and the SHA-256 of its pixels; an image in an archive or a table by that file, its number in it and
the SHA-256 of its content. An array in memory has no file: it can be given again. The table is
text, so that reading one from a stranger takes no parser but Python's own.
"""

from __future__ import annotations

import csv
import hashlib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from functools import cached_property
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from oddlens import csv_text
from oddlens.errors import SavedModelError, SourceError, UnreadableImage
from oddlens.files import open_regular, write_atomically
from oddlens.progress import advance
from oddlens.protocols import ImageSource, InFolder, ReadsNear
from oddlens.reading.limits import Limits
from oddlens.sources import ArraySource, FileSource, open_source
from oddlens.sources.encoded import EncodedSource
from oddlens.sources.frames import FrameSource
from oddlens.sources.joined import JoinedSource
from oddlens.sources.path import open_path

Kind: TypeAlias = Literal["file", "row", "inside", "array", "source"]
State: TypeAlias = Literal["same", "changed", "missing", "fileless", "unknown"]
KINDS: tuple[Kind, ...] = ("file", "row", "inside", "array", "source")
FILELESS: tuple[Kind, ...] = ("array", "source")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where one image came from.

    kind:      "file": an image file; "row": a row of an array in a file; "inside": an image file in an archive or a
               table, or a frame of a video; "array": a row of an array in memory; "source": of a source of the user's
               own or a data set, which is known by its name alone.
    path:      of the file, absolute; empty where there is none.
    within:    the path within the folder that was ranked, or of several files within the folder that holds them all;
               of an image inside a file the column or ending that was named.
    place:     the page of a file, the row of an array, or the number in an archive or a table, from 0.
    size:      of the file, in bytes.
    modified:  when the file was last changed, in nanoseconds since 1970.
    sha256:    of the file, or of the row's pixels; empty where it is not known.
    height, width:  of the picture, in pixels.
    """

    kind: Kind
    path: str = ""
    within: str = ""
    place: int = 0
    size: int = -1
    modified: int = -1
    sha256: str = ""
    height: int = 0
    width: int = 0


@dataclass(frozen=True, eq=False)
class Provenance:
    """Where each image of a ranking came from, row by row."""

    names: Sequence[str]
    origins: Sequence[Origin]

    @classmethod
    def of(
        cls, source: ImageSource, names: Sequence[str], indices: NDArray[np.integer[Any]],
        shapes: NDArray[np.integer[Any]], jobs: int | None = None,
    ) -> Provenance:
        """Of the rows of a ranking: their names, their numbers in the source, their (n, 2) heights and widths.

        Every file is read once more, for its digest.
        """
        numbers = [int(index) for index in indices]
        origins = _origins(source, numbers, jobs)
        for row, (height, width) in enumerate(shapes.tolist()):  # in place: a million take their room once
            origins[row] = replace(origins[row], height=height, width=width)
        return cls(tuple(names), origins)

    def save(self, path: str | Path) -> None:
        """Write it as CSV, a row an image in the order of the ranking; bytes of paths that are no text as they are."""
        rows = ([name, *(getattr(origin, column) for column in _COLUMNS[1:])]
                for name, origin in zip(self.names, self.origins, strict=True))
        write_atomically(path, csv_text.written(chain([_COLUMNS], rows), "surrogateescape"))

    @classmethod
    def load(cls, path: str | Path) -> Provenance:
        """Read it back; raises ``SavedModelError`` for a file that is damaged or is none."""
        try:
            with open_regular(path) as file:
                rows = csv_text.read(file)
                if tuple(next(rows, ())) != _COLUMNS:
                    raise ValueError(f"its columns are not {', '.join(_COLUMNS)}")
                names, origins = [], []
                for name, *cells in rows:
                    names.append(name)
                    origins.append(_origin(cells))
                return cls(tuple(names), tuple(origins))
        except (OSError, ValueError, csv.Error) as error:
            raise SavedModelError(f"{path} does not say where the images of the run are: {error}. Rank them "
                                  "anew.") from error

    def files(self) -> Iterator[str]:
        """The paths of the images that are files of their own."""
        return (origin.path for origin in self.origins if origin.kind == "file")

    def open(self, images: Any = None, limits: Limits | None = None) -> FoundImages:
        """The images, to be read again by their rows.

        images:  where they are now, if they were moved: the folder, or whatever was ranked.
        """
        return FoundImages(self, images, limits)


class FoundImages:
    """The images of a run as a source: row by row, in the order of the ranking. One that is gone is unreadable."""

    root: Path | None = None

    def __init__(self, provenance: Provenance, images: Any = None, limits: Limits | None = None) -> None:
        self.provenance = provenance
        self.limits = limits or Limits()
        self._given: ImageSource | None = None
        self._by_name: Mapping[str, int] = {}
        self._folder: Path | None = None
        self._opened: dict[tuple[str, str], ImageSource] = {}
        self._known: dict[int, tuple[tuple[int, int], State]] = {}
        if images is not None:
            if isinstance(images, str | os.PathLike) and Path(images).is_dir():
                self._folder = Path(images)
            else:
                self._given = open_source(images, limits=limits)
                self._by_name = _numbers_of(self._given)

    def __len__(self) -> int:
        return len(self.provenance.names)

    @property
    def moved(self) -> bool:
        """Whether the images were given again."""
        return self._given is not None or self._folder is not None

    @cached_property
    def _in_folder(self) -> tuple[ImageSource, Mapping[str, int]]:
        """The folder that was given, by names: images that lay in no file have no path to look for there."""
        source = open_source(self._folder, limits=self.limits)
        return source, _numbers_of(source)

    def name(self, row: int) -> str:
        """The name of a row."""
        return self.provenance.names[row]

    def path(self, row: int) -> Path | None:
        """Where the file of a row is now; None where it has none of its own, or was given again under its name."""
        origin = self.provenance.origins[row]
        if origin.kind != "file":
            return None
        if self._given is not None:
            index = self._by_name.get(self.name(row))
            return self._given.paths[index] if isinstance(self._given, FileSource) and index is not None else None
        if self._folder is None:
            return Path(origin.path)
        parts = PurePosixPath(origin.within).parts
        outside = not parts or PurePosixPath(origin.within).is_absolute() or ".." in parts
        return None if outside else self._folder.joinpath(*parts)

    def read(self, row: int) -> NDArray[np.uint8]:
        """The image at full size; raises ``UnreadableImage``."""
        source, index = self._place(row)
        return source.read(index)

    def read_near(self, row: int, side: int) -> tuple[NDArray[np.uint8], tuple[int, int]]:
        """The image, maybe reduced with ``side`` pixels or more left on its shorter side, and its (height, width)."""
        source, index = self._place(row)
        if isinstance(source, ReadsNear):
            return source.read_near(index, side)
        image = source.read(index)
        return image, (image.shape[0], image.shape[1])

    def state(self, row: int) -> State:
        """Whether the image is what was ranked: "same", "changed", "missing", or "unknown" where none can say.

        "fileless": it lay in no file of this machine, and the images were not given again.
        """
        origin = self.provenance.origins[row]
        try:
            if origin.kind == "file":
                path = self.path(row)
                return "missing" if path is None or not path.is_file() else self._compared(row, path, origin)
            if origin.kind in FILELESS and not self.moved:
                return "fileless"
            if origin.kind == "source":
                self._place(row)
                return "unknown"
            if origin.kind in ("row", "inside") and self._given is None:
                self._place(row)
                return self._compared(row, Path(origin.path), origin)
            return "same" if self._digest(row) == origin.sha256 else "changed"
        except (OSError, UnreadableImage, SourceError):
            return "missing"

    def _compared(self, row: int, path: Path, origin: Origin) -> State:
        """By size and time, and where these differ by content; that once for each time that a file is changed."""
        status = path.stat()
        seen = status.st_size, status.st_mtime_ns
        if seen == (origin.size, origin.modified):
            return "same"
        if not origin.sha256:
            return "unknown"
        if row not in self._known or self._known[row][0] != seen:
            if origin.kind != "file":
                self._opened.pop((origin.path, origin.within), None)
            now = file_digest(path) if origin.kind == "file" else self._digest(row)
            self._known[row] = seen, "same" if now == origin.sha256 else "changed"
        return self._known[row][1]

    def _digest(self, row: int) -> str:
        """Of the image as it is now: of its content where that is a file's, else of its pixels."""
        source, index = self._place(row)
        if self.provenance.origins[row].kind == "inside" and isinstance(source, EncodedSource):
            return content_digest(source.content(index))
        return pixels_digest(source.read(index))

    def _place(self, row: int) -> tuple[ImageSource, int]:
        """The source that a row is read from, and its number there."""
        origin, name = self.provenance.origins[row], self.name(row)
        if self._given is not None or (self._folder is not None and origin.kind in FILELESS):
            given, by_name = (self._given, self._by_name) if self._given is not None else self._in_folder
            index = by_name.get(name)
            if index is None:
                raise UnreadableImage(name, "it is not among the images that were given")
            return given, index
        if origin.kind == "file":
            path = self.path(row)
            if path is None:
                raise UnreadableImage(name, "its place in the folder cannot be told")
            return FileSource([path], [name], pages=[origin.place], limits=self.limits), 0
        if origin.kind in ("row", "inside"):
            source = self._reopened(name, origin)
            kinds = (ArraySource,) if origin.kind == "row" else (EncodedSource, FrameSource)
            if not isinstance(source, kinds) or not 0 <= origin.place < len(source):
                raise UnreadableImage(name, f"{origin.path} has no {'row' if origin.kind == 'row' else 'image'} "
                                      f"{origin.place}")
            return source, origin.place
        raise UnreadableImage(name, "it lay in memory and in no file: give the images again (--images)")

    def _reopened(self, name: str, origin: Origin) -> ImageSource:
        """The array, archive or table that an image lies in. A path is all that it may be: nothing is fetched."""
        key = origin.path, origin.within
        if key not in self._opened:
            column = origin.within or None if origin.kind == "inside" else None
            try:
                self._opened[key] = open_path(Path(origin.path), column=column, limits=self.limits)
            except SourceError as error:
                raise UnreadableImage(name, str(error)) from error
        return self._opened[key]


def _numbers_of(source: ImageSource) -> dict[str, int]:
    return {source.name(i): i for i in range(len(source))}


def content_digest(content: bytes | Path) -> str:
    """The SHA-256 of an image file's content, in hexadecimal, or of the file at a path."""
    return file_digest(content) if isinstance(content, Path) else hashlib.sha256(content).hexdigest()


def file_digest(path: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal; ``OSError`` where it cannot be read."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def pixels_digest(image: NDArray[np.uint8]) -> str:
    """The SHA-256 of an image's pixels, row by row, in hexadecimal."""
    return hashlib.sha256(np.ascontiguousarray(image).tobytes()).hexdigest()


_COLUMNS = ("name", *(item.name for item in fields(Origin)))


def _origins(source: ImageSource, numbers: Sequence[int], jobs: int | None) -> list[Origin]:
    """Of images of a source, by their numbers in it."""
    if isinstance(source, FileSource):
        return _of_files(source, numbers, jobs)
    if isinstance(source, ArraySource):
        return _of_rows(source, numbers)
    if isinstance(source, EncodedSource) and source.path is not None:
        return _of_contents(source, source.path, numbers)
    if isinstance(source, FrameSource):
        return _of_frames(source, numbers)
    if isinstance(source, JoinedSource):
        found: dict[int, Origin] = {}
        for part in source.parts:
            places = [(number, source.place(number)[1]) for number in numbers if source.place(number)[0] is part]
            found.update(zip([number for number, _ in places],
                             _origins(part, [place for _, place in places], jobs), strict=True))
        return [found[number] for number in numbers]
    return [Origin("source", place=number) for number in numbers]


def _of_frames(source: FrameSource, numbers: Sequence[int]) -> list[Origin]:
    """Of frames: without digests, for which all would have to be decoded once more."""
    holder = Path(os.path.abspath(source.path))  # noqa: PTH100  links stay as named
    status = holder.stat()
    return [Origin("inside", str(holder), "", number, status.st_size, status.st_mtime_ns) for number in numbers]


def _of_contents(source: EncodedSource, path: Path, numbers: Sequence[int]) -> list[Origin]:
    """Of image files in an archive or a table."""
    holder = Path(os.path.abspath(path))  # noqa: PTH100  links stay as named
    status = holder.stat()
    origins = []
    for done, number in enumerate(numbers, start=1):
        try:
            sha256 = content_digest(source.content(number))
        except (UnreadableImage, OSError):  # it was damaged since it was read
            sha256 = ""
        origins.append(Origin("inside", str(holder), source.column or "", number, status.st_size, status.st_mtime_ns,
                              sha256))
        if done % 1000 == 0 or done == len(numbers):
            advance("digests", done, len(numbers))
    return origins


def _of_files(source: FileSource, numbers: Sequence[int], jobs: int | None) -> list[Origin]:
    """Of image files; those of several pages are hashed once."""
    paths = [Path(os.path.abspath(source.paths[number])) for number in numbers]  # noqa: PTH100  links stay as named
    distinct = list(dict.fromkeys(paths))
    root = source.root if isinstance(source, InFolder) and source.root is not None else _common(distinct)
    top = Path(os.path.abspath(root))  # noqa: PTH100
    found: dict[Path, Origin] = {}
    from oddlens.kernels import resolve_jobs  # with it come compilers, for which who only looks at a run does not wait

    with ThreadPoolExecutor(resolve_jobs(jobs)) as pool:
        for done, (path, origin) in enumerate(zip(distinct, pool.map(lambda path: _of_file(path, top), distinct),
                                                  strict=True), start=1):
            found[path] = origin
            advance("digests", done, len(distinct))
    return [replace(found[path], place=source.page(number)) for path, number in zip(paths, numbers, strict=True)]


def _common(paths: Sequence[Path]) -> Path:
    """The folder that holds all of some files."""
    try:
        return Path(os.path.commonpath([path.parent for path in paths]))
    except ValueError:  # none, or on several drives
        return Path(os.sep)


def _of_file(path: Path, root: Path) -> Origin:
    within = Path(os.path.relpath(path, root)).as_posix()
    try:
        status = path.stat()
        return Origin("file", str(path), within, 0, status.st_size, status.st_mtime_ns, file_digest(path))
    except OSError:  # it vanished since it was read
        return Origin("file", str(path), within)


def _of_rows(source: ArraySource, numbers: Sequence[int]) -> list[Origin]:
    """Of rows of an array, in a file or in memory."""
    origins = []
    path = None if source.path is None else Path(os.path.abspath(source.path))  # noqa: PTH100
    status = None if path is None else path.stat()
    for done, number in enumerate(numbers, start=1):
        sha256 = pixels_digest(source.read(number))
        if path is None or status is None:
            origins.append(Origin("array", place=number, sha256=sha256))
        else:
            origins.append(Origin("row", str(path), path.name, number, status.st_size, status.st_mtime_ns, sha256))
        if done % 1000 == 0 or done == len(numbers):
            advance("digests", done, len(numbers))
    return origins


def _origin(cells: Sequence[str]) -> Origin:
    if len(cells) != len(_COLUMNS) - 1:
        raise ValueError(f"a row has {len(cells) + 1} cells, not {len(_COLUMNS)}")
    kind, path, within, place, size, modified, sha256, height, width = cells
    numbers = [int(cell) for cell in (place, size, modified, height, width)]
    if kind not in KINDS or numbers[0] < 0 or min(numbers[3:]) < 0 or "\0" in path + within:
        raise ValueError(f"a row says {kind!r} of {path!r}, place {place}")
    if sha256 and (len(sha256) != 64 or sha256.strip("0123456789abcdef")):
        raise ValueError(f"{sha256[:80]!r} is no SHA-256")
    # The few kinds, and many rows of one file, share their text.
    kind, path = KINDS[KINDS.index(kind)], path if kind == "file" else sys.intern(path)
    return Origin(kind, path, within, numbers[0], numbers[1], numbers[2], sha256, numbers[3], numbers[4])
