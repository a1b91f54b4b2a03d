import gzip
import io
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oddlens.errors import SourceError
from oddlens.reading import array_files
from oddlens.reading.array_files import read_idx
from oddlens.sources import open_source


def idx(array, code=0x08):
    return bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


IMAGES = np.random.default_rng(0).integers(0, 256, (5, 6, 7), dtype=np.uint8)


def test_array_files(tmp_path):
    np.save(tmp_path / "a.npy", IMAGES)
    np.savez_compressed(tmp_path / "a.npz", labels=np.zeros(5), images=IMAGES)
    np.savez(tmp_path / "b.npz", anything=IMAGES, labels=np.zeros(5))
    (tmp_path / "a-idx3-ubyte").write_bytes(idx(IMAGES))
    with gzip.open(tmp_path / "a-idx3-ubyte.gz", "wb") as file:
        file.write(idx(IMAGES))
    for path in tmp_path.iterdir():
        source = open_source(path)
        assert np.array_equal(np.stack([source.read(i)[..., 0] for i in range(5)]), IMAGES), path.name


@pytest.mark.parametrize("zipped", [False, True])
def test_idx_numbers_of_several_bytes_have_the_highest_first(tmp_path, zipped):
    content = idx((IMAGES / 255).astype(">f4"), 0x0D)
    (tmp_path / "shares").write_bytes(gzip.compress(content) if zipped else content)
    assert np.array_equal(open_source(tmp_path / "shares").read(1)[..., 0], IMAGES[1])


def test_an_array_file_with_objects_is_never_unpickled(tmp_path):
    np.save(tmp_path / "evil.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "evil.npz", images=np.array([{"a": 1}], dtype=object))
    for path in tmp_path.iterdir():
        with pytest.raises(SourceError, match="cannot be read"):
            open_source(path)


def npy(header, content=b""):
    header += b" " * (118 - len(header) - 1) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + content


HUGE = b"{'descr': '|u1', 'fortran_order': False, 'shape': (4611686018427387904, 4, 4), }"


@pytest.mark.parametrize("content", [npy(HUGE), npy(HUGE.replace(b", 4, 4", b", 1, 1"), b"abc"), npy(b"{'descr': "),
                                     b"\x93NUMPY", npy(b"__import__('os').abort()")])
def test_npy_headers_that_lie(tmp_path, content):
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(SourceError, match=r"cannot be read as \.npy"):
        open_source(tmp_path / "a.npy")
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("images.npy", content)
    with pytest.raises(SourceError, match=r"promises|cannot be read as \.npz"):
        open_source(tmp_path / "a.npz")


def test_an_npy_of_python_2_is_read_without_a_warning(tmp_path):
    header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (5L, 6, 7), }"
    (tmp_path / "old.npy").write_bytes(npy(header, IMAGES.tobytes()))
    assert np.array_equal(open_source(tmp_path / "old.npy").read(2)[..., 0], IMAGES[2])


def test_an_npz_stored_by_columns_keeps_its_axes(tmp_path):
    np.savez(tmp_path / "a.npz", np.asfortranarray(IMAGES))
    assert np.array_equal(open_source(tmp_path / "a.npz").read(3)[..., 0], IMAGES[3])


def test_arrays_that_were_not_asked_for_are_not_unpacked(tmp_path):
    rows = 400  # megabytes
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with archive.open("labels.npy", "w") as file:
            file.write(npy(b"{'descr': '|u1', 'fortran_order': False, 'shape': (%d, 1000000), }" % rows))
            for _ in range(rows):
                file.write(bytes(1_000_000))
        images = io.BytesIO()
        np.save(images, IMAGES)
        archive.writestr("pictures.npy", images.getvalue())
    tracemalloc.start()
    try:
        assert len(open_source(tmp_path / "a.npz")) == 5
        assert tracemalloc.get_traced_memory()[1] < 50_000_000
    finally:
        tracemalloc.stop()


def test_what_unpacks_to_more_than_there_is_room_for_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(array_files, "MOST_IN_MEMORY", 100)
    monkeypatch.setattr(array_files.shutil, "disk_usage", lambda place: type("Usage", (), {"free": 150})())
    (tmp_path / "a.gz").write_bytes(gzip.compress(idx(IMAGES)))
    with pytest.raises(SourceError, match=r"promises 210 bytes .* room for 150"):
        open_source(tmp_path / "a.gz")


