"""Paths that are listed: in Python, in a text file, or by a pattern like "photos/*.jpg"."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from oddlens.errors import SourceError
from oddlens.reading.limits import Limits
from oddlens.sources.image_files import FileSource, with_pages
from oddlens.sources.items import has_items

TAKEN = ("Give a folder, a list of paths, a text file of paths, an array (n, height, width[, channels]), "
          "an .npy, .npz or IDX file, or an object with __len__, name and read.")


def paths_in(images: Any) -> list[str] | None:
    """The paths that a list, a set or a column of a table holds, if it holds nothing else."""
    if isinstance(images, bytes | bytearray | memoryview | dict) or not isinstance(images, Iterable):
        return None
    if isinstance(images, np.ndarray) and images.dtype.kind not in "OUT":
        return None
    if len(getattr(images, "shape", (1,))) != 1 or (has_items(images) and not isinstance(images, Sequence)):
        return None  # a tensor, a table or a data set, which is not gone through to find that out
    if not isinstance(images, Sequence):
        images = list(images)
    if not all(isinstance(item, str | os.PathLike) for item in images):
        return None
    return [os.fspath(item) for item in images]


def fitting(pattern: Path) -> list[Path]:
    """The files that fit a pattern like "photos/*.jpg", which no shell has filled in; links are not walked."""
    if not glob.has_magic(str(pattern)):
        return []
    try:
        return sorted(Path(pattern.anchor).glob(str(pattern.relative_to(pattern.anchor))), key=os.fsencode)
    except (OSError, ValueError):  # nonsense in brackets
        return []


def open_list(path: Path, limits: Limits | None = None) -> FileSource:
    """A text file of paths, one a line, taken from the file's own folder; blank lines and # comments left out."""
    try:
        lines = path.read_text("utf-8-sig").split("\n")  # some editors begin a text with a mark
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{path} is neither an image nor a text file of paths. {TAKEN}") from error
    listed = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if not listed:
        raise SourceError(f"{path} lists no paths. Write one path a line.")
    paths = [path.parent / name for name in listed]
    if not any(map(os.path.exists, paths)):  # which takes lines too long for a path, as Path.exists does not
        first = str(paths[0])
        raise SourceError(f"{path} was read as a list of paths, one a line, but none of its {len(listed)} lines is an "
                          f"existing file; the first is {first if len(first) < 300 else first[:300] + ' ...'}.")
    return with_pages(paths, listed, limits=limits)
