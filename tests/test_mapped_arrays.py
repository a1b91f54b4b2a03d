import json
import struct

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from oddlens import mapped_arrays as module
from oddlens.errors import SavedModelError
from oddlens.mapped_arrays import mapped_arrays, write_arrays

ARRAYS = {"a": np.arange(6, dtype=np.int32).reshape(2, 3), "flags": np.array([True, False, True]),
          "half": np.array([1.5, -2], np.float16), "none": np.empty((0, 4)), "one": np.array(7.25)}


@pytest.mark.parametrize("least", [0, 2**24], ids=["mapped", "small"])
def test_what_is_written_is_read_back_here_and_by_safetensors(tmp_path, monkeypatch, least):
    monkeypatch.setattr(module, "LEAST_MAPPED", least)
    path = tmp_path / "x.safetensors"
    write_arrays(path, ARRAYS, {"told": "ü"})
    found, facts = mapped_arrays(path)
    assert facts == {"told": "ü"}
    for other in (found, load_file(path)):
        assert set(other) == set(ARRAYS)
        for name, array in ARRAYS.items():
            assert (other[name].dtype, other[name].shape) == (array.dtype, array.shape)
            assert np.array_equal(other[name], array)
    with pytest.raises(ValueError, match="read-only"):
        found["a"][0, 0] = 1


def test_it_reads_what_safetensors_writes(tmp_path):
    save_file(ARRAYS, tmp_path / "x.safetensors")
    found, facts = mapped_arrays(tmp_path / "x.safetensors")
    assert facts == {}
    assert all(np.array_equal(found[name], array) for name, array in ARRAYS.items())


def test_an_array_that_is_not_in_order_is_written_as_it_is_read(tmp_path):
    turned = np.arange(6).reshape(2, 3).T
    write_arrays(tmp_path / "x", {"t": turned})
    assert np.array_equal(mapped_arrays(tmp_path / "x")[0]["t"], turned)


def _file(header, content=b"\0" * 64, length=None):
    told = json.dumps(header).encode()
    return struct.pack("<Q", len(told) if length is None else length) + told + content


@pytest.mark.parametrize("content", [
    b"", b"1234", _file({}, length=2**40), _file([]), b"\x05\0\0\0\0\0\0\0{nope",
    _file({"a": {"dtype": "F64", "shape": [8], "data_offsets": [0, 72]}}),
    _file({"a": {"dtype": "F64", "shape": [9], "data_offsets": [0, 72]}}),
    _file({"a": {"dtype": "F64", "shape": [-1], "data_offsets": [8, 0]}}),
    _file({"a": {"dtype": "F64", "shape": [1] * 40, "data_offsets": [0, 8]}}),
    _file({"a": {"dtype": "F64", "shape": [1.0], "data_offsets": [0, 8]}}),
    _file({"a": {"dtype": "object", "shape": [1], "data_offsets": [0, 8]}}),
    _file({"a": {"dtype": "U8", "shape": [2**33, 2**33], "data_offsets": [0, 8]}}),
    _file({"a": 5}), _file({"__metadata__": {"x": 5}}),
], ids=range(14))
def test_a_damaged_file_is_refused(tmp_path, content):
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(SavedModelError, match="holds no arrays"):
        mapped_arrays(tmp_path / "x")
    with pytest.raises(SavedModelError, match="holds no arrays"):
        mapped_arrays(tmp_path / "nowhere")
