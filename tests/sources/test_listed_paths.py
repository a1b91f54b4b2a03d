import os

import numpy as np
import pytest

from held import names
from oddlens.errors import SourceError, UnreadableImage
from oddlens.sources import open_source
from oddlens.sources.listed_paths import expanded, listed_in, paths_in


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


@pytest.mark.parametrize(("pattern", "found"), [
    ("a", ["a"]), ("{a,b}.png", ["a.png", "b.png"]), ("s-{009..011}", ["s-009", "s-010", "s-011"]),
    ("{2..0}", ["2", "1", "0"]), ("{a,b}{1..2}", ["a1", "a2", "b1", "b2"]), ("{a}", ["{a}"]), ("{,x}", ["", "x"]),
])
def test_braces_stand_for_what_shells_make_of_them(pattern, found):
    assert list(expanded(pattern)) == found


def test_braces_that_stand_for_too_much_take_no_time(tmp_path):
    with pytest.raises(SourceError, match="There is no"):
        open_source(f"{tmp_path}/{{1..99999999}}{{1..99999999}}.png")


def test_a_pattern_with_braces_is_filled_in(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    assert names(open_source("photos/{tiff.tif,bmp.bmp,none.png}")) == ["photos/tiff.tif", "photos/bmp.bmp"]
    assert names(open_source(["photos/b*.bmp", "photos/tiff.t*"])) == ["photos/bmp.bmp", "photos/tiff.tif"]


def test_paths_as_other_commands_print_them():
    assert listed_in(b"a b.png\nc\r\n\n") == ["a b.png", "c"]
    assert listed_in(b"a\nb\0c\0") == ["a\nb", "c"]
    assert listed_in(b"") == []
    assert os.fsencode(listed_in(b"\xff.png")[0]) == b"\xff.png"


def test_a_data_set_is_not_walked_to_find_paths_in_it():
    class Walked:
        shape = (3,)

        def __len__(self): return 3
        def __getitem__(self, number): return "x"
        def __iter__(self): raise AssertionError("it is walked")

    assert paths_in(Walked()) is None
