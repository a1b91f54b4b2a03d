import numpy as np
import pytest

from oddlens.errors import OptionError, SavedModelError
from oddlens.scoring.patterns.likelihood import Likelihood

KINDS = {"hidden": "relu"}


def layers(bits):
    return {"hidden": np.asarray(bits, np.float32)}


def test_independent_nodes_are_counted_by_hand():
    bits = np.random.default_rng(0).integers(0, 2, (30, 4))
    own = Likelihood(1, "auto", 0).fit(layers(bits), KINDS)
    for i in (0, 7, 29):
        rest = np.delete(bits, i, 0)
        p = (rest.sum(0) + 0.5) / (len(rest) + 1)  # without itself, half an image added to either state
        expected = -np.log(np.where(bits[i], p, 1 - p)).sum()
        assert own[i] == pytest.approx(expected)


def test_new_patterns_by_hand():
    bits = np.random.default_rng(0).integers(0, 2, (30, 4))
    rule = Likelihood(1, "auto", 0)
    rule.fit(layers(bits), KINDS)
    p = (bits.sum(0) + 0.5) / 31
    assert rule.score(layers([[1, 1, 0, 0]]))[0] == pytest.approx(-np.log([p[0], p[1], 1 - p[2], 1 - p[3]]).sum())


def test_a_rare_node_is_improbable_and_a_common_one_is_not():
    bits = np.zeros((100, 6))
    bits[:, 0] = 1
    bits[42, 5] = 1
    own = Likelihood(1, "auto", 0).fit(layers(bits), KINDS)
    assert own.argmax() == 42
    assert len(set(np.delete(own, 42).round(9))) == 1


def test_only_a_mixture_sees_nodes_that_are_never_on_together():
    # Two node_types of image, each with nodes of its own; the odd one has half of each. Node by node it is ordinary.
    rng = np.random.default_rng(0)
    node_types = np.repeat(np.eye(2), [100, 100], axis=0)
    bits = np.repeat(node_types, 10, axis=1) * (rng.random((200, 20)) < 0.9)
    bits[50] = [1, 1, 1, 1, 1, 0, 0, 0, 0, 0] * 2
    independent = Likelihood(1, "auto", 0).fit(layers(bits), KINDS)
    mixed = Likelihood(2, "auto", 0).fit(layers(bits), KINDS)
    assert mixed.argmax() == 50
    assert (independent > independent[50]).sum() > 20


def test_the_mixture_finds_the_components_that_made_the_bits():
    rng = np.random.default_rng(1)
    truth = np.array([[0.9, 0.9, 0.1, 0.1, 0.5], [0.1, 0.2, 0.9, 0.8, 0.5]])
    which = rng.integers(0, 2, 4000)
    bits = rng.random((4000, 5)) < truth[which]
    rule = Likelihood(2, "auto", 0)
    rule.fit(layers(bits), KINDS)
    found = rule.ones_ / rule.counts_[:, None]
    found = found[np.argsort(-found[:, 0])]
    assert np.abs(found - truth).max() < 0.08
    assert rule.counts_.sum() == pytest.approx(4000)


@pytest.mark.parametrize("components", [1, 3])
@pytest.mark.parametrize("bits", [np.ones((20, 1)), np.ones((20, 9)), np.zeros((20, 3)), np.eye(20, 2)])
def test_edges_give_finite_scores(components, bits):
    assert np.isfinite(Likelihood(components, "auto", 0).fit(layers(bits), KINDS)).all()


@pytest.mark.parametrize("components", [0, 21, 1.5, "two"])
def test_bad_components_are_named(components):
    with pytest.raises(OptionError, match="components must be a whole number from 1 to 20"):
        Likelihood(components, "auto", 0).fit(layers(np.ones((20, 3))), KINDS)


@pytest.mark.parametrize("change", [
    {"ones": np.zeros((2, 3))}, {"counts": np.array([np.nan])}, {"on": np.zeros(2)}, {"ones": -np.ones((1, 3))},
    {"cuts": np.zeros(3)},
])
def test_states_that_do_not_fit_are_refused(change):
    rule = Likelihood(1, "auto", 0)
    rule.fit(layers(np.eye(20, 3)), KINDS)
    with pytest.raises(SavedModelError):
        Likelihood(1, "auto", 0).set_state({**rule.get_state(), **change})
