
import numpy as np
import pytest

from held import names
from oddlens.errors import SourceError, UnreadableImage
from oddlens.sources import open_source


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
    with pytest.raises(SourceError, match="photos is a folder, and there are 1 more paths"):
        open_source(["photos", "photos/bmp.bmp"])
