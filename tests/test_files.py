import json
import os
import struct
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from oddlens.errors import OutputError, SavedModelError
from oddlens.files import read_regular, tensors_in, write_atomically


def test_a_file_is_replaced_whole(tmp_path):
    path = tmp_path / "new" / "file"
    write_atomically(path, b"old")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert [entry.name for entry in path.parent.iterdir()] == ["file"]


def test_a_crash_leaves_the_old_file_and_no_rubbish(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def fail(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("oddlens.files.os.fsync", fail)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file/under"):
        write_atomically(tmp_path / "file" / "under", b"")


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to("/dev/zero")])
def test_what_is_no_file_is_never_read(tmp_path, make):
    make(tmp_path / "x")
    with pytest.raises(OSError, match=r"not a file|directory"):
        read_regular(tmp_path / "x")


def test_arrays_come_back_and_shapes_that_no_array_has_are_refused():
    assert np.array_equal(tensors_in(save({"a": np.arange(3)}))["a"], np.arange(3))
    header = json.dumps({"a": {"dtype": "U8", "shape": [0, 2**62, 8], "data_offsets": [0, 0]}}).encode()
    for content in (struct.pack("<Q", len(header)) + header, b"", b"\0" * 20, save({"a": np.arange(3)})[:-1]):
        with pytest.raises(SavedModelError, match="no arrays that can be read"):
            tensors_in(content)