def test_an_npz_of_several_arrays_must_say_which(tmp_path):
    np.savez(tmp_path / "two.npz", one=IMAGES, two=IMAGES)
    with pytest.raises(SourceError, match="named 'images'"):
        open_source(tmp_path / "two.npz")


@pytest.mark.parametrize(("content", "message"), [
    (b"\0\0\x08\x03" + struct.pack(">3I", 2**32 - 1, 2**32 - 1, 2**32 - 1), "promises"),
    (idx(IMAGES)[:-1], "holds 209"),
    (idx(IMAGES) + b"\0", "holds more"),
    (b"\0\0\x08\x03\0\0", "ends within its IDX header"),
    (idx(IMAGES[0, 0]), "file of labels"),
])
@pytest.mark.parametrize("zipped", [False, True])
def test_idx_headers_that_lie(tmp_path, content, message, zipped):
    path = tmp_path / "images-idx3-ubyte"
    path.write_bytes(gzip.compress(content) if zipped else content)
    with pytest.raises(SourceError, match=message):
        open_source(path)


def test_a_damaged_gzip_is_said(tmp_path):
    path = tmp_path / "images.gz"
    path.write_bytes(gzip.compress(idx(IMAGES))[:-20])
    with pytest.raises(SourceError, match="cannot be read as IDX"):
        open_source(path)


@given(st.binary(max_size=64))
def test_any_bytes_at_all_give_an_array_or_a_source_error(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "fuzz"
    path.write_bytes(b"\0\0\x08\x03" + content)
    try:
        read_idx(path)
    except SourceError:
        return


@pytest.mark.parametrize("sides", [(2, 2**10, 2**10), (40_000, 2**10, 2**10)])
def test_no_room_is_claimed_for_more_than_packed_bytes_can_hold(sides, tmp_path, monkeypatch):
    # found by the fuzzer: 36 bytes had 40 GB of the disk set aside, for more than 20 s
    claimed = []
    monkeypatch.setattr("oddlens.reading.array_files.allocate", lambda *args: claimed.append(args))
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": sides})
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("images.npy", header.getvalue() + bytes(9))
    (tmp_path / "a.gz").write_bytes(gzip.compress(b"\0\0\x08\x03" + struct.pack(">3I", *sides) + bytes(9)))
    for name in ("a.npz", "a.gz"):
        with pytest.raises(SourceError, match="unpack to"):
            open_source(tmp_path / name)
    assert claimed == []


@pytest.mark.parametrize("shape", [(0, 2**63, 4, 1), (2**64, 0, 8), (3, -1, 8), (0, 2**40, 2**40), (-1, 4, 4)])
def test_a_header_of_a_shape_that_no_array_has_is_refused(shape, tmp_path):
    # found by the fuzzer: a side of 0 hides one that cannot be counted
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": shape})
    (tmp_path / "a.npy").write_bytes(header.getvalue() + bytes(9))
    with pytest.raises(SourceError):
        open_source(tmp_path / "a.npy")
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("images.npy", header.getvalue() + bytes(9))
    with pytest.raises(SourceError):
        open_source(tmp_path / "a.npz")


def test_an_idx_of_nothing_times_too_much_is_refused(tmp_path):
    (tmp_path / "a").write_bytes(b"\0\0\x0e\x03" + struct.pack(">3I", 0, 2**32 - 1, 2**32 - 1))
    with pytest.raises(SourceError):
        read_idx(tmp_path / "a")


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_a_packing_that_numpy_never_writes_is_refused_before_it_is_unpacked(tmp_path, monkeypatch, method):
    file = io.BytesIO()
    np.save(file, IMAGES)
    with zipfile.ZipFile(tmp_path / "a.npz", "w", method) as archive:
        archive.writestr("images.npy", file.getvalue())
    monkeypatch.setattr(zipfile.ZipFile, "open", lambda *a, **k: pytest.fail("unpacked"))
    with pytest.raises(SourceError, match="another way than numpy packs"):
        open_source(tmp_path / "a.npz")
