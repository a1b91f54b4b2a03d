"""How many pictures a TIFF holds, told from its directories alone."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import IO

from oddlens.files import open_regular

MOST_PAGES = 10_000  # of one file; a chain of directories that is longer is taken for one that goes in circles
LARGEST_DIRECTORY = 4096  # entries
REDUCED_OR_MASK = 0b101  # bits of NewSubfileType: a smaller copy of another page, or its mask


def count_pages(path: Path) -> int:
    """The pages of a TIFF up to the first that is a smaller copy or a mask of another; 1 where that cannot be told."""
    try:
        with open_regular(path) as file:
            return count_pages_in(file)
    except OSError:
        return 1


def count_pages_in(file: IO[bytes]) -> int:
    """The same of one that is open."""
    try:
        head = file.read(8)
        order = {b"II": "<", b"MM": ">"}.get(head[:2])
        if order is None or len(head) < 8 or struct.unpack(f"{order}H", head[2:4]) != (42,):
            return 1
        (at,) = struct.unpack(f"{order}I", head[4:])
        seen: set[int] = set()
        while at and at not in seen and len(seen) < MOST_PAGES:
            file.seek(at)
            (entries,) = struct.unpack(f"{order}H", file.read(2))
            directory = file.read(12 * entries + 4)
            if entries > LARGEST_DIRECTORY or len(directory) < 12 * entries + 4 or (
                    seen and _kind(directory, entries, order) & REDUCED_OR_MASK):
                break
            seen.add(at)
            (at,) = struct.unpack(f"{order}I", directory[-4:])
        return max(1, len(seen))
    except (OSError, struct.error):
        return 1


def _kind(directory: bytes, entries: int, order: str) -> int:
    """NewSubfileType of a directory; 0 where it says none."""
    for number in range(entries):
        tag, _, _, value = struct.unpack(f"{order}HHII", directory[12 * number : 12 * number + 12])
        if tag == 254:
            return int(value)
    return 0
