"""Anything that holds images, opened as one ``ImageSource``: one argument, never five.

Names are the keys of scores and labels, so they must stay the same from run to run: a folder's images are named
by their path within it, listed files as they were listed, an array's rows by their number.
"""

from __future__ import annotations

import csv
import glob
import os
import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from hashlib import blake2b
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from oddlens import registry
from oddlens.errors import SourceError, UnreadableImage
from oddlens.protocols import ImageSource
from oddlens.ranking import tame
from oddlens.reading.array_files import IDX_TYPES, RowsInFile, load_npy, load_npz, open_idx
from oddlens.reading.decoding import looks_like_image
from oddlens.reading.isolation import decode_here, decode_isolated
from oddlens.reading.limits import Limits
from oddlens.reading.tiff_pages import count_pages
from oddlens.result_marks import SUMMARIES, is_marked

SMALLEST_PICTURE = 8  # pixels: of rows of so many or more, an axis of 3 or 4 is taken for colours, not for columns

# A file of one of these names is meant to be an image: if its content is not, it is listed as unreadable instead
# of being passed over.
IMAGE_SUFFIXES = frozenset(
    [".apng", ".avif", ".bmp", ".dib", ".gif", ".ico", ".jfif", ".jpe", ".jpeg", ".jpg", ".jp2", ".pbm", ".pgm", ".png",
     ".pnm", ".ppm", ".tga", ".tif", ".tiff", ".webp"]
)


def open_source(images: Any, *, follow_links: bool = False, limits: Limits | None = None) -> ImageSource:
    """The images behind almost anything, without reading them yet.

    images:        a folder (walked with its subfolders); a list or a column of paths; a pattern like "photos/*.jpg"; a
                   text file of paths, one a line; a CSV file with a column of paths; an array of (n, height, width) or
                   (n, height, width, 1, 3 or 4); an ``.npy`` or ``.npz`` file of one; an IDX file, also gzipped; one
                   image file; NAME:TEXT, which is what the source that a package gives by that name makes of the text
                   (docs/write-a-source.md); or an object with the methods of ``ImageSource``.
    follow_links:  whether links that lead out of a folder of images are followed; else they are passed over, counted.
    limits:        what decoding one image file may take.

    The pages of a TIFF are images of their own, ``name#2`` and so on. Folders that hold results of oddlens are passed
    over. Arrays of uint8 are taken as they are, bool as black and white, uint16 by their upper 8 bits, floating-point
    numbers as 0..1. Raises ``SourceError``, saying what was found and what would do.
    """
    if isinstance(images, str) and (named := _NAMED.fullmatch(images)) and not os.path.lexists(images):
        return _open_named(*named.groups())
    if isinstance(images, str | os.PathLike):
        return _open_path(Path(images), follow_links, limits)
    if isinstance(images, ImageSource):
        return images
    if (paths := _paths_in(images)) is not None:
        if not paths:
            raise SourceError("The list of images is empty.")
        if len(paths) == 1 and os.path.isdir(paths[0]):  # noqa: PTH112  takes any text
            return _open_path(Path(paths[0]), follow_links, limits)
        if folder := next((path for path in paths if os.path.isdir(path)), None):  # noqa: PTH112  takes any text
            raise SourceError(f"{folder} is a folder, and there are {len(paths) - 1} more paths: give one folder, or "
                              "files alone.")
        return _files([Path(path) for path in paths], paths, limits=limits)
    if type(images).__module__.split(".")[0] == "PIL":
        raise SourceError("One picture of Pillow is no collection. Give an array of several of one size, "
                          "np.stack([np.asarray(picture) for picture in pictures]), or the paths of their files.")
    try:
        array = np.asarray(images)
    except (TypeError, ValueError, RuntimeError) as error:
        raise SourceError(f"Cannot take {type(images).__name__} for images: {error}. {_TAKEN}") from error
    if array.dtype == object:
        raise SourceError(f"Cannot take {type(images).__name__} for images. {_TAKEN}")
    return ArraySource(array)


def _paths_in(images: Any) -> list[str] | None:
    """The paths that a list, a column of a table or an iterator holds, if it holds nothing else."""
    if isinstance(images, np.ndarray) and images.dtype.kind not in "OUT":
        return None
    if isinstance(images, bytes | bytearray | memoryview | dict) or not isinstance(images, Iterable):
        return None
    if isinstance(images, Iterator) or not isinstance(images, Sequence):
        images = list(images)
    if not all(isinstance(item, str | os.PathLike) for item in images):
        return None
    return [os.fspath(item) for item in images]


_TAKEN = ("Give a folder, a list of paths, a text file of paths, an array (n, height, width[, channels]), "
          "an .npy, .npz or IDX file, or an object with __len__, name and read.")
_NAMED = re.compile(r"(\w{2,}):(.+)", re.ASCII | re.DOTALL)  # one letter before the colon is a drive


