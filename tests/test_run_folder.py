"""Where a run may be made, and what lies in it."""

import pytest

from oddlens import run_folder
from oddlens.errors import OutputError, SavedModelError
from oddlens.sources import ArraySource, FileSource


@pytest.fixture
def source():
    import numpy as np

    return ArraySource(np.zeros((3, 4, 4), np.uint8))


def test_a_new_folder_is_claimed_by_an_unfinished_summary_and_can_be_claimed_again(tmp_path, source):
    folder = run_folder.claim(tmp_path / "a" / "run", source)
    assert (folder / run_folder.SUMMARY).read_text() == '{"finished": false}\n'
    (folder / run_folder.SUMMARY).write_text('{"finished": true}')
    assert run_folder.claim(folder, source) == folder
    assert (folder / run_folder.SUMMARY).read_text() == '{"finished": true}'


def test_files_of_others_are_never_written_over(tmp_path, source):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"not of a run: choose an empty or new folder with --out"):
        run_folder.claim(tmp_path, source)
    with pytest.raises(OutputError, match="is a file"):
        run_folder.claim(tmp_path / "thesis.txt", source)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("inside", [".", "run", "deep/../run"])
def test_a_folder_of_images_is_never_written_to(tmp_path, inside):
    images = tmp_path / "photos"
    images.mkdir()
    with pytest.raises(OutputError, match="never written to"):
        run_folder.claim(images / inside, FileSource([images / "a.png"], ["a.png"], root=images))
    assert not list(images.iterdir())


def test_a_model_is_told_only_where_there_is_one(tmp_path):
    assert set(run_folder.files(tmp_path)) == {"table", "parquet", "gallery", "report"}
    (tmp_path / "model").mkdir()
    assert run_folder.files(tmp_path)["model"] == str(tmp_path / "model")


def test_a_model_is_found_in_its_run_or_by_itself(tmp_path):
    with pytest.raises(SavedModelError, match="There is no"):
        run_folder.model_of(tmp_path / "nowhere")
    assert run_folder.model_of(tmp_path) == tmp_path  # maybe a saved model; loading says
    (tmp_path / run_folder.SUMMARY).write_text("{}")
    with pytest.raises(SavedModelError, match=r"without --no-model \(save_model=False\)"):
        run_folder.model_of(tmp_path)
    (tmp_path / "model").mkdir()
    assert run_folder.model_of(tmp_path) == tmp_path / "model"


def test_what_was_kept_of_the_images_goes_with_the_model(tmp_path):
    (tmp_path / run_folder.REASONS).write_bytes(b"x")
    (tmp_path / "scores.csv").write_text("name\n")
    run_folder.remove_model(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["scores.csv"]
