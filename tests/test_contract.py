"""What every encoder and every detector must hold to, whoever wrote it; and every pair of them."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from instant import InstantEncoder
from oddlens import AnomalyModel, registry
from oddlens.errors import OptionError
from oddlens.protocols import Detector, Encoded, Encoder

# Small settings where a default would take long; they change how long, not what.
QUICK = {"steps": 40, "n_estimators": 50}
ENCODERS = registry.names("encoder")
DETECTORS = registry.names("detector")
# What cannot see the image that is planted below. Signs of barely trained nodes tell nothing of a change that is nearly
# all brightness. Dots have no upright, so nobody is surprised at how one lies. And where noise fills hundreds of
# features, a forest rarely cuts one of the few in which the planted image is out.
BLIND = {"activations", "surprise", ("hog", "forest"), ("transforms", "forest")}


def quick(kind, name):
    options = {key: value for key, value in QUICK.items() if key in registry.options(kind, name)}
    return registry.create(kind, name, **options)


def rows(encoded, chosen):
    cut = lambda array: None if array is None else array[chosen]  # noqa: E731
    return Encoded(
        embedding=cut(encoded.embedding), residual=cut(encoded.residual), surprise=cut(encoded.surprise),
        activations={key: value[chosen] for key, value in encoded.activations.items()},
        pathway={key: value[chosen] for key, value in encoded.pathway.items()},
    )


def flat(encoded):
    arrays = {"embedding": encoded.embedding, "residual": encoded.residual, "surprise": encoded.surprise,
              **encoded.activations, **{f"pathway.{key}": value for key, value in encoded.pathway.items()}}
    return {key: value for key, value in arrays.items() if value is not None}


@pytest.fixture(scope="module")
def encoded_dots(dots):
    encoder = InstantEncoder().fit(dots)
    return encoder.encode(dots, encoder.gives)


@pytest.mark.parametrize("name", ENCODERS)
class TestEncoder:
    def test_protocol(self, name):
        assert isinstance(quick("encoder", name), Encoder)

    def test_gives_what_it_says_and_only_what_is_needed(self, name, dots):
        encoder = quick("encoder", name).fit(dots)
        for need in encoder.gives:
            encoded = encoder.encode(dots[:7], frozenset({need}))
            filled = {key for key in Encoded.__dataclass_fields__ if getattr(encoded, key) not in (None, {})
                      } if need in {"activations", "pathway"} else {
                      key for key in ("embedding", "residual", "surprise") if getattr(encoded, key) is not None}
            assert need in filled
            for array in flat(encoded).values():
                assert len(array) == 7
                assert np.isfinite(array).all()

    def test_same_seed_same_result(self, name, dots):
        one, two = (flat(e.encode(dots, e.gives)) for e in (quick("encoder", name).fit(dots) for _ in range(2)))
        assert all(np.array_equal(one[key], two[key]) for key in one)

    def test_rows_are_independent_to_the_last_digit(self, name, dots):
        encoder = quick("encoder", name).fit(dots)
        whole = flat(encoder.encode(dots, encoder.gives))
        rng = np.random.default_rng(0)
        for size in (1, 1, 2, 9, 33, 65, 120):
            chosen = rng.permutation(len(dots))[:size]
            some = flat(encoder.encode(dots[chosen], encoder.gives))
            for key in whole:
                assert np.array_equal(whole[key][chosen], some[key]), (key, size)

    def test_state_round_trip(self, name, dots):
        encoder = quick("encoder", name).fit(dots)
        again = clone(encoder).set_state(encoder.get_state())
        one, two = flat(encoder.encode(dots, encoder.gives)), flat(again.encode(dots, encoder.gives))
        assert all(np.array_equal(one[key], two[key]) for key in one)

    def test_fitting_leaves_the_pixels_alone(self, name, dots):
        frozen = dots.copy()
        frozen.flags.writeable = False
        quick("encoder", name).fit(frozen)
        assert np.array_equal(frozen, dots)

    def test_not_fitted_is_said(self, name, dots):
        with pytest.raises(NotFittedError):
            quick("encoder", name).encode(dots, quick("encoder", name).gives)

    def test_set_params_equals_constructor(self, name):
        options = {key: value for key, value in QUICK.items() if key in registry.options("encoder", name)}
        made = registry.create("encoder", name).set_params(**options)
        assert quick("encoder", name).get_params() == made.get_params()


@pytest.mark.parametrize("name", DETECTORS)
class TestDetector:
    def test_protocol(self, name):
        assert isinstance(quick("detector", name), Detector)

    def test_shapes_and_sign(self, name, encoded_dots):
        if not quick("detector", name).needs <= InstantEncoder.gives:
            pytest.skip("the instant encoder does not give what it needs; the pairs below cover it")
        detector = quick("detector", name).fit(encoded_dots)
        own, new = detector.score_own(), detector.score_new(rows(encoded_dots, slice(0, 9)))
        assert own.shape == (len(encoded_dots),)
        assert new.shape == (9,)
        assert own.dtype == new.dtype == np.float64
        assert np.isfinite(own).all()

    def test_same_seed_same_scores_to_the_last_digit(self, name, encoded_dots):
        if not quick("detector", name).needs <= InstantEncoder.gives:
            pytest.skip("the instant encoder does not give what it needs; the pairs below cover it")
        one, two = (quick("detector", name).fit(encoded_dots) for _ in range(2))
        assert np.array_equal(one.score_own(), two.score_own())

    def test_new_rows_are_independent_to_the_last_digit(self, name, encoded_dots):
        if not quick("detector", name).needs <= InstantEncoder.gives:
            pytest.skip("the instant encoder does not give what it needs; the pairs below cover it")
        detector = quick("detector", name).fit(rows(encoded_dots, slice(0, 90)))
        whole = detector.score_new(rows(encoded_dots, slice(90, 120)))
        alone = [detector.score_new(rows(encoded_dots, slice(i, i + 1)))[0] for i in range(90, 120)]
        assert np.array_equal(whole, alone)

    def test_not_fitted_is_said(self, name, encoded_dots):
        for ask in (lambda d: d.score_own(), lambda d: d.score_new(encoded_dots), lambda d: d.get_state()):
            with pytest.raises(NotFittedError):
                ask(quick("detector", name))

    def test_set_params_equals_constructor(self, name):
        options = {key: value for key, value in QUICK.items() if key in registry.options("detector", name)}
        made = registry.create("detector", name).set_params(**options)
        assert quick("detector", name).get_params() == made.get_params()


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
