from itertools import combinations

import numpy as np
import pytest

from oddlens.errors import OptionError, SavedModelError
from oddlens.scoring.patterns.scan import Scan, best_subsets

STATISTICS = ("berk_jones", "higher_criticism")


def statistic(name, subset_size, nodes, alpha):
    share = subset_size / nodes
    if share <= alpha:
        return 0.0
    if name == "higher_criticism":
        return np.sqrt(nodes) * (share - alpha) / np.sqrt(alpha * (1 - alpha))
    rest = (1 - share) * np.log((1 - share) / (1 - alpha)) if share < 1 else 0
    return nodes * (share * np.log(share / alpha) + rest)


@pytest.mark.parametrize("name", STATISTICS)
def test_sorting_finds_the_best_of_all_subsets(name):
    rng = np.random.default_rng(0)
    for _ in range(20):
        p = rng.random(8).astype(np.float32) ** 2
        # By hand: every subset of nodes, at the level of its largest p-value.
        best = max(statistic(name, len(s), 8, float(max(s))) for size in range(1, 9) for s in combinations(p, size)
                   if max(s) <= 0.5)
        found, _ = best_subsets(np.sort(p)[None], name == "berk_jones", 0.5)
        assert found[0] == pytest.approx(best, rel=1e-6)


@pytest.mark.parametrize("name", STATISTICS)
def test_planted_nodes_are_named_exactly(name):
    rng = np.random.default_rng(3)
    values = rng.normal(size=(1000, 100)).astype(np.float32)
    planted = [4, 17, 33, 48, 60, 71, 85, 99]
    values[123, planted] = [6, -6, 7, -8, 6, -6, 7, -8]
    layers = {"a": values[:, :50], "b": values[:, 50:]}
    rule = Scan(name)
    own = rule.fit(layers, {})
    assert own.argmax() == 123
    evidence, p, high = rule.evidence(values[123:124], np.array([True]))
    assert np.flatnonzero(evidence[0]).tolist() == planted
    assert high[0, planted].tolist() == [True, False] * 4
    assert p[0, planted] == pytest.approx(2 / 1000)


def test_both_tails_count():
    values = np.random.default_rng(0).normal(size=(500, 10)).astype(np.float32)
    values[7], values[8] = 9, -9
    own = Scan("berk_jones").fit({"a": values}, {})
    assert set(own.argsort()[-2:]) == {7, 8}
    assert own[7] == pytest.approx(own[8], rel=0.2)


@pytest.mark.parametrize("name", STATISTICS)
@pytest.mark.parametrize("values", [np.ones((20, 5)), np.ones((20, 1)), np.arange(20.0)[:, None], np.eye(20, 3)])
def test_edges_give_finite_scores(name, values):
    own = Scan(name).fit({"a": values.astype(np.float32)}, {})
    assert np.isfinite(own).all()
    if len(np.unique(values)) == 1:
        assert (own == 0).all(), "values that are all the same are nothing unusual"


def test_an_unknown_statistic_is_named():
    with pytest.raises(OptionError, match="berk_jones"):
        Scan("best").fit({"a": np.ones((5, 2), np.float32)}, {})


@pytest.mark.parametrize("hostile", [
    np.zeros((0, 3), np.float32), np.array([[2.0, 1.0]], np.float32), np.array([[np.nan, 1.0]], np.float32),
    np.zeros((2, 3)),
])
def test_states_that_do_not_fit_are_refused(hostile):
    with pytest.raises(SavedModelError):
        Scan("berk_jones").set_state({"sorted": hostile})
