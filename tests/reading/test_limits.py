import pytest

from oddlens.errors import OptionError
from oddlens.reading.limits import LEAST_MEMORY, Limits


def test_a_gibibyte_and_half_a_minute_in_a_process_of_its_own():
    assert Limits() == Limits(memory=1024**3, seconds=30, isolate=True)


@pytest.mark.parametrize("memory", [LEAST_MEMORY - 1, 0, 2.5e9, "1G", None])
def test_memory_is_a_number_of_bytes(memory):
    with pytest.raises(OptionError, match=r"memory .* a number of bytes, 1048576 or more, got"):
        Limits(memory=memory)
    assert Limits(memory=LEAST_MEMORY).memory == 2**20


@pytest.mark.parametrize("seconds", [0, -1, float("inf"), float("nan"), "30", None])
def test_seconds_are_above_nothing_and_end(seconds):
    with pytest.raises(OptionError, match=r"seconds .* above 0, got"):
        Limits(seconds=seconds)
    assert Limits(seconds=0.1).seconds == 0.1
