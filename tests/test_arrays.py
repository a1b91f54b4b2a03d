import sys
from pathlib import Path

import numpy as np
import pytest

from oddlens import arrays
from oddlens.arrays import allocate, give_back, let_go, moved_to_a_file


def test_small_arrays_are_in_memory_and_large_ones_in_a_file_without_a_name(monkeypatch):
    assert type(allocate((10, 10), np.float32)) is np.ndarray
    monkeypatch.setattr(arrays, "MOST_IN_MEMORY", 399)
    large = allocate((10, 10), np.float32)
    assert isinstance(large, np.memmap)
    large[:] = 7
    assert large.sum() == 700


def held():
    """MiB in memory of this process: its own, and what of files is there, on a disk or in memory (tmpfs)."""
    told = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    own, files, shared = (int(told[name].split()[0]) / 1024 for name in ("RssAnon", "RssFile", "RssShmem"))
    return own, files + shared


def test_an_array_is_moved_to_a_file_as_it_is(monkeypatch):
    small = np.arange(6, dtype=np.int16).reshape(2, 3)
    moved = moved_to_a_file(small)
    assert isinstance(moved, np.memmap)
    assert moved.dtype == np.int16
    assert np.array_equal(moved, small)
    assert moved_to_a_file(moved) is moved, "it is there already"
    assert not isinstance(moved_to_a_file(small[:0]), np.memmap), "no file is empty"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says what is held")
def test_what_of_files_is_in_memory_is_given_back_and_stays_what_it_is():
    large = moved_to_a_file(np.arange(2**23))
    before = held()[1]
    give_back()
    assert before - held()[1] > 60
    assert large[-1] == 2**23 - 1
    assert int(large.sum()) == 2**22 * (2**23 - 1)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says what is held")
def test_of_one_array_what_is_in_memory_is_given_back_or_of_the_part_that_is_named():
    large, other = (moved_to_a_file(np.arange(2**23)) for _ in range(2))
    before = held()[1]
    let_go(large.reshape(-1, 2**10)[100:1124])  # 8 MiB of 64
    assert 6 < before - held()[1] < 10
    let_go(large[5:].reshape(-1, 1)[::2])
    assert 60 < before - held()[1] < 70
    let_go(large[:0])
    assert int(large.sum()) == int(other.sum()) == 2**22 * (2**23 - 1)


def test_of_files_that_others_mapped_nothing_is_given_back(tmp_path):
    np.save(tmp_path / "theirs.npy", np.zeros(5))
    theirs = np.load(tmp_path / "theirs.npy", mmap_mode="c")
    theirs[:] = 7  # in memory alone
    let_go(theirs)
    assert (theirs == 7).all()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says what is held")
def test_freed_memory_between_what_is_in_use_is_given_back():
    kept, parts = [], [np.ones(2**12) for _ in range(4000)]  # below the size that goes back by itself
    kept = parts[::50]
    del parts
    before = held()[0]
    give_back()
    assert before - held()[0] > 60
    assert sum(part.sum() for part in kept) == len(kept) * 2**12
