"""One writer a folder: the second is told, and a lock goes with its process."""

import os
import signal
import subprocess
import sys

import pytest

from oddlens.errors import OutputError
from oddlens.folder_lock import LOCK, locked

HOLD = ("import sys\nfrom pathlib import Path\nfrom oddlens.folder_lock import locked\n"
        "with locked(Path(sys.argv[1])):\n    print('held', flush=True)\n    sys.stdin.read()\n")


@pytest.fixture
def other(tmp_path):
    """Another process that holds the lock."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_the_second_is_told_who_writes_there(tmp_path, other):
    with pytest.raises(OutputError, match=rf"process {other.pid}\) is writing into .*: wait until it has ended"), \
            locked(tmp_path):
        pytest.fail("locked twice")


def test_a_lock_goes_with_its_process_however_that_ends(tmp_path, other):
    os.kill(other.pid, signal.SIGKILL)
    other.wait()
    assert (tmp_path / LOCK).exists()  # what is left of it locks nothing
    with locked(tmp_path):
        assert (tmp_path / LOCK).read_text() == f"{os.getpid()}\n"
    assert not (tmp_path / LOCK).exists()


def test_it_is_taken_back_when_the_block_fails(tmp_path):
    with pytest.raises(ZeroDivisionError), locked(tmp_path):
        1 / 0  # noqa: B018
    assert not list(tmp_path.iterdir())
    with locked(tmp_path):
        assert (tmp_path / LOCK).exists()


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(OutputError, match=r"Cannot write .*No such file.*Choose another place with --out"), \
            locked(tmp_path / "gone"):
        pytest.fail("locked")
