import os
import shutil
import zipfile

import numpy as np
import pytest

import held
from held import names
from oddlens.errors import OutputError
from oddlens.result_marks import require_outside
from oddlens.sources import FileSource, open_source
from oddlens.sources.joined import JoinedSource
from oddlens.testing import check_source


@pytest.fixture
def place(in_folder, tmp_path, monkeypatch):
    shutil.copytree(in_folder[0], tmp_path / "in")
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as file:
        for path in sorted((tmp_path / "in" / "b").iterdir()):
            file.write(path, path.name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("given", [["in/a", "in/b"], ["in/a", "b.zip"], ["in/a/*.png", "in/b"],
                                   ["in/a/", "in/b/*.png"]])
def test_what_is_given_together_scores_as_the_folder_of_it(in_folder, place, given):
    source = open_source(given)
    assert len(source) == 24
    assert names(source)[0] == "in/a/00.png"
    assert names(source)[-1] in ("in/b/23.png", "b.zip/23.png")
    assert np.allclose(held.scores(source), in_folder[1], rtol=0, atol=1e-6)


def test_folders_and_files_together_are_files_none_of_them_twice(place):
    (place / "in" / "notes.md").write_text("hello")
    source = open_source(["in/a/03.png", "in", "gone.png"])
    assert isinstance(source, FileSource)
    assert names(source)[:2] == ["in/a/03.png", "in/a/00.png"]
    assert names(source)[-1] == "gone.png"
    assert len(source) == 25
    assert source.passed_over == {"files named twice": 1, "other files": 1}


def test_an_archive_beside_a_folder_holds_to_the_contract(place):
    source = open_source(["in/a", "b.zip", "in/b/10.png"])
    check_source(source)
    assert names(source)[9:11] == ["in/a/09.png", "b.zip/10.png"]
    assert np.array_equal(source.read(10), source.read(24))
    assert source.place(10)[1] == 0
    for out in ("in/a/run", "in/b/run"):
        with pytest.raises(OutputError, match="never written to"):
            require_outside(place / out, source)
    require_outside(place / "run", source)
    np.save("rows.npy", np.zeros((3, 20, 28), np.uint8))
    array = open_source(["rows.npy", "b.zip"])
    assert names(array)[:2] == ["rows.npy/0", "rows.npy/1"]
    assert array.read_near(0, 64)[1] == (20, 28)


def test_what_changed_is_noticed_in_each_part(place):
    class Own:
        def __len__(self): return 1
        def name(self, index): return "own"
        def read(self, index): return np.zeros((4, 4, 1), np.uint8)

    source = open_source(["b.zip", "in/b"])
    assert isinstance(source, JoinedSource)
    before = [source.stamp(number) for number in range(len(source))]
    assert before == [source.stamp(number) for number in range(len(source))]
    os.utime("in/b/23.png", ns=(1, 1))
    after = [source.stamp(number) for number in range(len(source))]
    assert [number for number in range(len(source)) if before[number] != after[number]] == [27]
    os.utime("b.zip", ns=(1, 1))
    assert all(source.stamp(number) != before[number] for number in range(14))
    own = JoinedSource([("own", Own())])
    assert own.stamp(0) != own.stamp(0), "it cannot be known"
