import numpy as np
import pytest
from scipy import stats

from oddlens.decisions import (
    FEWEST_SCORES,
    Share,
    allowance,
    benjamini_hochberg,
    conformal_p_values,
    decide,
    excess,
    fit_null,
    judged,
    q_values,
    share_of_odd,
)
from oddlens.errors import OptionError

# the 15 p-values of Benjamini and Hochberg's own example (1995, section 3.2)
PAPER = np.array([0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719,
                  0.6528, 0.7590, 1.0])


def mixture(seed, n=1000, odd=50, apart=6.0):
    rng = np.random.default_rng(seed)
    scores = np.exp(0.1 * np.r_[rng.normal(size=n), rng.normal(apart, 1, odd)])
    return scores, np.arange(n + odd) >= n


def rejected_one_by_one(p, rate):
    """Benjamini and Hochberg as a loop, from the largest p-value down."""
    for k in range(len(p), 0, -1):
        cut = sorted(p)[k - 1]
        if cut <= rate * k / len(p):
            return [value <= cut for value in p]
    return [False] * len(p)


def test_benjamini_and_hochberg_reject_four_in_their_own_example():
    assert benjamini_hochberg(PAPER, 0.05).sum() == 4
    shuffled = np.random.default_rng(0).permutation(15)
    assert np.array_equal(benjamini_hochberg(PAPER[shuffled], 0.05), PAPER[shuffled] <= 0.0095)


def test_a_step_up_takes_all_below_the_last_that_passes():
    # 0.04 alone would fail at 0.05 * 1 / 4, but the fourth passes
    assert benjamini_hochberg([0.04, 0.045, 0.046, 0.049], 0.05).all()
    assert not benjamini_hochberg([0.04, 0.045, 0.046, 0.051], 0.05).any()


@pytest.mark.parametrize("rate", [0.05, 0.1, 0.3])
def test_the_same_as_a_loop_and_as_the_q_values(rate):
    rng = np.random.default_rng(1)
    for _ in range(50):
        p = np.round(rng.random(30) ** 3, 2)  # rounded: with ties and zeros
        assert benjamini_hochberg(p, rate).tolist() == rejected_one_by_one(p, rate)
        assert np.array_equal(q_values(p) <= rate + 1e-12, benjamini_hochberg(p, rate + 1e-12))


def test_q_values_by_hand():
    assert np.allclose(q_values([0.01, 0.5, 0.02, 0.03]), [0.04, 0.5, 0.04, 0.04])


@pytest.mark.parametrize("law", ["lognormal", "gamma", "exponential", "normal"])
def test_the_tail_of_a_clean_law_is_found_or_overstated_never_understated(law):
    draw, true = {
        "lognormal": (lambda rng: rng.lognormal(1, 0.3, 20000), lambda s: stats.lognorm.sf(s, 0.3, scale=np.e)),
        "gamma": (lambda rng: rng.gamma(20, 1, 20000), lambda s: stats.gamma.sf(s, 20)),
        "exponential": (lambda rng: rng.exponential(1, 20000), stats.expon.sf),
        "normal": (lambda rng: rng.normal(0, 1, 20000), stats.norm.sf),
    }[law]
    scores = draw(np.random.default_rng(2))
    null = fit_null(scores)
    at = np.quantile(scores, [0.5, 0.7, 0.85])
    assert np.allclose(null.p_values(at), [0.5, 0.3, 0.15], atol=0.02)  # where it is read
    far = np.quantile(scores, [0.99, 0.999])
    ratio = null.p_values(far) / true(far)
    assert (ratio > 0.8).all()
    assert (ratio < [5, 20]).all()


def test_students_t_is_found_exactly():
    scores = 3 + 2 * stats.t.ppf((np.arange(50000) + 0.5) / 50000, 8)
    null = fit_null(scores)
    assert np.allclose([null.location, null.scale, null.freedom, null.floor], [3, 2, 8, 0], atol=0.01)
    assert np.allclose(null.p_values([3.0, 7.0, 15.0]), stats.t.sf([0, 2, 6], 8), rtol=0.02)


def excess_one_by_one(p, allowed=lambda t: 0.0):
    """How many more of the values are as small as one of them, below a fifth, than would be by chance."""
    p = np.sort(p)
    return max([0.0, *((rank / len(p) - t - allowed(t)) / (1 - t) for rank, t in enumerate(p, 1) if t < 0.2)])


def line(values, law, odd):
    """Location and scale of a law through the upper quantiles of the values, with the share of odd ones left out."""
    at = np.linspace(0.5, 0.85, 41)
    scale, location = np.polyfit(law.ppf(at), np.quantile(values, at * (1 - odd)), 1)
    return location, scale


