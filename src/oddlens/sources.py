"""Anything that holds images, opened as one ``ImageSource``: one argument, never five.

Names are the keys of scores and labels, so they must stay the same from run to run: a folder's images are named
by their path within it, listed files as they were listed, an array's rows by their number.
"""

from __future__ import annotations

import gzip
import math
import os
import re
import shutil
import tempfile
import warnings
import zipfile
import zlib
from collections import deque
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
from numpy.typing import NDArray

from oddlens import registry
from oddlens.arrays import MEMORY, allocate
from oddlens.errors import SourceError, UnreadableImage
from oddlens.pixels import decode, looks_like_image
from oddlens.protocols import ImageSource

# A file of one of these names is meant to be an image: if its content is not, it is listed as unreadable instead
# of being passed over.
IMAGE_SUFFIXES = frozenset(
    [".apng", ".avif", ".bmp", ".dib", ".gif", ".ico", ".jfif", ".jpe", ".jpeg", ".jpg", ".jp2", ".pbm", ".pgm", ".png",
     ".pnm", ".ppm", ".tga", ".tif", ".tiff", ".webp"]
)
IDX_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
PIECE = 1 << 24  # bytes that are unpacked at a time


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
        return ArraySource(_load_npy(path), str(path))
    if head.startswith(b"PK\x03\x04") or path.suffix == ".npz":
        return ArraySource(_load_npz(path), str(path))
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


def _load_npy(path: Path) -> NDArray[Any]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # numpy warns of old files, and of sizes that overflow before it refuses
            return cast("NDArray[Any]", np.load(path, mmap_mode="r", allow_pickle=False))
    except Exception as error:  # numpy fails in many ways on a header that lies
        raise SourceError(f"{path} cannot be read as .npy: {error}.") from error


def _load_npz(path: Path) -> NDArray[Any]:
    """The array named ``images``, or the only one of a fitting shape; the others are not unpacked."""
    try:
        with zipfile.ZipFile(path) as archive:
            headers = {}
            for member in archive.namelist():
                with archive.open(member) as file:
                    headers[member.removesuffix(".npy")] = member, _npy_header(file)
            fitting = [name for name, (_, (shape, _, _)) in headers.items() if len(shape) in (3, 4)]
            name = "images" if "images" in headers else fitting[0] if len(fitting) == 1 else None
            if name is None:
                shapes = ", ".join(f"{name} {shape}" for name, (_, (shape, _, _)) in headers.items()) or "nothing"
                raise SourceError(f"{path} holds {shapes}; it needs one array named 'images'.")
            member, (shape, by_columns, kind) = headers[name]
            with archive.open(member) as file:
                _npy_header(file)
                array = _unpacked(file, shape[::-1] if by_columns else shape, kind, path)
            return array.T if by_columns else array
    except SourceError:
        raise
    except Exception as error:  # zip, zlib and numpy fail in many ways on a damaged file
        raise SourceError(f"{path} cannot be read as .npz: {error}.") from error


def _npy_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether it is stored by columns, and type of the .npy array that a stream begins with."""
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, by_columns, kind = read(file)
    if kind.hasobject:
        raise ValueError("it holds Python objects, which are never loaded")
    return shape, by_columns, kind


def read_idx(path: Path, dimensions: tuple[int, ...] = (3, 4)) -> NDArray[Any]:
    """The array in an IDX file (LeCun's format for MNIST): memory-mapped if it is plain, unpacked if it is gzipped.

    A header that promises more than the file holds is refused before any memory is taken.
    """
    try:
        with path.open("rb") as raw:
            zipped = raw.read(2) == b"\x1f\x8b"
        with gzip.open(path, "rb") if zipped else path.open("rb") as file:
            shape, kind = _idx_header(cast("IO[bytes]", file), path, dimensions)
            if zipped:
                return _unpacked(cast("IO[bytes]", file), shape, kind, path)
            start, promised = file.tell(), math.prod(shape) * kind.itemsize
        held = path.stat().st_size - start
        if held != promised:
            raise _broken_promise(path, shape, promised, "more" if held > promised else held)
        return np.memmap(path, kind, "r", start, shape) if promised else np.empty(shape, kind)
    except (OSError, EOFError, zlib.error) as error:
        raise SourceError(f"{path} cannot be read as IDX: {error}.") from error


def _idx_header(file: IO[bytes], path: Path, dimensions: tuple[int, ...]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in IDX_TYPES:
        raise SourceError(f"{path} is not an IDX file: it begins with {magic.hex(' ') or 'nothing'}.")
    if magic[3] not in dimensions:
        wanted = " or ".join(map(str, dimensions))
        raise SourceError(f"{path} is an IDX file of {magic[3]} dimensions; {wanted} are needed "
                          "(is it the file of labels?).")
    header = file.read(4 * magic[3])
    if len(header) < 4 * magic[3]:
        raise SourceError(f"{path} ends within its IDX header.")
    return tuple(int(size) for size in np.frombuffer(header, ">u4")), np.dtype(IDX_TYPES[magic[2]])


def _unpacked(file: IO[bytes], shape: tuple[int, ...], kind: np.dtype[Any], path: Path) -> NDArray[Any]:
    """The rest of a packed stream as an array, in a temporary file where it is large.

    Memory that is set aside is taken only as it is filled, so a header that lies takes none. What truly unpacks to
    more than there is room for is refused here: a mapped file that outgrows its disk would end the process.
    """
    promised = math.prod(shape) * kind.itemsize
    if promised > MEMORY and promised > (room := shutil.disk_usage(tempfile.gettempdir()).free):
        raise SourceError(f"{path} promises {promised} bytes of {shape}, and the folder for temporary files has room "
                          f"for {room}. If that is right, set TMPDIR to a larger place.")
    array = allocate(shape, kind)
    content = array.reshape(-1).view(np.uint8)
    held = 0
    while held < promised and (piece := file.read(min(PIECE, promised - held))):
        content[held : held + len(piece)] = np.frombuffer(piece, np.uint8)
        held += len(piece)
    if held < promised or file.read(1):
        raise _broken_promise(path, shape, promised, held if held < promised else "more")
    return array


def _broken_promise(path: Path, shape: tuple[int, ...], promised: int, held: int | str) -> SourceError:
    return SourceError(f"{path} promises {promised} bytes of {shape} and holds {held}.")


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
