import json

import numpy as np
import pytest

from oddlens.errors import OptionError, OutputError
from oddlens.run import build_model, claim, rank_into, score_with
from oddlens.sources import open_source


@pytest.fixture
def model():
    return build_model("autoencoder", ["neighbors", "forest"], {"steps": 20, "n_estimators": 30}, random_state=1)


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


def test_the_table_the_model_and_the_summary_agree(model, dots, tmp_path):
    result = rank_into(dots, tmp_path / "run", model, command="oddlens rank x")
    summary = json.loads((tmp_path / "run" / "run.json").read_text())
    assert summary["finished"] is True
    assert summary["top"][0]["name"] == result.ranking.top(1)[0].name
    assert summary["command"] == "oddlens rank x"
    again = score_with(tmp_path / "run", dots)
    assert np.allclose(again.ranking.members["neighbors"], result.ranking.members["neighbors"], atol=1e-5)


def test_a_run_that_was_cut_off_can_be_made_again(model, dots, tmp_path, monkeypatch):
    monkeypatch.setattr("oddlens.run.write_report", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        rank_into(dots, tmp_path / "run", model)
    assert json.loads((tmp_path / "run" / "run.json").read_text()) == {"finished": False}
    monkeypatch.undo()
    rank_into(dots, tmp_path / "run", model)
    assert json.loads((tmp_path / "run" / "run.json").read_text())["finished"] is True


def test_a_file_is_no_folder_for_a_run(dots, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="is a file"):
        claim(tmp_path / "file", open_source(dots))
