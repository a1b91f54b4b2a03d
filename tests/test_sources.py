import gzip
import inspect
import io
import os
import struct
import sys
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import messy
from oddlens import sources
from oddlens.errors import OutputError, SourceError, UnreadableImage
from oddlens.pixels import PixelFormat, read_pixels
from oddlens.progress import listening
from oddlens.reading import array_files
from oddlens.reading.array_files import read_idx
from oddlens.reading.decoding import looks_like_image
from oddlens.reading.tiff_pages import count_pages
from oddlens.result_marks import require_outside
from oddlens.sources import open_source, printable


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
    # The name that is not UTF-8 sorts by its bytes, which come last; shown by their escapes, they would not.
    assert found[-1] == "\\xff\\xfe.png"
    assert found[:-1] == sorted(found[:-1], key=str.encode)
    assert "deep/er/rgb.png" in found
    assert "two\\nlines.png" in found, "control characters are shown by their escapes"
    assert "猫 é.png" in found
    assert "\\xff\\xfe.png" in found
    assert names(open_source(folder)) == found


def test_the_order_does_not_come_from_the_system(folder, monkeypatch):
    expected = names(open_source(folder))
    real = os.scandir

    class Backwards:
        def __init__(self, path):
            with real(path) as listing:
                self.entries = sorted(listing, key=lambda entry: entry.name, reverse=True)

        def __enter__(self):
            return iter(self.entries)

        def __exit__(self, *error):
            pass

    monkeypatch.setattr(sources.os, "scandir", Backwards)
    assert names(open_source(folder)) == expected


def test_files_are_told_by_content_and_by_claim(folder):
    source = open_source(folder)
    found = names(source)
    assert "wrong-suffix.txt" in found
    assert "no-suffix" in found
    assert "bad-text.png" in found, "it claims to be an image: listed, not passed over"
    assert "notes.md" not in found
    assert source.passed_over == {"other files": 2}, "notes.md, and a link to itself that claims nothing"
    assert source.skipped == 2
    assert source.root == folder


def test_hidden_files_and_circles_are_left_out(folder):
    found = names(open_source(folder))
    assert not [name for name in found if "hidden" in name or "circle/" in name]
    assert found.count("linked.png") == 1
    assert len(found) == len(set(found))


def test_folders_full_of_links_to_each_other_are_listed_once_each(tmp_path):
    for letter in "abcdefgh":
        (tmp_path / letter).mkdir()
        (tmp_path / letter / "x.png").write_bytes(b"")
        for other in "abcdefgh".replace(letter, ""):
            (tmp_path / letter / f"to-{other}").symlink_to(tmp_path / other)
        (tmp_path / letter / "up").symlink_to(tmp_path)
    assert names(open_source(tmp_path)) == [f"{letter}/x.png" for letter in "abcdefgh"]


def test_a_folder_keeps_its_own_name_whatever_links_to_it(tmp_path):
    (tmp_path / "z").mkdir()
    (tmp_path / "z" / "x.png").write_bytes(b"")
    (tmp_path / "a-link").symlink_to(tmp_path / "z")
    assert names(open_source(tmp_path)) == ["z/x.png"]


def test_a_folder_elsewhere_is_named_by_the_first_of_its_links(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "x.png").write_bytes(b"")
    for letter in "cab":
        (tmp_path / "photos" / letter).mkdir(parents=True)
        (tmp_path / "photos" / letter / "link").symlink_to(tmp_path / "elsewhere")
    assert names(open_source(tmp_path / "photos", follow_links=True)) == ["a/link/x.png"]


def test_folders_may_lie_deeper_than_calls_may(tmp_path):
    # With fewer calls allowed instead of a thousand folders, which pytest could not remove afterwards.
    place = tmp_path.joinpath(*["d"] * 150)
    place.mkdir(parents=True)
    (place / "x.png").write_bytes(b"")
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack()) + 100)
    try:
        source = open_source(tmp_path)
    finally:
        sys.setrecursionlimit(limit)
    assert names(source) == ["d/" * 150 + "x.png"]


