"""Runs of some of the images, timed."""

from threading import Barrier
from types import SimpleNamespace

import numpy as np
import pytest

from oddlens import AnomalyModel, sample_runs
from oddlens.encoders.alterations import STEPS_AN_IMAGE, Alterations
from oddlens.encoders.autoencoder import Autoencoder
from oddlens.protocols import Encoded
from oddlens.sample_runs import (
    FEW_STEPS,
    LAST,
    brief,
    map_seconds,
    scoring_seconds,
    side_by_side,
    spread,
    steps_left,
    timed,
)
from oddlens.sources import open_source


@pytest.fixture
def by_steps(monkeypatch):
    """A step takes a second, whatever it is of."""
    monkeypatch.setattr(sample_runs, "_step", lambda *_: 1.0)


def test_a_brief_model_learns_in_few_steps_and_the_one_that_it_is_made_from_as_before(dots):
    asked = AnomalyModel(Autoencoder(steps=300), "reconstruction")
    short = brief(asked).fit(dots[:30])
    assert short.encoder_.steps == FEW_STEPS
    assert len(short.encoder_.losses_) == 1
    assert asked.build().encoders["autoencoder"].steps == asked.encoder.steps == 300
    shorter = brief(AnomalyModel(Autoencoder(steps=2), "reconstruction"))
    assert shorter.build().encoders["autoencoder"].steps == 2


def test_the_steps_that_a_brief_model_did_not_take_are_added(by_steps, dots):
    asked = AnomalyModel(Autoencoder(steps=300), "reconstruction")
    fitted = brief(asked).fit(dots[:30])
    assert steps_left(asked, fitted, fitted.stream(dots[:30]), 120) == 300 - FEW_STEPS
    asked = AnomalyModel("pixels", "neighbors")
    fitted = brief(asked).fit(dots[:30])
    assert steps_left(asked, fitted, fitted.stream(dots[:30]), 120) == 0


def test_they_are_as_many_as_the_whole_collection_takes(by_steps):
    images = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 1), dtype=np.uint8)
    asked = AnomalyModel(Alterations(steps=2000), "places")
    fitted = brief(asked).fit(images)
    alignment = fitted.encoder_.alignment_
    left = {count: steps_left(asked, fitted, fitted.stream(images), count) for count in (40, 100, 10_000)}
    assert left[100] == 100 * STEPS_AN_IMAGE - FEW_STEPS
    assert left[40] == 40 * STEPS_AN_IMAGE - FEW_STEPS
    assert left[10_000] == round(2000 * (1 - alignment)) - FEW_STEPS


def test_a_step_is_what_more_of_them_take_longer(dots, monkeypatch):
    model = AnomalyModel("pixels", "neighbors").fit(dots[:30])
    stream = model.stream(dots[:30])
    clock = iter([0.0, 1.0, 1.0, 4.0])
    monkeypatch.setattr(sample_runs, "TIMED_STEPS", (1, 5))
    monkeypatch.setattr(sample_runs.time, "perf_counter", lambda: next(clock))
    assert sample_runs._step(Autoencoder(), model.ensemble_, stream, 100) == (3 - 1) / 4


def test_a_timed_run_says_how_large_each_array_is_and_how_many_rows_it_has(dots):
    found, model = timed(open_source(dots), AnomalyModel("pixels", "neighbors"), 30, 1)
    assert (found.count, found.top) == (30, 1)
    assert LAST in found.seconds
    assert found.kept["reasons.safetensors/pixels"] == (15 * 64, 15)
    assert found.kept["own.safetensors/neighbors"] == (30 * 8, 30)
    assert found.kept["scores.csv"][1] == 0 < found.kept["scores.csv"][0]
    assert "report.html" not in found.kept
    assert found.shown > 10_000
    assert len(model.names_) == 30


