"""Whether new images are stranger than the fitted ones."""

import numpy as np
import pytest

from oddlens.drift import FEWEST, LEVEL, drift


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("draw", ["normal", "exponential", "ties"])
def test_images_of_the_same_kind_are_seldom_said_to_have_drifted(rng, draw):
    def scores(count):
        return np.round(rng.normal(size=count), 1) if draw == "ties" else getattr(rng, draw)(size=count)

    wrong = np.mean([drift(scores(1000), scores(size)).drifted for size in (30, 100, 400) for _ in range(300)])
    assert wrong <= 2 * LEVEL


def test_a_shift_of_all_and_a_few_foreign_ones_are_seen(rng):
    fitted = rng.normal(size=2000)
    assert drift(fitted, rng.normal(0.5, 1, 200)).drifted
    mixed = np.concatenate([rng.normal(size=180), np.full(20, 6.0)])
    found = drift(fitted, mixed)
    assert found.drifted
    assert 0.15 < found.share < 0.3
    assert "drifted" in found.sentence


def test_less_strange_images_are_no_drift(rng):
    found = drift(rng.normal(size=2000), rng.normal(-1, 1, 500))
    assert not found.drifted
    assert found.sentence.startswith("No drift")


def test_too_few_images_say_nothing(rng):
    found = drift(rng.normal(size=500), np.full(FEWEST - 1, 99.0))
    assert (found.p_value, found.share, found.drifted) == (1.0, 1.0, False)
    assert "cannot be told from 19" in found.sentence
    assert drift(rng.normal(size=500), np.empty(0)).share == 0
