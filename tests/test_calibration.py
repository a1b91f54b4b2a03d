import numpy as np
import pytest

from oddlens.calibration import Fusion, fit_tail, fuse, set_apart


def test_half_at_the_median_and_a_tenth_at_the_ninth_decile():
    fitted = np.random.default_rng(0).gamma(2, 1, 1000)
    surprisal = fit_tail(fitted).surprisal(np.quantile(fitted, [0.5, 0.9]))
    assert np.allclose(surprisal, [np.log(2), np.log(10)], atol=0.01)


def test_a_power_law_is_found_exactly_beyond_all_fitted_scores():
    # quantiles of a Pareto law: the logarithm of the score is exponential
    scores = (1 - (np.arange(5000) + 0.5) / 5000) ** -0.5
    new = np.array([2.0, 5.0, 100.0, 1e4])
    assert np.allclose(fit_tail(scores).surprisal(new), 2 * np.log(new), rtol=0.01)


def test_order_is_kept_and_units_do_not_matter():
    rng = np.random.default_rng(0)
    fitted, new = rng.gamma(2, 1, 300), np.sort(rng.gamma(2, 3, 200)) + 0.1
    surprisal = fit_tail(fitted).surprisal(new)
    assert (np.diff(surprisal) > 0).all()
    assert np.allclose(fit_tail(fitted * 1e-6).surprisal(new * 1e-6), surprisal)


def test_scores_that_may_be_negative_are_taken_as_they_are():
    fitted = np.random.default_rng(0).normal(size=500)
    one, two = fit_tail(fitted).surprisal(np.array([1.0, 2.0]))
    three, four = fit_tail(fitted + 50 - 100).surprisal(np.array([1.0, 2.0]) - 50)
    assert np.isclose(two - one, four - three)


def test_the_batch_being_scored_has_no_say():
    fitted, new = np.random.default_rng(1).normal(size=(2, 50))
    tail = fit_tail(fitted)
    alone = np.array([tail.surprisal(new[i : i + 1])[0] for i in range(50)])
    assert np.array_equal(alone, tail.surprisal(new))


def test_scores_that_are_mostly_or_all_one_value_are_no_trouble():
    for fitted in (np.ones(20), np.zeros(20), np.r_[np.zeros(95), np.arange(5.0)], np.ones(1)):
        surprisal = fit_tail(fitted).surprisal(np.array([1.0, 2.0, 3.0]))
        assert np.isfinite(surprisal).all()
        assert (np.diff(surprisal) > 0).all()


def test_a_lead_alone_is_its_own_surprise_and_below_zero_a_trace_of_it():
    own = {"a": np.random.default_rng(2).gamma(2, 1, 80)}
    surprisal = fit_tail(own["a"]).surprisal(own["a"])
    fused = fuse(Fusion({"a": 1.0}, {}), own, own)
    assert np.allclose(fused[surprisal > 0], surprisal[surprisal > 0])
    assert (fused[surprisal < 0] < 0).all()
    assert np.array_equal(np.argsort(fused), np.argsort(surprisal))


def test_a_quiet_view_is_heard_in_its_tail_alone():
    surprisals = {"lead": np.array([1.0, 1.0, 3.0]), "quiet": np.array([-5.0, 8.0, 0.5])}
    alone, helped = (Fusion({"lead": 1.0}, tails).combine(surprisals) for tails in ({}, {"quiet": 0.25}))
    assert np.allclose(alone, surprisals["lead"])
    assert np.allclose(helped, [1.0, np.sqrt(1 + 16), np.sqrt(9 + 0.25**2)])


def test_a_lead_that_finds_an_image_most_ordinary_silences_no_other_view():
    surprisals = {"lead": np.array([-30.0, 2.0]), "quiet": np.array([8.0, 0.0])}
    found = Fusion({"lead": 1.0}, {"quiet": 1.0}).combine(surprisals)
    assert found[0] > 7 > found[1]


@pytest.mark.parametrize("share", [0.05, 0.1, 0.15])
def test_many_odd_images_behind_a_gap_do_not_make_themselves_ordinary(share):
    rng = np.random.default_rng(0)
    ordinary, count = rng.gamma(20, 1, 1000), round(share * 1000)
    odd = rng.gamma(20, 1, count) + 60
    surprisal = fit_tail(np.r_[odd, ordinary]).surprisal(np.r_[odd, ordinary])
    clean = fit_tail(ordinary).surprisal(odd)
    assert np.allclose(surprisal[:count], clean, rtol=0.1)


def test_what_is_set_apart_lies_behind_a_gap_and_is_a_fifth_at_most():
    rng = np.random.default_rng(1)
    bulk = rng.normal(size=1000)
    assert 2.5 < set_apart(np.r_[bulk, 9 + rng.normal(size=40) / 3]) < 8
    assert 2.5 < set_apart(np.r_[bulk, 9 + rng.normal(size=40) / 3, [5.5, 7.0]]) < 8  # two stragglers in the gap
    assert set_apart(np.r_[bulk, 9 + rng.normal(size=400)]) == np.inf
    assert set_apart(np.empty(0)) == set_apart(np.ones(50)) == np.inf


def test_a_tail_without_a_gap_is_not_cut():
    found = [np.isfinite(set_apart(np.random.default_rng(seed).standard_t(4, size=n)))
             for seed in range(20) for n in (50, 300, 3000)]
    assert sum(found) <= 5
