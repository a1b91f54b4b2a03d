"""Images at an address: s3://, gs://, https:// and the like, by fsspec or pyarrow.

This is the only place where anything is fetched, and only from an address that was given. An image is fetched when it
is read; an archive, a table or an array is copied to a temporary folder, which goes when the source goes.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np
from numpy.typing import NDArray

from oddlens.errors import MissingExtra, SourceError
from oddlens.protocols import HoldsPixels, ImageSource, PassesOver, ReadsNear
from oddlens.reading.bounds import in_bytes
from oddlens.reading.limits import Limits
from oddlens.sources.encoded import EncodedSource
from oddlens.sources.folder import OTHERS
from oddlens.sources.image_files import IMAGE_SUFFIXES

SCHEMES = ("abfs", "az", "ftp", "gcs", "gs", "hdfs", "hf", "http", "https", "memory", "s3", "sftp")
BY_PYARROW = ("abfs", "gcs", "gs", "hdfs", "s3")  # where fsspec lacks the package for it
TRIES = 3  # of a fetch; a second and a third after a pause
PAUSE = 0.5  # seconds
DEEPEST = 8  # folders below the one that was given
MARKERS = ("ETag", "etag", "mtime", "LastModified", "Last-Modified")  # what says that a file changed
ROOM_LEFT = 2**28  # bytes that a copy leaves on the disk
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+-]+)://.+", re.DOTALL)


def is_address(text: object) -> bool:
    """Whether a text is an address rather than a path."""
    return (isinstance(text, str) and "://" in text and _ADDRESS.fullmatch(text) is not None
            and not os.path.lexists(text))


def is_address_of_image(text: str) -> bool:
    """Whether a text is the address of one image, by the ending of its name."""
    return is_address(text) and _suffix(text) in IMAGE_SUFFIXES


def open_remote(address: str, open_copy: Callable[[Path], ImageSource], limits: Limits | None = None) -> ImageSource:
    """A folder or a pattern of images, one image, or a file that holds some, of which ``open_copy`` opens a copy."""
    if is_address_of_image(address) and not _is_pattern(address):
        return of_addresses([address], limits)
    files, path = _at(address)
    try:
        if _is_pattern(address):
            found = files.glob(path, detail=True)
        elif files.isdir(path):
            found = files.find(path, maxdepth=DEEPEST, detail=True)
        elif files.exists(path):
            return _Copied(address, *_copied(files, path, address, open_copy))
        else:
            raise SourceError(f"There is nothing at {address}, or it may not be read.")
    except SourceError:
        raise
    except Exception as error:  # a connection, credentials, a service: each fails in ways of its own
        raise SourceError(f"{address} cannot be listed: {error or type(error).__name__}.") from error
    return _listed(files, {key: told for key, told in found.items() if told.get("type") != "directory"},
                   path, address, limits)


def of_addresses(addresses: Sequence[str], limits: Limits | None = None) -> EncodedSource:
    """Images, each at an address of its own, named by it."""
    places = [_at(address) for address in addresses]
    most = (limits or Limits()).memory
    return EncodedSource(addresses, lambda number: _fetched(*places[number], most), limits)


def _listed(
    files: Any, found: Mapping[str, Mapping[str, Any]], path: str, address: str, limits: Limits | None
) -> EncodedSource:
    """The images among files that were listed, told by the endings of their names."""
    keys = sorted((key for key in found if _suffix(key) in IMAGE_SUFFIXES), key=os.fsencode)
    others = len(found) - len(keys)
    if not keys:
        raise SourceError(f"{address} has no images among its {others} files; they are told by the endings of their "
                          "names. Give the address of a folder of images, of an archive, or of several images.")
    top = re.split(r"[*?\[]", path)[0].rpartition("/")[0] if _is_pattern(address) else path.rstrip("/")
    names = [key[len(top) :].lstrip("/") if key.startswith(top) else key for key in keys]
    web = _scheme(address) in ("http", "https")
    most = (limits or Limits()).memory

    def stamp(number: int) -> tuple[str | int, ...] | None:
        told = found[keys[number]]
        marks = [str(told[marker]) for marker in MARKERS if told.get(marker) is not None]
        return (str(told.get("size")), *marks) if marks else None

    return EncodedSource([unquote(name) if web else name for name in names],
                         lambda number: _fetched(files, keys[number], most), limits, stamp=stamp,
                         passed_over={OTHERS: others} if others else {})


def _at(address: str) -> tuple[Any, str]:
    """The file system at an address, as fsspec has them, and the path there."""
    scheme = _scheme(address)
    if scheme not in SCHEMES:
        raise SourceError(f"{address} is an address of a kind that is not known: {', '.join(SCHEMES)} are. Of files on "
                          "this machine give the path.")
    try:
        import fsspec

        found = fsspec.core.url_to_fs(address)
        return found[0], str(found[1])
    except ImportError as error:
        if scheme in BY_PYARROW:
            return _by_pyarrow(scheme, urlsplit(address).netloc, urlsplit(address).query), _path(address)
        if scheme in ("http", "https"):
            raise MissingExtra.named("aiohttp", "remote", f"Reading {scheme}:// addresses") from error
        raise SourceError(f"{address} cannot be read: {error}.") from error
    except Exception as error:
        raise SourceError(f"{address} cannot be read: {error or type(error).__name__}.") from error


@lru_cache(16)
def _by_pyarrow(scheme: str, place: str, query: str) -> Any:
    """Pyarrow's file system at a place, in fsspec's clothes."""
    from fsspec.implementations.arrow import ArrowFSWrapper
    from pyarrow import fs

    address = f"{scheme}://{place}/{'?' if query else ''}{query}"
    try:
        return ArrowFSWrapper(fs.FileSystem.from_uri(address)[0])
    except Exception as error:
        raise SourceError(f"{scheme}://{place} cannot be read: {error}.") from error


def _path(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.netloc.rpartition('@')[2]}{parts.path}"


def _fetched(files: Any, path: str, most: int) -> bytes:
    """A file's content, or of a larger one somewhat more than ``most`` bytes."""
    for remaining in reversed(range(TRIES)):
        try:
            if hasattr(files, "fs"):  # pyarrow's, whose wrapper opens what it cannot seek in
                with files.fs.open_input_file(path) as file:
                    return bytes(file.read(most + 1))
            return bytes(files.cat_file(path, end=most + 1))
        except FileNotFoundError:
            raise
        except Exception:  # a connection that broke may be there again
            if not remaining:
                raise
            time.sleep(PAUSE)
    raise AssertionError  # the last try returns or raises


