import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from types import SimpleNamespace

import faiss
import numba
import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from oddlens import kernels
from oddlens.errors import OptionError
from oddlens.kernels import one_blas_thread, one_faiss_thread, resolve_jobs, threads


def test_threads_are_set_within_and_restored_after():
    before = numba.get_num_threads()
    with threads(1) as count:
        assert count == numba.get_num_threads() == 1
    assert numba.get_num_threads() == before


@pytest.fixture
def three():
    """FAISS and BLAS on three threads, which nobody would set by chance."""
    before = faiss.omp_get_max_threads()
    with threadpool_limits(3, user_api="blas"):
        faiss.omp_set_num_threads(3)
        yield
    faiss.omp_set_num_threads(before)


def blas():
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


def test_faiss_has_one_thread_within_and_what_it_had_after_even_after_an_error(three):
    with suppress(ZeroDivisionError), one_faiss_thread():
        assert faiss.omp_get_max_threads() == 1
        raise ZeroDivisionError
    assert faiss.omp_get_max_threads() == 3


def test_blas_has_one_thread_within_and_what_it_had_after_even_after_an_error(three):
    with suppress(ZeroDivisionError), one_blas_thread(), one_blas_thread():
        assert blas() == {1}
        raise ZeroDivisionError
    assert blas() == {3}
    assert faiss.omp_get_max_threads() == 3


def test_blas_keeps_one_thread_while_other_threads_come_and_go_within(three):
    def within():
        with one_blas_thread():
            return blas()

    with ThreadPoolExecutor(2) as others, one_blas_thread():
        for found in [others.submit(within) for _ in range(4)]:
            assert 1 in found.result()
            assert blas() == {1}, "not put back by one that leaves"
    assert blas() == {3}


def test_none_is_all_cores_and_nonsense_is_named():
    assert resolve_jobs(None) == resolve_jobs(-1) == len(os.sched_getaffinity(0))
    for bad in (0, -2, 1.5, "two"):
        with pytest.raises(OptionError, match="n_jobs"):
            resolve_jobs(bad)


def test_no_folder_to_keep_compiled_code_in_is_no_trouble(monkeypatch):
    real = numba.njit

    def without_cache(**options):
        if options.pop("cache", False):
            raise RuntimeError("cannot cache function: no locator available")
        return real(**options)

    monkeypatch.setattr(kernels, "numba", SimpleNamespace(njit=without_cache))

    @kernels.kernel
    def double(x):
        return 2 * x

    assert double(np.ones(3)).sum() == 6
