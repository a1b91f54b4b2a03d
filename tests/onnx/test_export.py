import builtins

import numpy as np
import pytest
from click.testing import CliRunner

from oddlens.cli import cli
from oddlens.encoders.backbone import Backbone
from oddlens.encoders.transforms import Transforms
from oddlens.errors import MissingExtra, OptionError
from oddlens.model import AnomalyModel
from oddlens.onnx.export import export
from onnx_files import write_onnx

onnxruntime = pytest.importorskip("onnxruntime")


def run(path, images):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return dict(zip([output.name for output in session.get_outputs()], session.run(None, {"images": images}),
                    strict=True))


@pytest.mark.parametrize(("encoder", "detectors", "outputs"), [
    ("pixels", ["subspace", "neighbors"], ("pixels.embedding", "subspace.score")),
    ("dictionary", ["neighbors", "subspace"], ("dictionary.embedding", "subspace.score")),
])
def test_embeddings_and_scores_are_those_of_the_model(digits, tmp_path, encoder, detectors, outputs):
    model = AnomalyModel(encoder=encoder, detector=detectors, n_jobs=1).fit(digits[:150])
    assert export(model, tmp_path / "m.onnx").outputs == outputs
    new = digits[150:190]
    found = run(tmp_path / "m.onnx", new)
    assert tuple(found) == outputs
    wanted = model.encoder_.encode(new, frozenset({"embedding"})).embedding
    assert np.abs(found[outputs[0]] - wanted).max() <= 1e-4
    assert found["subspace.score"] == pytest.approx(model.rank(new).members["subspace"], abs=1e-4)
    assert np.ptp(found["subspace.score"]) > 0.05
    one = run(tmp_path / "m.onnx", new[:1])
    assert np.abs(one[outputs[0]] - wanted[:1]).max() <= 1e-4


def profiles(batch):
    return batch.mean(1).reshape(len(batch), -1)


def test_a_model_of_photos_is_exported_whole_with_all_that_it_sees(tmp_path):
    rng = np.random.default_rng(0)
    photos = rng.integers(0, rng.integers(40, 256, (40, 1, 1, 1)), (40, 140, 110, 3)).astype(np.uint8)
    model = AnomalyModel(views=["patch_maps+places", "texture+subspace", "lines+places", "hog+neighbors",
                                "statistics+burnout"], n_jobs=1).fit(photos)
    written = export(model, tmp_path / "m.onnx")
    assert written.outputs == (
        "patch_maps.maps", "patch_maps+places.score", "texture.embedding", "texture.maps", "texture+subspace.score",
        "lines.embedding", "lines.maps", "lines+places.score", "hog.embedding", "statistics.embedding")
    new = model.read_new(photos[::-1].copy()[:9] // 2)
    session = onnxruntime.InferenceSession(str(written.path), providers=["CPUExecutionProvider"])
    seen = {"images": new.pixels, "detail": new.detail, "texture": new.texture}
    assert {taken.name: tuple(taken.shape[1:]) for taken in session.get_inputs()} == {
        name: images.shape[1:] for name, images in seen.items()}
    found = dict(zip(written.outputs, session.run(None, seen), strict=True))
    ranking = model.rank(new)
    for column in ("patch_maps+places", "texture+subspace", "lines+places"):
        np.testing.assert_allclose(found[f"{column}.score"], ranking.members[column], rtol=1e-4)
        assert np.ptp(ranking.members[column]) > 0.1


def test_surprise_is_a_score(digits, tmp_path):
    model = AnomalyModel(Transforms(steps=5), "surprise", n_jobs=1).fit(digits[:60])
    assert export(model, tmp_path / "m.onnx").outputs == (
        "transforms.surprise", "transforms.embedding", "surprise.score")
    found = run(tmp_path / "m.onnx", digits[60:70])
    np.testing.assert_allclose(found["surprise.score"], model.rank(digits[60:70]).scores, atol=1e-4)


@pytest.mark.parametrize(("encoder", "detector", "says"), [
    ("texture", "subspace", r"measures the pixels itself.*None of its encoders"),
    (Transforms(steps=2, image_size=16), "surprise", "squares of 16 pixels.*image_size 16"),
    (Backbone(), "places", "in a file already"),
])
def test_what_computes_otherwise_there_is_refused_with_the_way_out(encoder, detector, says, digits, tmp_path):
    if isinstance(encoder, Backbone):
        write_onnx(tmp_path / "network.onnx")
        encoder = Backbone(tmp_path / "network.onnx")
    model = AnomalyModel(encoder, detector, n_jobs=1).fit(digits[:40])
    with pytest.raises(OptionError, match=says):
        export(model, tmp_path / "m.onnx")


def test_what_cannot_be_said_is_refused_by_its_name_with_the_reason(digits, tmp_path):
    model = AnomalyModel(views=[(profiles, "neighbors"), "pixels+forest"], n_jobs=1).fit(digits[:80])
    with pytest.raises(OptionError, match=r"profiles \(of the view .*\): .*no nodes.*alone: pixels"):
        export(model, tmp_path / "m.onnx")
    assert not (tmp_path / "m.onnx").exists()
    assert export(model, tmp_path / "m.onnx", ["pixels"]).outputs == ("pixels.embedding",)
    with pytest.raises(OptionError, match="pixels"):
        export(model, tmp_path / "m.onnx", ["pixel"])


def test_without_the_extra_it_says_how_to_get_it(digits, tmp_path, monkeypatch):
    model = AnomalyModel(encoder="pixels", n_jobs=1).fit(digits[:40])
    importing = builtins.__import__

    def without(name, *rest, **options):
        if name == "onnx":
            raise ImportError(name)
        return importing(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtra, match=r"oddlens\[onnx\]"):
        export(model, tmp_path / "m.onnx")


def test_the_command_writes_it(dots, tmp_path, monkeypatch, hurried):
    monkeypatch.chdir(tmp_path)
    np.save("dots.npy", dots[:40, ..., 0])
    ranked = CliRunner().invoke(cli, ["rank", "dots.npy", "--out", "run", "--view", "pixels+subspace"])
    assert ranked.exit_code == 0, ranked.output
    done = CliRunner().invoke(cli, ["export", "run", "--format", "onnx", "--out", "out"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "pixels.embedding, subspace.score" in done.output
    assert run(tmp_path / "out" / "model.onnx", dots[:3])["pixels.embedding"].shape == (3, 64)
    for wrong in (["--format", "onnx", "--format", "labels.csv"], ["--encoder", "pixels"]):
        assert CliRunner().invoke(cli, ["export", "run", *wrong]).exit_code == 2
