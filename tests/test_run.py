import hashlib
import json
import shutil

import numpy as np
import pytest
from torch.utils.data import DataLoader

from oddlens import run_folder
from oddlens.errors import OptionError, OutputError, SavedModelError, TooFewImages
from oddlens.provenance import Provenance
from oddlens.run import described, rank_into, score_with
from oddlens.run_folder import claimed
from oddlens.settings import build_model
from oddlens.sources import open_source

pytestmark = pytest.mark.usefixtures("hurried")


@pytest.fixture(scope="module")
def model():
    return build_model("autoencoder", ["neighbors", "forest"], {"steps": 20, "n_estimators": 30}, random_state=1)


@pytest.fixture(scope="module")
def ranked(model, dots, tmp_path_factory):
    """A finished run of the dots: what it gave, and its folder, to be read alone."""
    folder = tmp_path_factory.mktemp("ranked") / "run"
    return rank_into(dots, folder, model, command="oddlens rank x"), folder


def test_settings_go_to_whoever_has_the_option():
    model = build_model("autoencoder", ["neighbors", "forest"], {"random_state": 3, "forest.n_jobs": 1}, n_jobs=2)
    neighbors, forest = model.views
    assert neighbors.encoder.random_state == forest.encoder.random_state == 3
    assert forest.detector.random_state == 3
    assert model.random_state == 3
    assert (neighbors.detector.n_jobs, forest.detector.n_jobs, model.n_jobs) == (2, 1, 2)


def test_a_setting_can_go_to_one_view_alone():
    model = build_model(views=["dictionary+neighbors", "autoencoder+neighbors"],
                        settings={"neighbors.combine": "mean", "autoencoder+neighbors.k": 3})
    assert [view.detector.k for view in model.views] == [None, 3]
    assert [view.detector.combine for view in model.views] == ["mean", "mean"]


def test_views_and_an_encoder_together_are_refused():
    with pytest.raises(OptionError, match="not both"):
        build_model("autoencoder", views=["dictionary+neighbors"])


def test_a_setting_that_nothing_takes_is_an_error_with_the_list():
    with pytest.raises(OptionError, match=r"neighbors\.k"):
        build_model("autoencoder", ["neighbors"], {"neighbors.kk": 3})


def test_the_table_the_model_and_the_summary_agree(ranked, dots):
    result, run = ranked
    summary = json.loads((run / "run.json").read_text())
    assert summary["finished"] is True
    assert summary["top"][0]["name"] == result.ranking.top(1)[0].name
    assert summary["command"] == "oddlens rank x"
    again = score_with(run, dots)
    assert np.allclose(again.ranking.members["neighbors"], result.ranking.members["neighbors"], atol=1e-5)


