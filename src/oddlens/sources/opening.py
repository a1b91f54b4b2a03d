"""Anything that holds images, opened as one ``ImageSource``: one argument, never five.

Names are the keys of scores and labels, so they must stay the same from run to run: a folder's images are named
by their path within it, listed files as they were listed, an array's rows by their number.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np

from oddlens import registry
from oddlens.errors import SourceError
from oddlens.protocols import ImageSource
from oddlens.reading.array_files import IDX_TYPES, load_npy, load_npz, open_idx
from oddlens.reading.decoding import looks_like_image
from oddlens.reading.limits import Limits
from oddlens.sources.array import ArraySource
from oddlens.sources.folder import open_folder
from oddlens.sources.hugging_face import open_hugging_face
from oddlens.sources.image_files import IMAGE_SUFFIXES, with_pages
from oddlens.sources.items import ItemSource, has_items
from oddlens.sources.listed_paths import TAKEN, fitting, open_list, paths_in
from oddlens.sources.picture import as_array, is_pillow
from oddlens.sources.table import open_table
from oddlens.sources.torch_data import open_torch_data


def open_source(
    images: Any, *, follow_links: bool = False, column: str | None = None, limits: Limits | None = None
) -> ImageSource:
    """The images behind almost anything, without reading them yet.

    images:        a folder (walked with its subfolders); a list or a column of paths; a pattern like "photos/*.jpg"; a
                   text file of paths, one a line; a CSV file with a column of paths; an array of (n, height, width),
                   (n, height, width, 1, 3 or 4) or (n, 1, 3 or 4, height, width); an ``.npy`` or ``.npz`` file of one;
                   an IDX file, also gzipped; one image file; a list of pictures in memory, Pillow's or arrays; a data
                   set of PyTorch or Hugging Face; NAME:TEXT, which is what the source that a package gives by that
                   name makes of the text (docs/write-a-source.md); or an object with the methods of ``ImageSource``.
    follow_links:  whether links that lead out of a folder of images are followed; else they are passed over, counted.
    column:        of a table or a data set, the one with the images; by default it is found.
    limits:        what decoding one image file may take.

    The pages of a TIFF are images of their own, ``name#2`` and so on. Folders that hold results of oddlens are passed
    over. Arrays of uint8 are taken as they are, bool as black and white, uint16 by their upper 8 bits, floating-point
    numbers as 0..1 or 0..255, whichever they clearly are. Raises ``SourceError``, saying what was found and what would
    do. Every kind with an example: docs/sources.md.
    """
    if isinstance(images, str) and (named := _NAMED.fullmatch(images)) and not os.path.lexists(images):
        return _open_named(*named.groups())
    if isinstance(images, str | os.PathLike):
        return _open_path(Path(images), follow_links, limits)
    if isinstance(images, ImageSource):
        return images
    if isinstance(images, Iterator):
        images = list(images)
    for found in (open_hugging_face(images, column, limits), open_torch_data(images, limits)):
        if found is not None:
            return found
    if (paths := paths_in(images)) is not None:
        if not paths:
            raise SourceError("The list of images is empty.")
        if len(paths) == 1 and os.path.isdir(paths[0]):  # noqa: PTH112  takes any text
            return _open_path(Path(paths[0]), follow_links, limits)
        if folder := next((path for path in paths if os.path.isdir(path)), None):  # noqa: PTH112  takes any text
            raise SourceError(f"{folder} is a folder, and there are {len(paths) - 1} more paths: give one folder, or "
                              "files alone.")
        return with_pages([Path(path) for path in paths], paths, limits=limits)
    if is_pillow(images):
        raise SourceError("One picture of Pillow is no collection. Give a list of several, or the paths of their "
                          "files.")
    return _open_in_memory(images, limits)


def _open_in_memory(images: Any, limits: Limits | None) -> ImageSource:
    """An array, or what can be made one; or pictures by number."""
    if has_items(images) and not _is_uniform(images):
        try:
            return ItemSource(images, limits=limits)
        except SourceError:
            if not isinstance(images, list | tuple):
                raise
    try:
        array = as_array(images)
        array = np.asarray(images) if array is None else array
    except (TypeError, ValueError, RuntimeError) as error:
        raise SourceError(f"Cannot take {type(images).__name__} for images: {error}. {TAKEN}") from error
    if array.dtype == object:
        raise SourceError(f"Cannot take {type(images).__name__} for images. {TAKEN}")
    return ArraySource(array)


def _is_uniform(images: Any) -> bool:
    """Whether a list is an array in pieces: arrays of one shape and type."""
    return isinstance(images, list | tuple) and all(
        isinstance(image, np.ndarray) and (image.shape, image.dtype) == (images[0].shape, images[0].dtype)
        for image in images)


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


def _open_path(path: Path, follow_links: bool = False, limits: Limits | None = None) -> ImageSource:
    try:
        if path.is_dir():
            return open_folder(path, follow_links, limits)
        if not path.exists():
            if found := fitting(path):
                return (_open_path(found[0], follow_links, limits) if len(found) == 1 else
                        open_source(found, follow_links=follow_links, limits=limits))
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
    if head.startswith(b"\x93NUMPY"):
        return ArraySource(load_npy(path), path)
    if path.suffix.lower() == ".zip" or (head.startswith(b"PK\x03\x04") and path.suffix.lower() != ".npz"):
        raise SourceError(f"{path} is an archive: unpack it, then give the folder that it makes.")
    if path.suffix.lower() == ".npz":
        return ArraySource(load_npz(path), path)
    if looks_like_image(head) or path.suffix.lower() in IMAGE_SUFFIXES:
        return with_pages([path], [path.name], limits=limits)
    if head.startswith(b"\x1f\x8b") or (head[:2] == b"\0\0" and len(head) > 4 and head[2] in IDX_TYPES):
        return ArraySource(open_idx(path), path)
    if b"\0" in head:
        raise SourceError(f"{path} is neither an image nor a text file of paths. {TAKEN}")
    return open_table(path, limits) if path.suffix.lower() in (".csv", ".tsv") else open_list(path, limits)
