import json
import shutil

import numpy as np
import pytest

from oddlens.errors import SavedModelError
from oddlens.review.opened_run import OpenedRun
from oddlens.run import rank_into, score_with
from runs import HOSTILE, ODD


def test_a_run_is_opened_with_all_that_it_knows(opened, finished):
    assert len(opened) == 62
    assert opened.row_of[HOSTILE] == opened.ranking.names.index(HOSTILE)
    assert list(opened.columns.ranks) == ["neighbors", "forest"]
    assert opened.images.read(opened.row_of["02.png"]).shape == (48, 64, 3)
    assert {opened.ranking.names[row] for row in opened.ranking.order()[:5]} == ODD
    digests = [opened.provenance.origins[opened.row_of[name]].sha256 for name in ("02.png", "02 copy.png")]
    assert len(digests[0]) == 64
    assert digests[0] == digests[1]


def test_it_says_causes_reasons_views_and_copies(opened):
    copies = {"02.png", "02 copy.png", "more/again 02.png"}
    assert any(copies <= {opened.ranking.names[row] for row in group} for group in opened.duplicates)
    assert opened.causes["copy"].sum() == 3
    assert any("exact" in reason.lower() or "same" in reason.lower() or "copies" in reason.lower()
               for reason in opened.reasons(opened.row_of["02.png"]))
    words, rank = opened.views(opened.row_of[HOSTILE])[0]
    assert " " in words
    assert 1 <= rank <= 5


def test_the_heat_map_lies_where_the_odd_thing_is(opened):
    row = opened.row_of["more/17.png"]
    image = opened.images.read(row).astype(int)
    heat, where = opened.heat(row)
    assert "strange" in where
    blue = image[..., 2] > 200
    y, x = np.unravel_index(heat.argmax(), heat.shape)
    rows, columns = np.nonzero(blue)
    height, width = heat.shape
    assert rows.min() / 48 - 0.15 <= y / height <= rows.max() / 48 + 0.15
    assert columns.min() / 64 - 0.15 <= x / width <= columns.max() / 64 + 0.15


def test_without_a_model_what_the_table_says_is_left(finished, tmp_path):
    shutil.copytree(finished / "run", tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "model")
    (tmp_path / "run" / "reasons.safetensors").unlink()
    opened = OpenedRun(tmp_path / "run")
    assert opened.model is None
    assert opened.heat(0) is None
    assert opened.reasons(opened.row_of["02.png"]) == ["Exact copy."]
    copies = {"02.png", "02 copy.png", "more/again 02.png"}
    assert any(copies <= {opened.ranking.names[row] for row in group} for group in opened.duplicates)
    assert " " in opened.views(0)[0][0]
    assert len(opened.evidence) == 62


def test_new_images_that_were_scored_can_be_opened_too(finished, tmp_path):
    score_with(finished / "run", finished / "photos" / "more", tmp_path / "scored")
    opened = OpenedRun(tmp_path / "scored")
    assert opened.model is None
    assert len(opened) == 30
    assert opened.images.state(0) == "same"


@pytest.mark.parametrize("part", ["scores.csv", "images.csv", "reasons.safetensors", "columns.safetensors"])
def test_a_part_that_was_exchanged_is_refused(run, part):
    (run / part).write_bytes((run / part).read_bytes() + b"\n")
    with pytest.raises(SavedModelError, match="exchanged"):
        OpenedRun(run)


def test_what_is_no_run_or_of_before_is_refused_with_the_way_out(run, tmp_path, dots):
    with pytest.raises(SavedModelError, match="not a run of oddlens"):
        OpenedRun(tmp_path / "nowhere")
    (run / "images.csv").unlink()
    with pytest.raises(SavedModelError, match="rank them anew"):
        OpenedRun(run)
    (run / "run.json").write_text(json.dumps({"format": "oddlens-run", "version": 1, "finished": False}))
    with pytest.raises(SavedModelError, match="not finished"):
        OpenedRun(run)


def test_labels_outlast_a_run_that_takes_the_place(run, finished):
    (run / "review.sqlite").write_bytes(b"kept")
    from oddlens.model import AnomalyModel

    rank_into(finished / "photos", run, AnomalyModel(encoder="pixels", detector="forest"), overwrite=True)
    assert (run / "review.sqlite").read_bytes() == b"kept"


def test_columns_of_another_run_are_refused(run, finished, tmp_path):
    score_with(finished / "run", finished / "photos" / "more", tmp_path / "scored")
    shutil.copy(tmp_path / "scored" / "columns.safetensors", run)
    with pytest.raises(SavedModelError, match="exchanged"):
        OpenedRun(run)
