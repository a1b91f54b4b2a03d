"""How much memory a run may take: beyond it, arrays are temporary files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from oddlens import arrays
from oddlens.errors import OptionError

LEAST = 2**30  # bytes; what a run of many images takes however much of it lies in files
UNSHARED = 700 * 2**20  # bytes that the libraries and what is worked on take
ARRAYS = 8  # arrays as long as the collection that there are at one time, about


@contextmanager
def within(memory: int | None) -> Iterator[None]:
    """Within the block all arrays together take about ``memory`` bytes at most; larger ones are temporary files.

    What of a file happens to be in memory does not count: the system takes that back when others want the room. It is
    one number for the whole process. None: 512 MiB an array. Raises ``OptionError`` below 1 GiB.
    """
    if memory is not None and memory < LEAST:
        raise OptionError(f"A run takes 1 GiB of memory or more, got a budget of {memory / 2**30:.2g} GiB.")
    before = arrays.MOST_IN_MEMORY
    arrays.MOST_IN_MEMORY = before if memory is None else min(before, (memory - UNSHARED) // ARRAYS)
    try:
        yield
    finally:
        arrays.MOST_IN_MEMORY = before


def bytes_of(size: str) -> int:
    """A size such as 4G, 512M or 1.5GiB in bytes; raises ``OptionError`` for what is none.

    >>> bytes_of("1.5G")
    1610612736
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt])?(?:i?b)?\s*", size, re.IGNORECASE)
    if found is None:
        raise OptionError(f"A size is written like 4G or 512M, got {size!r}.")
    return int(float(found[1]) * 1024 ** " kmgt".index((found[2] or " ").lower()))
