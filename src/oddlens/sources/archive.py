"""The images in a zip or a tar, read in place; a tar of samples is a shard of WebDataset.

Nothing is unpacked beside it: a member is read when its image is. Of a packed tar, which can be read in order only, the
tar itself is unpacked to a temporary file.
"""

from __future__ import annotations

import bz2
import gzip
import io
import os
import shutil
import tarfile
import tempfile
import threading
import weakref
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from oddlens.errors import SourceError, UnreadableImage
from oddlens.files import open_regular
from oddlens.reading.bounds import in_bytes
from oddlens.reading.decoding import HEAD_BYTES, looks_like_image
from oddlens.reading.limits import Limits
from oddlens.reading.tiff_pages import count_pages_in
from oddlens.sources.encoded import EncodedSource
from oddlens.sources.folder import OTHERS
from oddlens.sources.image_files import IMAGE_SUFFIXES

TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2)
PIECE = 2**20  # bytes that are unpacked at a time
ROOM_LEFT = 2**28  # bytes that unpacking leaves on the disk


def is_zip(path: Path, head: bytes) -> bool:
    """Whether a file is a zip of files, by its first bytes or its name; numpy's are arrays."""
    return path.suffix.lower() != ".npz" and (path.suffix.lower() == ".zip" or head.startswith(b"PK\x03\x04"))


def is_tar(path: Path, head: bytes) -> bool:
    """Whether a file is a tar, packed or not, by its first bytes or its name."""
    return path.name.lower().endswith(TAR_SUFFIXES) or head[257:262] == b"ustar"


def open_zip(path: Path, column: str | None = None, limits: Limits | None = None) -> EncodedSource:
    """The images in a zip, named by their paths in it; only those with the ending ``column``, where it is given."""
    try:
        archive = zipfile.ZipFile(path)
    except Exception as error:  # zipfile fails in many ways on what is damaged
        raise SourceError(f"{path} cannot be read as a zip: {error}.") from error
    members = {member.filename: member for member in archive.infolist() if member.filename.rstrip("/")
               and not member.is_dir()}
    most = (limits or Limits()).memory

    def read(member: Any, count: int) -> bytes:
        if member.flag_bits & 1:
            raise UnreadableImage("", "it is encrypted")
        if member.compress_type not in PACKINGS:
            raise UnreadableImage("", "it is packed in an unusual way, whose header could ask for memory at will")
        with archive.open(member) as file:
            return file.read(count)

    return _source(path, members, read, lambda member: min(int(member.file_size), most + 1), column, limits)


def open_tar(path: Path, column: str | None = None, limits: Limits | None = None) -> EncodedSource:
    """The images in a tar, named by their paths in it; only those with the ending ``column``, where it is given.

    Of WebDataset's samples "17.jpg", "17.mask.png" and "17.cls" the ending is all after the first dot.
    """
    plain: IO[bytes] | None = None
    try:
        plain = _plain(path)
        source = _of_plain(path, plain, column, limits)
        weakref.finalize(source, plain.close)
        return source
    except BaseException as error:
        if plain is not None:
            plain.close()
        if isinstance(error, SourceError) or not isinstance(error, Exception):
            raise
        # tarfile and the packings fail in many ways on what is damaged
        raise SourceError(f"{path} cannot be read as a tar: {error}.") from error


def _of_plain(path: Path, plain: IO[bytes], column: str | None, limits: Limits | None) -> EncodedSource:
    """The images in a tar that is open and not packed."""
    with tarfile.open(fileobj=plain, mode="r:") as archive:
        members = {member.name: member for member in archive if member.isreg() and not member.issparse()}

    lock = threading.Lock()

    def read(member: Any, count: int) -> bytes:
        with lock:
            plain.seek(member.offset_data)
            content = plain.read(count)
        if len(content) < count:
            raise UnreadableImage("", "the archive ends within it")
        return content

    most = (limits or Limits()).memory
    return _source(path, members, read, lambda member: min(int(member.size), most + 1), column, limits)


def _source(
    path: Path, members: dict[str, Any], read: Callable[[Any, int], bytes], size: Callable[[Any], int],
    column: str | None, limits: Limits | None,
) -> EncodedSource:
    """Those of the members that are images, by name or by content, in the order of their names."""
    passed_over: Counter[str] = Counter()
    found: list[tuple[str, Any, int]] = []
    for name, member in sorted(((str(PurePosixPath(name)), member) for name, member in members.items()),
                               key=lambda pair: os.fsencode(pair[0])):
        base = PurePosixPath(name).name
        if any(part.startswith((".", "__MACOSX")) for part in PurePosixPath(name).parts) or (
                column is not None and base.partition(".")[2] != column.removeprefix(".")):
            continue
        suffix = PurePosixPath(name).suffix.lower()
        if suffix not in IMAGE_SUFFIXES and not looks_like_image(_head(read, member, min(HEAD_BYTES, size(member)))):
            passed_over[OTHERS] += 1
            continue
        tiff = suffix in (".tif", ".tiff")
        pages = count_pages_in(io.BytesIO(_head(read, member, size(member)))) if tiff else 1
        found += [(f"{name}#{page + 1}" if page else name, member, page) for page in range(pages)]
    if not found:
        ending = "" if column is None else f" with the ending {column}"
        raise SourceError(f"{path} holds no images{ending} among its {len(members)} files.")
    return EncodedSource([name for name, _, _ in found],
                         lambda number: read(found[number][1], size(found[number][1])), limits, path=path,
                         column=column, passed_over=passed_over, pages=[page for _, _, page in found])


def _head(read: Callable[[Any, int], bytes], member: Any, count: int) -> bytes:
    """The first bytes of a member; none where it cannot be read, which is said when it is read as an image."""
    try:
        return read(member, count)
    except Exception:  # damaged, encrypted or packed in an unknown way
        return b""


def _plain(path: Path) -> IO[bytes]:
    """A tar, or the one in a packed file, in a temporary file that goes when it is closed."""
    with open_regular(path) as file:
        head = file.read(6)
    opener = gzip.open if head.startswith(b"\x1f\x8b") else bz2.open if head.startswith(b"BZh") else None
    if opener is None:
        if head.startswith((b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")):
            raise SourceError(f"{path} is packed in a way that is not read here, gzip and bzip2 are: unpack it, then "
                              "give the folder that it makes.")
        return open_regular(path)
    plain = cast("IO[bytes]", tempfile.TemporaryFile(prefix="oddlens-"))  # noqa: SIM115  it is read from later
    try:
        with opener(path, "rb") as packed:
            _copy(cast("IO[bytes]", packed), plain, path)
    except BaseException:
        plain.close()
        raise
    return plain


def _copy(packed: IO[bytes], plain: IO[bytes], path: Path) -> None:
    """Unpack all of a file; refused where the disk has no room."""
    room = shutil.disk_usage(tempfile.gettempdir()).free - ROOM_LEFT
    while piece := packed.read(PIECE):
        if plain.tell() + len(piece) > room:
            raise SourceError(f"{path} unpacks to more than {in_bytes(max(0, room))}, for which the folder for "
                              "temporary files has no room. Set TMPDIR to a larger place, or unpack it and give the "
                              "folder.")
        plain.write(piece)
    plain.seek(0)
