"""Paths that are listed: in Python, in a text file, or by a pattern like "photos/*.jpg"."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from oddlens.errors import SourceError
from oddlens.reading.limits import Limits
from oddlens.sources.image_files import FileSource, with_pages
from oddlens.sources.items import has_items

MOST_EXPANDED = 100_000  # that a pattern with braces stands for
_BRACES = re.compile(r"\{(?:(\d{1,9})\.\.(\d{1,9})|[^{}]*,[^{}]*)\}", re.ASCII)

TAKEN = ("Give a folder, a list of paths, a text file of paths, a zip or tar, a table, an array (n, height, width[, "
          "channels]), an .npy, .npz or IDX file, a data set, or an object with __len__, name and read.")


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
    """The files that fit a pattern like "photos/*.jpg" or "shard-{000..017}.tar", which no shell has filled in.

    Links are not walked.
    """
    if not (glob.has_magic(str(pattern)) or _BRACES.search(str(pattern))):
        return []
    found: list[Path] = []
    for text in islice(expanded(str(pattern)), MOST_EXPANDED):
        one = Path(text)
        try:
            found += sorted(Path(one.anchor).glob(str(one.relative_to(one.anchor))), key=os.fsencode)
        except (OSError, ValueError):  # nonsense in brackets
            continue
    return list(dict.fromkeys(found))


def expanded(pattern: str) -> Iterator[str]:
    """A pattern with braces, {a,b} and {000..017}, as all that it stands for, as shells and WebDataset write them."""
    found = _BRACES.search(pattern)
    if found is None:
        yield pattern
        return
    if found[1] is None:
        choices: Iterable[str] = found[0][1:-1].split(",")
    else:
        first, last = int(found[1]), int(found[2])
        numbers = range(first, last + 1) if last >= first else range(first, last - 1, -1)
        choices = (str(number).zfill(len(found[1])) for number in numbers)
    for choice in choices:
        yield from expanded(pattern[: found.start()] + choice + pattern[found.end() :])


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


def listed_in(content: bytes) -> list[str]:
    """Paths as other commands print them: one a line, or with a zero byte after each (``find -print0``)."""
    parts = content.split(b"\0") if b"\0" in content else content.splitlines()
    return [os.fsdecode(part) for part in parts if part]
