import numpy as np
import pytest

from oddlens.errors import OptionError, SavedModelError
from oddlens.scoring.patterns.hamming import Hamming

KINDS = {"hidden": "sigmoid"}


def layers(bits):
    return {"hidden": np.asarray(bits, np.float32)}


def by_hand(bits, others, k):
    """The k-th distance and the mean of the k, in nodes, among other rows."""
    distances = np.sort((bits[:, None] != others[None]).sum(2), axis=1)[:, :k]
    return distances[:, -1], distances.mean(1)


def test_distances_are_those_counted_by_hand():
    bits = np.random.default_rng(0).integers(0, 2, (40, 21))
    own = Hamming(3, "auto").fit(layers(bits), KINDS)
    for i in range(40):
        kth, mean = by_hand(bits[i : i + 1], np.delete(bits, i, 0), 3)
        assert own[i] == pytest.approx(kth[0] / 21 + mean[0] / 22 / 21)


def test_new_patterns_are_compared_with_all_fitted_ones():
    rng = np.random.default_rng(1)
    bits, new = rng.integers(0, 2, (30, 13)), rng.integers(0, 2, (5, 13))
    rule = Hamming(2, "auto")
    rule.fit(layers(bits), KINDS)
    kth, mean = by_hand(new, bits, 2)
    assert rule.score(layers(new)) == pytest.approx(kth / 13 + mean / 14 / 13)


def test_a_pattern_seen_once_among_duplicates_is_strangest():
    bits = np.tile([1, 0, 1, 0, 1, 0, 1, 0, 1], (50, 1))
    bits[23] = 1 - bits[23]
    own = Hamming(5, "auto").fit(layers(bits), KINDS)
    assert own.argmax() == 23
    assert own[23] == pytest.approx(1 + 9 / 10 / 9)
    assert (np.delete(own, 23) == 0).all()


@pytest.mark.parametrize("nodes", [1, 7, 8, 9])
def test_all_nodes_always_on_and_one_node(nodes):
    assert (Hamming(2, "auto").fit(layers(np.ones((20, nodes))), KINDS) == 0).all()


def test_a_tie_is_never_broken_past_a_whole_node():
    bits = np.random.default_rng(2).integers(0, 2, (60, 10))
    own = Hamming(4, "auto").fit(layers(bits), KINDS)
    kth = np.array([by_hand(bits[i : i + 1], np.delete(bits, i, 0), 4)[0][0] for i in range(60)])
    assert (np.floor(own * 10 + 1e-9) == kth).all()


@pytest.mark.parametrize("k", [0, 20, 2.5])
def test_k_out_of_range_is_named(k):
    with pytest.raises(OptionError, match="k must be a whole number from 1 to 19"):
        Hamming(k, "auto").fit(layers(np.ones((20, 3))), KINDS)


@pytest.mark.parametrize("change", [
    {"bits": np.zeros((20, 5), np.uint8)}, {"bits": np.zeros((20, 1))}, {"cuts": np.full(3, np.nan, np.float32)},
    {"k": np.array([99])}, {"k": np.array([0])}, {"cuts": np.zeros((3, 1), np.float32)},
])
def test_states_that_do_not_fit_are_refused(change):
    rule = Hamming(2, "auto")
    rule.fit(layers(np.eye(20, 3)), KINDS)
    with pytest.raises(SavedModelError):
        Hamming(2, "auto").set_state({**rule.get_state(), **change})
