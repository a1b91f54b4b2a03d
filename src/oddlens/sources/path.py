"""What lies at a path, told by what it is and, of a file, by its content."""

from __future__ import annotations

import os
from collections.abc import Sequence
from difflib import get_close_matches
from itertools import groupby
from pathlib import Path
from urllib.parse import unquote, urlsplit

from oddlens.errors import SourceError
from oddlens.protocols import ImageSource
from oddlens.reading import video
from oddlens.reading.array_files import IDX_TYPES, load_npy, load_npz, open_idx
from oddlens.reading.decoding import looks_like_image
from oddlens.reading.limits import Limits
from oddlens.sources.archive import is_tar, is_zip, open_tar, open_zip
from oddlens.sources.array import ArraySource
from oddlens.sources.folder import open_folder
from oddlens.sources.frames import ANIMATED, open_animation, open_video
from oddlens.sources.image_files import IMAGE_SUFFIXES, with_pages
from oddlens.sources.joined import join
from oddlens.sources.listed_paths import TAKEN, fitting, open_list
from oddlens.sources.remote import is_address, is_address_of_image, of_addresses, open_remote
from oddlens.sources.table_files import ARROW, PARQUET, TEXTS, open_binary_table, open_text_table

# Files of these names hold images within, when they are listed among others; every other is an image or meant to be.
HOLDING = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".parquet", ".arrow", ".feather", ".npy", ".npz",
           *TEXTS, *video.SUFFIXES)


def open_path(
    path: Path, follow_links: bool = False, column: str | None = None, limits: Limits | None = None
) -> ImageSource:
    """The images at a path or at those that fit a pattern; raises ``SourceError``, saying what is there instead."""
    try:
        if path.is_dir():
            return open_folder(path, follow_links, limits)
        if not path.exists():
            if found := fitting(path):
                if len(found) == 1:
                    return open_path(found[0], follow_links, column, limits)
                return open_paths([str(one) for one in found], follow_links, column, limits)
            beside = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
            near = get_close_matches(path.name, beside, 1)
            hint = f" Did you mean {path.parent / near[0]}?" if near else ""
            raise SourceError(f"There is no {path}.{hint}")
        if not path.is_file():  # a pipe would be waited for and a device read for ever
            raise SourceError(f"{path} is neither a file nor a folder. {TAKEN}")
        with path.open("rb") as file:
            head = file.read(512)
    except OSError as error:
        raise SourceError(f"{path} cannot be opened: {error.strerror or error}.") from error
    return _open_file(path, head, column, limits)


def _open_file(path: Path, head: bytes, column: str | None, limits: Limits | None) -> ImageSource:
    suffix = path.suffix.lower()
    if head.startswith(b"\x93NUMPY"):
        return ArraySource(load_npy(path), path)
    if suffix == ".npz":
        return ArraySource(load_npz(path), path)
    if is_zip(path, head):
        return open_zip(path, column, limits)
    if is_tar(path, head):
        return open_tar(path, column, limits)
    if suffix in ANIMATED and (animation := open_animation(path, limits)) is not None:
        return animation
    if looks_like_image(head) or suffix in IMAGE_SUFFIXES:
        return with_pages([path], [path.name], limits=limits)
    if video.is_video(head):
        return open_video(path, limits)
    if head.startswith((PARQUET, ARROW)):
        return open_binary_table(path, column, limits)
    if head.startswith(b"\x1f\x8b") or (head[:2] == b"\0\0" and len(head) > 4 and head[2] in IDX_TYPES):
        return ArraySource(open_idx(path), path)
    if b"\0" in head:
        raise SourceError(f"{path} is neither an image nor a text file of paths. {TAKEN}")
    return open_text_table(path, column, limits) if suffix in TEXTS else open_list(path, limits)


def open_paths(
    paths: Sequence[str], follow_links: bool = False, column: str | None = None, limits: Limits | None = None
) -> ImageSource:
    """The images at several paths: files as they are listed, and what folders, archives and tables among them hold.

    A pattern among them stands for the files that fit it. Addresses may be among them.
    """
    if not paths:
        raise SourceError("The list of images is empty.")
    paths = [one for path in paths for one in _filled_in(path)]
    if len(paths) == 1 and (_holds_images(paths[0]) or is_address(paths[0])):
        return open_place(paths[0], follow_links, column, limits)
    parts: list[tuple[str, ImageSource]] = []
    for kind, group in groupby(paths, _kind):
        if kind == "held":
            parts += [(path, open_place(path, follow_links, column, limits)) for path in group]
        elif kind == "address":
            parts.append(("", of_addresses(list(group), limits)))
        else:
            listed = list(group)
            parts.append(("", with_pages([Path(path) for path in listed], listed, limits=limits)))
    return parts[0][1] if len(parts) == 1 else join(parts, limits)


def open_place(
    place: str, follow_links: bool = False, column: str | None = None, limits: Limits | None = None
) -> ImageSource:
    """The images at a path, or at an address."""
    if is_address(place):
        if place.lower().startswith("file://"):
            place = unquote(urlsplit(place).path)
        else:
            return open_remote(place, lambda copy: open_path(copy, False, column, limits), limits)
    return open_path(Path(place), follow_links, column, limits)


def _kind(path: str) -> str:
    if is_address_of_image(path):
        return "address"
    return "held" if _holds_images(path) or is_address(path) else "file"


def _filled_in(path: str) -> list[str]:
    if not any(sign in path for sign in "*?[{") or os.path.lexists(path) or is_address(path):
        return [path]
    return [str(one) for one in fitting(Path(path))] or [path]


def _holds_images(path: str) -> bool:
    return os.path.isdir(path) or path.lower().endswith(HOLDING)  # noqa: PTH112  takes any text
