"""Distances at many ranks: against a full sort, and with groups of odd images that hide from one rank."""

import numpy as np
import pytest

from oddlens.errors import SavedModelError
from oddlens.scoring.neighborhood import Neighborhood, Tightness, ranks_of, sampled, squares_between

ROWS = np.random.default_rng(0).normal(size=(300, 5)).astype(np.float32)


def test_squared_distances_are_the_sums_of_the_squared_differences():
    expected = ((ROWS[:40, None].astype(np.float64) - ROWS[None]) ** 2).sum(2)
    assert squares_between(ROWS[:40], ROWS) == pytest.approx(expected, rel=1e-5, abs=1e-12)


def test_distances_at_the_ranks_leave_the_row_itself_out():
    found, around = Neighborhood(ROWS, np.array([1, 3, 50]), np.ones(3)).distances(ROWS)
    apart = np.sqrt(((ROWS[:, None].astype(np.float64) - ROWS[None]) ** 2).sum(2))
    np.fill_diagonal(apart, np.inf)
    order = np.sort(apart, axis=1)
    unit = found[0, 0] / order[0, 0]  # distances come in a unit of their own
    assert found == pytest.approx(unit * order[:, [0, 2, 49]], rel=1e-5)
    assert np.array_equal(around, np.argsort(apart, axis=1)[:, :10])


def test_each_row_is_measured_alone():
    place = Neighborhood.of(ROWS, np.arange(300))
    whole, _ = place.distances(ROWS)
    assert np.array_equal(place.distances(ROWS[7:9])[0], whole[7:9])


@pytest.mark.parametrize("size", [10, 40, 70])
def test_a_group_of_odd_rows_stands_out_at_any_size_up_to_a_quarter(size):
    rows = ROWS.copy()
    rows[:size] = 12 + rows[:size] / 10
    place = Neighborhood.of(rows, np.arange(300))
    ratios = place.ratios(place.distances(rows)[0])
    assert ratios[:size].min() > ratios[size:].max()


def test_scale_does_not_matter_and_copies_of_one_row_are_no_error():
    ratios = []
    for factor in (1.0, 2.0**60, 2.0**-60):
        place = Neighborhood.of(ROWS * np.float32(factor), np.arange(300))
        ratios.append(place.ratios(place.distances(ROWS * np.float32(factor))[0]))
    assert np.array_equal(ratios[0], ratios[1])
    assert np.array_equal(ratios[0], ratios[2])
    same = Neighborhood.of(np.ones((20, 3), np.float32), np.arange(20))
    assert np.array_equal(same.ratios(same.distances(np.ones((20, 3), np.float32))[0]), np.zeros(20))


@pytest.mark.parametrize(("k", "m", "kind", "first", "last"), [
    (50, 1000, 1.0, 17, 250), (50, 10_000, 0.0, 17, 300), (50, 1000, 0.0, 17, 250), (1, 2, 1.0, 1, 1)])
def test_ranks_go_from_a_third_of_k_to_a_quarter_or_six_k(k, m, kind, first, last):
    ranks = ranks_of(k, m, kind)
    assert (ranks[0], ranks[-1]) == (first, last)
    assert (np.diff(ranks) > 0).all()


def test_a_sample_is_in_order_and_of_few_rows_all():
    assert np.array_equal(sampled(30, np.random.default_rng(0)), np.arange(30))
    many = sampled(20_000, np.random.default_rng(0))
    assert len(many) == 10_000
    assert (np.diff(many) > 0).all()


def test_a_tight_place_raises_a_ratio_and_an_odd_neighbour_does_not_lower_it():
    plain = np.full(100, 1.0)
    plain[:50] = 0.5
    plain[99] = 40.0  # odd: counts as the third quartile at most
    tight = Tightness(plain, 1.0)
    assert tight.factor(np.array([[0, 1, 2], [60, 61, 62], [60, 61, 99], [0, -1, -1]])) == pytest.approx([2, 1, 1, 2])
    assert Tightness(plain, 0.0).factor(np.array([[0, 1]])).tolist() == [1.0]
    assert Tightness(np.r_[np.zeros(10), np.ones(90)], 1.0).factor(np.array([[0]])) == pytest.approx([10])  # at most


@pytest.mark.parametrize(("reference", "ranks", "usual"), [
    (ROWS[:1], [1], [1.0]), (ROWS, [], []), (ROWS, [1, 2], [1.0]), (ROWS, [0], [1.0]), (ROWS, [300], [1.0]),
    (ROWS, [1], [0.0]), (ROWS, [1], [np.nan]), (np.full_like(ROWS, np.inf), [1], [1.0])])
def test_saved_arrays_that_cannot_be_are_refused(reference, ranks, usual):
    with pytest.raises(SavedModelError, match="saved neighbourhood"):
        Neighborhood.saved(reference, np.array(ranks, np.int64), np.array(usual, float))