@pytest.mark.parametrize(("n", "odd", "freedom"), [(10, 0, 0.5), (90, 10, 5), (160, 0, 8), (500, 60, 8), (300, 200, 8)])
def test_the_null_and_the_share_are_those_of_lines_through_the_upper_quantiles(n, odd, freedom):
    scores, _ = mixture(n, n, odd)
    values, law = np.log(scores), stats.t(freedom)

    def allowed(t):
        chance = np.sqrt(2 * np.log(np.log(max(n + odd, 16))) / max(n + odd, 16) * t * (1 - t))
        return max(0.02, chance)

    def p_values(law, location, scale):
        return law.sf((values - location) / scale)

    doubtless = excess_one_by_one(p_values(law, *line(values, law, 0)), allowed)
    location, scale = line(values, law, min(doubtless, 0.3))
    null = fit_null(scores)
    assert null.freedom == freedom
    assert null.floor == scores.min()
    assert null.least == 1 / (10 * (n + odd))
    assert (null.location, null.scale) == pytest.approx((location, scale))
    p = p_values(law, location, scale)
    assert null.raw(scores) == pytest.approx(p)
    high = 0.0
    for _ in range(5):
        high = excess_one_by_one(p_values(stats.norm, *line(values, stats.norm, min(high, 0.3))))
    value = excess_one_by_one(p)
    share = decide(scores).share
    assert (share.value, share.low) == pytest.approx((value, excess_one_by_one(p, allowed)))
    assert share.high == pytest.approx(max(high, value), abs=1e-4)


def test_ten_scores_are_the_fewest_that_say_anything():
    scores = np.arange(1.0, 11)
    assert fit_null(scores).known
    assert not fit_null(scores[:9]).known


def test_a_large_offset_costs_no_digits():
    scores = np.round(1000 * np.random.default_rng(0).normal(size=801))
    plain = decide(scores, log=False)
    assert np.allclose(decide(scores + 2.0**40, log=False).p_values, plain.p_values, rtol=0, atol=1e-6)


@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
def test_a_narrow_spread_is_one_and_that_of_rounding_is_none(unit):
    narrow = unit * (1 + 1e-9 * np.random.default_rng(0).normal(size=50))
    assert fit_null(narrow, log=False).scale == pytest.approx(fit_null(narrow - unit, log=False).scale, rel=1e-5)
    assert not fit_null(unit * (1 + 2e-16 * (np.arange(50) % 2)), log=False).known


def test_logarithms_are_taken_where_no_score_is_negative_or_as_asked():
    scores = np.random.default_rng(0).normal(0.5, 0.1, 50)
    assert fit_null(scores).floor == scores.min()
    assert fit_null(np.r_[0, scores]).floor == fit_null(np.r_[0, scores], log=True).floor == scores.min()
    assert fit_null(np.r_[-0.1, scores]).floor == fit_null(scores, log=False).floor == 0
    assert fit_null(np.zeros(50)).floor == fit_null([], log=True).floor == fit_null([]).floor == 0


def test_a_decision_by_hand():
    own, p = np.array([1.0, 2, 3, 4, 5, 4]), np.array([0.9, 0.5, 0.3, 0.02, 0.001, 0.021])
    null, share = fit_null(np.arange(1.0, 30)), Share(0.1, 0.0, 0.2)
    decision = judged(own, null, p, 0.1, share)
    assert decision.flagged.tolist() == [False, False, False, True, True, True]
    assert decision.threshold == 4
    assert decision.expected_false == pytest.approx(6 * 0.021)  # the largest p-value that is flagged, of all six
    assert decision.q_values == pytest.approx([0.9, 0.6, 0.45, 0.042, 0.006, 0.042])
    assert (decision.share, decision.rate) == (share, 0.1)
    nothing = judged(own, null, p + 0.05, 0.1, share)
    assert not nothing.flagged.any()
    assert nothing.expected_false == 0
    assert nothing.threshold == null.score_at(0.1 / 6)  # what a single image of six would have needed


def test_one_image_and_none_are_judged_as_any_number():
    assert benjamini_hochberg([0.1], 0.1).tolist() == [True]
    assert benjamini_hochberg([0.101], 0.1).tolist() == [False]
    assert benjamini_hochberg([], 0.1).tolist() == []
    null = fit_null(np.arange(1.0, 30))
    for own in ([1.0], []):
        assert judged(np.array(own), null, np.full(len(own), 0.9), 0.1, Share(0, 0, 1)).threshold == null.score_at(0.1)
        assert (fit_null(own).freedom, fit_null(own).least) == (1 / 20, 1 / 10)


