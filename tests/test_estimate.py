"""What a run will take."""

import json

import numpy as np
import pytest

from oddlens import AnomalyModel, sample_runs
from oddlens import estimate as module
from oddlens.encoders.patch_maps import PatchMaps
from oddlens.estimate import Estimate, estimate
from oddlens.explaining.orientation import FEWEST_LEARNED
from oddlens.run import rank_into
from oddlens.sample_runs import Timing
from oddlens.settings import build_model
from test_detail import photographs


@pytest.fixture
def quick(monkeypatch):
    """Samples of 20 and 40 images, and up to 90 rows for the scoring."""
    monkeypatch.setattr(module, "LOADED", 15)
    monkeypatch.setattr(module, "SIZES", (20, 40))
    monkeypatch.setattr(module, "LARGE", (20, 40))
    monkeypatch.setattr(module, "SCORED", 90)


def timing(count, seconds=None, kept=None, shown=0, tables=0.0, top=0):
    return Timing(count, seconds or {}, kept or {}, shown, tables, top)


def model():
    return AnomalyModel("pixels", ["neighbors", "forest"])


def test_it_says_what_each_stage_takes_and_leaves_nothing(quick, dots, tmp_path, monkeypatch):
    monkeypatch.setattr(sample_runs.tempfile, "tempdir", str(tmp_path))
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

    def ranked(source, out, model, top):
        runs.append((len(source), top))
        return rank_into(source, out, model, top=top)

    monkeypatch.setattr(sample_runs, "rank_into", ranked)
    estimate(dots, model())
    assert runs == [(15, 1), (20, module.TOPS[0]), (40, module.TOPS[1])]
    runs.clear()
    estimate(dots[:60], model())
    assert runs == [(15, 1), (20, module.TOPS[0]), (40, module.TOPS[1])]
    runs.clear()
    estimate(dots[: module.SMALLEST], model())
    assert runs == [(15, 1), (module.SMALLEST, module.TOP)], "of so few it is the whole, from which nothing is reckoned"


def test_more_are_run_where_an_image_takes_little(quick, dots, monkeypatch):
    runs = []
    monkeypatch.setattr(module, "timed", lambda source, model, size, top: runs.append(size) or sample_runs.timed(
        source, model, size, top))
    monkeypatch.setattr(module, "SIZES", (21, 41))
    monkeypatch.setattr(module, "PARTS", (2, 2))
    for quick_enough, sizes in ((0.0, [20, 40]), (1e9, [21, 41])):
        monkeypatch.setattr(module, "QUICK", quick_enough)
        runs.clear()
        estimate(dots, model())
        assert runs[1:] == sizes