def _copied(
    files: Any, path: str, address: str, open_copy: Callable[[Path], ImageSource]
) -> tuple[ImageSource, Path]:
    """A file that holds images, opened from a copy; and the folder of the copy."""
    folder = Path(tempfile.mkdtemp(prefix="oddlens-"))
    try:
        size, room = files.info(path).get("size"), shutil.disk_usage(folder).free - ROOM_LEFT
        if size is not None and size > room:
            raise SourceError(f"{address} has {in_bytes(size)}, and the folder for temporary files has room for "
                              f"{in_bytes(max(0, room))}. Set TMPDIR to a larger place, or copy it yourself.")
        copy = folder / (unquote(PurePosixPath(urlsplit(address).path).name) or "images").replace("/", "_")
        files.get_file(path, str(copy))
        return open_copy(copy), folder
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, SourceError):
            raise SourceError(str(error).replace(f"{folder}{os.sep}", f"{address.rpartition('/')[0]}/")) from error
        raise


class _Copied:
    """What a copy holds, without the path of the copy, which is gone with it."""

    root: Path | None = None

    def __init__(self, address: str, source: ImageSource, folder: Path) -> None:
        self.address, self._source = address, source
        self.passed_over = dict(source.passed_over) if isinstance(source, PassesOver) else {}
        self.skipped = sum(self.passed_over.values())
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)

    def __len__(self) -> int:
        return len(self._source)

    def name(self, index: int) -> str:
        """The name of the image in the file."""
        return self._source.name(index)

    @property
    def pixels(self) -> NDArray[np.uint8] | None:
        """All images at once, where it is an array of pixels."""
        return self._source.pixels if isinstance(self._source, HoldsPixels) else None

    def read(self, index: int) -> NDArray[np.uint8]:
        """The image at full size."""
        return self._source.read(index)

    def read_near(self, index: int, side: int) -> tuple[NDArray[np.uint8], tuple[int, int]]:
        """The image, reduced where its source can, and its (height, width)."""
        if isinstance(self._source, ReadsNear):
            return self._source.read_near(index, side)
        image = self._source.read(index)
        return image, (image.shape[0], image.shape[1])


def _scheme(address: str) -> str:
    found = _ADDRESS.fullmatch(address)
    return found[1].lower() if found else ""


def _suffix(address: str) -> str:
    web = _scheme(address) in ("http", "https")
    return PurePosixPath(urlsplit(address).path if web else address).suffix.lower()


def _is_pattern(address: str) -> bool:
    """Whether an address stands for the files that fit it; on the web these signs are part of an address."""
    return _scheme(address) not in ("http", "https") and any(sign in address for sign in "*[")
