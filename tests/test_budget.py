"""A budget of memory."""

import numpy as np
import pytest

from oddlens import arrays
from oddlens.arrays import allocate
from oddlens.budget import ARRAYS, UNSHARED, bytes_of, within
from oddlens.errors import OptionError


def test_arrays_beyond_their_share_are_files_within_and_not_after():
    share = (2**30 - UNSHARED) // ARRAYS
    before = arrays.MOST_IN_MEMORY
    with within(2**30):
        assert isinstance(allocate((share + 1,), np.uint8), np.memmap)
        assert not isinstance(allocate((share,), np.uint8), np.memmap)
        with within(8 * 2**30):
            assert share == arrays.MOST_IN_MEMORY, "a wider one within changes nothing"
    assert before == arrays.MOST_IN_MEMORY
    with within(None):
        assert before == arrays.MOST_IN_MEMORY


def test_too_little_is_said():
    with pytest.raises(OptionError, match=r"1 GiB of memory or more, got .* 0\.49 GiB"), within(bytes_of("500M")):
        pass


@pytest.mark.parametrize(("text", "size"), [("4G", 4 * 2**30), ("512m", 512 * 2**20), ("1.5GiB", 1.5 * 2**30),
                                            ("100", 100), ("2 tb", 2 * 2**40), ("64kB", 65536)])
def test_sizes_are_read(text, size):
    assert bytes_of(text) == size


@pytest.mark.parametrize("text", ["", "G", "-1G", "4X", "4GG", "four"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(OptionError, match="written like 4G or 512M"):
        bytes_of(text)