def test_a_folder_that_cannot_be_listed_is_said(tmp_path, monkeypatch):
    (tmp_path / "shut").mkdir()
    (tmp_path / "x.png").write_bytes(b"")
    real = os.scandir

    def scandir(path):
        if os.fspath(path) == str(tmp_path / "shut"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(sources.os, "scandir", scandir)
    source = open_source(tmp_path)
    assert names(source) == ["shut", "x.png"]
    with pytest.raises(UnreadableImage, match="a folder that cannot be listed: Permission denied"):
        source.read(0)
    with pytest.raises(SourceError, match="shut cannot be listed: Permission denied"):
        open_source(tmp_path / "shut")


def test_links_out_of_the_folder_are_followed_only_if_asked_for(folder, tmp_path):
    (tmp_path / "own.png").write_bytes(b"")
    (tmp_path / "also.png").symlink_to("own.png")
    (tmp_path / "linked").symlink_to(folder / "deep" / "er", target_is_directory=True)
    (tmp_path / "secret.png").symlink_to(folder / "bmp.bmp")
    source = open_source(tmp_path)
    assert names(source) == ["also.png", "own.png"]
    assert source.passed_over == {"links that lead out of the folder": 2}
    assert names(open_source(tmp_path, follow_links=True)) == ["also.png", "linked/rgb.png", "own.png", "secret.png"]
    (tmp_path / "also.png").unlink()
    (tmp_path / "own.png").unlink()
    with pytest.raises(SourceError, match=r"2 links that lead out .* --follow-links"):
        open_source(tmp_path)


def test_a_folder_that_is_a_link_itself_is_opened(folder, tmp_path):
    (tmp_path / "link").symlink_to(folder)
    assert len(open_source(tmp_path / "link")) == len(open_source(folder))


def test_our_own_results_are_never_taken_for_images(folder, tmp_path):
    for name, summary, kind in (("run", "run.json", "oddlens-run"), ("measured", "summary.json", "oddlens-evaluation")):
        (tmp_path / name).mkdir()
        (tmp_path / name / summary).write_text(f'{{"format": "{kind}"}}')
        (tmp_path / name / "gallery.png").write_bytes((folder / "bmp.bmp").read_bytes())
        with pytest.raises(SourceError, match="holds results of oddlens"):
            open_source(tmp_path / name)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "run.json").write_text('{"format": "of another"}')
    for i in range(3):
        (tmp_path / "other" / f"{i}.png").write_bytes((folder / "bmp.bmp").read_bytes())
    source = open_source(tmp_path)
    assert names(source) == ["other/0.png", "other/1.png", "other/2.png"]
    assert source.passed_over == {"other files": 1, "folders of results of oddlens": 2}
    listed = open_source([tmp_path / "run" / "gallery.png", tmp_path / "other" / "0.png"])
    assert listed.read(1).shape == (32, 48, 3)
    with pytest.raises(UnreadableImage, match="that oddlens made"):
        listed.read(0)


def test_results_do_not_land_in_any_folder_that_images_come_from(folder, tmp_path):
    source = open_source([folder / "bmp.bmp", folder / "deep" / "er" / "rgb.png"])
    for place in (folder, folder / "oddlens-run", folder / "deep" / "er" / "x"):
        with pytest.raises(OutputError, match="never written to"):
            require_outside(place, source)
    require_outside(tmp_path / "run", source)
    require_outside(folder.parent / "run", source)
    (tmp_path / "link").symlink_to(folder)
    with pytest.raises(OutputError, match="never written to"):
        require_outside(tmp_path / "link" / "run", source)


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


def test_a_list_may_begin_with_a_mark_end_lines_as_windows_does_and_hold_nonsense(folder):
    path = folder.parent / "windows.txt"
    path.write_bytes("\ufeffphotos/bmp.bmp\r\nphotos\r\n".encode() + b"x" * 6000)
    source = open_source(path)
    assert names(source)[:2] == ["photos/bmp.bmp", "photos"]
    assert source.read(0).shape == (32, 48, 3)
    for index, reason in ((1, "a folder, not a file"), (2, "cannot be opened: File name too long")):
        with pytest.raises(UnreadableImage, match=reason):
            source.read(index)
    path.write_bytes(b"x" * 6000)
    with pytest.raises(SourceError, match="none of its 1 lines") as error:
        open_source(path)
    assert len(str(error.value)) < 1000


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SourceError, match="neither a file nor a folder"):
        open_source(tmp_path / "pipe")


def test_a_film_is_no_list_of_paths(tmp_path):
    (tmp_path / "film.mp4").write_bytes(b"\0\0\0\x18ftypmp42" + bytes(100))
    with pytest.raises(SourceError, match="neither an image nor a text file of paths"):
        open_source(tmp_path / "film.mp4")


@given(st.text())
def test_any_name_can_be_printed(name):
    printable(name).encode()
    if name.isprintable():
        assert printable(name) == name


def test_half_a_surrogate_pair_in_a_list_is_printed():
    assert names(open_source(["\ud800.png"])) == ["\\ud800.png"]


def test_one_file_named_twice_gets_two_names(folder):
    path = folder / "bmp.bmp"
    assert names(open_source([path, path, path])) == [str(path), f"{path} (2)", f"{path} (3)"]