def test_a_score_that_rounding_gave_two_p_values_is_flagged_each_time():
    decision = judged(np.array([1.0, 9, 9, 2]), fit_null([]), np.array([0.5, 0.02, 0.2, 0.6]), 0.1, Share(0, 0, 1))
    assert decision.flagged.tolist() == [False, True, True, False]
    assert decision.expected_false == pytest.approx(0.8)


def test_a_score_has_the_p_value_that_it_was_asked_for():
    for scores in (mixture(0)[0], np.random.default_rng(0).normal(size=300)):
        null = fit_null(scores)
        for p in (0.4, 0.01, 1e-6):
            assert np.isclose(null.raw([null.score_at(p)])[0], p)


def test_the_realised_rate_keeps_to_the_stated_one_and_odd_images_are_found():
    for rate in (0.05, 0.1, 0.2):
        for odd in (10, 50, 100):
            found = []
            for seed in range(20):
                scores, truth = mixture(seed, odd=odd)
                flagged = decide(scores, rate).flagged
                found.append([(flagged & ~truth).sum() / max(flagged.sum(), 1), flagged[truth].mean()])
            false, power = np.mean(found, 0)
            assert false <= rate
            assert power > 0.3


@pytest.mark.parametrize(("n", "most"), [(12, 0.1), (30, 0.1), (100, 0.1), (1000, 0.05)])
def test_nothing_is_flagged_where_nothing_is_odd(n, most):
    rng = np.random.default_rng(3)
    runs = [decide(np.exp(0.2 * rng.normal(size=n))).flagged.any() for _ in range(200)]
    assert np.mean(runs) <= most


def test_the_share_lies_between_its_bounds_and_grows_with_the_odd():
    shares = {odd: [] for odd in (0, 50, 100)}
    for odd, found in shares.items():
        for seed in range(10):
            scores, truth = mixture(seed, odd=odd, apart=8)
            share = decide(scores).share
            assert 0 <= share.low <= share.value <= share.high <= 1
            assert share.low <= truth.mean() <= share.high
            found.append([share.low, share.value])
    low, value = (np.array([np.mean(found, 0)[i] for found in shares.values()]) for i in (0, 1))
    assert low[0] < 0.001
    assert np.allclose(value, [0, 50 / 1050, 100 / 1100], atol=0.025)


def test_a_threshold_judges_the_fitted_images_and_new_ones_alone():
    scores, _ = mixture(4)
    decision = decide(scores)
    assert np.array_equal(scores >= decision.threshold, decision.flagged)
    assert np.array_equal(decision.null.p_values(scores[::-1]), decision.p_values[::-1])
    alone = np.array([decision.null.p_values(scores[i : i + 1])[0] for i in range(20)])
    assert np.array_equal(alone, decision.p_values[:20])
    assert decision.expected_false <= 0.1 * decision.flagged.sum()
    assert (decision.q_values[decision.flagged] <= 0.1 + 1e-12).all()
    assert decision.statement.startswith(f"{decision.flagged.sum()} of 1,050 images stand out")


def test_where_nothing_stands_out_it_says_so_and_a_far_new_image_still_does():
    scores = np.random.default_rng(5).lognormal(0, 0.1, 400)
    decision = decide(scores)
    assert not decision.flagged.any()
    assert decision.expected_false == 0
    assert decision.statement.startswith("Nothing stands out")
    assert scores.max() < decision.threshold < 5
    assert decide(np.r_[scores, decision.threshold * 1.05]).flagged.tolist() == [False] * 400 + [True]


def test_units_do_not_matter():
    scores, _ = mixture(6)
    plain = decide(scores)
    assert np.allclose(decide(scores * 1e-7).p_values, plain.p_values, atol=1e-9)
    logs = decide(np.log(scores), log=False)
    assert np.allclose(logs.p_values, plain.p_values, atol=1e-9)
    assert np.allclose(decide(np.log(scores) * 7 - 100, log=False).p_values, plain.p_values, atol=1e-9)


def test_more_odd_images_hide_each_other_rather_than_accuse_ordinary_ones():
    scores, truth = mixture(7, n=700, odd=300, apart=4)
    flagged = decide(scores).flagged
    assert (flagged & ~truth).sum() <= 0.1 * max(flagged.sum(), 1)


@pytest.mark.parametrize("scores", [np.ones(50), np.zeros(50), np.r_[np.zeros(95), np.arange(1, 6)], [], [1.0],
                                    [1.0, 1e9], np.r_[np.ones(FEWEST_SCORES - 2), 1e6]])
