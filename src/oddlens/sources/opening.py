"""Anything that holds images, opened as one ``ImageSource``: one argument, never five.

Names are the keys of scores and labels, so they must stay the same from run to run: a folder's images are named
by their path within it, listed files as they were listed, an array's rows by their number.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from oddlens import registry
from oddlens.errors import SourceError
from oddlens.protocols import ImageSource
from oddlens.reading.array_files import RowsInFile
from oddlens.reading.limits import Limits
from oddlens.sources.array import ArraySource
from oddlens.sources.hugging_face import open_hugging_face
from oddlens.sources.image_files import FileSource
from oddlens.sources.items import ItemSource, has_items
from oddlens.sources.joined import JoinedSource
from oddlens.sources.listed_paths import TAKEN, paths_in
from oddlens.sources.path import open_path, open_paths, open_place
from oddlens.sources.picture import as_array, is_pillow
from oddlens.sources.remote import is_address
from oddlens.sources.table import open_table
from oddlens.sources.torch_data import open_torch_data


def open_source(
    images: Any, *, follow_links: bool = False, column: str | None = None, limits: Limits | None = None
) -> ImageSource:
    """The images behind almost anything, without reading them yet.

    images:        a folder (walked with its subfolders); several folders or files; a list or a column of paths; a
                   pattern like "photos/*.jpg"; a text file of paths, one a line; a table (CSV, Parquet, Arrow, a data
                   frame) with a column of paths, of image files' contents or of pictures; a zip, a tar or shards of
                   WebDataset; an array of (n, height, width), (n, height, width, 1, 3 or 4) or (n, 1, 3 or 4, height,
                   width); an ``.npy`` or ``.npz`` file of one; an IDX file, also gzipped; an image file, an animation
                   or a video; a list of pictures in memory, Pillow's or arrays; a data set of PyTorch or Hugging Face;
                   an address like "s3://bucket/photos"; NAME:TEXT, which is what the source that a package gives by
                   that name makes of the text (docs/write-a-source.md); or an object with the methods of
                   ``ImageSource``.
    follow_links:  whether links that lead out of a folder of images are followed; else they are passed over, counted.
    column:        of a table or a data set, the one with the images, and of an archive the ending of their names; by
                   default it is found.
    limits:        what decoding one image file may take.

    The pages of a TIFF and the frames of a video are images of their own, ``name#2`` and so on. Folders that hold
    results of oddlens are passed over. Arrays of uint8 are taken as they are, bool as black and white, uint16 by their
    upper 8 bits, floating-point numbers as 0..1 or 0..255, whichever they clearly are. Raises ``SourceError``, saying
    what was found and what would do. Every kind with an example: docs/sources.md.
    """
    if isinstance(images, str) and is_address(images):
        return open_place(images, follow_links, column, limits)
    if isinstance(images, str) and (named := _NAMED.fullmatch(images)) and not os.path.lexists(images):
        return _open_named(*named.groups())
    if isinstance(images, str | os.PathLike):
        return open_path(Path(images), follow_links, column, limits)
    if isinstance(images, ImageSource):
        return images
    if isinstance(images, Iterator):
        images = list(images)
    for found in (open_hugging_face(images, column, limits), open_torch_data(images, limits),
                  open_table(images, column, limits)):
        if found is not None:
            return found
    if (paths := paths_in(images)) is not None:
        return open_paths(paths, follow_links, column, limits)
    if is_pillow(images):
        raise SourceError("One picture of Pillow is no collection. Give a list of several, or the paths of their "
                          "files.")
    return _open_in_memory(images, limits)


def in_files(source: ImageSource) -> bool:
    """Whether a source is known to hold no images but to read them from files: to keep it costs little memory."""
    if isinstance(source, JoinedSource):
        return all(map(in_files, source.parts))
    if isinstance(source, ArraySource):
        return isinstance(source.array, RowsInFile)
    return isinstance(source, FileSource)


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
    source = registry.find("source", name)(text)
    if not isinstance(source, ImageSource):
        raise SourceError(f"The source {name!r} made a {type(source).__name__} of {text!r}, which has not all of "
                          "__len__, name and read.")
    return source
