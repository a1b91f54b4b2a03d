"""Features that were made elsewhere, behind a model and in a run folder."""

import csv
import json

import numpy as np
import pyarrow
import pytest
from click.testing import CliRunner
from PIL import Image
from pyarrow import parquet

from oddlens import AnomalyModel, save_model
from oddlens.cli import cli
from oddlens.errors import OptionError, UnreadableImage
from oddlens.given_features import fit_features, for_features, load_features
from oddlens.pixels import PixelFormat
from oddlens.review.opened_run import OpenedRun
from oddlens.review.pictures import Pictures
from oddlens.run import rank_into
from oddlens.sources import open_source
from oddlens.stream import Stream


@pytest.fixture
def features():
    features = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32)
    features[7] += 9
    features[30] -= 9
    return features


@pytest.fixture
def photos(tmp_path):
    """40 pictures, one of which cannot be read; nothing in them is strange."""
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(40):
        Image.fromarray(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8)).save(folder / f"{number:02}.png")
    (folder / "05.png").write_bytes(b"no picture")
    return folder


def test_rows_go_with_their_images_where_some_cannot_be_read(features, photos):
    images = Stream.open(open_source(photos), PixelFormat(12, 12, 3))
    model = fit_features(for_features(AnomalyModel(contamination=2 / 39)), features, images)
    ranking = model.rank()
    assert {image.name for image in ranking.top(2)} == {"07.png", "30.png"}
    assert [name for name, _ in ranking.unreadable] == ["05.png"]
    alone = fit_features(for_features(AnomalyModel()), np.delete(features, 5, axis=0)).rank()
    np.testing.assert_array_equal(ranking.scores, alone.scores)


def test_what_has_the_same_features_has_one_score(features):
    features[12] = features[7]
    scores = fit_features(for_features(AnomalyModel(detector=["neighbors", "subspace"])), features).rank().scores
    assert scores[12] == scores[7]


def test_labels_teach_here_too(features):
    model = fit_features(for_features(AnomalyModel()), features)
    model.give_feedback({"07": "normal", "01": "odd"})
    assert model.rank().measures["label"][7] == "normal"


def test_new_images_are_refused_and_so_is_saving(features, photos, tmp_path):
    images = Stream.open(open_source(photos), PixelFormat(12, 12, 3))
    model = fit_features(for_features(AnomalyModel()), features, images)
    with pytest.raises(OptionError, match="made elsewhere"):
        model.score_samples(np.zeros((3, 12, 12, 3), np.uint8))
    with pytest.raises(OptionError, match="could score no new image"):
        save_model(model, tmp_path / "model")
    with pytest.raises(OptionError, match="could score no new image"):
        model.encoder_.get_state()
    with pytest.raises(OptionError, match="could score no new image"):
        model.encoder_.set_state({})


def test_names_that_are_given_must_be_as_many_and_different(features):
    named = fit_features(for_features(AnomalyModel()), features, names=[f"scan {i}" for i in range(40)])
    assert named.names_[3] == "scan 3"
    with pytest.raises(OptionError, match="40 rows of embeddings for 39 images"):
        fit_features(for_features(AnomalyModel()), features, names=["x"] * 39)
    with pytest.raises(OptionError, match="one name"):
        fit_features(for_features(AnomalyModel()), features, names=["x"] * 40)


def test_the_models_options_stay_its_own():
    model = AnomalyModel(detector="forest", fdr=0.2)
    fresh = for_features(model)
    assert model.encoder is None
    assert (fresh.fdr, list(fresh.build().detectors)) == (0.2, ["forest"])


