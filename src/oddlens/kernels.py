"""Compiled loops: one decorator; and the number of threads that these, FAISS and BLAS run on."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from threading import Lock
from typing import Any, TypeVar

import faiss
import numba
from threadpoolctl import ThreadpoolController

from oddlens.errors import OptionError

F = TypeVar("F", bound=Callable[..., Any])

_blas_lock = Lock()
_blas_holders: list[Any] = []


def kernel(function: F) -> F:
    """Compile a function of arrays to parallel machine code, kept on disk for the next process where possible.

    It runs without Python's lock, so that the thread that waits for Ctrl-C runs meanwhile.
    """
    return _compiled(function, parallel=True)


def kernel_of_one_thread(function: F) -> F:
    """The same for what is called from several threads at once: parallel machine code cannot be."""
    return _compiled(function, parallel=False)


def vector_kernel(function: F) -> F:
    """The same, for loops that are to become vector code: a check of each division for zero would prevent that."""
    return _compiled(function, parallel=False, error_model="numpy")


def _compiled(function: F, parallel: bool, **options: Any) -> F:
    try:
        compiled: F = numba.njit(parallel=parallel, cache=True, nogil=True, **options)(function)
    except RuntimeError:  # no folder to keep it in can be written: compile again in each process
        compiled = numba.njit(parallel=parallel, nogil=True, **options)(function)
    return compiled


def helper(function: F) -> F:
    """Compile a function that kernels call."""
    inlined: F = numba.njit(inline="always")(function)
    return inlined


@contextmanager
def limited(count: int, get: Callable[[], int], put: Callable[[int], object]) -> Iterator[None]:
    """Within the block a library computes on ``count`` threads, after it on as many as it was found with."""
    before = get()
    put(count)
    try:
        yield
    finally:
        put(before)


@contextmanager
def threads(n_jobs: int | None) -> Iterator[int]:
    """Within the block kernels run on ``n_jobs`` threads (None: one a core), and the number is given."""
    count = resolve_jobs(n_jobs)
    with limited(min(count, numba.config.NUMBA_NUM_THREADS), numba.get_num_threads, numba.set_num_threads):
        yield count


def one_faiss_thread() -> AbstractContextManager[None]:
    """Within the block FAISS, where it is called from this thread, computes on one thread."""
    return limited(1, faiss.omp_get_max_threads, faiss.omp_set_num_threads)


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Within the block numpy and scipy multiply and factorize matrices on one thread.

    Where these are small a second one waits more than it computes, and where another program wants its core by an order
    of magnitude. And sums on one thread are the same to the last digit on any number of cores. It is one number for the
    whole process: the first block that is entered sets it and the last one that is left puts it back, or one thread
    would put back what another had set. Left last by another thread than entered it first, it stays at one.
    """
    with _blas_lock:
        _blas_holders.append(_blas().limit(limits=1) if not _blas_holders else None)
    try:
        yield
    finally:
        with _blas_lock:
            if len(_blas_holders) == 1:
                _blas_holders[0].restore_original_limits()
                _blas_holders.clear()
            else:
                _blas_holders.pop()


@cache
def _blas() -> Any:
    """Every BLAS there is. To look for them takes a hundred times as long as to limit them."""
    from scipy import linalg  # noqa: F401  it may bring a BLAS of its own, which is held too then

    return ThreadpoolController().select(user_api="blas")


def resolve_jobs(n_jobs: int | None) -> int:
    """How many threads ``n_jobs`` stands for: None and -1 are one for each core that this process may use."""
    if n_jobs is None or n_jobs == -1:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not isinstance(n_jobs, int) or n_jobs < 1:
        raise OptionError(f"n_jobs must be None, -1 or a whole number of 1 or more, got {n_jobs!r}.")
    return n_jobs
