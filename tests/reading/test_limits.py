"""Limits that cannot work are refused where they are made; what they hold is in test_bounds.py."""

import pytest

from oddlens.errors import OptionError
from oddlens.reading.limits import LEAST_MEMORY, Limits


def test_the_defaults_and_the_least_are_taken():
    assert Limits() == Limits(memory=2**30, seconds=30, isolate=False)
    assert Limits(memory=LEAST_MEMORY, seconds=0.1).seconds == 0.1


@pytest.mark.parametrize("memory", [0, LEAST_MEMORY - 1, 2.0**30, None, "1 GiB"])
def test_memory_that_is_too_little_or_no_number_is_refused(memory):
    with pytest.raises(OptionError, match=f"a number of bytes, {LEAST_MEMORY} or more, got"):
        Limits(memory=memory)


@pytest.mark.parametrize("seconds", [0, -1, float("inf"), float("nan"), None, "30"])
def test_seconds_that_cannot_be_are_refused(seconds):
    with pytest.raises(OptionError, match="a number above 0, got"):
        Limits(seconds=seconds)
