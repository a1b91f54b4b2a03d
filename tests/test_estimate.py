"""What a run will take."""

import json

import numpy as np
import pytest

from oddlens import AnomalyModel
from oddlens import estimate as module
from oddlens.encoders.patch_maps import PatchMaps
from oddlens.estimate import Estimate, estimate
from oddlens.run import rank_into
from oddlens.settings import build_model
from test_detail import photographs


@pytest.fixture
def quick(monkeypatch):
    """Samples of 40 and 60 images, and 60 and 90 rows for the scoring."""
    monkeypatch.setattr(module, "FIRST", 15)
    monkeypatch.setattr(module, "SIZES", (40, 60))
    monkeypatch.setattr(module, "FEW", (40, 60))
    monkeypatch.setattr(module, "TILED", (60, 90))


def model():
    return AnomalyModel("pixels", ["neighbors", "forest"])


def test_it_says_what_each_stage_takes_and_leaves_nothing(quick, dots, tmp_path, monkeypatch):
    monkeypatch.setattr(module.tempfile, "tempdir", str(tmp_path))
    asked = model()
    found = estimate(dots, asked)
    assert (found.count, found.form) == (120, (8, 8, 1))
    assert set(found.stages) == {"reading", "learning", "encoding", "scoring", "causes", "pictures and tables"}
    assert all(np.isfinite(seconds) and seconds >= 0 for seconds in found.stages.values())
    assert found.seconds == sum(found.stages.values()) > 0
    assert found.memory > 50 * 2**20
    assert list(tmp_path.iterdir()) == []
    assert asked.get_params() == model().get_params(), "the model is as it was"
    json.dumps(found.to_dict())


def test_no_more_is_run_than_is_reckoned_from(quick, dots, monkeypatch):
    runs = []
    monkeypatch.setattr(module, "rank_into", lambda source, *rest: runs.append(len(source)) or rank_into(source, *rest))
    estimate(dots, model())
    assert sorted(runs) == [15, 40, 60]
    runs.clear()
    estimate(dots[:50], model())
    assert sorted(runs) == [15, 50], "the larger sample is the whole, from which nothing is reckoned"


def test_more_images_take_longer_and_more_room(quick, dots):
    some, many = estimate(dots, model()), estimate(np.tile(dots, (300, 1, 1, 1)), model())
    assert many.working > 50 * some.working
    assert many.kept > 20 * some.kept
    assert many.memory > some.memory
    assert many.seconds > some.seconds


def test_the_disk_that_a_run_takes_is_about_what_was_said(quick, dots, tmp_path):
    said = estimate(dots, model())
    rank_into(dots, tmp_path / "run", model())
    took = sum(path.stat().st_size for path in (tmp_path / "run").rglob("*") if path.is_file())
    assert took / 2 < said.kept < took * 2, "mostly pictures of so few; docs/scale.md measures larger ones"


def test_pictures_are_not_said_to_grow_with_a_collection_of_which_no_more_are_shown():
    few, many = (module._Timing(count, {module.LAST: seconds, "causes": seconds}, {}, 0, 0.045)
                 for count, seconds in ((150, 2.0), (450, 3.0)))
    assert module._grown("causes", few, many, 3450) == pytest.approx(3 + 3000 / 300)
    assert module._grown(module.LAST, few, many, 1000) == pytest.approx(3 + 550 / 300)
    assert module._grown(module.LAST, few, many, 101_000) == pytest.approx(3 + 550 / 300 + 100_000 * 1e-4)


def test_room_is_said_to_grow_with_the_images_and_not_with_what_each_has_more_features():
    few, many = (module._Timing(count, {}, {
        "encoder-0.safetensors": count * 4000, "detector-0.safetensors": count**2 * 4, "scores.csv": 200 + 300 * count,
        "run.json": 6000, module.REASONS: count // 2 * 64}, 0) for count in (150, 450))
    grown = module._kept(few, many, 10_000, (8, 8, 1)) - module._kept(few, many, 450, (8, 8, 1))
    assert grown == pytest.approx(9550 * (450 * 4 + 300) + (256 - 225) * 64)
    assert module._kept(few, many, 450, (8, 8, 1)) == sum(many.kept.values())


def test_pictures_of_ordinary_images_are_not_said_to_grow_beyond_those_that_are_kept():
    few, many = (module._Timing(count, {}, {module.REASONS: count * 1000 + count // 2 * 64 * 64 * 3}, 0)
                 for count in (150, 450))
    assert module._kept(few, many, 10_000, (64, 64, 3)) == pytest.approx(10_000 * 1000 + 256 * 64 * 64 * 3)


def test_learning_is_not_said_to_grow_where_it_takes_no_more_steps():
    few, many = (module._Timing(count, {"learning": seconds}, {}, 0) for count, seconds in ((60, 2.0), (180, 5.0)))
    assert module._grown("learning", few, many, 280) == pytest.approx(5 + 100 * 3 / 120)
    assert module._grown("learning", few, many, 10_000, learned=300) == pytest.approx(5 + 120 * 3 / 120)
    assert module._grown("learning", few, many, 10_000, learned=100) == 5
    assert module._grown("learning", few, many, 10_000) == pytest.approx(5 + (module.LEARNED_WHOLE - 180) * 3 / 120)


def test_scoring_is_timed_on_fewer_rows_where_they_are_large(quick, dots, monkeypatch):
    sizes = []
    monkeypatch.setattr(module, "_judged", lambda model, columns, size: sizes.append(size) or 0.01 * size)
    monkeypatch.setattr(module, "TILED_BYTES", 45 * 64)  # of pixels in half precision 22 rows and a half of 8 x 8
    estimate(dots, model())
    assert max(sizes) < 60
    assert sizes[0] < sizes[1]


def test_pictures_are_timed_as_large_as_all_of_them_are_looked_at(quick, monkeypatch):
    sizes = []
    timed = module._timed
    monkeypatch.setattr(module, "_timed", lambda source, model, size: sizes.append(model.detail) or timed(
        source, model, size))
    monkeypatch.setattr(PatchMaps, "detail_images", 69)  # the 15 that are read first are few, all 70 are not
    module.estimate(photographs(70), build_model(views=["pixels+neighbors", "patch_maps+places"],
                                                 settings={"atoms": 8, "places": 8, "latent": 4}))
    assert set(sizes) == {128}


def test_scoring_is_timed_on_the_features_that_the_larger_sample_gives(quick, dots, monkeypatch):
    features = []
    monkeypatch.setattr(module, "_judged", lambda model, columns, size: features.append(
        columns.encoded("dictionary").embedding.shape[1]) or 0.01 * size)
    estimate(dots, build_model("dictionary", ["neighbors"], {"atoms": 8, "patch": 3}))
    assert features[0] > module.FIRST, "a dictionary learned from so few gives no more"


def test_it_is_told_in_words():
    text = Estimate(1_234_567, (48, 64, 3), {"reading": 30.0, "encoding": 7200.0}, 3.2 * 2**30, 2**30 * 11,
                    2**20 * 700).text()
    assert "1,234,567 images, looked at as 64 x 48 pixels in colour" in text
    assert "about 2.0 h (reading 30 s, encoding 2.0 h)" in text
    assert "about 3.2 GiB" in text
    assert "11.0 GiB while it runs, 700 MiB" in text
