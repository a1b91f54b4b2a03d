"""Anything that holds images, opened as one ``ImageSource``: one argument, never five.

Names are the keys of scores and labels, so they must stay the same from run to run: a folder's images are named
by their path within it, listed files as they were listed, an array's rows by their number.
"""

from __future__ import annotations

import gzip
import math
import os
import zlib
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from oddlens.errors import SourceError, UnreadableImage
from oddlens.pixels import decode
from oddlens.protocols import ImageSource

# A file of one of these names is meant to be an image: if its content is not, it is listed as unreadable instead
# of being passed over.
IMAGE_SUFFIXES = frozenset(
    [".apng", ".avif", ".bmp", ".dib", ".gif", ".ico", ".jfif", ".jpe", ".jpeg", ".jpg", ".jp2", ".pbm", ".pgm", ".png",
     ".pnm", ".ppm", ".tga", ".tif", ".tiff", ".webp"]
)
IDX_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def open_source(images: Any) -> ImageSource:
    """The images behind almost anything, without reading them yet.

    images:  a folder (walked with its subfolders); a list of paths; a text file of paths, one a line; an array of
             (n, height, width) or (n, height, width, 1, 3 or 4); an ``.npy`` or ``.npz`` file of one; an IDX file,
             also gzipped; one image file; or an object with the methods of ``ImageSource``.

    Arrays of uint8 are taken as they are, bool as black and white, uint16 by their upper 8 bits, floating-point
    numbers as 0..1. Raises ``SourceError``, saying what was found and what would do.
    """
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
        if array.dtype.kind not in "bfu" or array.dtype.itemsize > 8 or array.dtype in (np.uint32, np.uint64):
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

    def read(self, index: int) -> NDArray[np.uint8]:
        """The row as uint8 (height, width, 1 or 3); a fourth channel is opacity, on white."""
        image = self.array[index]
        if image.ndim == 2:
            image = image[..., None]
        if image.dtype.kind == "b":
            image = image.astype(np.uint8) * 255
        elif image.dtype == np.uint16:
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
                raise UnreadableImage(self.name(index), "there is no such file" if not path.exists() else "not a file")
        except (OSError, ValueError) as error:
            raise UnreadableImage(self.name(index), f"cannot be opened: {error}") from error
        return decode(path, self.name(index), side)


def printable(name: str) -> str:
    """A name that can be written anywhere: bytes that are not UTF-8 are shown as their escapes."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _open_path(path: Path) -> ImageSource:
    try:
        if path.is_dir():
            return _open_folder(path)
        if not path.exists():
            beside = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
            near = get_close_matches(path.name, beside, 1)
            hint = f" Did you mean {path.parent / near[0]}?" if near else ""
            raise SourceError(f"There is no {path}.{hint}")
        with path.open("rb") as file:
            head = file.read(512)
    except OSError as error:
        raise SourceError(f"{path} cannot be opened: {error.strerror or error}.") from error
    if head.startswith(b"\x93NUMPY"):
        return ArraySource(_load_npy(path), str(path))
    if head.startswith(b"PK\x03\x04") or path.suffix == ".npz":
        return ArraySource(_load_npz(path), str(path))
    if head.startswith(b"\x1f\x8b") or (head[:2] == b"\0\0" and len(head) > 4 and head[2] in IDX_TYPES):
        return ArraySource(read_idx(path), str(path))
    if looks_like_image(head) or path.suffix.lower() in IMAGE_SUFFIXES:
        return FileSource([path], [path.name])
    return _open_list(path)


def _open_folder(root: Path) -> FileSource:
    """All images below a folder, in the order of their paths, told by content."""
    found: list[tuple[str, Path]] = []
    skipped = 0
    for path in _walk(root, set()):
        if _is_meant_as_image(path):
            found.append((path.relative_to(root).as_posix(), path))
        else:
            skipped += 1
    if not found:
        beside = f" ({skipped} other files are there)" if skipped else ""
        raise SourceError(f"{root} holds no images{beside}. Give a folder with images in it or below it.")
    found.sort(key=lambda pair: os.fsencode(pair[0]))
    return FileSource([path for _, path in found], [name for name, _ in found], root, skipped)


def _walk(folder: Path, above: set[tuple[int, int]]) -> Iterator[Path]:
    """Files below a folder, hidden ones left out. A link that leads back up is not followed in circles."""
    try:
        status = folder.stat()
        entries = sorted(os.scandir(folder), key=lambda entry: os.fsencode(entry.name))
    except OSError as error:
        if not above:
            raise SourceError(f"{folder} cannot be listed: {error.strerror or error}.") from error
        return
    here = (status.st_dev, status.st_ino)
    if here in above:
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        path = folder / entry.name
        if entry.is_dir():
            yield from _walk(path, above | {here})
        else:
            yield path


def _is_meant_as_image(path: Path) -> bool:
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return True
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return looks_like_image(file.read(16))
    except OSError:
        return False


def looks_like_image(head: bytes) -> bool:
    """Whether a file's first 16 bytes are those of an image format, whatever the file is called."""
    return (
        head.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*",
                         b"\0\0\0\x0cjP  "))
        or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")
        or (head[:2] == b"BM" and len(head) >= 14 and head[6:10] == b"\0\0\0\0")
        or (head[4:8] == b"ftyp" and head[8:12] in (b"avif", b"avis", b"mif1"))
        or (head[:1] == b"P" and head[1:2] in b"123456" and head[2:3] in (b"\n", b" ", b"\r", b"\t") and len(head) > 2)
    )


