"""The check without labels: known answers for models that see all, nothing, or one thing only."""

import json

import numpy as np
import pytest

from oddlens.detectors.neighbors import Neighbors
from oddlens.errors import OptionError, TooFewImages
from oddlens.evaluation.self_check import Agreement, Sight, agreement, check
from oddlens.evaluation.synthetic_anomalies import ANOMALIES
from oddlens.model import AnomalyModel
from oddlens.progress import listening
from oddlens.ranking import Ranking


class Knowing:
    """Knows the untouched images by heart: each of them scores below 1, all others 2; it counts its fits."""

    fits = 0

    def __init__(self, known, seed, flags=False):
        self.known = {image.tobytes(): i / len(known) for i, image in enumerate(known)}
        self.flags = flags

    def fit(self, images):
        Knowing.fits += 1
        self.own = images

    def rank(self, images=None):
        images = self.own if images is None else images
        scores = np.array([self.known.get(image.tobytes(), 2.0) for image in images])
        ranking = Ranking(tuple(map(str, range(len(images)))), scores)
        if self.flags:
            object.__setattr__(ranking, "flagged", scores > 1)
        return ranking


class Guessing(Knowing):
    """Draws its scores."""

    def __init__(self, known, seed):
        super().__init__(known, seed)
        self.rng = np.random.default_rng(seed)

    def rank(self, images=None):
        images = self.own if images is None else images
        return Ranking(tuple(map(str, range(len(images)))), self.rng.normal(size=len(images)))


def test_a_model_that_knows_all_sees_all_and_agrees_with_itself(digits):
    found = check(digits[:300], lambda seed: Knowing(digits[:300], seed, flags=True))
    assert [sight.kind for sight in found.sights] == list(ANOMALIES)
    for sight in found.sights:
        assert sight.injected == 6
        assert sight.on_top == sight.flagged >= 5  # a digit may look the same when it is turned
        assert sight.auroc > 0.8
        assert sight.median == 1
    assert found.seeds == Agreement(pytest.approx(1), 20, 20)
    assert found.halves == Agreement(pytest.approx(1), 20, 20)
    assert found.images == 300


def test_a_model_that_guesses_sees_nothing(digits):
    found = check(digits, lambda seed: Guessing(digits, seed))
    assert sum(sight.on_top for sight in found.sights) < 0.2 * sum(sight.injected for sight in found.sights)
    assert 0.35 < np.mean([sight.auroc for sight in found.sights]) < 0.65
    assert all(sight.flagged is None for sight in found.sights)
    assert abs(found.seeds.correlation) < 0.2
    assert found.seeds.same <= 4
    assert abs(found.halves.correlation) < 0.2


def test_a_model_that_sees_only_blur(digits):
    class Sharpness(Guessing):
        def rank(self, images=None):
            images = self.own if images is None else images
            steps = np.abs(np.diff(images.astype(float), axis=2)).max((1, 2, 3))
            return Ranking(tuple(map(str, range(len(images)))), -steps)

    found = check(digits, lambda seed: Sharpness(digits, seed), kinds=["blur", "turned", "cut"])
    seen = {sight.kind: sight for sight in found.sights}
    assert seen["blur"].on_top / seen["blur"].injected > 0.9
    assert seen["cut"].on_top / seen["cut"].injected < 0.3
    assert found.sentences()[0].startswith("Seen: images out of focus. 12 of 12 injected")
    assert any(line.startswith("Mostly missed: images with a small gap") for line in found.sentences())


def test_a_real_model_on_a_collection_of_one_kind(dots, instant):
    before = dots.copy()
    found = check(dots, lambda seed: AnomalyModel(instant, Neighbors(), random_state=seed), kinds=["erased", "blend"])
    np.testing.assert_array_equal(dots, before)
    again = check(dots, lambda seed: AnomalyModel(instant, Neighbors(), random_state=seed), kinds=["erased", "blend"])
    assert found == again
    assert found.seeds.correlation == pytest.approx(1)  # nothing in this model is random
    assert 0.3 < found.halves.correlation < 1
    assert json.loads(json.dumps(found.to_dict()))["seeds"]["same"] == 20


def test_the_cost_is_bounded_and_reported(digits):
    steps = []
    Knowing.fits = 0
    with listening(lambda stage, done, total: steps.append((stage, done, total))):
        found = check(digits, lambda seed: Knowing(digits, seed), images=200)
    assert found.images == 200
    assert Knowing.fits == len(steps) <= 9
    assert steps[-1] == ("checking", Knowing.fits, Knowing.fits)


def test_another_state_draws_other_images(digits):
    def build(seed):
        return Guessing(digits, 0)

    assert check(digits, build, images=100) != check(digits, build, images=100, random_state=1)


def test_no_more_than_a_tenth_is_planted_at_once(digits):
    rounds = []

    class Watching(Knowing):
        def fit(self, images):
            rounds.append(sum(image.tobytes() not in self.known for image in images))
            super().fit(images)

    found = check(digits[:140], lambda seed: Watching(digits[:140], seed))
    assert max(rounds) <= 14
    assert {sight.injected for sight in found.sights} == {5}


def test_agreement():
    scores = np.arange(100.0)
    assert agreement(scores, 3 * scores, 10) == Agreement(pytest.approx(1), 10, 10)
    assert agreement(scores, -scores, 10) == Agreement(pytest.approx(-1), 0, 10)
    assert agreement(scores, np.zeros(100), 10).correlation == 0
    assert agreement(scores[:3], scores[:3], 10).strangest == 3


def test_the_interval_is_wilsons():
    low, high = Sight("blur", 40, 20, None, 0.9, 0.9).interval
    assert (low, high) == (pytest.approx(0.352, abs=0.001), pytest.approx(0.648, abs=0.001))
    assert Sight("blur", 5, 0, None, 0, 0).interval[0] == 0


def test_what_cannot_work_is_said(digits):
    def build(seed):
        return Knowing(digits, seed)

    with pytest.raises(TooFewImages, match="40 images or more, there are 30"):
        check(digits[:30], build)
    with pytest.raises(OptionError, match="Did you mean 'blur'"):
        check(digits, build, kinds=["blurr"])
    with pytest.raises(OptionError, match="images must be"):
        check(digits, build, images=20)
