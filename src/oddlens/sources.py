"""Anything that holds images, opened as one ``ImageSource``: one argument, never five.

Names are the keys of scores and labels, so they must stay the same from run to run: a folder's images are named
by their path within it, listed files as they were listed, an array's rows by their number.
"""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oddlens import registry
from oddlens.errors import SourceError, UnreadableImage
from oddlens.protocols import ImageSource
from oddlens.reading.array_files import IDX_TYPES, load_npy, load_npz, read_idx
from oddlens.reading.decoding import decode, looks_like_image

# A file of one of these names is meant to be an image: if its content is not, it is listed as unreadable instead
# of being passed over.
IMAGE_SUFFIXES = frozenset(
    [".apng", ".avif", ".bmp", ".dib", ".gif", ".ico", ".jfif", ".jpe", ".jpeg", ".jpg", ".jp2", ".pbm", ".pgm", ".png",
     ".pnm", ".ppm", ".tga", ".tif", ".tiff", ".webp"]
)


def open_source(images: Any) -> ImageSource:
    """The images behind almost anything, without reading them yet.

    images:  a folder (walked with its subfolders); a list of paths; a text file of paths, one a line; an array of
             (n, height, width) or (n, height, width, 1, 3 or 4); an ``.npy`` or ``.npz`` file of one; an IDX file,
             also gzipped; one image file; NAME:TEXT, which is what the source that a package gives by that name makes
             of the text (docs/write-a-source.md); or an object with the methods of ``ImageSource``.

    Arrays of uint8 are taken as they are, bool as black and white, uint16 by their upper 8 bits, floating-point
    numbers as 0..1. Raises ``SourceError``, saying what was found and what would do.
    """
    if isinstance(images, str) and (named := _NAMED.fullmatch(images)) and not os.path.lexists(images):
        return _open_named(*named.groups())
    if isinstance(images, str | os.PathLike):
        return _open_path(Path(images))
    if isinstance(images, ImageSource):
        return images
    if isinstance(images, Sequence) and all(isinstance(item, str | os.PathLike) for item in images):
        if not images:
            raise SourceError("The list of images is empty.")
        return FileSource([Path(item) for item in images], [os.fspath(item) for item in images])
    try:
        array = np.asarray(images)
    except (TypeError, ValueError, RuntimeError) as error:
        raise SourceError(f"Cannot take {type(images).__name__} for images: {error}. {_TAKEN}") from error
    if array.dtype == object:
        raise SourceError(f"Cannot take {type(images).__name__} for images. {_TAKEN}")
    return ArraySource(array)


_TAKEN = ("Give a folder, a list of paths, a text file of paths, an array (n, height, width[, channels]), "
          "an .npy, .npz or IDX file, or an object with __len__, name and read.")
_NAMED = re.compile(r"(\w{2,}):(.+)", re.ASCII | re.DOTALL)  # one letter before the colon is a drive


def _open_named(name: str, text: str) -> ImageSource:
    """What the source of that name, which another package gives, makes of the text after the colon."""
    source = registry.find("source", name)(text)
    if not isinstance(source, ImageSource):
        raise SourceError(f"The source {name!r} made a {type(source).__name__} of {text!r}, which has not all of "
                          "__len__, name and read.")
    return source


