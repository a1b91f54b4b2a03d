"""Later images join a finished run."""

import json

import numpy as np
import pytest
from PIL import Image

from oddlens import AnomalyModel, run_folder
from oddlens.errors import SavedModelError
from oddlens.provenance import Provenance
from oddlens.run import rank_into, score_with
from oddlens.saving import load_model
from oddlens.update import update


@pytest.fixture
def model():
    return AnomalyModel("pixels", "neighbors")


@pytest.fixture
def folder(dots, tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    for index in range(60):
        save(images, index, dots[index])
    (images / "torn.png").write_bytes(b"torn")
    return images


def save(folder, index, image):
    Image.fromarray(image[..., 0]).save(folder / f"{index:03d}.png")


def table(run):
    return {row["name"]: row for row in load_model(run / "model").rank().rows()}


def test_new_and_changed_images_join_and_what_was_there_keeps_its_scores(folder, dots, tmp_path, model):
    run = tmp_path / "run"
    before = rank_into(folder, run, model).ranking
    reported = (run / "report.html").read_text()
    blank = np.full(dots.shape[1:], 90, np.uint8)
    for index in range(60, 90):
        save(folder, index, dots[index])
    save(folder, 95, blank)
    save(folder, 7, dots[100])
    (folder / "003.png").unlink()
    alone = score_with(run, [folder / "075.png", folder / "095.png", folder / "007.png"]).ranking
    result = update(run)
    told = result.summary["update"]
    assert (told["new"], told["changed"], told["gone"], told["drifted"]) == (31, 1, 1, False)
    assert result.ranking.names == (*before.names, *(f"{i:03d}.png" for i in range(60, 90)), "095.png")
    assert result.ranking.unreadable == before.unreadable
    scores = dict(zip(result.ranking.names, result.ranking.scores.tolist(), strict=True))
    for name, score in zip(before.names, before.scores.tolist(), strict=True):
        assert (scores[name] == score) == (name != "007.png")
    assert [scores[name] for name in ("075.png", "095.png", "007.png")] == alone.scores.tolist()
    assert "blank" in result.ranking.causes[result.ranking.names.index("095.png")]
    assert load_model(run / "model").learned_ == 60
    assert table(run).keys() == set(result.ranking.names)
    where = Provenance.load(run / run_folder.IMAGES)
    assert where.names == result.ranking.names
    assert [where.open().state(row) for row in (3, 7, 60)] == ["missing", "same", "same"]
    assert json.loads((run / "run.json").read_text())["update"]["new"] == 31
    report = (run / "report.html").read_text()
    assert "31 new images, 1 that changed, 1 that are gone and stay in the run." in report
    assert "No drift: " in report
    assert "31 new images" not in reported


def test_a_second_update_adds_only_what_came_since(folder, dots, tmp_path, model):
    run = tmp_path / "run"
    rank_into(folder, run, model)
    save(folder, 60, dots[60])
    first = update(run).ranking
    again = update(run)
    assert (again.summary["update"]["new"], again.summary["update"]["changed"]) == (0, 0)
    assert again.ranking.names == first.names
    assert again.ranking.scores.tolist() == first.scores.tolist()
    save(folder, 61, dots[61])
    assert update(run).summary["update"]["new"] == 1


def test_stranger_images_are_said_to_have_drifted(folder, dots, tmp_path, model):
    run = tmp_path / "run"
    rank_into(folder, run, model)
    for index in range(60, 90):
        save(folder, index, 255 - dots[index])
    told = update(run).summary["update"]
    assert told["drifted"]
    assert "The collection has drifted: " in (run / "report.html").read_text()
    assert "Learn anew" in told["statement"]


def test_labels_stay_but_of_images_that_changed(dots):
    model = AnomalyModel("pixels", "neighbors").fit(dots[:60])
    model.give_feedback({"03": "odd", "05": "normal"})
    rows = model.extend(dots[60:64])  # named 0 to 3: others than 00 to 59
    assert rows.tolist() == [60, 61, 62, 63]
    assert model.labels_ == {"03": "odd", "05": "normal"}
    assert model.extend(np.concatenate([dots[70:76]] * 10)[:60]).tolist() == list(range(60))
    assert model.labels_ == {}


def test_an_extended_model_is_saved_and_loaded_as_it_is(dots, tmp_path):
    from oddlens.saving import save_model

    model = AnomalyModel(encoder="patch_maps", detector="places").fit(dots[:60])
    model.extend(dots[60:80])
    save_model(model, tmp_path / "model")
    back = load_model(tmp_path / "model")
    assert back.learned_ == 60
    assert back.rank().scores.tolist() == model.rank().scores.tolist()
    assert back.drift_ == model.drift_


def test_images_are_found_where_they_were_moved_to(folder, dots, tmp_path, model):
    run = tmp_path / "run"
    rank_into(folder, run, model)
    moved = folder.rename(tmp_path / "moved")
    save(moved, 60, dots[60])
    told = update(run, moved).summary["update"]
    assert (told["new"], told["changed"], told["gone"]) == (1, 0, 0)


def test_a_run_without_a_model_cannot_be_added_to(folder, tmp_path, model):
    rank_into(folder, tmp_path / "run", model, save_model=False)
    with pytest.raises(SavedModelError, match="without a model"):
        update(tmp_path / "run")
