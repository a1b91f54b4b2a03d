"""Compiled loops: one decorator and the number of threads they run on."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import numba

from oddlens.errors import OptionError

F = TypeVar("F", bound=Callable[..., Any])


def kernel(function: F) -> F:
    """Compile a function of arrays to parallel machine code, kept on disk for the next process where possible."""
    try:
        compiled: F = numba.njit(parallel=True, cache=True)(function)
    except RuntimeError:  # no folder to keep it in can be written: compile again in each process
        compiled = numba.njit(parallel=True)(function)
    return compiled


def helper(function: F) -> F:
    """Compile a function that kernels call."""
    inlined: F = numba.njit(inline="always")(function)
    return inlined


@contextmanager
def threads(n_jobs: int | None) -> Iterator[int]:
    """Within the block kernels run on ``n_jobs`` threads (None: one a core), and the number is given."""
    count = resolve_jobs(n_jobs)
    before = numba.get_num_threads()
    numba.set_num_threads(min(count, numba.config.NUMBA_NUM_THREADS))
    try:
        yield count
    finally:
        numba.set_num_threads(before)


def resolve_jobs(n_jobs: int | None) -> int:
    """How many threads ``n_jobs`` stands for: None and -1 are one for each core that this process may use."""
    if n_jobs is None or n_jobs == -1:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not isinstance(n_jobs, int) or n_jobs < 1:
        raise OptionError(f"n_jobs must be None, -1 or a whole number of 1 or more, got {n_jobs!r}.")
    return n_jobs