class ArraySource:
    """The rows of an array as images, named by their numbers."""

    root: Path | None = None

    def __init__(self, array: NDArray[Any], what: str = "the array") -> None:
        if array.ndim not in (3, 4) or (array.ndim == 4 and array.shape[3] not in (1, 3, 4)):
            raise SourceError(f"{what} has shape {array.shape}; images need (n, height, width) or "
                              "(n, height, width, channels) with 1, 3 or 4 channels"
                              + (": move the channels to the end." if array.ndim == 4 else "."))
        if 0 in array.shape:
            raise SourceError(f"{what} has shape {array.shape}, which holds no pixels.")
        if array.dtype.kind not in "bfu" or array.dtype.itemsize > (2 if array.dtype.kind == "u" else 8):
            raise SourceError(f"{what} holds {array.dtype}; images need uint8, bool, uint16, or floating-point "
                              "numbers from 0 to 1: convert it with .astype(np.uint8).")
        self.array = array
        self.what = what
        self._width = len(str(len(array) - 1))

    def __len__(self) -> int:
        return len(self.array)

    def name(self, index: int) -> str:
        """The row's number, with leading zeros so that names sort as the rows do."""
        return f"{index:0{self._width}d}"

    @property
    def pixels(self) -> NDArray[np.uint8] | None:
        """All rows as (n, height, width, 1 or 3) where they are pixels as they stand, so that none need be read."""
        rows = self.array[..., None] if self.array.ndim == 3 else self.array
        return rows if rows.dtype == np.uint8 and rows.shape[3] != 4 else None

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
    """Image files, each with its name."""

    def __init__(self, paths: list[Path], names: list[str], root: Path | None = None, skipped: int = 0) -> None:
        self.paths = paths
        self.root = root  # the folder that they were found in, if it was one
        self.skipped = skipped  # files there that are no images and do not claim to be
        self._names = _distinct([printable(name) for name in names])

    def __len__(self) -> int:
        return len(self.paths)

    def name(self, index: int) -> str:
        """The path within the folder, or as it was listed."""
        return self._names[index]

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
        return decode(path, self.name(index), side)


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
    """A name that can be written anywhere: what is not UTF-8 is shown as its escapes."""
    try:
        raw = name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half a surrogate pair, which no name on a disk can hold but a list can
        raw = name.encode("utf-8", "backslashreplace")
    return raw.decode("utf-8", "backslashreplace")


def _open_path(path: Path) -> ImageSource:
    try:
        if path.is_dir():
            return _open_folder(path)
        if not path.exists():
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
        return ArraySource(load_npy(path), str(path))
    if head.startswith(b"PK\x03\x04") or path.suffix == ".npz":
        return ArraySource(load_npz(path), str(path))
    if looks_like_image(head) or path.suffix.lower() in IMAGE_SUFFIXES:
        return FileSource([path], [path.name])
    if head.startswith(b"\x1f\x8b") or (head[:2] == b"\0\0" and len(head) > 4 and head[2] in IDX_TYPES):
        return ArraySource(read_idx(path), str(path))
    if b"\0" in head:
        raise SourceError(f"{path} is neither an image nor a text file of paths. {_TAKEN}")
    return _open_list(path)


def _open_folder(root: Path) -> FileSource:
    """All images below a folder, in the order of their paths, told by content."""
    found: list[tuple[str, Path]] = []
    skipped = 0
    for path in _walk(root):
        if _is_meant_as_image(path):
            found.append((path.relative_to(root).as_posix(), path))
        else:
            skipped += 1
    if not found:
        beside = f" ({skipped} other files are there)" if skipped else ""
        raise SourceError(f"{root} holds no images{beside}. Give a folder with images in it or below it.")
    found.sort(key=lambda pair: os.fsencode(pair[0]))
    return FileSource([path for _, path in found], [name for name, _ in found], root, skipped)


def _walk(root: Path) -> Iterator[Path]:
    """Files below a folder, hidden ones left out, and the folders there that cannot be listed.

    Every folder is listed once: under its own path where it lies below ``root``, otherwise under the first link that
    leads to it. So neither links that lead back up nor folders full of links to each other go on for ever, and no
    image is counted twice because its folder has two names.
    """
    seen = {_identity(folder) for folder in root.resolve().parents}  # a link up there comes round to root again
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
        below = []
        for entry in entries:
            if entry.name.startswith("."):
                continue
            path = folder / entry.name
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


def _open_list(path: Path) -> FileSource:
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
    return FileSource(paths, listed)


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
        taken.add(candidate)
        result.append(candidate)
    return result
