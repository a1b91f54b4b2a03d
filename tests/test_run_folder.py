"""A run takes the place of another whole or not at all, whenever it is ended, and no other folder's."""

import json
import shutil
import sys
from contextlib import suppress

import numpy as np
import pytest

from oddlens import run_folder
from oddlens.errors import OptionError, OutputError, SavedModelError
from oddlens.run import rank_into, score_with
from oddlens.run_folder import claimed, model_of
from oddlens.settings import build_model
from oddlens.sources import open_source

SOURCE = open_source(np.zeros((3, 8, 8), np.uint8))


def write(out, word, model=True, overwrite=True):
    """A run whose every part says ``word``."""
    with claimed(out, SOURCE, overwrite) as place:
        for name in (*run_folder.FILES.values(), *([run_folder.REASONS] if model else [])):
            (place.building / name).write_text(word)
        if model:
            (place.building / "model").mkdir()
            (place.building / "model" / "model.json").write_text(word)
        summary = {**place.marks(), "finished": True, "word": word}
        (place.building / "run.json").write_text(json.dumps(summary))


def words(out):
    """What the parts of the run say, each way at most once."""
    parts = [path for path in out.rglob("*") if path.is_file() and path.name != "run.json"]
    return {path.read_text() for path in parts} | {json.loads((out / "run.json").read_text()).get("word")}


def test_a_run_replaces_another_whole(tmp_path):
    write(tmp_path / "run", "old")
    write(tmp_path / "run", "new")
    assert words(tmp_path / "run") == {"new"}
    assert model_of(tmp_path / "run") == tmp_path / "run" / "model"
    write(tmp_path / "run", "bare", model=False)
    assert words(tmp_path / "run") == {"bare"}
    assert not (tmp_path / "run" / "model").exists()
    with pytest.raises(SavedModelError, match="--no-model"):
        model_of(tmp_path / "run")


def test_a_finished_run_is_replaced_only_if_asked_for(tmp_path):
    write(tmp_path / "run", "old", overwrite=False)
    with pytest.raises(OutputError, match=r"--overwrite .*overwrite=True"):
        write(tmp_path / "run", "new", overwrite=False)
    assert words(tmp_path / "run") == {"old"}


@pytest.mark.parametrize("content", ['{"finished": true}', '{"format": "other"}', "[]", "", "no json", '{"format": 7}'])
def test_a_run_json_of_another_tool_is_not_ours(tmp_path, content):
    (tmp_path / "run.json").write_text(content)
    (tmp_path / "scores.csv").write_text("theirs")
    with pytest.raises(OutputError, match="not of a run"):
        write(tmp_path, "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run.json", "scores.csv"]
    assert (tmp_path / "run.json").read_text() == content


def test_what_fails_leaves_the_earlier_run_and_no_trace(tmp_path):
    write(tmp_path / "run", "old")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(FileNotFoundError), claimed(tmp_path / "run", SOURCE, True) as place:
        (place.building / "no-such-folder" / "scores.csv").write_text("new")
    assert sorted(tmp_path.rglob("*")) == before
    assert words(tmp_path / "run") == {"old"}
    with pytest.raises(ZeroDivisionError), claimed(tmp_path / "other", SOURCE):
        raise ZeroDivisionError
    assert not (tmp_path / "other").exists()


def test_a_second_run_into_one_folder_is_told_and_leaves(tmp_path):
    write(tmp_path / "run", "old")
    with (pytest.raises(OutputError, match=r"Another oddlens \(process \d+\) is writing into"),
          claimed(tmp_path / "run", SOURCE, True)):
        write(tmp_path / "run", "second")
    assert words(tmp_path / "run") == {"old"}
    write(tmp_path / "run", "third")
    assert words(tmp_path / "run") == {"third"}


def test_a_lock_left_behind_locks_nothing(tmp_path):
    (tmp_path / ".oddlens-lock").write_text("1\n")
    write(tmp_path, "new")
    assert words(tmp_path) == {"new"}


CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "os.chmod"}
watching = {"copy": None}


def _watch(event, arguments):
    copy = watching["copy"]
    if copy is not None and (event in CHANGES or (event == "open" and "w" in str(arguments[1]))):
        watching["copy"] = None  # what copying does is no change of the run's
        copy()
        watching["copy"] = copy


@pytest.mark.parametrize("model", [True, False])
def test_ended_at_any_moment_the_old_run_or_the_new_one_is_whole(tmp_path, model):
    """A copy of the folder before every change is what a process that was killed there leaves."""
    place = tmp_path / "run"
    write(place, "old")
    copies = []

    def copy():
        copies.append(tmp_path / str(len(copies)))
        shutil.copytree(place, copies[-1])

    sys.addaudithook(_watch)
    watching["copy"] = copy
    write(place, "new", model=model)
    watching["copy"] = None
    assert len(copies) > 20
    ends = []
    for left in copies:
        with suppress(SavedModelError):  # of a run that keeps no model
            model_of(left)  # puts a run that is ready in its place
        kept = tmp_path / "kept"
        shutil.copytree(left, kept, ignore=shutil.ignore_patterns(".*"))
        (word,) = words(kept)
        ends.append(word)
        shutil.rmtree(kept)
        write(left, "next")
        assert words(left) == {"next"}
        assert not list(left.glob(".*"))
    assert ends == sorted(ends, reverse=True), "the old run up to one moment, the new one from there on"
    assert set(ends) == {"old", "new"}


def test_an_unfinished_run_and_a_mixture_are_not_scored_by(tmp_path, dots):
    write(tmp_path / "a", "a")
    write(tmp_path / "b", "b")
    for part in ("model/model.json", "reasons.safetensors"):
        kept = (tmp_path / "a" / part).read_text()
        (tmp_path / "a" / part).write_text((tmp_path / "b" / part).read_text())
        with pytest.raises(SavedModelError, match="does not belong to the run"):
            score_with(tmp_path / "a", dots)
        (tmp_path / "a" / part).write_text(kept)
    (tmp_path / "a" / "run.json").write_text('{"format": "oddlens-run", "version": 1, "finished": false}')
    with pytest.raises(SavedModelError, match="not finished"):
        score_with(tmp_path / "a", dots)
    (tmp_path / "a" / "run.json").write_text('{"format": "oddlens-run", "version": 2, "finished": true}')
    with pytest.raises(SavedModelError, match="version 2"):
        score_with(tmp_path / "a", dots)


def test_options_are_checked_before_the_folder_is_claimed(tmp_path, dots):
    model = build_model("autoencoder", ["neighbors"])
    for top in (-1, 1.5, None):
        with pytest.raises(OptionError, match="top"):
            rank_into(dots, tmp_path / "run", model, top=top)
    assert not (tmp_path / "run").exists()


def test_a_run_is_not_scored_into_itself(tmp_path, dots):
    rank_into(dots, tmp_path / "run", build_model("pixels", ["neighbors"]))
    with pytest.raises(OutputError, match="is the run that is scored by"):
        score_with(tmp_path / "run", dots, tmp_path / "run", overwrite=True)