def test_a_run_that_was_cut_off_can_be_made_again(model, dots, tmp_path, monkeypatch):
    monkeypatch.setattr("oddlens.run.write_report", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        rank_into(dots, tmp_path / "run", model)
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [run_folder.WORK, "run.json"]
    monkeypatch.undo()
    went_on = rank_into(dots, tmp_path / "run", model)
    summary = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (summary["finished"], summary["kept"]) == (True, 120)
    assert not (tmp_path / "run" / run_folder.WORK).exists()
    at_once = rank_into(dots, tmp_path / "other", model)
    assert went_on.ranking.scores.tolist() == at_once.ranking.scores.tolist()
    assert (tmp_path / "run" / "scores.csv").read_bytes() == (tmp_path / "other" / "scores.csv").read_bytes()
    assert at_once.summary["kept"] == 0


def test_of_a_run_that_cannot_be_made_nothing_is_left(model, dots, tmp_path):
    with pytest.raises(TooFewImages):
        rank_into(dots[:9], tmp_path / "run", model)
    assert not (tmp_path / "run").exists()


def test_a_file_is_no_folder_for_a_run(dots, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="is a file"), claimed(tmp_path / "file", open_source(dots)):
        pass


def test_new_images_are_explained_beside_the_fitted_ones(ranked, dots, tmp_path):
    new = np.stack([dots[5], np.full(dots.shape[1:], 90, np.uint8)])
    result = score_with(ranked[1], new, tmp_path / "scored")
    copied, blank = result.ranking.causes
    assert "copy" in copied
    assert "blank" in blank
    page = (tmp_path / "scored" / "report.html").read_text()
    assert "most like it, of those learned from" in page
    assert 'id="f5"' in page  # the fitted image that the first is a copy of
    assert "An exact copy" in page


def test_without_what_was_kept_new_images_are_scored_without_reasons(ranked, dots, tmp_path):
    shutil.copytree(ranked[1], tmp_path / "run")
    (tmp_path / "run" / "reasons.safetensors").unlink()
    result = score_with(tmp_path / "run", dots[:5], tmp_path / "scored")
    assert result.ranking.causes is None
    assert "Why these" not in (tmp_path / "scored" / "report.html").read_text()


def test_what_was_kept_of_other_images_is_refused(model, ranked, dots, tmp_path):
    shutil.copytree(ranked[1], tmp_path / "run")
    rank_into(dots[:40], tmp_path / "other", model)
    (tmp_path / "other" / "reasons.safetensors").replace(tmp_path / "run" / "reasons.safetensors")
    with pytest.raises(SavedModelError, match=r"reasons\.safetensors does not belong to the run"):
        score_with(tmp_path / "run", dots[:5])


def test_the_summary_and_the_page_say_what_was_found(model, dots, tmp_path):
    images = np.concatenate([dots, np.full((1, 8, 8, 1), 90, np.uint8), dots[:1]])
    result = rank_into(images, tmp_path / "run", model)
    summary, page = result.summary, (tmp_path / "run" / "report.html").read_text()
    assert summary["verdict"] in {"flagged", "some_odd", "nothing"}
    assert summary["worth_looking"] >= summary["flagged"]
    assert summary["causes"]["blank"] == 1
    assert summary["duplicates"] == {"groups": 1, "images": 2}
    assert "somewhere from" in summary["statement"]
    assert ("<h1>The odd images</h1>" in page) is bool(summary["flagged"])
    assert "What a network of one layer learned, compared with its nearest neighbours" in page
    assert 'data-show="duplicates"' in page


def test_a_collection_in_which_none_is_flagged_is_not_headed_odd(model, tmp_path):
    same = np.random.default_rng(3).integers(100, 110, (12, 8, 8, 1), dtype=np.uint8)
    result = rank_into(same, tmp_path / "run", model)
    assert result.summary["verdict"] in {"nothing", "unknown", "some_odd"}
    page = (tmp_path / "run" / "report.html").read_text()
    assert "<h1>The strangest images</h1>" in page
    assert "The odd images" not in page


def test_what_a_source_of_anybodys_passed_over_is_in_the_summary(model, dots, tmp_path):
    class Slides:
        def __init__(self):
            self.passed_over = {"empty slides": 3}

        def __len__(self):
            return len(dots)

        def name(self, index):
            return f"slide {index}"

        def read(self, index):
            return dots[index]

    assert rank_into(Slides(), tmp_path / "run", model).summary["passed_over"] == {"empty slides": 3}
    assert rank_into(dots, tmp_path / "plain", model).summary["passed_over"] == {}


def test_a_run_knows_where_its_images_are(model, dots, tmp_path):
    np.save(tmp_path / "dots.npy", dots)
    rank_into(tmp_path / "dots.npy", tmp_path / "run", model)
    found = Provenance.load(tmp_path / "run" / "images.csv").open()
    assert np.array_equal(found.read(7), dots[7])
    assert found.state(7) == "same"
    score_with(tmp_path / "run", tmp_path / "dots.npy", tmp_path / "scored")
    assert Provenance.load(tmp_path / "scored" / "images.csv").origins[3].place == 3
    parts = json.loads((tmp_path / "run" / "run.json").read_text())["parts"]
    assert parts["images.csv"] == hashlib.sha256((tmp_path / "run" / "images.csv").read_bytes()).hexdigest()


def test_new_images_are_scored_by_what_was_said_of_the_fitted_ones(ranked, dots):
    _, run = ranked
    names = score_with(run, dots).ranking.names
    plain = score_with(run, dots[:5], labels={"elsewhere": "odd"})
    told = score_with(run, dots[:5], labels={names[0]: "odd", names[1]: "normal", "elsewhere": "odd"})
    assert "probability" not in plain.ranking.measures
    assert told.ranking.measures["probability"][0] == 1
    assert told.ranking.measures["probability"][1] == 0


def test_what_was_ranked_is_counted_by_its_images_and_not_by_its_batches(dots):
    loader = DataLoader(dots[:30], batch_size=10)
    assert described(loader, open_source(loader)) == "30 images of a DataLoader"
    assert described("photos", open_source(dots)) == "photos"
