from pathlib import Path

import pytest

from held import names
from oddlens.errors import SourceError
from oddlens.sources import open_source


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