def _open_named(name: str, text: str) -> ImageSource:
    """What the source of that name, which another package gives, makes of the text after the colon."""
    if text.startswith("//"):
        raise SourceError(f"{name}:{text} is an address, and nothing is ever downloaded: download the images, then "
                          "give the folder that they are in.")
    source = registry.find("source", name)(text)
    if not isinstance(source, ImageSource):
        raise SourceError(f"The source {name!r} made a {type(source).__name__} of {text!r}, which has not all of "
                          "__len__, name and read.")
    return source


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

    def stamp(self, index: int) -> tuple[str | int, ...]:
        """A digest of the image's values."""
        return (blake2b(np.ascontiguousarray(self.array[index]).tobytes(), digest_size=16).hexdigest(),)

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
        self._names = _distinct([printable(name) for name in names])
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
        read = decode_isolated if self.limits.isolate else decode_here
        return read(path, self.name(index), side, self.page(index), self.limits)

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


def _open_path(path: Path, follow_links: bool = False, limits: Limits | None = None) -> ImageSource:
    try:
        if path.is_dir():
            return _open_folder(path, follow_links, limits)
        if not path.exists():
            if found := _fitting(path):
                return (_open_path(found[0], follow_links, limits) if len(found) == 1 else
                        open_source(found, follow_links=follow_links, limits=limits))
            beside = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
            near = get_close_matches(path.name, beside, 1)
            hint = f" Did you mean {path.parent / near[0]}?" if near else ""
            raise SourceError(f"There is no {path}.{hint}")
        if not path.is_file():  # a pipe would be waited for and a device read for ever
            raise SourceError(f"{path} is neither a file nor a folder. {_TAKEN}")
        with path.open("rb") as file:
            head = file.read(512)
    except OSError as error:
        raise SourceError(f"{path} cannot be opened: {error.strerror or error}.") from error
    if head.startswith(b"\x93NUMPY"):
        return ArraySource(load_npy(path), path)
    if path.suffix.lower() == ".zip" or (head.startswith(b"PK\x03\x04") and path.suffix.lower() != ".npz"):
        raise SourceError(f"{path} is an archive: unpack it, then give the folder that it makes.")
    if path.suffix.lower() == ".npz":
        return ArraySource(load_npz(path), path)
    if looks_like_image(head) or path.suffix.lower() in IMAGE_SUFFIXES:
        return _files([path], [path.name], limits=limits)
    if head.startswith(b"\x1f\x8b") or (head[:2] == b"\0\0" and len(head) > 4 and head[2] in IDX_TYPES):
        return ArraySource(open_idx(path), path)
    if b"\0" in head:
        raise SourceError(f"{path} is neither an image nor a text file of paths. {_TAKEN}")
    return _open_table(path, limits) if path.suffix.lower() in (".csv", ".tsv") else _open_list(path, limits)


OTHERS, LINKS, RESULTS = "other files", "links that lead out of the folder", "folders of results of oddlens"


def _files(
    paths: list[Path], names: list[str], root: Path | None = None, passed_over: Mapping[str, int] | None = None,
    limits: Limits | None = None,
) -> FileSource:
    """Files as a source; each page of a TIFF is an image of its own."""
    counts = [count_pages(path) if path.suffix.lower() in (".tif", ".tiff") else 1 for path in paths]
    if max(counts, default=1) == 1:
        return FileSource(paths, names, root, passed_over, (), limits)
    every = [(path, name, page) for path, name, count in zip(paths, names, counts, strict=True)
             for page in range(count)]
    return FileSource([path for path, _, _ in every],
                      [f"{name}#{page + 1}" if page else name for _, name, page in every], root, passed_over,
                      [page for _, _, page in every], limits)


def _fitting(pattern: Path) -> list[Path]:
    """The files that fit a pattern like "photos/*.jpg", which no shell has filled in; links are not walked."""
    if not glob.has_magic(str(pattern)):
        return []
    try:
        return sorted(Path(pattern.anchor).glob(str(pattern.relative_to(pattern.anchor))), key=os.fsencode)
    except (OSError, ValueError):  # nonsense in brackets
        return []


def _open_folder(root: Path, follow_links: bool, limits: Limits | None) -> FileSource:
    """All images below a folder, in the order of their paths, told by content."""
    if is_marked(root):
        raise SourceError(f"{root} holds results of oddlens, not images: give the folder of the images themselves.")
    found: list[tuple[str, Path]] = []
    passed_over: Counter[str] = Counter()
    for path in _walk(root, follow_links, passed_over):
        if _is_meant_as_image(path):
            found.append((path.relative_to(root).as_posix(), path))
        else:
            passed_over[OTHERS] += 1
    if not found:
        beside = ", ".join(f"{count} {what}" for what, count in passed_over.items())
        way = " Links are followed with --follow-links." if passed_over[LINKS] else ""
        raise SourceError(f"{root} holds no images{f' (passed over: {beside})' if beside else ''}. Give a folder with "
                          f"images in it or below it.{way}")
    found.sort(key=lambda pair: os.fsencode(pair[0]))
    return _files([path for _, path in found], [name for name, _ in found], root, passed_over, limits)


