import json

import pytest
from click.testing import CliRunner

from oddlens.cli import cli
from oddlens.errors import OptionError, OutputError
from oddlens.review.export import export
from oddlens.review.exports import FORMATS
from oddlens.review.labels import LabelStore
from runs import ODD


@pytest.fixture
def labelled(run):
    store = LabelStore(run / "review.sqlite")
    store.say(sorted(ODD), "odd", who="Ada", session="1")
    store.say(["00.png"], "normal", who="Ada", session="1")
    store.close()
    return run


def ask(*arguments, **options):
    return CliRunner().invoke(cli, ["export", *map(str, arguments)], **options)


def test_all_files_are_written(labelled, tmp_path):
    done = export(labelled, tmp_path / "answer")
    assert {path.name for path in done.files} == set(FORMATS)
    assert all(path.stat().st_size for path in done.files)
    assert (done.odd, done.labelled) == (5, 6)
    assert done.copied is None


def test_one_file_and_the_images(labelled, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = export(labelled, formats=["odd.txt"], target="odd")
    assert [path.name for path in done.files] == ["odd.txt"]
    assert len(done.copied.done) == 5
    only = export(labelled, target="again")
    assert only.files == ()
    with pytest.raises(OptionError, match=r"odd\.txt"):
        export(labelled, formats=["odd.text"])


def test_a_run_without_labels_is_exported_too_but_has_no_odd_images(run, tmp_path):
    assert export(run, tmp_path / "answer").labelled == 0
    assert not (run / "review.sqlite").exists(), "looking leaves no trace"
    with pytest.raises(OutputError, match="oddlens review"):
        export(run, target=tmp_path / "odd")


def test_files_do_not_land_among_the_images(labelled, finished):
    with pytest.raises(OutputError, match="folder of images"):
        export(labelled, finished / "photos" / "answer")


def test_moving_asks_first(labelled, finished, tmp_path):
    with pytest.raises(OptionError, match="confirmation"):
        export(labelled, target=tmp_path / "odd", way="move")
    refused = ask(labelled, "--copy-odd", tmp_path / "odd", "--move", input="n\n")
    assert "Move 5 odd images" in refused.output
    assert not (tmp_path / "odd").exists()
    assert (finished / "photos" / "more" / "17.png").exists()


def test_the_command_says_what_it_did(labelled, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = ask(labelled)
    assert done.exit_code == 0, done.output
    assert "review-export/labels.csv" in done.output
    copied = ask(labelled, "--copy-odd", "odd", "--link", "--json")
    assert len(json.loads(copied.output)["done"]) == 5
    again = ask(labelled, "--copy-odd", "odd")
    assert "0 odd images copied" in again.output, "links stand there"
    assert again.output.count("is there already") == 5
    for wrong in (["--move"], ["--link"], ["--yes"]):
        assert ask(labelled, *wrong).exit_code == 2
    assert ask(labelled, "--copy-odd", "odd", "--link", "--move").exit_code == 2
