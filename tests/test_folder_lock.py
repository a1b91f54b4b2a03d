"""One writer a folder: a second process is told who has it, and a lock goes with its process."""

import os
import subprocess
import sys

import pytest

from oddlens.errors import OutputError
from oddlens.folder_lock import LOCK, locked

HOLD = """
import sys
from pathlib import Path
from oddlens.folder_lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that has the folder until its input ends."""
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as process:
        assert process.stdout.readline().strip() == b"held"
        yield process
        process.kill()


def test_the_lock_names_this_process_and_leaves_nothing_behind(tmp_path):
    with locked(tmp_path):
        assert (tmp_path / LOCK).read_text() == f"{os.getpid()}\n"
    assert not list(tmp_path.iterdir())


def test_an_error_within_frees_the_folder(tmp_path):
    with pytest.raises(KeyError), locked(tmp_path):
        raise KeyError
    assert not list(tmp_path.iterdir())


def test_another_process_is_told_who_has_the_folder(tmp_path, holder):
    with pytest.raises(OutputError, match=rf"Another oddlens \(process {holder.pid}\) is writing"), locked(tmp_path):
        pytest.fail("two writers")


def test_a_lock_goes_with_its_process_however_that_ends(tmp_path, holder):
    holder.kill()
    holder.wait()
    assert (tmp_path / LOCK).exists()
    with locked(tmp_path):
        assert (tmp_path / LOCK).read_text() == f"{os.getpid()}\n"


def test_a_folder_that_is_not_there_names_the_way_out(tmp_path):
    with pytest.raises(OutputError, match="Choose another place with --out"), locked(tmp_path / "nowhere"):
        pytest.fail("there is no such folder")


def test_a_link_is_not_followed(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    (tmp_path / LOCK).symlink_to(tmp_path / "mine.txt")
    with pytest.raises(OutputError, match="Cannot write"), locked(tmp_path):
        pytest.fail("a link was taken for the lock")
    assert (tmp_path / "mine.txt").read_text() == "mine"