def _leads_out(path: Path, root: Path) -> bool:
    """Whether a link leads out of a folder whose own links are resolved."""
    try:
        return not path.resolve().is_relative_to(root)
    except (OSError, RuntimeError):  # a link to itself leads nowhere
        return False


def _walk(root: Path, follow_links: bool, passed_over: Counter[str]) -> Iterator[Path]:
    """Files below a folder, hidden ones left out, and the folders there that cannot be listed.

    Every folder is listed once: under its own path where it lies below ``root``, otherwise under the first link that
    leads to it. Links that lead out of ``root`` are counted and left, unless they are to be followed, and so are
    folders of results. So neither links that lead back up nor folders full of links to each other go on for ever, and
    no image is counted twice because its folder has two names.
    """
    real = root.resolve()
    seen = {_identity(folder) for folder in real.parents}  # a link up there comes round to root again
    folders, links = [root], deque[Path]()
    while folders or links:
        folder = folders.pop() if folders else links.popleft()
        try:
            if (here := _identity(folder)) in seen:
                continue
            with os.scandir(folder) as listing:
                entries = sorted(listing, key=lambda entry: os.fsencode(entry.name))
        except OSError as error:
            if folder is root:
                raise SourceError(f"{folder} cannot be listed: {error.strerror or error}.") from error
            yield folder
            continue
        seen.add(here)
        if any(entry.name in SUMMARIES.values() for entry in entries) and is_marked(folder):
            passed_over[RESULTS] += 1
            continue
        below = []
        for entry in entries:
            if entry.name.startswith("."):
                continue
            path = folder / entry.name
            if not follow_links and entry.is_symlink() and _leads_out(path, real):
                passed_over[LINKS] += 1
                continue
            if not _is_folder(entry):
                yield path
            elif entry.is_symlink():
                links.append(path)
            else:
                below.append(path)
        folders += reversed(below)


def _identity(folder: Path) -> tuple[int, int]:
    """What a folder is, whatever path leads to it."""
    status = folder.stat()
    return status.st_dev, status.st_ino


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, or one that leads where we may not look
        return False


def _is_meant_as_image(path: Path) -> bool:
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return True
    try:
        if not path.is_file():
            return path.is_dir()  # one that cannot be listed: said, not passed over
        with path.open("rb") as file:
            return looks_like_image(file.read(16))
    except OSError:
        return False


def _open_table(path: Path, limits: Limits | None) -> FileSource:
    """A CSV or TSV file with a column of paths, which are taken from the file's own folder."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.reader(file, delimiter="\t" if path.suffix.lower() == ".tsv" else ","))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SourceError(f"{path} cannot be read as a table: {error}.") from error
    rows = [row for row in rows if any(cell.strip() for cell in row)]
    for number in range(max(map(len, rows), default=0)):
        if any(len(row) > number and _exists(path, row[number]) for row in rows[:100]):
            return _column(path, rows, number, limits)
    return _column(path, [], 0, limits)


def _exists(path: Path, name: str) -> bool:
    return bool(name.strip()) and os.path.isfile(path.parent / name.strip())  # noqa: PTH113  takes any text


def _column(path: Path, rows: list[list[str]], number: int, limits: Limits | None) -> FileSource:
    """The paths in a column; the first row is its heading where it is no file and others are."""
    cells = [row[number].strip() for row in rows if len(row) > number and row[number].strip()]
    if cells and not _exists(path, cells[0]):
        cells = cells[1:]
    if not any(_exists(path, cell) for cell in cells):
        raise SourceError(f"{path} has no column whose cells are paths of files that exist. Paths are taken from the "
                          f"folder of the table, {path.parent}.")
    return _files([path.parent / cell for cell in cells], cells, limits=limits)


def _open_list(path: Path, limits: Limits | None = None) -> FileSource:
    """A text file of paths, one a line, taken from the file's own folder; blank lines and # comments left out."""
    try:
        lines = path.read_text("utf-8-sig").split("\n")  # some editors begin a text with a mark
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{path} is neither an image nor a text file of paths. {_TAKEN}") from error
    listed = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if not listed:
        raise SourceError(f"{path} lists no paths. Write one path a line.")
    paths = [path.parent / name for name in listed]
    if not any(map(os.path.exists, paths)):  # which takes lines too long for a path, as Path.exists does not
        first = str(paths[0])
        raise SourceError(f"{path} was read as a list of paths, one a line, but none of its {len(listed)} lines is an "
                          f"existing file; the first is {first if len(first) < 300 else first[:300] + ' ...'}.")
    return _files(paths, listed, limits=limits)


def _distinct(names: list[str]) -> list[str]:
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
