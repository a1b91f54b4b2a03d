import numpy as np

from oddlens import arrays
from oddlens.arrays import allocate


def test_small_arrays_are_in_memory_and_large_ones_in_a_file_without_a_name(monkeypatch):
    assert type(allocate((10, 10), np.float32)) is np.ndarray
    monkeypatch.setattr(arrays, "MOST_IN_MEMORY", 399)
    large = allocate((10, 10), np.float32)
    assert isinstance(large, np.memmap)
    large[:] = 7
    assert large.sum() == 700
