"""A pretrained network beside the default, through the whole of the product."""

import sys

import numpy as np
import pytest
from click.testing import CliRunner

from networks import classifier
from oddlens import AnomalyModel, load_model, save_model
from oddlens.cli import cli
from oddlens.encoders.backbone import Backbone
from oddlens.errors import MissingExtra, OptionError, SavedModelError
from oddlens.run import rank_into, score_with
from oddlens.saving import require_savable
from oddlens.settings import build_model
from oddlens.views import fusion
from onnx_files import write_onnx
from test_detail import photographs

COLUMNS = ["backbone+places", "backbone+neighbors"]


@pytest.fixture(scope="module")
def images():
    return photographs()


@pytest.fixture
def path(tmp_path):
    return write_onnx(tmp_path / "network.onnx")


def test_its_views_stand_beside_those_of_the_effort(images):
    model = AnomalyModel(backbone=classifier(), effort="fast").fit(images)
    assert list(model.detectors_) == ["dictionary+burnout", *COLUMNS]
    assert list(model.encoders_) == ["dictionary", "backbone"]
    assert fusion(model.ensemble_.views, 1, 1.0).leads == {"dictionary+burnout": 1 / 6, "backbone+places": 5 / 6}
    assert model.ensemble_.views["backbone+places"].by_place
    assert model.fusion_.tails == {"backbone+neighbors": 0.2}
    assert model.rank().members["backbone+places"].argmax() == 5  # the scratch
    assert model.format_.detail == (120, 160)  # as many as there are, for the network makes use of more


def test_images_without_detail_are_enlarged_and_have_no_view_of_places(images):
    model = AnomalyModel(backbone=classifier(), effort="fast").fit(images[:, ::4, ::4])
    assert list(model.detectors_) == ["dictionary+burnout", "backbone+neighbors"]
    assert model.encoders_["backbone"].size_ == (128, 160)


def test_other_encoders_see_no_more_detail_than_without(images):
    class Shape(Backbone):
        detail_side = 64
        seen = None

        def fit(self, pixels):
            Shape.seen = pixels.shape
            return super().fit(pixels)

    views = [(Shape(classifier(), side=64, latent=2), "places"), (Backbone(classifier(), latent=2), "places")]
    assert AnomalyModel(views=views).fit(images).format_.detail == (120, 160)
    assert Shape.seen == (40, 96, 128, 1)
    AnomalyModel(views=views, detail=150).fit(images)
    assert Shape.seen == (40, 112, 150, 1)  # it was asked for


def test_a_run_with_an_onnx_file_is_whole_without_the_file(images, path, tmp_path):
    new = photographs(6)[::-1].copy()
    new[:, 0, 0] ^= 1
    result = rank_into(images, tmp_path / "run", build_model(backbone=str(path), effort="fast"), top=2)
    scores = result.model.rank(new).scores
    path.unlink()
    again = load_model(tmp_path / "run" / "model")
    assert np.array_equal(again.rank(new).scores, scores)
    assert np.array_equal(again.rank(new[2:4]).scores, scores[2:4])
    scored = score_with(tmp_path / "run", new, tmp_path / "scored", top=2)
    assert np.array_equal(scored.ranking.scores, scores)


def test_what_was_tampered_with_is_refused(images, path, tmp_path):
    import hashlib
    import json

    from safetensors.numpy import load_file, save_file

    save_model(build_model(backbone=str(path), effort="fast").fit(images), tmp_path / "model")
    about = json.loads((tmp_path / "model" / "model.json").read_text())
    file = about["files"]["encoder-1"]
    state = load_file(tmp_path / "model" / file["name"])
    state["onnx"][200:260] ^= 1
    save_file(state, tmp_path / "model" / file["name"])
    with pytest.raises(SavedModelError, match="SHA-256"):
        load_model(tmp_path / "model")
    file["sha256"] = hashlib.sha256((tmp_path / "model" / file["name"]).read_bytes()).hexdigest()
    (tmp_path / "model" / "model.json").write_text(json.dumps(about))
    with pytest.raises(SavedModelError, match="backbone"):
        load_model(tmp_path / "model")


def test_a_model_whose_package_is_missing_says_so(images, path, tmp_path, monkeypatch):
    save_model(build_model(backbone=str(path), effort="fast").fit(images), tmp_path / "model")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtra, match=r"pip install 'oddlens\[backbone\]'"):
        load_model(tmp_path / "model")


def test_a_model_with_an_object_is_refused_before_it_learns_with_the_way_out(images, tmp_path):
    model = AnomalyModel(backbone=classifier(), effort="fast")
    told = r"(?s)network of encoder backbone cannot be saved: Classifier\(.*save_model=False"
    with pytest.raises(OptionError, match=told):
        require_savable(model)
    with pytest.raises(OptionError, match="cannot be saved"):
        rank_into(images, tmp_path / "run", model)
    assert not (tmp_path / "run").exists()
    assert len(rank_into(images, tmp_path / "run", model, save_model=False, top=2).ranking) == 40


def test_a_backbone_and_views_of_ones_own_are_refused(path):
    with pytest.raises(OptionError, match="with the option network"):
        AnomalyModel("pixels", "forest", backbone=classifier()).build()
    with pytest.raises(OptionError, match="--encoder backbone --set network="):
        build_model(views=["pixels+forest"], backbone=str(path))
    assert build_model("backbone", ["places"], {"network": str(path)}).build().detailed == ("backbone",)


def test_what_cannot_be_opened_is_said_before_an_image_is_read(tmp_path):
    for model in (AnomalyModel(backbone=tmp_path / "none.onnx"), AnomalyModel(backbone="nothing")):
        with pytest.raises(OptionError, match=r"backbone is|downloads none"):
            model.fit(tmp_path / "no-such-folder")


def test_the_command_line_takes_a_path_and_options(images, path, tmp_path):
    np.save(tmp_path / "images.npy", images)
    asked = ["rank", str(tmp_path / "images.npy"), "--fast", "--backbone", str(path), "--set", "backbone.side=96",
             "--set", "backbone.layers=coarse", "--out", str(tmp_path / "run"), "--top", "2", "--json", "--no-isolate"]
    result = CliRunner().invoke(cli, asked, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    model = load_model(tmp_path / "run" / "model")
    assert model.encoders_["backbone"].layers_ == ("coarse",)
    assert model.encoders_["backbone"].size_ == (64, 96)