@pytest.mark.parametrize(("array", "expected"), [
    (IMAGES, IMAGES[..., None]),
    (IMAGES[:, :, :3, None], IMAGES[:, :, :3, None]),
    (IMAGES > 127, (IMAGES > 127)[..., None] * np.uint8(255)),
    (IMAGES.astype(np.uint16) << 8, IMAGES[..., None]),
    ((IMAGES.astype(np.uint16) << 8).astype(">u2"), IMAGES[..., None]),
    (IMAGES.astype(np.float32) / 255, IMAGES[..., None]),
    (np.stack([IMAGES] * 3, -1), np.stack([IMAGES] * 3, -1)),
    (np.stack([IMAGES] * 3 + [np.zeros_like(IMAGES)], -1), np.full((5, 6, 7, 3), 255)),
    (np.stack([IMAGES] * 3 + [np.full_like(IMAGES, 255)], -1), np.stack([IMAGES] * 3, -1)),
])
def test_arrays_of_every_kind(array, expected):
    source = open_source(array)
    assert names(source) == list("01234")
    assert np.array_equal(np.stack([source.read(i) for i in range(len(source))]), expected)
    assert source.read(0).dtype == np.uint8


@pytest.mark.parametrize(("bad", "message"), [
    (np.zeros((5, 6)), "n, height, width"),
    (np.zeros((5, 3, 6, 7), np.uint8), "move the channels to the end"),
    (np.zeros((0, 6, 7), np.uint8), "no pixels"),
    (np.zeros((60, 80, 3), np.uint8), r"one picture in colour .* \(n, height, width, 3\).*\[\.\.\., None\]"),
    (np.zeros((60, 80, 4)), "one picture in colour"),
    (Image.new("RGB", (40, 30)), r"np\.stack"),
    ("https://example.org/photos.zip", "nothing is ever downloaded"),
    ("s3://photos/today", "nothing is ever downloaded"),
    (np.zeros((5, 6, 7), np.int64), "astype"),
    (np.zeros((5, 6, 7), complex), "astype"),
    (np.zeros((5, 6, 7), ">u4"), "astype"),
    ([], "empty"),
    (object(), "Give a folder"),
    ([object()], "Give a folder"),
    (None, "Give a folder"),
    ({"a.png": 1}, "Give a folder"),
    (b"photos", "Give a folder|channels"),
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


def test_arrays_that_are_pixels_already_are_taken_in_blocks_and_equal_those_read_one_by_one(tmp_path):
    (tmp_path / "a").write_bytes(idx(IMAGES))
    source = open_source(tmp_path / "a")
    assert isinstance(source.array, array_files.RowsInFile)
    reports = []
    with listening(lambda *report: reports.append(report)):
        blocks = read_pixels(source, PixelFormat(6, 7, 1))
    assert reports == [("reading", 5, 5)], "all at once"
    one_by_one = read_pixels(Slow(source), PixelFormat(6, 7, 1))
    assert np.array_equal(blocks.pixels, one_by_one.pixels)
    assert np.array_equal(blocks.pixels[..., 0], IMAGES)
    assert np.array_equal(blocks.shapes, one_by_one.shapes)
    assert np.array_equal(blocks.indices, one_by_one.indices)
    assert (blocks.shapes.dtype, blocks.indices.dtype) == (np.int32, np.int64)
    assert blocks.names == one_by_one.names
    for other in (np.zeros((2, 6, 7, 4), np.uint8), np.zeros((2, 6, 7), np.uint16), np.zeros((2, 6, 7))):
        assert open_source(other).pixels is None


class Slow:
    """A source with the three methods and nothing else."""

    def __init__(self, source):
        self.name, self.read, self.length = source.name, source.read, len(source)

    def __len__(self):
        return self.length


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


def test_a_damaged_gzip_is_said(tmp_path):
    path = tmp_path / "images.gz"
    path.write_bytes(gzip.compress(idx(IMAGES))[:-20])
    with pytest.raises(SourceError, match="cannot be read as IDX"):
        open_source(path)


@pytest.mark.parametrize("content", [None, idx(IMAGES)])
def test_a_file_that_is_cut_short_while_it_is_read_is_said_and_ends_nothing(tmp_path, content):
    path = tmp_path / "a"
    if content is None:
        np.save(tmp_path / "a.npy", IMAGES)
        (tmp_path / "a.npy").rename(path)
    else:
        path.write_bytes(content)
    source = open_source(path)
    os.truncate(path, path.stat().st_size - 60)
    assert np.array_equal(source.read(2)[..., 0], IMAGES[2])
    with pytest.raises(SourceError, match="cut short while it was read: it ends within row 3"):
        source.read(3)
    with pytest.raises(SourceError, match="cut short"):
        read_pixels(source, PixelFormat(6, 7, 1))
    collection = read_pixels(source, PixelFormat(8, 8, 1))
    assert collection.names == ("0", "1", "2")
    assert "cut short" in collection.unreadable[0][1]
    path.unlink()
    with pytest.raises(SourceError, match="cannot be read any more"):
        source.read(0)


def test_names_that_are_the_same_in_print_stay_apart_and_take_no_time():
    many = 30_000
    listed = ["a"] * many + [f"a ({number})" for number in range(2, many)]
    found = sources._distinct(listed)
    assert len(set(found)) == len(found)
    assert found[0] == "a"


def test_control_characters_are_escaped_in_names_and_nothing_else_is():
    assert printable("a\x1b[2J\tb\x9bc\x7f") == "a\\x1b[2J\\tb\\x9bc\\x7f"
    for name in ("=1+1.png", "-x", "+x", "@x", "猫 é", "a'b\"c", "a\u202eb", " x "):
        assert printable(name) == name


def tiff(*pictures):
    return messy.encoded(pictures[0], "TIFF", save_all=True, append_images=pictures[1:])


def test_each_page_of_a_tiff_is_an_image(tmp_path):
    colours = [Image.new("RGB", (9, 7), (50 * i, 0, 0)) for i in range(3)]
    (tmp_path / "b.tif").write_bytes(tiff(*colours))
    (tmp_path / "a.tif").write_bytes(tiff(colours[2]))
    for source in (open_source(tmp_path), open_source([tmp_path / "a.tif", tmp_path / "b.tif"])):
        assert [name.rpartition("/")[2] for name in names(source)] == ["a.tif", "b.tif", "b.tif#2", "b.tif#3"]
        assert [int(source.read(i)[0, 0, 0]) for i in range(4)] == [100, 0, 50, 100]
        assert source.read_near(3, 64)[1] == (7, 9)
    assert names(open_source(tmp_path / "b.tif")) == ["b.tif", "b.tif#2", "b.tif#3"]


def test_smaller_copies_and_circles_in_a_tiff_are_no_pages(tmp_path):
    path = tmp_path / "x.tif"

    def directory(at, following, kind=0):
        return struct.pack("<HHHIII", 1, 254, 4, 1, kind, following)

    path.write_bytes(b"II*\0" + struct.pack("<I", 8) + directory(8, 26) + directory(26, 44) + directory(44, 0, 1))
    assert count_pages(path) == 2
    path.write_bytes(b"II*\0" + struct.pack("<I", 8) + directory(8, 26) + directory(26, 8))
    assert count_pages(path) == 2
    for content in (b"", b"II*\0", b"MM\0*\xff\xff\xff\xff", b"II*\0" + struct.pack("<I", 8) + b"\xff\xff"):
        path.write_bytes(content)
        assert count_pages(path) == 1
    assert count_pages(tmp_path / "none.tif") == 1


def test_several_paths_patterns_columns_and_tables_are_what_they_mean(folder, tmp_path, monkeypatch):
    import pandas

    monkeypatch.chdir(folder.parent)
    two = ["photos/bmp.bmp", "photos/tiff.tif"]
    for given_images in (two, tuple(two), (path for path in two), pandas.Series(two), np.array(two),
                         pandas.DataFrame({"file": two})["file"], np.array(two, object)):
        assert names(open_source(given_images)) == two
    assert names(open_source("photos/[bt][mi][pf]*.*")) == two
    assert names(open_source("photos/**/rgb.png")) == ["rgb.png"], "one file, and no walk in circles"
    with pytest.raises(SourceError, match="There is no"):
        open_source("photos/*.nothing")
    with pytest.raises(SourceError, match="photos is a folder, and there are 1 more paths"):
        open_source(["photos", "photos/bmp.bmp"])
    Path("t.csv").write_text("id,file,label\n1,photos/bmp.bmp,a\n2,photos/tiff.tif,b\n")
    Path("t.tsv").write_text("photos/bmp.bmp\ta\nphotos/tiff.tif\tb\n")
    Path("one.csv").write_text("file\nphotos/bmp.bmp\nphotos/tiff.tif\n")
    for table in ("t.csv", "t.tsv", "one.csv"):
        assert names(open_source(table)) == two, table
    for content in ("a,b\n1,2\n", "", "a\n"):
        Path("none.csv").write_text(content)
        with pytest.raises(SourceError, match="no column whose cells are paths"):
            open_source("none.csv")
    with zipfile.ZipFile("photos.zip", "w") as archive:
        archive.write("photos/bmp.bmp")
    with pytest.raises(SourceError, match="unpack it"):
        open_source("photos.zip")


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
