"""What every encoder and every detector must hold to, whoever wrote it; and every pair of them."""

from __future__ import annotations

import numpy as np
import pytest

from oddlens import AnomalyModel, registry
from oddlens.detectors.activations import RULES
from oddlens.errors import OptionError
from oddlens.testing import check_detector
from oddlens.testing.asking import all_of, rows_of
from oddlens.testing.detector import DETECTOR_CHECKS, sample_encoded
from oddlens.testing.encoder import ENCODER_CHECKS

# Small settings where a default would take long; they change how long, not what.
QUICK = {"steps": 40, "n_estimators": 50}
ENCODERS = registry.names("encoder")
DETECTORS = registry.names("detector")
# What cannot see the image that is planted below. Signs of barely trained nodes tell nothing of a change that is nearly
# all brightness. Dots have no upright, so nobody is surprised at how one lies. And where noise fills hundreds of
# features, a forest rarely cuts one of the few in which the planted image is out.
BLIND = {"activations", "surprise", ("hog", "forest"), ("transforms", "forest")}


def quick(kind, name, **others):
    options = {key: value for key, value in {**QUICK, **others}.items() if key in registry.options(kind, name)}
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


@pytest.mark.parametrize("detector", DETECTORS)
@pytest.mark.parametrize("encoder", ENCODERS)
class TestPair:
    def test_a_planted_image_comes_first_and_a_wrong_pair_is_refused(self, encoder, detector, dots):
        images = dots.copy()
        images[17] = 255 - images[17]
        images[17, [0, 1, 4, 5]] //= 2  # and striped: directions of edges are the same in a negative
        model = AnomalyModel(quick("encoder", encoder), quick("detector", detector))
        if not model.detector.needs <= model.encoder.gives:
            with pytest.raises(OptionError, match="does not give"):
                model.fit(images)
            return
        ranking = model.fit(images).rank()
        if detector not in BLIND and (encoder, detector) not in BLIND:
            assert ranking.ranks()[17] <= 3
        assert len(ranking) == len(images)

    def test_saved_and_loaded_scores_are_the_same(self, encoder, detector, dots, tmp_path):
        from oddlens import load_model, save_model

        model = AnomalyModel(quick("encoder", encoder), quick("detector", detector))
        if not model.detector.needs <= model.encoder.gives:
            pytest.skip("a wrong pair")
        save_model(model.fit(dots[:100]), tmp_path / "model")
        loaded = load_model(tmp_path / "model")
        assert np.array_equal(loaded.rank().scores, model.rank().scores)
        assert np.allclose(loaded.rank(dots[100:]).scores, model.rank(dots[100:]).scores, rtol=0, atol=1e-6)