def test_samples_are_a_small_part_of_a_collection_and_never_more_than_half():
    for count in (41, 80, 300, 1000, 2000, 10**6):
        for is_quick in (False, True):
            few, many = (module._size(count, is_quick, which) for which in (0, 1))
            assert few < many < count
            assert many <= max(40, count // 2)
    assert (module._size(10**6, True, 0), module._size(10**6, True, 1)) == module.SIZES
    assert (module._size(10**6, False, 0), module._size(10**6, False, 1)) == module.LARGE
    assert (module._size(1000, True, 0), module._size(1000, True, 1)) == (66, 250)


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


def test_causes_grow_by_what_an_image_took_unless_the_smaller_run_did_not_learn_which_way_is_up():
    few, many = timing(FEWEST_LEARNED, {"causes": 2.0}), timing(400, {"causes": 3.0})
    assert module._grown("causes", few, many, 3400) == pytest.approx(3 + 3000 / (400 - FEWEST_LEARNED))
    fewer = timing(FEWEST_LEARNED - 1, {"causes": 0.1})
    assert module._grown("causes", fewer, many, 3400) == 3


def test_pictures_take_longer_for_more_that_are_shown_and_a_larger_map_and_tables_for_each_image():
    few, many = timing(150, {module.LAST: 2.0}, top=1), timing(450, {module.LAST: 4.5}, tables=0.045, top=6)
    shown = 0.4 * (module.TOP - 6)  # of the 2.5 s between them half a second is the map's
    assert module._last(few, many, [0.0, 0.5, 3.0], 10_450) == pytest.approx(4.5 + shown + 2.5 + 1.0)


def test_arrays_of_a_row_for_each_image_are_said_to_grow_and_others_not():
    few, many = (timing(count, kept={
        "encoder-0.safetensors/whitening": (count * 4000, 300), "detector-0.safetensors/rows": (count**2 * 4, count),
        "detector-0.safetensors/trees": (count * 5000, count // 30 * 500), "scores.csv": (200 + 300 * count, 0),
        "detector-1.safetensors/two": (count * 80, 2 * count), "run.json": (6000, 0)}) for count in (150, 460))
    grown = module._kept(few, many, 10_000, (8, 8, 1)) - module._kept(few, many, 460, (8, 8, 1))
    assert grown == pytest.approx(9540 * (460 * 4 + 80 + 300))
    assert module._kept(few, many, 460, (8, 8, 1)) == sum(size for size, _ in many.kept.values())


def test_pictures_of_ordinary_images_are_not_said_to_grow_beyond_those_that_are_kept():
    few, many = (timing(count, kept={f"{module.REASONS}/thumbs": (count * 1000, count),
                                     f"{module.REASONS}/pixels": (count // 2 * 64 * 64 * 3, count // 2)})
                 for count in (150, 450))
    assert module._kept(few, many, 10_000, (64, 64, 3)) == pytest.approx(10_000 * 1000 + 256 * 64 * 64 * 3)


def test_learning_is_not_said_to_grow_where_it_takes_no_more_images():
    few, many = timing(60, {"learning": 2.0}), timing(180, {"learning": 5.0})
    assert module._grown("learning", few, many, 280) == pytest.approx(5 + 100 * 3 / 120)
    assert module._grown("learning", few, many, 10_000) == pytest.approx(5 + (module.LEARNED_WHOLE - 180) * 3 / 120)


def test_scoring_is_timed_on_fewer_rows_where_they_are_large_and_never_on_nearly_all(monkeypatch):
    rows = module._Rows({"alterations/maps": 1000, "dictionary/embedding": 100}, 10)
    for encoder in ("alterations", "dictionary"):
        assert module._scored(rows, encoder, 100_000) == [module.SCORED // 4, module.SCORED // 2, module.SCORED]
        assert max(module._scored(rows, encoder, 2000)) == 666
    monkeypatch.setattr(module, "SCORED_BYTES", 40_000)
    assert max(module._scored(rows, "alterations", 2000)) == 40
    assert max(module._scored(rows, "dictionary", 2000)) == 400


def test_pictures_are_timed_as_large_as_all_of_them_are_looked_at(quick, monkeypatch):
    sizes = []
    monkeypatch.setattr(module, "timed", lambda source, model, *rest: sizes.append(model.detail) or sample_runs.timed(
        source, model, *rest))
    monkeypatch.setattr(PatchMaps, "detail_images", 69)  # the 15 that are read first are few, all 70 are not
    module.estimate(photographs(70), build_model(views=["pixels+neighbors", "patch_maps+places"],
                                                 settings={"atoms": 8, "places": 8, "latent": 4}))
    assert sizes == [module.LOADED_SIDE, 128, 128], "smaller where nothing is reckoned from it"


def test_scoring_is_timed_on_the_features_that_the_larger_sample_gives(quick, dots, monkeypatch):
    features = []
    monkeypatch.setattr(module, "scoring_seconds", lambda ensemble, columns, *rest: features.append(
        columns.encoded("dictionary").embedding.shape[1]) or 1.0)
    estimate(dots, build_model("dictionary", ["neighbors"], {"atoms": 8, "patch": 3}))
    assert features[0] > module.TIMED_IMAGES, "a dictionary learned from so few gives no more"


def test_memory_is_reckoned_before_the_scoring_is_timed(quick, dots, monkeypatch):
    order = []
    for name in ("_memory", "scoring_seconds"):
        asked = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *rest, name=name, asked=asked: order.append(name) or asked(*rest))
    estimate(dots, model())
    assert order == ["_memory", "scoring_seconds"], "what is held for the timing is not held by the run"


def test_blocks_are_encoded_side_by_side_where_there_are_several(quick, dots, monkeypatch):
    blocks = []
    monkeypatch.setattr(module, "resolve_jobs", lambda jobs: 3)
    monkeypatch.setattr(module, "_grown", lambda *_: 8.0)
    monkeypatch.setattr(module, "side_by_side", lambda ensemble, images, size: blocks.append(size) or 0.5)
    assert estimate(np.tile(dots, (5, 1, 1, 1)), model()).stages["encoding"] == 4, "600 images are two blocks"
    assert estimate(np.tile(dots, (50, 1, 1, 1)), model()).stages["encoding"] == 4
    assert estimate(dots, model()).stages["encoding"] == 8
    assert blocks == [2, 3]


def test_it_is_told_in_words():
    text = Estimate(1_234_567, (48, 64, 3), {"reading": 30.0, "encoding": 7200.0}, 3.2 * 2**30, 2**30 * 11,
                    2**20 * 700).text()
    assert "1,234,567 images, looked at as 64 x 48 pixels in colour" in text
    assert "about 2.0 h (reading 30 s, encoding 2.0 h)" in text
    assert "about 3.2 GiB" in text
    assert "11.0 GiB while it runs, 700 MiB" in text
