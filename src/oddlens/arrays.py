"""Arrays that may be larger than memory."""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
import tempfile
from functools import cache
from typing import Any
from weakref import WeakSet

import numpy as np
from numpy.lib.array_utils import byte_bounds
from numpy.typing import DTypeLike, NDArray

MOST_IN_MEMORY = 2**29  # bytes that one array may take in memory; a larger one is a temporary file that is mapped

_mapped: WeakSet[mmap.mmap] = WeakSet()  # of the temporary files that there are


def allocate(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """An array to be filled, in memory or, where it would take more than 512 MiB, in a temporary file."""
    if int(np.prod(shape, dtype=object)) * np.dtype(dtype).itemsize <= MOST_IN_MEMORY:
        return np.empty(shape, dtype)
    return _in_a_file(shape, dtype)


def moved_to_a_file(array: NDArray[Any]) -> NDArray[Any]:
    """An array as a temporary file, whatever its size: for one that is held for long and seldom looked at."""
    if not array.nbytes or isinstance(array, np.memmap):
        return array
    found = _in_a_file(array.shape, array.dtype)
    found[:] = array
    return found


def give_back() -> None:
    """Give the system what is not needed at the moment: what was freed, and what of temporary files is in memory.

    To be called between stages. Of freed memory the C library keeps whatever lies between parts in use, for later; what
    is in a file is read from there again.
    """
    for each in list(_mapped):
        if hasattr(mmap, "MADV_DONTNEED"):
            each.madvise(mmap.MADV_DONTNEED)
    if (trim := _trim()) is not None:
        trim(0)


def let_go(array: NDArray[Any]) -> None:
    """Give the system what of an array is in memory, if it is a temporary file or a part of one.

    To be called by what goes over a large array part by part, after each. Only of our own files: of one that somebody
    else mapped for himself what was written to the map would be lost.
    """
    whole: NDArray[Any] = array
    content: Any = array.base
    while isinstance(content, np.ndarray):
        whole, content = content, content.base
    if array.size and isinstance(content, mmap.mmap) and content in _mapped and hasattr(mmap, "MADV_DONTNEED"):
        first, end = (int(place) - whole.ctypes.data for place in byte_bounds(array))
        first -= first % mmap.PAGESIZE
        content.madvise(mmap.MADV_DONTNEED, first, end - first)


@cache
def _trim() -> Any:
    """What gives freed memory back; None where the C library has no such function."""
    return getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None


def _in_a_file(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    # The file has no name any more once it is mapped, so it goes away with the array. Its room is claimed first: a full
    # disk is then an error here, not a crash when a page of the map cannot be written.
    with tempfile.TemporaryFile(prefix="oddlens-") as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, int(np.prod(shape, dtype=object)) * np.dtype(dtype).itemsize)
        found = np.memmap(file, dtype, "w+", shape=shape)
    content: Any = found.base
    _mapped.add(content)
    return found


def put_at(before: NDArray[Any], later: NDArray[Any], rows: NDArray[np.integer[Any]], count: int) -> NDArray[Any]:
    """(count, ...) the rows of ``before``, and at ``rows``, in their place or behind them, those of ``later``.

    >>> put_at(np.array([1, 2]), np.array([7, 8]), np.array([1, 2]), 3).tolist()
    [1, 7, 8]
    """
    found = allocate((count, *before.shape[1:]), before.dtype)
    found[: len(before)] = before
    found[rows] = later
    return found


def read_only(array: NDArray[Any]) -> NDArray[Any]:
    """One kind of array for compiled loops, computed, loaded or mapped, so that they are compiled once."""
    view = np.require(array, requirements=["C", "A", "E"]).view()
    view.flags.writeable = False
    return view
