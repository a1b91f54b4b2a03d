import pytest

import held
from oddlens.errors import SourceError
from oddlens.sources.path import open_path, open_paths


def test_several_paths_of_one_kind_stay_as_they_were_listed(in_folder):
    folder, _ = in_folder
    listed = [str(folder / "b" / "11.png"), str(folder / "a" / "03.png"), str(folder / "missing.png")]
    assert held.names(open_paths(listed)) == listed
    assert held.names(open_paths([str(folder / "a")]))[0] == "00.png", "one folder is itself"
    with pytest.raises(SourceError, match="is empty"):
        open_paths([])


def test_an_archive_among_several_that_is_not_there_is_said(in_folder):
    with pytest.raises(SourceError, match=r"There is no .*gone\.zip"):
        open_paths([str(in_folder[0]), str(in_folder[0] / "gone.zip")])


def test_a_file_that_cannot_be_opened_is_said(tmp_path):
    with pytest.raises(SourceError, match="cannot be opened: File name too long"):
        open_path(tmp_path / ("x" * 5000))