def _open_list(path: Path) -> FileSource:
    """A text file of paths, one a line, taken from the file's own folder; blank lines and # comments left out."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{path} is neither an image nor a text file of paths. {_TAKEN}") from error
    listed = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if not listed:
        raise SourceError(f"{path} lists no paths. Write one path a line.")
    paths = [path.parent / name for name in listed]
    if not any(found.exists() for found in paths):
        raise SourceError(f"{path} was read as a list of paths, one a line, but none of its {len(listed)} lines is an "
                          f"existing file; the first is {paths[0]}.")
    return FileSource(paths, listed)


def _load_npy(path: Path) -> NDArray[Any]:
    try:
        return cast("NDArray[Any]", np.load(path, mmap_mode="r", allow_pickle=False))
    except (ValueError, OSError, EOFError, SyntaxError, MemoryError, OverflowError) as error:
        raise SourceError(f"{path} cannot be read as .npy: {error}.") from error


def _load_npz(path: Path) -> NDArray[Any]:
    """The array named ``images``, or the only one of a fitting shape."""
    try:
        with np.load(path, allow_pickle=False) as file:
            if "images" in file.files:
                return np.asarray(file["images"])
            arrays = {name: file[name] for name in file.files}
    except Exception as error:  # zip, zlib and numpy fail in many ways on a damaged file
        raise SourceError(f"{path} cannot be read as .npz: {error}.") from error
    fitting = {name: array for name, array in arrays.items() if array.ndim in (3, 4)}
    if len(fitting) != 1:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items()) or "nothing"
        raise SourceError(f"{path} holds {shapes}; it needs one array named 'images'.")
    return next(iter(fitting.values()))


def read_idx(path: Path, dimensions: tuple[int, ...] = (3, 4)) -> NDArray[Any]:
    """The array in an IDX file, plain or gzipped (LeCun's format for MNIST).

    A header that promises more than the file holds is refused before any memory is set aside.
    """
    try:
        with path.open("rb") as raw:
            zipped = raw.read(2) == b"\x1f\x8b"
        with gzip.open(path, "rb") if zipped else path.open("rb") as opened:
            return _parse_idx(cast("BinaryIO", opened), path, dimensions)
    except (OSError, EOFError, zlib.error) as error:
        raise SourceError(f"{path} cannot be read as IDX: {error}.") from error


def _parse_idx(file: BinaryIO, path: Path, dimensions: tuple[int, ...]) -> NDArray[Any]:
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
    shape = tuple(int(size) for size in np.frombuffer(header, ">u4"))
    kind = np.dtype(IDX_TYPES[magic[2]])
    promised = math.prod(shape) * kind.itemsize
    # Piece by piece: neither the header nor a gzip bomb decides how much memory is taken, the content does.
    pieces, held = [], 0
    while held <= promised and (piece := file.read(min(1 << 24, promised - held + 1))):
        pieces.append(piece)
        held += len(piece)
    if held != promised:
        found = "more" if held > promised else held
        raise SourceError(f"{path} promises {promised} bytes of {shape} and holds {found}.")
    return np.frombuffer(b"".join(pieces), kind).reshape(shape)


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
