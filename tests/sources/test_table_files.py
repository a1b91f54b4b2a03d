from pathlib import Path

import numpy as np
import pyarrow
import pytest
from pyarrow import feather, parquet

import held
from held import names
from messy import encoded
from oddlens.errors import SourceError, UnreadableImage
from oddlens.reading.limits import Limits
from oddlens.sources import FileSource, open_source
from oddlens.testing import check_source


def test_a_table_is_taken_by_its_column_of_paths(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    two = ["photos/bmp.bmp", "photos/tiff.tif"]
    Path("t.csv").write_text("id,file,label\n1,photos/bmp.bmp,a\n2,photos/tiff.tif,b\n")
    Path("t.tsv").write_text("photos/bmp.bmp\ta\nphotos/tiff.tif\tb\n")
    Path("one.csv").write_text("file\nphotos/bmp.bmp\nphotos/tiff.tif\n")
    for table in ("t.csv", "t.tsv", "one.csv"):
        assert names(open_source(table)) == two, table
    for content in ("a,b\n1,2\n", "", "a\n"):
        Path("none.csv").write_text(content)
        with pytest.raises(SourceError, match="no column whose cells are paths"):
            open_source("none.csv")


def test_a_column_is_named_where_several_hold_paths(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    Path("two.csv").write_text("image,mask\nphotos/bmp.bmp,photos/tiff.tif\n,photos/tiff.tif\n")
    with pytest.raises(SourceError, match=r"images in image, mask: name one .* --column image"):
        open_source("two.csv")
    source = open_source("two.csv", column="image")
    assert names(source) == ["photos/bmp.bmp"]
    assert source.passed_over == {"empty cells": 1}
    for column, message in (("label", "no column 'label'; it has image, mask"), ("", "no column ''")):
        with pytest.raises(SourceError, match=message):
            open_source("two.csv", column=column)
    Path("none.csv").write_text("image,label\nphotos/bmp.bmp,cat\n")
    with pytest.raises(SourceError, match="nothing in label that is paths"):
        open_source("none.csv", column="label")


CONTENTS = [encoded(picture, "PNG") for picture in held.pictures()]
NUMBERS = [f"{number:02d}.png" for number in range(24)]
FORMS = {
    "bytes": {"image": CONTENTS}, "named": {"id": NUMBERS, "image": CONTENTS, "label": [0] * 24},
    "structs": {"image": [{"bytes": content, "path": name} for content, name in zip(CONTENTS, NUMBERS, strict=True)]},
    "without paths": {"image": [{"bytes": content, "path": None} for content in CONTENTS], "name": NUMBERS},
}


def write(table, path, rows=7):
    if path.suffix == ".parquet":
        parquet.write_table(table, path, row_group_size=rows)
    else:
        feather.write_feather(table, path, chunksize=rows, compression="lz4" if path.suffix == ".feather" else None)


@pytest.mark.parametrize("suffix", [".parquet", ".feather", ".arrow"])
@pytest.mark.parametrize("form", FORMS)
def test_image_files_in_a_table_score_as_the_folder_of_them(in_folder, tmp_path, form, suffix):
    write(pyarrow.table(FORMS[form]), tmp_path / f"t{suffix}")
    source = open_source(tmp_path / f"t{suffix}")
    assert names(source)[:2] == (["00", "01"] if form == "bytes" else NUMBERS[:2])
    assert np.allclose(held.scores(source), in_folder[1], rtol=0, atol=1e-6)


@pytest.mark.parametrize("suffix", [".parquet", ".feather"])
def test_paths_in_a_table_are_files(in_folder, tmp_path, suffix):
    folder, expected = in_folder
    paths = names(open_source(folder))
    write(pyarrow.table({"path": paths, "label": [1] * 24}), folder / f"t{suffix}")
    source = open_source(folder / f"t{suffix}")
    assert isinstance(source, FileSource)
    assert names(source) == paths
    assert np.allclose(held.scores(source), expected, rtol=0, atol=1e-6)
    (folder / f"t{suffix}").unlink()


@pytest.mark.parametrize("limits", [None, Limits(isolate=True)])
def test_a_table_holds_to_the_contract_and_broken_cells_are_listed(tmp_path, limits):
    cells = [{"bytes": CONTENTS[0], "path": None}, {"bytes": b"none", "path": "b.png"}, None,
             {"bytes": None, "path": "gone.png"}, {"bytes": None, "path": None}, {"bytes": CONTENTS[5], "path": "x"}]
    write(pyarrow.table({"image": cells}), tmp_path / "t.parquet", rows=2)
    source = open_source(tmp_path / "t.parquet", limits=limits)
    check_source(source)
    assert np.array_equal(source.read(5), np.asarray(held.pictures()[5]))
    for number, reason in ((1, "text, not an image"), (2, "its cell is empty"), (3, "No such file"), (4, "is empty")):
        with pytest.raises(UnreadableImage, match=f"{number}: .*{reason}"):
            source.read(number)


@pytest.mark.parametrize(("columns", "message"), [
    ({"a": [1, 2]}, "no column whose cells are paths"), ({"a": [b"no", b"image"]}, "no column"),
    ({"left": CONTENTS, "right": CONTENTS}, "images in left, right: name one"), ({}, "no column"),
    ({"a": pyarrow.array([], pyarrow.binary())}, "no column"),
])
def test_a_table_without_one_column_of_images_says_so(tmp_path, columns, message):
    for suffix in (".parquet", ".arrow"):
        write(pyarrow.table(columns), tmp_path / f"t{suffix}")
        with pytest.raises(SourceError, match=message):
            open_source(tmp_path / f"t{suffix}")
    if "left" in columns:
        assert len(open_source(tmp_path / "t.parquet", column="right")) == 24


@pytest.mark.parametrize("suffix", [".parquet", ".arrow"])
def test_a_damaged_table_is_one_sentence_or_costs_its_images(tmp_path, suffix):
    path = tmp_path / f"t{suffix}"
    write(pyarrow.table({"image": CONTENTS}), path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SourceError, match="cannot be read as a table"):
        open_source(path)
    path.write_bytes(whole)
    source = open_source(path)
    with path.open("r+b") as file:
        file.seek(len(whole) // 4)
        file.write(bytes(len(whole) // 2))
    found = [outcome(source, number) for number in range(24)]
    assert any(reason is not None for reason in found)
    assert len(source) == 24


def outcome(source, number):
    try:
        source.read(number)
    except UnreadableImage as error:
        return error.reason
    return None


def test_lengths_and_texts_that_lie_are_refused_before_they_are_touched(tmp_path):
    offsets = pyarrow.py_buffer(np.array([0, 2**31 - 1, -7, 3], np.int32))
    lying = pyarrow.Array.from_buffers(pyarrow.string(), 3, [None, offsets, pyarrow.py_buffer(b"a.png")])
    latin = pyarrow.Array.from_buffers(pyarrow.string(), 1, [None, pyarrow.py_buffer(np.array([0, 1], np.int32)),
                                                             pyarrow.py_buffer(b"\xe9")])
    for column in (lying, latin):
        images = pyarrow.array(CONTENTS[: len(column)], pyarrow.binary())
        write(pyarrow.table({"path": column}), tmp_path / "t.arrow")
        with pytest.raises(SourceError, match="no column whose cells are paths"):
            open_source(tmp_path / "t.arrow")
        write(pyarrow.table({"image": images, "label": column}), tmp_path / "t.arrow")
        assert open_source(tmp_path / "t.arrow").read(0).shape == (20, 28, 3), "the column of images is sound"
    write(pyarrow.table({"image": [{"bytes": content, "path": b"x"} for content in CONTENTS]}), tmp_path / "t.arrow")
    assert names(open_source(tmp_path / "t.arrow"))[0] == "00", "a path has to be a text"
