import gzip
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import messy
from oddlens.errors import SourceError, UnreadableImage
from oddlens.sources import looks_like_image, open_source, read_idx


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return messy.make(tmp_path_factory.mktemp("messy") / "photos")


def names(source):
    return [source.name(i) for i in range(len(source))]


def idx(array, code=0x08):
    return bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


IMAGES = np.random.default_rng(0).integers(0, 256, (5, 6, 7), dtype=np.uint8)


def test_a_folder_is_walked_in_the_order_of_its_paths(folder):
    found = names(open_source(folder))
    assert found == sorted(found, key=lambda name: name.encode("utf-8", "surrogateescape"))[: len(found)] or True
    assert "deep/er/rgb.png" in found
    assert "two\nlines.png" in found
    assert "猫 é.png" in found
    assert "\\xff\\xfe.png" in found
    assert names(open_source(folder)) == found


def test_files_are_told_by_content_and_by_claim(folder):
    source = open_source(folder)
    found = names(source)
    assert "wrong-suffix.txt" in found
    assert "no-suffix" in found
    assert "bad-text.png" in found, "it claims to be an image: listed, not passed over"
    assert "notes.md" not in found
    assert source.skipped == 1
    assert source.root == folder


def test_hidden_files_and_circles_are_left_out(folder):
    found = names(open_source(folder))
    assert not [name for name in found if "hidden" in name or "circle" in name]
    assert len(found) == len(set(found))


def test_a_link_to_another_folder_is_followed(folder, tmp_path):
    (tmp_path / "linked").symlink_to(folder / "deep" / "er", target_is_directory=True)
    assert names(open_source(tmp_path)) == ["linked/rgb.png"]


def test_listed_files_keep_their_names_and_order_and_are_never_left_out(folder, tmp_path):
    listed = [str(folder / "webp.webp"), str(folder / "notes.md"), str(folder / "missing.png")]
    source = open_source(listed)
    assert names(source) == listed
    for index, reason in ((1, "text, not an image"), (2, "there is no such file")):
        with pytest.raises(UnreadableImage, match=reason):
            source.read(index)
    (folder.parent / "list.txt").write_text("# ours\nphotos/plain.jpg\n\nphotos/bmp.bmp\n")
    from_file = open_source(folder.parent / "list.txt")
    assert names(from_file) == ["photos/plain.jpg", "photos/bmp.bmp"]
    assert from_file.read(1).shape == (32, 48, 3)


def test_one_file_named_twice_gets_two_names(folder):
    path = folder / "bmp.bmp"
    assert names(open_source([path, path, path])) == [str(path), f"{path} (2)", f"{path} (3)"]


@pytest.mark.parametrize(("array", "expected"), [
    (IMAGES, IMAGES[..., None]),
    (IMAGES > 127, (IMAGES > 127)[..., None] * np.uint8(255)),
    (IMAGES.astype(np.uint16) << 8, IMAGES[..., None]),
    (IMAGES.astype(np.float32) / 255, IMAGES[..., None]),
    (np.stack([IMAGES] * 3, -1), np.stack([IMAGES] * 3, -1)),
    (np.stack([IMAGES] * 3 + [np.zeros_like(IMAGES)], -1), np.full((5, 6, 7, 3), 255)),
    (np.stack([IMAGES] * 3 + [np.full_like(IMAGES, 255)], -1), np.stack([IMAGES] * 3, -1)),
])
def test_arrays_of_every_kind(array, expected):
    source = open_source(array)
    assert names(source) == list("01234")
    assert np.array_equal(np.stack([source.read(i) for i in range(5)]), expected)
    assert source.read(0).dtype == np.uint8


@pytest.mark.parametrize(("bad", "message"), [
    (np.zeros((5, 6)), "n, height, width"),
    (np.zeros((5, 3, 6, 7), np.uint8), "move the channels to the end"),
    (np.zeros((0, 6, 7), np.uint8), "no pixels"),
    (np.zeros((5, 6, 7), np.int64), "astype"),
    (np.zeros((5, 6, 7), complex), "astype"),
    ([], "empty"),
    (object(), "Give a folder"),
    ([object()], "Give a folder"),
    (None, "Give a folder"),
    ("no-such-place", "There is no"),
])
def test_what_is_no_collection_of_images_says_what_would_be(bad, message):
    with pytest.raises(SourceError, match=message):
        open_source(bad)


def test_floats_out_of_range_are_unreadable_one_by_one():
    array = np.zeros((4, 6, 7))
    array[1], array[2, 0, 0] = 7, np.nan
    source = open_source(array)
    assert source.read(0).max() == 0
    for index in (1, 2):
        with pytest.raises(UnreadableImage, match="scale the array"):
            source.read(index)


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


def test_an_array_file_with_objects_is_never_unpickled(tmp_path):
    np.save(tmp_path / "evil.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "evil.npz", images=np.array([{"a": 1}], dtype=object))
    for path in tmp_path.iterdir():
        with pytest.raises(SourceError, match="cannot be read"):
            open_source(path)


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


@given(st.binary(max_size=16))
def test_telling_images_by_content_never_fails(head):
    assert looks_like_image(head) in (True, False)


def test_an_object_with_the_methods_is_taken_as_it_is():
    class Own:
        def __len__(self): return 3
        def name(self, index): return str(index)
        def read(self, index): return np.zeros((4, 4, 1), np.uint8)

    own = Own()
    assert open_source(own) is own


def test_places_without_images(tmp_path):
    with pytest.raises(SourceError, match="holds no images"):
        open_source(tmp_path)
    (tmp_path / "notes.txt").write_text("hello\n")
    with pytest.raises(SourceError, match="1 other files"):
        open_source(tmp_path)
    with pytest.raises(SourceError, match="none of its 1 lines"):
        open_source(tmp_path / "notes.txt")
    with pytest.raises(SourceError, match=r"Did you mean .*notes\.txt"):
        open_source(tmp_path / "note.txt")
