import numpy as np
import pytest

from oddlens.errors import SavedModelError
from oddlens.scoring.patterns.pathway import RIDGE, Pathway


@pytest.fixture(scope="module")
def differences():
    rng = np.random.default_rng(0)
    # One direction always differs a lot, the others hardly.
    return (rng.normal(size=(200, 6)) * [5, 1, 1, 1, 1, 1]).astype(np.float32)


def by_hand(x, rows):
    centred = rows - rows.mean(0)
    scatter = centred.T @ centred
    ridge = RIDGE * np.trace(scatter) / 6 * np.eye(6)
    return len(rows) * (x - rows.mean(0)) @ np.linalg.solve(scatter + ridge, x - rows.mean(0))


def test_sap_is_the_squared_length(differences):
    own = Pathway(whiten=False).fit({"a": differences[:, :2], "b": differences[:, 2:]}, {})
    assert own == pytest.approx((differences.astype(float) ** 2).sum(1), rel=1e-5)


def test_nap_of_new_images_is_the_mahalanobis_length(differences):
    rule = Pathway(whiten=True)
    rule.fit({"a": differences}, {})
    x = np.array([[1, 2, 3, 4, 5, 6]], np.float32)
    assert rule.score({"a": x})[0] == pytest.approx(by_hand(x[0].astype(float), differences.astype(float)), rel=1e-5)


def test_nap_of_own_images_leaves_each_out_of_mean_and_scatter(differences):
    own = Pathway(whiten=True).fit({"a": differences}, {})
    rows = differences.astype(float)
    for i in (0, 100, 199):
        assert own[i] == pytest.approx(by_hand(rows[i], np.delete(rows, i, 0)), rel=0.02)


def test_whitening_discounts_what_always_differs(differences):
    rows = np.concatenate([differences, [[12, 0, 0, 0, 0, 0], [0, 6, 0, 0, 0, 0]]]).astype(np.float32)
    assert Pathway(whiten=False).fit({"a": rows}, {}).argsort()[-1] != 201
    assert Pathway(whiten=True).fit({"a": rows}, {}).argmax() == 201


def test_the_evidence_of_the_nodes_adds_up_and_names_the_planted_one(differences):
    rule = Pathway(whiten=True)
    rule.fit({"a": differences}, {})
    x = np.array([[0, 0, 0, 9, 0, 0]], np.float32)
    evidence, share, high = rule.evidence(x, np.array([False]))
    assert evidence.sum() * 200 == pytest.approx(rule.score({"a": x})[0], rel=1e-6)
    assert evidence[0].argmax() == 3
    assert share[0, 3] == pytest.approx(2 / 201)
    assert high[0, 3]


@pytest.mark.parametrize("whiten", [True, False])
@pytest.mark.parametrize("rows", [np.zeros((5, 3)), np.ones((5, 3)), np.eye(4, 9), np.arange(6.0)[:, None]])
def test_edges_give_finite_scores(whiten, rows):
    assert np.isfinite(Pathway(whiten).fit({"a": rows.astype(np.float32)}, {})).all()


@pytest.mark.parametrize("change", [
    {"root": np.zeros((6, 6))}, {"root": np.eye(5)}, {"mean": np.full(6, np.nan)}, {"count": np.array([0])},
    {"sorted": np.zeros((5, 9), np.float32)}, {"mean": np.zeros((6, 1))},
])
def test_states_that_do_not_fit_are_refused(differences, change):
    rule = Pathway(whiten=True)
    rule.fit({"a": differences}, {})
    with pytest.raises(SavedModelError):
        Pathway(whiten=True).set_state({**rule.get_state(), **change})
