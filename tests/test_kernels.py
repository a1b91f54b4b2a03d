import os

import numba
import numpy as np
import pytest

from oddlens import kernels
from oddlens.errors import OptionError
from oddlens.kernels import resolve_jobs, threads


def test_threads_are_set_within_and_restored_after():
    before = numba.get_num_threads()
    with threads(1) as count:
        assert count == numba.get_num_threads() == 1
    assert numba.get_num_threads() == before


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

    monkeypatch.setattr(kernels.numba, "njit", without_cache)

    @kernels.kernel
    def double(x):
        return 2 * x

    assert double(np.ones(3)).sum() == 6
