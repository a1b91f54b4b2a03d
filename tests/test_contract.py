"""What every encoder and every detector must hold to, whoever wrote it; and every pair of them."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import faiss
import numba
import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits

from oddlens import AnomalyModel, load_model, registry, save_model
from oddlens.detectors.activations import RULES
from oddlens.errors import OptionError
from oddlens.explaining.causes import Causes
from oddlens.explaining.groups import group_alike
from oddlens.report.map import lay_out
from oddlens.testing import check_detector
from oddlens.testing.asking import all_of, rows_of
from oddlens.testing.detector import DETECTOR_CHECKS, sample_encoded
from oddlens.testing.encoder import ENCODER_CHECKS
from onnx_files import write_onnx

# Small settings where a default would take long; they change how long, not what.
QUICK = {"steps": 40, "n_estimators": 50}
FOLDER = tempfile.TemporaryDirectory()
NETWORK = str(write_onnx(Path(FOLDER.name) / "network.onnx"))  # real weights take minutes
ENCODERS = registry.names("encoder")
DETECTORS = registry.names("detector")
# What cannot see the image that is planted below. Signs of barely trained nodes tell nothing of a change that is nearly
# all brightness. Dots have no upright, so nobody is surprised at how one lies. And where noise fills hundreds of
# features, a forest rarely cuts one of the few in which the planted image is out. A deep autoencoder learns the one odd
# image of a hundred by heart while it still learns the others. Of eight pixels a side the network of alterations makes
# four places, and after 40 steps those of other images are all alike to it.
BLIND = {"activations", "surprise", ("hog", "forest"), ("transforms", "forest"), ("deep_autoencoder", "reconstruction"),
         ("alterations", "patch_bank")}


def quick(kind, name, **others):
    options = {key: value for key, value in {**QUICK, **others}.items() if key in registry.options(kind, name)}
    if name == "backbone":
        options |= {"network": NETWORK, "side": 64}
    return registry.create(kind, name, **options)


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("check", ENCODER_CHECKS)
def test_an_encoder_holds_to_the_contract(check, name, dots):
    check(quick("encoder", name, steps=5), dots)  # what is barely trained has to hold to it too


@pytest.mark.parametrize("name", ENCODERS)
def test_images_are_independent_to_the_last_digit(name, dots):
    encoder = quick("encoder", name).fit(dots)
    whole = all_of(encoder, dots)
    rng = np.random.default_rng(0)
    for size in (1, 1, 2, 9, 33, 65, 120):
        chosen = rng.permutation(len(dots))[:size]
        some = all_of(encoder, dots[chosen])
        for key in whole:
            assert np.array_equal(whole[key][chosen], some[key]), (key, size)


@pytest.mark.parametrize("name", DETECTORS)
@pytest.mark.parametrize("check", DETECTOR_CHECKS)
def test_a_detector_holds_to_the_contract(check, name):
    check(quick("detector", name), sample_encoded())


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_of_the_activations_holds_to_it(rule):
    check_detector(registry.create("detector", "activations", rule=rule))


@pytest.mark.parametrize("name", DETECTORS)
def test_new_rows_are_independent_to_the_last_digit(name):
    encoded = sample_encoded()
    detector = quick("detector", name).fit(rows_of(encoded, slice(0, 30)))
    whole = detector.score_new(rows_of(encoded, slice(30, None)))
    alone = [detector.score_new(rows_of(encoded, slice(i, i + 1)))[0] for i in range(30, len(encoded))]
    assert np.array_equal(whole, alone)


# Their convolutions run on torch's threads, and sums in another order train other weights.
ON_TORCHS_THREADS = {"conv_autoencoder", "transforms"}


def wide_encoded(seed):
    """So many features and nodes that BLAS, left alone, would share them out among threads and sum in another order."""
    rng = np.random.default_rng(seed)
    rows, nodes = (rng.normal(size=(400, 300)).astype(np.float32) for _ in range(2))
    return replace(sample_encoded(400), embedding=rows * rng.uniform(0.1, 3, 300).astype(np.float32),
                   activations={"hidden": np.abs(nodes)}, pathway={"hidden": nodes})


@pytest.mark.parametrize(("name", "options"), [
    *((name, {}) for name in DETECTORS), *(("activations", {"rule": rule}) for rule in RULES),
    ("activations", {"rule": "likelihood", "components": 3})])
def test_scores_do_not_depend_on_threads_to_the_last_digit(name, options, put_back):
    scores = []
    for count in (1, 2):
        with threadpool_limits(count, user_api="blas"):
            faiss.omp_set_num_threads(count)
            torch.set_num_threads(count)
            detector = quick("detector", name, n_jobs=count, **options).fit(wide_encoded(0))
            scores.append(np.concatenate([detector.score_own(), detector.score_new(wide_encoded(1))]))
    assert np.array_equal(*scores)


@pytest.mark.parametrize("name", sorted(set(ENCODERS) - ON_TORCHS_THREADS))
def test_features_do_not_depend_on_threads_to_the_last_digit(name, digits, put_back):
    found = []
    for count in (1, 2):
        with threadpool_limits(count, user_api="blas"):
            torch.set_num_threads(count)
            found.append(all_of(quick("encoder", name, steps=5, atoms=16).fit(digits[:150]), digits[:150]))
    for key in found[0]:
        assert np.array_equal(found[0][key], found[1][key]), key


@pytest.mark.parametrize("name", sorted(ON_TORCHS_THREADS))
def test_images_are_independent_on_two_threads_too(name, dots, put_back):
    encoder = quick("encoder", name, steps=2).fit(dots[:40])
    torch.set_num_threads(2)
    whole, some = all_of(encoder, dots[:40]), all_of(encoder, dots[5:12])
    for key in whole:
        assert np.array_equal(whole[key][5:12], some[key]), key


def threads():
    """On how many threads each library computes."""
    return {"torch": torch.get_num_threads(), "faiss": faiss.omp_get_max_threads(), "numba": numba.get_num_threads(),
            **{library["filepath"]: library["num_threads"] for library in threadpool_info()}}


@pytest.fixture
def put_back():
    """Nothing that a test sets stays."""
    before = threads()
    yield
    torch.set_num_threads(before["torch"])
    faiss.omp_set_num_threads(before["faiss"])
    numba.set_num_threads(before["numba"])


@pytest.fixture
def as_they_were(put_back):
    """Fails where a test leaves a library on another number of threads than it found: three, as nobody would set."""
    with threadpool_limits(3):
        torch.set_num_threads(3)
        faiss.omp_set_num_threads(3)
        numba.set_num_threads(1)
        before = threads()
        assert set(before.values()) == {1, 3}
        yield
        assert {key: count for key, count in threads().items() if key in before} == before


@pytest.mark.parametrize("name", ENCODERS)
def test_an_encoder_leaves_everybodys_threads_alone(name, dots, as_they_were):
    all_of(quick("encoder", name, steps=2).fit(dots), dots)


@pytest.mark.parametrize("name", DETECTORS)
def test_a_detector_leaves_everybodys_threads_alone(name, as_they_were):
    encoded = wide_encoded(0)
    detector = quick("detector", name).fit(encoded)
    detector.score_own()
    detector.score_new(encoded)


def test_explaining_leaves_everybodys_threads_alone(dots, as_they_were):
    Causes().fit(dots)  # what is there twice, and which way is up
    features = np.random.default_rng(0).normal(size=(60, 20))
    group_alike(features, np.arange(10))
    lay_out(features, np.arange(60))


@pytest.fixture(scope="module")
def planted(dots):
    images = dots.copy()
    images[17] = 255 - images[17]
    images[17, [0, 1, 4, 5]] //= 2  # and striped: directions of edges are the same in a negative
    return images


@pytest.fixture(scope="module", params=ENCODERS)
def model(request, planted):
    """An encoder with every detector that it gives something for, fitted to 100 images."""
    encoder = quick("encoder", request.param)
    detectors = [detector for detector in (quick("detector", name) for name in DETECTORS)
                 if detector.needs <= encoder.gives]
    return AnomalyModel(encoder, detectors).fit(planted[:100])


class TestPairs:
    def test_a_planted_image_comes_first(self, model, planted):
        encoder, = model.encoders_
        ranking = model.rank()
        assert len(ranking) == 100
        for detector, scores in ranking.members.items():
            if detector not in BLIND and (encoder, detector) not in BLIND:
                assert (scores > scores[17]).sum() < 3, detector

    def test_saved_and_loaded_scores_are_the_same(self, model, planted, tmp_path):
        save_model(model, tmp_path / "model")
        loaded = load_model(tmp_path / "model")
        for images in (None, planted[100:]):
            before, after = model.rank(images), loaded.rank(images)
            for name, scores in {"": before.scores, **before.members}.items():
                again = after.members[name] if name else after.scores
                if images is None:
                    assert np.array_equal(scores, again), name
                else:
                    assert np.allclose(scores, again, rtol=0, atol=1e-6), name

    def test_what_an_encoder_does_not_give_is_not_asked_of_it(self, model):
        encoder, = model.encoders_.values()
        for name in DETECTORS:
            detector = quick("detector", name)
            if detector.needs <= encoder.gives:
                assert name in model.detectors_
            else:
                with pytest.raises(OptionError, match="does not give"):
                    AnomalyModel(encoder, detector).build()
