"""Arrays in files: .npy, .npz and IDX.

A header that promises more than its file holds is refused before any memory is taken.
"""

from __future__ import annotations

import gzip
import math
import os
import shutil
import sys
import tempfile
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
from numpy.typing import NDArray

from oddlens.arrays import MOST_IN_MEMORY, allocate
from oddlens.errors import SourceError
from oddlens.files import open_regular

IDX_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
DEFLATE_RATIO = 1032  # bytes that one packed byte unpacks to at most
PIECE_BYTES = 1 << 24  # bytes that are unpacked at a time


class RowsInFile:
    """The rows of an array in a file, read when they are asked for.

    It is not mapped: the system ends a process that touches a mapped page of a file that was cut short meanwhile.
    """

    def __init__(self, path: Path, start: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.path, self.start, self.shape, self.dtype, self.ndim = path, start, shape, dtype, len(shape)
        self._row = math.prod(shape[1:]) * dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: int | slice) -> NDArray[Any]:
        """One row, or several without a step; ``SourceError`` where the file no longer holds them."""
        first, last, _ = (rows if isinstance(rows, slice) else slice(rows, rows + 1)).indices(len(self))
        count = max(0, last - first)
        try:
            with open_regular(self.path) as file:
                file.seek(self.start + first * self._row)
                content = np.fromfile(file, np.uint8, count * self._row)
        except OSError as error:
            raise SourceError(f"{self.path} cannot be read any more: {error.strerror or error}.") from error
        if len(content) < count * self._row:
            raise SourceError(f"{self.path} was cut short while it was read: it ends within row "
                              f"{first + len(content) // self._row}.")
        array: NDArray[Any] = content.view(self.dtype).reshape(count, *self.shape[1:])
        return array if isinstance(rows, slice) else array[0]

    def with_channels(self) -> RowsInFile:
        """The same with an axis of channels."""
        return self if self.ndim == 4 else RowsInFile(self.path, self.start, (*self.shape, 1), self.dtype)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """All rows in memory."""
        return self[:].astype(dtype or self.dtype, copy=False)


def load_npy(path: Path) -> NDArray[Any] | RowsInFile:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # numpy warns of old files, and of sizes that overflow before it refuses
            with open_regular(path) as file:
                shape, by_columns, kind = _npy_header(file)
                start = file.tell()
                held = file.seek(0, os.SEEK_END) - start
            promised = math.prod(shape) * kind.itemsize
            if held < promised:
                raise _broken_promise(path, shape, promised, held)
            if promised and shape and not by_columns:
                return RowsInFile(path, start, shape, kind)
            return cast("NDArray[Any]", np.load(path, allow_pickle=False))
    except Exception as error:  # numpy fails in many ways on a header that lies
        raise SourceError(f"{path} cannot be read as .npy: {error}.") from error


def load_npz(path: Path) -> NDArray[Any]:
    """The array named ``images``, or the only one of a fitting shape; the others are not unpacked."""
    try:
        with zipfile.ZipFile(path) as archive:
            headers = {}
            for member in archive.namelist():
                _require_numpys_packing(archive.getinfo(member), path)
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
                packed = archive.getinfo(member).compress_size
                array = _unpacked(file, shape[::-1] if by_columns else shape, kind, path, packed)
            return array.T if by_columns else array
    except SourceError:
        raise
    except Exception as error:  # zip, zlib and numpy fail in many ways on a damaged file
        raise SourceError(f"{path} cannot be read as .npz: {error}.") from error


def _require_numpys_packing(member: zipfile.ZipInfo, path: Path) -> None:
    """Raise ``SourceError`` for a packing that numpy never writes: the header of one asks for memory at will."""
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise SourceError(f"{path} is packed in another way than numpy packs: save it again with numpy.savez.")


def _npy_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether it is stored by columns, and type of the .npy array that a stream begins with."""
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, by_columns, kind = read(file)
    if kind.hasobject:
        raise ValueError("it holds Python objects, which are never loaded")
    _require_countable(shape, kind)
    return shape, by_columns, kind


def read_idx(path: Path, dimensions: tuple[int, ...] = (3, 4)) -> NDArray[Any]:
    """The whole array in an IDX file, in memory; as ``open_idx``."""
    return np.asarray(open_idx(path, dimensions))


def open_idx(path: Path, dimensions: tuple[int, ...] = (3, 4)) -> NDArray[Any] | RowsInFile:
    """The array in an IDX file (LeCun's format for MNIST): read by rows if it is plain, unpacked if it is gzipped.

    A header that promises more than the file holds is refused before any memory is taken.
    """
    try:
        with path.open("rb") as raw:
            zipped = raw.read(2) == b"\x1f\x8b"
        with gzip.open(path, "rb") if zipped else path.open("rb") as file:
            shape, kind = _idx_header(cast("IO[bytes]", file), path, dimensions)
            _require_countable(shape, kind)
            if zipped:
                return _unpacked(cast("IO[bytes]", file), shape, kind, path, path.stat().st_size)
            start, promised = file.tell(), math.prod(shape) * kind.itemsize
        held = path.stat().st_size - start
        if held != promised:
            raise _broken_promise(path, shape, promised, "more" if held > promised else held)
        return RowsInFile(path, start, shape, kind) if promised else np.empty(shape, kind)
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


def _unpacked(
    file: IO[bytes], shape: tuple[int, ...], kind: np.dtype[Any], path: Path, packed: int
) -> NDArray[Any]:
    """The rest of a packed stream as an array, in a temporary file where it is large.

    A header that promises more than ``packed`` bytes can unpack to is refused before any room is claimed for it. What
    truly unpacks to more than there is room for is refused too: a mapped file that outgrows its disk would end the
    process.
    """
    promised = math.prod(shape) * kind.itemsize
    if promised > (most := DEFLATE_RATIO * (packed + 1)):
        raise SourceError(f"{path} promises {promised} bytes of {shape}, but the {packed} bytes that are packed in it "
                          f"unpack to {most} at most: it is damaged or made to do harm.")
    if promised > MOST_IN_MEMORY and promised > (room := shutil.disk_usage(tempfile.gettempdir()).free):
        raise SourceError(f"{path} promises {promised} bytes of {shape}, and the folder for temporary files has room "
                          f"for {room}. If that is right, set TMPDIR to a larger place.")
    array = allocate(shape, kind)
    content = array.reshape(-1).view(np.uint8)
    held = 0
    while held < promised and (piece := file.read(min(PIECE_BYTES, promised - held))):
        content[held : held + len(piece)] = np.frombuffer(piece, np.uint8)
        held += len(piece)
    if held < promised or file.read(1):
        raise _broken_promise(path, shape, promised, held if held < promised else "more")
    return array


def _require_countable(shape: tuple[int, ...], kind: np.dtype[Any]) -> None:
    """Raise ``SourceError`` for a shape that no array has, also where a side of 0 would make it hold nothing."""
    sizes = [max(side, 1) for side in shape]
    if not kind.itemsize or any(side < 0 for side in shape) or math.prod(sizes) * kind.itemsize > sys.maxsize:
        raise SourceError(f"The header promises {shape} of {kind}, and no array holds that.")


def _broken_promise(path: Path, shape: tuple[int, ...], promised: int, held: int | str) -> SourceError:
    return SourceError(f"{path} promises {promised} bytes of {shape} and holds {held}.")