def test_where_nothing_can_be_known_nothing_is_flagged_and_it_says_so(scores):
    decision = decide(scores)
    assert not decision.flagged.any()
    assert (decision.p_values == 0.5).all()
    assert not decision.null.known
    assert decision.threshold == np.inf
    assert (decision.share.value, decision.share.low, decision.share.high) == (0, 0, 1)
    assert "to say what is ordinary" in decision.statement


def test_zeros_among_distances_do_no_harm():
    scores, truth = mixture(8)
    flagged = decide(np.r_[scores, np.zeros(100)]).flagged
    assert not flagged[-100:].any()
    assert flagged[:-100][truth].mean() > 0.5


def test_infinitely_far_new_images_have_a_p_value_of_zero_and_the_least_is_stated():
    null = fit_null(mixture(9)[0])
    assert null.raw([np.inf])[0] == 0
    assert null.p_values([np.inf])[0] == pytest.approx(1 / 10_500)


@pytest.mark.parametrize("bad", [[1.0, np.nan] * 20, [1.0, np.inf] * 20, np.ones((20, 2))])
def test_scores_that_are_no_numbers_are_refused(bad):
    with pytest.raises(OptionError, match="Decisions need"):
        decide(bad)


def test_new_scores_that_are_nan_are_refused():
    with pytest.raises(OptionError, match="1 nan"):
        fit_null(mixture(0)[0]).p_values([np.nan, 1.0])


@pytest.mark.parametrize("rate", [0, -0.1, 0.5, 1, np.nan])
def test_rates_that_cannot_be_are_refused(rate):
    with pytest.raises(OptionError, match="must be above 0 and below"):
        decide(mixture(0)[0], rate)


@pytest.mark.parametrize("p", [[0.1, np.nan], [-0.1], [1.1], [[0.1]]])
def test_p_values_that_are_none_are_refused(p):
    for function in (lambda: benjamini_hochberg(p, 0.1), lambda: q_values(p)):
        with pytest.raises(OptionError, match="p-values"):
            function()


def test_logarithms_of_negative_scores_are_refused():
    with pytest.raises(OptionError, match="log=False"):
        fit_null([-1.0, 2.0] * 20, log=True)


@pytest.mark.parametrize("n", [20, 500])
def test_no_rarity_is_stated_that_the_collection_cannot_know(n):
    scores = np.r_[np.random.default_rng(0).lognormal(0, 0.1, n - 1), 1e9]
    decision = decide(scores)
    assert decision.p_values.min() == pytest.approx(1 / (10 * n))
    assert decision.null.raw(scores).min() < 1e-3 * (1 if n < 100 else 1e-2)


def test_conformal_p_values_by_hand():
    assert np.allclose(conformal_p_values([3.0, 1, 2, 2], [0.0, 2, 2.5, 3, 9]), np.array([5, 4, 2, 2, 1]) / 5)


def test_conformal_p_values_of_a_clean_collection_hold_the_rate():
    rng = np.random.default_rng(10)
    runs = []
    for _ in range(600):
        own, new = rng.gamma(2, 1, 500), np.r_[rng.gamma(2, 1, 90), rng.gamma(2, 1, 10) + 20]
        flagged = benjamini_hochberg(conformal_p_values(own, new), 0.1)
        runs.append([flagged[:90].sum() / max(flagged.sum(), 1), flagged[90:].mean()])
    false, power = np.mean(runs, 0)
    assert false <= 0.1
    assert power > 0.9


def test_the_excess_of_a_known_mixture_and_its_allowance():
    even = (np.arange(9000) + 0.5) / 9000
    assert np.isclose(excess(np.r_[even, np.zeros(1000)]), 0.1, atol=0.001)
    assert np.isclose(excess(np.r_[even, np.zeros(1000)], allowance(10000)), 0.08, atol=0.001)
    assert excess(even, allowance(9000)) == 0
    assert excess([]) == excess([0.2]) == 0
    assert excess([0.05]) == 1
    many, few = allowance(100)(np.array([0.1, 0.001])), allowance(10)(np.array([0.1]))
    assert many == pytest.approx([np.sqrt(2 * np.log(np.log(100)) / 100 * 0.09), 0.02])
    assert few == allowance(16)(np.array([0.1])) == pytest.approx([0.3 * np.sqrt(np.log(np.log(16)) / 8)])
    assert excess([0.1, 0.15, 0.4, 0.6]) == pytest.approx(0.35 / 0.85)
    assert excess([0.15, 0.19, 0.21, 0.22]) == pytest.approx(0.31 / 0.81)
    assert share_of_odd(mixture(0)[0], fit_null(mixture(0)[0])).low > 0