def test_the_command_line_takes_them_and_shows_the_pictures(features, photos, tmp_path):
    np.save(tmp_path / "features.npy", features)
    run = tmp_path / "run"
    done = CliRunner().invoke(cli, ["rank", str(photos), "--embeddings", str(tmp_path / "features.npy"),
                                    "--detector", "neighbors,forest", "--set", "forest.n_estimators=50",
                                    "--contamination", "0.05", "--out", str(run)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    rows = list(csv.DictReader((run / "scores.csv").read_text().splitlines()))
    assert {row["name"] for row in rows if row["flagged"] == "True"} == {"07.png", "30.png"}
    assert {"neighbors", "forest"} <= set(rows[0])
    assert not (run / "model").exists()
    assert (run / "gallery.png").stat().st_size > 1000
    assert "07.png" in (run / "report.html").read_text()
    assert json.loads((run / "run.json").read_text())["flagged"] == 2


@pytest.mark.parametrize("options", [["--encoder", "pixels"], ["--view", "pixels+forest"], ["--fast"],
                                     ["--backbone", "x"], ["--check"]])
def test_the_command_line_refuses_what_it_cannot_do_with_them(options, features, photos, tmp_path):
    np.save(tmp_path / "features.npy", features)
    done = CliRunner().invoke(cli, ["rank", str(photos), "--embeddings", str(tmp_path / "features.npy"),
                                    "--out", str(tmp_path / "run"), *options])
    assert done.exit_code != 0
    assert "mbeddings" in str(done.exception) + done.output
    assert not (tmp_path / "run").exists()


def test_as_many_rows_as_images_are_asked_for_before_any_is_read(features, photos, tmp_path):
    for path in photos.glob("*.png"):
        path.write_bytes(b"")  # whoever read these would say so
    with pytest.raises(OptionError, match="39 rows of embeddings for 40 images"):
        rank_into(photos, tmp_path / "run", AnomalyModel(), embeddings=features[:39])


def test_a_file_that_holds_none_is_named(tmp_path):
    (tmp_path / "text.npy").write_text("no array")
    np.save(tmp_path / "objects.npy", np.array([{}], object), allow_pickle=True)
    np.save(tmp_path / "row.npy", np.zeros(7))
    for name, says in (("none.npy", "none.npy cannot be opened: No such file"), ("text.npy", "no .npy file of numbers"),
                       ("objects.npy", "no .npy file of numbers"), ("row.npy", r"got \(7,\)")):
        with pytest.raises(OptionError, match=says):
            load_features(tmp_path / name)


def test_without_images_the_command_line_writes_a_run_without_pictures(features, tmp_path):
    names = [f"photo {row}" for row in range(40)]
    tables = {"lists": {"name": names, "embedding": features.tolist()},
              "numbers": {"name": names, **{f"x{at}": features[:, at] for at in range(5)}}}
    scores = []
    for kind, columns in tables.items():
        parquet.write_table(pyarrow.table(columns), tmp_path / f"{kind}.parquet")
        run = tmp_path / kind
        done = CliRunner().invoke(cli, ["rank", "--embeddings", str(tmp_path / f"{kind}.parquet"), "--out", str(run)],
                                  catch_exceptions=False)
        assert done.exit_code == 0, done.output
        rows = list(csv.DictReader((run / "scores.csv").read_text().splitlines()))
        assert {rows[7]["rank"], rows[30]["rank"]} == {"1", "2"}
        assert [row["name"] for row in rows] == names
        scores.append([row["score"] for row in rows])
        report = (run / "report.html").read_text()
        assert "photo 7" in report
        assert "no picture was given" in report
        assert json.loads((run / "run.json").read_text())["learned_at"] is None
    assert scores[0] == scores[1]
    page = OpenedRun(run)
    assert page.images.state(7) == "fileless"
    with pytest.raises(UnreadableImage):
        Pictures(page).thumbnail(7)


def test_rows_with_names_are_of_the_images_they_name(features, photos, tmp_path):
    names = [f"{row:02}.png" for row in range(40)]
    rank_into(photos, tmp_path / "run", AnomalyModel(), embeddings=features, names=names)
    with pytest.raises(OptionError, match=r"Row 0 of the embeddings is of '39.png', and image 0 is '00.png'"):
        rank_into(photos, tmp_path / "other", AnomalyModel(), embeddings=features, names=names[::-1])


def test_nothing_to_rank_is_said(tmp_path):
    done = CliRunner().invoke(cli, ["rank", "--out", str(tmp_path / "run")])
    assert done.exit_code == 2
    assert "give IMAGES, or --embeddings" in done.output
    with pytest.raises(OptionError, match="nothing to rank"):
        rank_into(None, tmp_path / "run", AnomalyModel())


@pytest.mark.parametrize(("columns", "says"), [
    ({"name": ["a"]}, "0 columns of lists and 0 of numbers"), ({"a": [[1.0]], "b": [[1.0]]}, "2 columns of lists"),
    ({"a": [[1.0], [1.0, 2.0]]}, "different lengths"), ({"a": [[1.0], None]}, "different lengths"),
    ({"a": [1.0, None]}, "nan")])
def test_a_parquet_file_without_features_is_named(columns, says, tmp_path):
    parquet.write_table(pyarrow.table(columns), tmp_path / "x.parquet")
    with pytest.raises(OptionError, match=says):
        load_features(tmp_path / "x.parquet")
    (tmp_path / "x.parquet").write_text("no table")
    with pytest.raises(OptionError, match="cannot be read"):
        load_features(tmp_path / "x.parquet")
