"""Principal components: what they keep, the same for one row as for many, and what a saved state must be."""

import numpy as np
import pytest

from oddlens.learning.principal_components import MOST, Components


def embedding(n=500, d=90, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(n, d)) * np.linspace(3, 0.1, d) + 5).astype(np.float32)


@pytest.mark.parametrize(("n", "d"), [(500, 90), (40, 90), (500, 8)])
def test_they_are_the_widest_directions_in_one_unit(n, d):
    rows = embedding(n, d)
    found = Components.found(rows).project(rows).astype(np.float64)
    exact = np.linalg.svd(rows - rows.mean(0), full_matrices=False)[1][:MOST] / np.sqrt(n)
    exact = exact[exact > 1e-4]
    np.testing.assert_allclose(found.std(0), exact / np.sqrt((exact**2).mean()), rtol=2e-2)
    assert found.shape[1] == min(MOST, d, n - 1)


def test_each_row_alone_is_the_same_and_about_as_in_the_product():
    rows = embedding()
    components = Components.found(rows)
    together = components.project_each(rows[:30])
    assert all(np.array_equal(components.project_each(rows[i : i + 1])[0], together[i]) for i in range(30))
    np.testing.assert_allclose(together, components.project(rows)[:30], atol=5e-3)


def test_no_features_or_none_that_are_numbers_give_none():
    for rows in (np.full((20, 3), np.nan, np.float32), np.ones((20, 3), np.float32), np.ones((0, 3), np.float32)):
        components = Components.found(rows)
        assert components.project(rows).shape == components.project_each(rows).shape == (len(rows), 0)


def test_absurd_features_stay_numbers():
    components = Components.found(embedding())
    assert np.isfinite(components.project_each(np.full((2, 90), 1e30, np.float32))).all()


def test_a_state_comes_back_and_one_that_cannot_be_is_refused():
    rows = embedding()
    components = Components.found(rows)
    state = components.get_state()
    assert np.array_equal(Components.of_state(state).project(rows), components.project(rows))
    for wrong in ({**state, "mean": state["mean"][:5]}, {**state, "axes": state["axes"] * np.nan},
                  {**state, "axes": state["axes"].astype(np.float64)}, {**state, "axes": state["axes"][:, 0]}):
        with pytest.raises(ValueError, match="components"):
            Components.of_state(wrong)
