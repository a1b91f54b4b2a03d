import numpy as np
import pytest

from oddlens.report.histogram import histogram


@pytest.mark.parametrize("top", [1, 20, 999])
def test_the_histogram_parts_the_strangest_from_the_rest(top):
    scores = np.random.default_rng(0).gamma(2, size=1000)
    h = histogram(scores, top)
    assert sum(h.counts) == 1000
    assert sum(count for edge, count in zip(h.edges, h.counts, strict=False) if edge >= h.threshold) == top
    assert h.threshold == np.sort(scores)[-top]
    assert h.edges[0] <= h.low
    assert h.high <= h.edges[-1]
    assert 0 <= h.place(h.low) <= h.place(h.high) <= 1


def test_equal_scores_fall_on_one_side_of_the_line():
    h = histogram(np.array([0.0] * 10 + [1.0] * 10), 3)
    assert [count for count in h.counts if count] == [10, 10]
    assert h.threshold == 1


@pytest.mark.parametrize("scores", [[], [1.0], [2.0] * 50, [np.nan] * 50, [0.0, 5e-324] * 20, [-1.7e308, 1.7e308] * 20])
def test_scores_that_tell_nothing_apart_have_none(scores):
    assert histogram(np.array(scores), 5) is None


def test_scores_that_are_not_finite_are_left_out():
    assert sum(histogram(np.append(np.arange(30.0), [np.inf, np.nan]), 5).counts) == 30
