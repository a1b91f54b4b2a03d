"""Arrays that may be larger than memory."""

from __future__ import annotations

import os
import tempfile
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

MOST_IN_MEMORY = 2**29  # bytes that one array may take in memory; a larger one is a temporary file that is mapped


def allocate(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """An array to be filled, in memory or, where it would take more than 512 MiB, in a temporary file."""
    if int(np.prod(shape, dtype=object)) * np.dtype(dtype).itemsize <= MOST_IN_MEMORY:
        return np.empty(shape, dtype)
    # The file has no name any more once it is mapped, so it goes away with the array. Its room is claimed first: a full
    # disk is then an error here, not a crash when a page of the map cannot be written.
    with tempfile.TemporaryFile(prefix="oddlens-") as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, int(np.prod(shape, dtype=object)) * np.dtype(dtype).itemsize)
        return np.memmap(file, dtype, "w+", shape=shape)


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
