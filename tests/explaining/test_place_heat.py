import numpy as np
import pytest

from oddlens.explaining.place_heat import evenly_smoothed, heat_of_places


def peak(heat):
    return tuple((np.array(np.unravel_index(heat.argmax(), heat.shape)) + 0.5) / heat.shape)


def spike(down, across, size=31):
    places = np.zeros((size, size))
    places[down, across] = 1
    return places


def test_chance_has_the_same_spread_at_the_rim_as_in_the_middle():
    rng = np.random.default_rng(0)
    spread = np.std([evenly_smoothed(rng.normal(size=(31, 24))) for _ in range(3000)], axis=0)
    assert spread.max() / spread.min() < 1.15
    assert spread[[0, 0, -1, -1], [0, -1, 0, -1]].mean() == pytest.approx(spread[12:18, 10:14].mean(), rel=0.05)


def test_views_of_any_size_count_by_their_weight():
    one, other = spike(5, 5), spike(24, 9, size=32)
    assert peak(heat_of_places([(2, one), (1, other)], 64, 64)) == pytest.approx((5.5 / 31, 5.5 / 31), abs=0.02)
    assert peak(heat_of_places([(1, one), (2, other)], 64, 64)) == pytest.approx((24.5 / 32, 9.5 / 32), abs=0.02)


def test_each_view_speaks_in_a_unit_of_its_own_picture():
    loud, quiet = 1000 * spike(5, 5) + 70, 0.001 * spike(24, 9)
    assert peak(heat_of_places([(1, loud), (2, quiet)], 64, 64)) == pytest.approx((24.5 / 31, 9.5 / 31), abs=0.02)


def test_where_two_views_agree_is_the_peak():
    one, other = spike(5, 5) + spike(20, 20), spike(12, 28) + spike(20, 20)
    heat = heat_of_places([(1, one), (1, other)], 64, 96)
    assert heat.shape == (64, 96)
    assert (heat >= 0).all()
    assert peak(heat) == pytest.approx((20.5 / 31, 20.5 / 31), abs=0.02)


def test_where_no_view_says_anything_there_is_no_heat():
    assert heat_of_places([], 8, 8) is None
    assert heat_of_places([(0.0, spike(5, 5)), (1.0, np.full((4, 4), 3.0))], 8, 8) is None
