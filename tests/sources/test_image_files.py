import struct

from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import messy
from held import names
from oddlens.reading.tiff_pages import count_pages
from oddlens.sources import image_files, open_source, printable


def tiff(*pictures):
    return messy.encoded(pictures[0], "TIFF", save_all=True, append_images=pictures[1:])


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


def test_names_that_are_the_same_in_print_stay_apart_and_take_no_time():
    many = 30_000
    listed = ["a"] * many + [f"a ({number})" for number in range(2, many)]
    found = image_files.distinct(listed)
    assert len(set(found)) == len(found)
    assert found[0] == "a"


def test_control_characters_are_escaped_in_names_and_nothing_else_is():
    assert printable("a\x1b[2J\tb\x9bc\x7f") == "a\\x1b[2J\\tb\\x9bc\\x7f"
    for name in ("=1+1.png", "-x", "+x", "@x", "猫 é", "a'b\"c", "a\u202eb", " x "):
        assert printable(name) == name


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
