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
    for unit in (0.01, 1.0, 100.0):
        assert np.allclose(fit_tail(unit * scores).surprisal(unit * new), 2 * np.log(new), rtol=0.01)


def test_scores_whose_tail_is_known_by_hand():
    # the median of -5 to 5 is 0, the ninth decile 4: log 2 and log 10, and so log 5 every four beyond
    tail = fit_tail(np.arange(-5.0, 6))
    assert (tail.middle, tail.floor) == (0, 0)
    assert tail.slope == pytest.approx(4 / np.log(5))
    assert tail.surprisal([-4.0, 0.0, 4.0, 8.0]) == pytest.approx(np.log([2 / 5, 2, 10, 50]))
    assert fit_tail(np.arange(-5.0, 6) / 10).floor == 0
    # the same of the logarithms, with a zero that is taken for the least score above
    tail = fit_tail(np.r_[0.0, np.exp(np.arange(-4.0, 6))])
    assert tail.floor == pytest.approx(np.exp(-4))
    assert tail.surprisal(np.exp([0.0, 4.0, 8.0])) == pytest.approx(np.log([2, 10, 50]))
    assert tail.surprisal([0.0]) == tail.surprisal([np.exp(-4)])


@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
def test_a_narrow_spread_is_one_and_that_of_rounding_is_none(unit):
    narrow = -unit * (0.5 + 1e-9 * np.arange(11.0))  # median 5, ninth decile 1, counted from the far end
    assert fit_tail(narrow).slope == pytest.approx(4e-9 * unit / np.log(5), rel=1e-5)
    rounded = -unit * np.r_[np.full(95, 0.5) * (1 + 2e-16 * (np.arange(95) % 2)), np.arange(5.0)]
    assert fit_tail(rounded).slope == pytest.approx(rounded.std() / np.log(5))
    assert fit_tail(np.full(7, -unit)).slope == pytest.approx(1 / np.log(5))


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
    assert found == pytest.approx([8 - 0.6, 2])  # a fiftieth of the lead is what is left of it below 0


def test_leads_are_averaged_by_their_shares():
    surprisals = {"a": np.array([4.0, -1.0]), "b": np.array([0.0, -3.0])}
    fusion = Fusion({"a": 0.25, "b": 0.75}, {})
    assert fusion.lead(surprisals) == pytest.approx([1, -2.5])
    assert fusion.combine(surprisals) == pytest.approx([1, -0.05])


def test_leads_that_read_the_same_are_averaged_and_the_others_add_in_squares():
    surprisals = {"a": np.array([4.0, -1.0, 6.0]), "b": np.array([0.0, -3.0, 2.0]), "c": np.array([0.0, 3.0, -9.0])}
    fusion = Fusion({"a": 0.25, "b": 0.25, "c": 0.5}, {}, {"a": "one", "b": "one", "c": "two"})
    assert fusion.combine(surprisals) == pytest.approx(
        [np.sqrt(0.5 * 2**2), np.sqrt(0.5 * 3**2), np.sqrt(0.5 * 4**2) - 0.02 * 2.5])
    assert fusion.lead(surprisals) == pytest.approx([1, 0.5, -2.5])
    alone = fusion.only(["a", "b"])
    assert (alone.leads, alone.sees) == ({"a": 0.5, "b": 0.5}, {"a": "one", "b": "one"})
    assert alone.combine(surprisals) == pytest.approx([2, -0.04, 4])


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


def apart_one_by_one(values):
    """Above which value the widest gap lies, each gap judged by itself in words of counts and distances."""
    ordered, n = sorted(values, reverse=True), len(values)
    half, three_quarters = np.quantile(values, [0.5, 0.75])
    far_out = [np.log(2) * (1 + (value - half) / (three_quarters - half)) for value in ordered]  # log 2 at the median
    widest, found = 12.0, np.inf
    for above in range(2, n // 5 + 1):
        for inside in {0, above // 10}:
            below = above + inside
            last = min(below + max(above, 10), n // 2)
            top, edge, base = far_out[above - 1], far_out[below], far_out[last]
            if not (edge > np.log(2) and 0.1 < base < edge):
                continue
            power = np.log((last + 1) / (below + 1)) / np.log(edge / base)  # of the law of the values below
            due = above * (min((top / edge) ** power, np.exp(20)) - 1)  # so many it would have in the gap
            if due <= inside:
                continue
            surprise = due - inside - (inside * np.log(due / inside) if inside else 0)
            if surprise > widest:
                widest, found = surprise, ordered[below]
    return found


@pytest.mark.parametrize("n", [12, 15, 40, 200])
def test_what_is_set_apart_is_what_counting_one_by_one_sets_apart(n):
    rng, cut = np.random.default_rng(n), 0
    for draw in range(150):
        odd, far = rng.integers(1, n // 4 + 2), 10 ** rng.uniform(0, 2)
        stragglers = 2 + far * rng.random(rng.integers(0, 1 + (n - odd) // 20))
        values = np.r_[rng.normal(size=n - odd - len(stragglers)), stragglers, 2 + far + rng.normal(0, 0.3, odd)]
        if draw % 10 == 0:
            values[values < np.median(values)] = np.median(values)  # half of them are one value
        values = rng.uniform(0.1, 10) * values - rng.uniform(-50, 50)
        expected = apart_one_by_one(values)
        assert set_apart(values) == pytest.approx(expected)
        cut += np.isfinite(expected)
    assert 10 < cut < 140


def test_a_tail_without_a_gap_is_not_cut():
    found = [np.isfinite(set_apart(np.random.default_rng(seed).standard_t(4, size=n)))
             for seed in range(20) for n in (50, 300, 3000)]
    assert sum(found) <= 5
