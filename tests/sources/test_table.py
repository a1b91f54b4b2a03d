
import numpy as np
import pyarrow
import pytest

import held
from held import names
from messy import encoded
from oddlens.errors import SourceError, UnreadableImage
from oddlens.sources import FileSource, open_source
from oddlens.testing import check_source

CONTENTS = [encoded(picture, "PNG") for picture in held.pictures()]
NUMBERS = [f"{number:02d}.png" for number in range(24)]
COLUMNS = {"id": NUMBERS, "image": CONTENTS, "label": [0.5] * 24}


def made(library, columns):
    if library == "pyarrow":
        return pyarrow.table(columns)
    return pytest.importorskip(library).DataFrame(columns)


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_image_files_in_a_table_score_as_the_folder_of_them(in_folder, library):
    table = made(library, COLUMNS)
    assert names(open_source(table)) == NUMBERS
    assert np.allclose(held.scores(table), in_folder[1], rtol=0, atol=1e-6)
    column = table["image"]
    assert names(open_source(column))[:2] == ["00", "01"]
    assert np.allclose(held.scores(column), in_folder[1], rtol=0, atol=1e-6)
    check_source(open_source(column[:5]))


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_paths_in_a_table_are_files(in_folder, monkeypatch, library):
    folder, expected = in_folder
    monkeypatch.chdir(folder)
    paths = names(open_source(folder))
    table = made(library, {"n": list(range(24)), "path": paths})
    for given in (table, table["path"]):
        source = open_source(given)
        assert isinstance(source, FileSource)
        assert names(source) == paths
        assert np.allclose(held.scores(given), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_structs_of_bytes_and_path_are_images(in_folder, library):
    table = made(library, {"image": [{"bytes": content, "path": name}
                                     for content, name in zip(CONTENTS, NUMBERS, strict=True)]})
    assert names(open_source(table)) == NUMBERS
    assert np.allclose(held.scores(table), in_folder[1], rtol=0, atol=1e-6)


def test_pictures_in_a_column_of_objects_are_images(in_folder):
    pandas = pytest.importorskip("pandas")
    for cells in (held.pictures(), [np.asarray(picture) for picture in held.pictures()]):
        table = pandas.DataFrame({"label": [1] * 24, "picture": cells})
        assert np.allclose(held.scores(table), in_folder[1], rtol=0, atol=1e-6)
        assert np.allclose(held.scores(table["picture"]), in_folder[1], rtol=0, atol=1e-6)


def test_missing_cells_are_passed_over_or_listed(in_folder, monkeypatch):
    pandas = pytest.importorskip("pandas")
    monkeypatch.chdir(in_folder[0])
    source = open_source(pandas.DataFrame({"path": ["a/00.png", None, float("nan"), " ", "a/01.png", "gone.png"]}))
    assert names(source) == ["a/00.png", "a/01.png", "gone.png"]
    assert source.passed_over == {"empty cells": 3}
    source = open_source(pandas.DataFrame({"image": [None, CONTENTS[0], b"broken"]}))
    assert len(source) == 3
    for number, reason in ((0, "its cell is empty"), (2, "text, not an image")):
        with pytest.raises(UnreadableImage, match=reason):
            source.read(number)


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_a_table_that_is_not_clear_says_so(library):
    two = made(library, {"left": CONTENTS, "right": CONTENTS[::-1]})
    with pytest.raises(SourceError, match=r"images in left, right: name one .* open_source\(table, column='left'\)"):
        open_source(two)
    assert np.array_equal(open_source(two, column="right").read(0), np.asarray(held.pictures()[-1]))
    with pytest.raises(SourceError, match="no column 'up'; it has left, right"):
        open_source(two, column="up")
    with pytest.raises(SourceError, match="no column whose cells are paths of files that exist, images or their"):
        open_source(made(library, {"a": [1, 2], "b": ["x", "y"]}))


def test_a_lazy_frame_is_to_be_collected(in_folder):
    polars = pytest.importorskip("polars")
    lazy = polars.DataFrame(COLUMNS).lazy()
    with pytest.raises(SourceError, match="the result of its collect"):
        open_source(lazy)
    assert len(open_source(lazy.collect())) == 24


def test_rows_are_named_by_number_where_no_column_names_them_all():
    for ids in ([1] * 24, [None, *range(23)]):
        table = pyarrow.table({"id": ids, "image": CONTENTS})
        assert names(open_source(table))[:2] == ["00", "01"]