def test_scoring_is_reckoned_from_a_part_that_is_there_anyway_one_an_image_and_one_a_pair(monkeypatch):
    given = {"pixels": Encoded(embedding=np.zeros((3, 2), np.float32)), "texture": Encoded(maps=np.zeros((3, 1, 1, 2)))}
    columns = SimpleNamespace(encoded=given.get)
    monkeypatch.setattr(sample_runs, "_judged", lambda ensemble, name, encoded, size: 2 + 0.01 * size + (
        1e-5 * size**2 if name == "pixels" else 0))
    sizes = {"pixels": [100, 200, 400]}
    assert scoring_seconds(None, columns, sizes, 2000, 20_000) == pytest.approx(2 + 20 + 40)
    assert scoring_seconds(None, columns, sizes, 50_000, 20_000) == pytest.approx(2 + 500 + 1e-5 * 50_000 * 20_000)
    sizes["texture"] = [20, 40, 80]
    assert scoring_seconds(None, columns, sizes, 2000, 20_000) == pytest.approx(2 + 20 + 40 + 2 + 20)


def test_noise_of_maps_is_not_taken_for_pairs(monkeypatch):
    columns = SimpleNamespace(encoded=lambda name: Encoded(maps=np.zeros((3, 1, 1, 2))))
    taken = {100: 1.0, 200: 2.0, 400: 4.8}  # the last a fifth more
    monkeypatch.setattr(sample_runs, "_judged", lambda ensemble, name, encoded, size: taken[size])
    assert 20 <= scoring_seconds(None, columns, {"maps": list(taken)}, 2000, 20_000) < 24


def test_each_encoders_detectors_are_timed_by_themselves(dots, monkeypatch):
    model = AnomalyModel(views=["pixels+neighbors", "hog+forest"]).fit(dots[:30])
    before = dict(model.ensemble_.detectors)
    sizes = []
    for name, column in (("pixels", "pixels+neighbors"), ("hog", "hog+forest")):
        detector = model.ensemble_.detectors[column]
        fit = type(detector).fit
        monkeypatch.setattr(type(detector), "fit", lambda self, encoded, fit=fit: sizes.append(
            (type(self).__name__.lower(), len(encoded.embedding))) or fit(self, encoded))
        shown = model.encoders_[name].encode(dots[:30], frozenset({"embedding"}))
        assert sample_runs._judged(model.ensemble_, name, shown, 50) > 0
    assert sizes == [("neighbors", 50), ("forest", 50)]
    assert model.ensemble_.detectors == before


@pytest.mark.parametrize(("at_once", "share"), [(True, 1 / 3), (False, 1.0)])
def test_blocks_that_are_encoded_at_the_same_time_take_as_long_as_one_if_there_are_cores(monkeypatch, at_once, share):
    """Three blocks, of which each takes a second of a clock that goes on for all of them or for one at a time."""
    ends = iter([1.0] * 3 if at_once else [1.0, 2.0, 3.0])
    monkeypatch.setattr(sample_runs, "in_order", lambda work, n, jobs, ahead: [next(ends) for _ in range(n)])
    clock = iter([0.0, 1.0, 0.0])
    monkeypatch.setattr(sample_runs.time, "perf_counter", lambda: next(clock))
    ensemble = SimpleNamespace(encode=lambda images: None)
    assert side_by_side(ensemble, None, 3) == pytest.approx(share)


def test_each_block_is_encoded_on_a_thread_of_its_own():
    waiting = Barrier(2, timeout=60)
    first = iter([True])
    ensemble = SimpleNamespace(encode=lambda images: None if next(first, False) else waiting.wait())
    assert 0 < side_by_side(ensemble, None, 2) <= 1


def test_rows_to_time_on_are_like_those_there_are_and_no_two_alike():
    array = np.random.default_rng(0).normal(5, 1, (20, 3, 2)).astype(np.float16)
    rows = sample_runs._like(array, 200)
    assert rows.shape == (200, 3, 2)
    assert rows.dtype == array.dtype
    assert len(np.unique(rows.reshape(200, -1), axis=0)) > 190
    assert abs(float(rows.mean()) - 5) < 0.3
    assert array.min() <= rows.min() <= rows.max() <= array.max()


def test_maps_of_any_number_of_images_are_timed():
    assert [seconds >= 0 for seconds in map_seconds(np.eye(30, dtype=np.float32), [20, 50])] == [True, True]


def test_a_sample_is_spread_evenly():
    assert spread(10, 4) == [0, 3, 6, 9]
    assert spread(3, 10) == [0, 1, 2]
