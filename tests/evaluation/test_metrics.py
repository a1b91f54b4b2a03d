import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from oddlens.evaluation.metrics import measure, precision_at_n

cases = st.lists(st.tuples(st.booleans(), st.integers(0, 4)), min_size=2, max_size=7).filter(
    lambda rows: 0 < sum(odd for odd, _ in rows) < len(rows))


@given(cases)
def test_they_are_what_their_definitions_say(rows):
    odd, scores = np.array([odd for odd, _ in rows]), np.array([score for _, score in rows], float)
    found = measure(odd, scores)
    assert tuple(found) == ("auroc", "average_precision", "precision_at_n")
    pairs = [1.0 if a > b else 0.5 if a == b else 0.0 for a, b in itertools.product(scores[odd], scores[~odd])]
    assert found["auroc"] == pytest.approx(np.mean(pairs))
    assert found["average_precision"] == pytest.approx(average_precision_score(odd, scores))
    n = odd.sum()
    orders = [order for order in itertools.permutations(range(len(odd)))
              if all(scores[a] >= scores[b] for a, b in itertools.pairwise(order))]
    assert found["precision_at_n"] == pytest.approx(np.mean([odd[list(order[:n])].mean() for order in orders]))


def test_precision_at_n_by_hand():
    odd = np.array([True, False, True, False])
    assert precision_at_n(odd, np.array([4.0, 3, 2, 1])) == 0.5
    assert precision_at_n(odd, np.array([4.0, 2, 3, 1])) == 1
    assert precision_at_n(odd, np.array([1.0, 3, 2, 4])) == 0
    assert precision_at_n(odd, np.zeros(4)) == 0.5


@pytest.mark.parametrize(("odd", "scores"), [
    ([True, False], [np.nan, 1]), ([True, False], [1, np.inf]), ([True, False], [1, 2, 3]), ([True, True], [1, 2]),
    ([False, False], [1, 2])])
def test_what_cannot_be_measured_is_refused(odd, scores):
    with pytest.raises(ValueError, match=r"finite|odd"):
        measure(np.array(odd), np.array(scores, float))
