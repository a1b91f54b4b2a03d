import numpy as np
import pytest
from scipy import stats

from oddlens.calibration import Fusion, fit_tail, fuse
from oddlens.decisions import Null, Share, fit_null
from oddlens.scoring.agreement import (
    COLOUR,
    MULTIMODAL,
    PHOTOGRAPH,
    UNIMODAL,
    AnswerWeights,
    StepNull,
    answer_weights,
    combined_p_values,
    decide_by_agreement,
    decide_fused,
    grouped,
    normal_scores,
    stepwise,
)

SEES = {"a": "x", "b": "y", "c": "z"}


def members(seed=0, n=1000, odd=0, views="abc", far=5.0):
    """Scores of views that fail independently, in which the first images are odd by the views named."""
    rng = np.random.default_rng(seed)
    own = {view: rng.normal(size=n) for view in SEES}
    for view in views:
        own[view][:odd] += far
    return {view: np.exp(0.2 * scores) for view, scores in own.items()}


def decided(own, weights=UNIMODAL, rate=0.1):
    fusion = Fusion({"a": 1.0}, {"b": 0.3, "c": 0.3})
    return decide_fused(fuse(fusion, own, own), fusion, own, SEES, weights, rate)


def realised(decision, odd):
    flags = decision.flagged
    return flags[odd:].sum() / max(flags.sum(), 1), flags[:odd].mean() if odd else 0.0


def test_what_counts_is_between_many_kinds_and_one_and_of_its_own_in_colour_and_in_photographs():
    assert vars(answer_weights(1, 1.0)) == pytest.approx(vars(UNIMODAL))
    assert answer_weights(1, 0.0) == MULTIMODAL
    assert answer_weights(3, 1.0) == answer_weights(3, 0.0) == answer_weights(3, 1.0, detail=True) == COLOUR
    assert answer_weights(1, 1.0, detail=True) == answer_weights(1, 0.0, detail=True) == PHOTOGRAPH
    between = answer_weights(1, 0.5)
    for name, value in vars(between).items():
        assert value == pytest.approx((getattr(UNIMODAL, name) + getattr(MULTIMODAL, name)) / 2)
    assert answer_weights(1, 0.25).fused == pytest.approx(0.25 * UNIMODAL.fused + 0.75 * MULTIMODAL.fused)
    for weights in (UNIMODAL, MULTIMODAL, COLOUR, PHOTOGRAPH, between):
        assert weights.lead + weights.stouffer + weights.fused == pytest.approx(1)


def test_the_weights_are_those_that_the_documents_state():
    # docs/decisions.md: the leads count for nine tenths in grey of one kind, with a light tail; in colour not at all
    assert (UNIMODAL.lead, UNIMODAL.lead_freedom) == (0.9, 14)
    assert (COLOUR.lead, COLOUR.stouffer) == (0, 0.9)
    assert PHOTOGRAPH.lead == PHOTOGRAPH.stouffer == PHOTOGRAPH.fused
    assert (PHOTOGRAPH.lead_freedom, PHOTOGRAPH.fused_freedom) == (10, 8)
    assert {weights.stouffer_freedom for weights in (UNIMODAL, MULTIMODAL, COLOUR, PHOTOGRAPH)} == {12}
    assert COLOUR.fused_freedom == 5 < UNIMODAL.fused_freedom < MULTIMODAL.fused_freedom == 8


@pytest.mark.parametrize("weights", [UNIMODAL, MULTIMODAL, COLOUR, PHOTOGRAPH])
def test_the_rate_is_kept_and_odd_images_are_found(weights):
    found = np.array([realised(decided(members(seed, odd=50), weights), 50) for seed in range(20)])
    assert found[:, 0].mean() < 0.1
    assert found[:, 1].mean() > 0.8


@pytest.mark.parametrize("weights", [UNIMODAL, MULTIMODAL, COLOUR, PHOTOGRAPH])
@pytest.mark.parametrize("n", [60, 300, 1000])
def test_where_nothing_is_odd_hardly_ever_anything_is_flagged(weights, n):
    assert sum(decided(members(seed, n), weights).flagged.any() for seed in range(40)) <= 4


def test_in_colour_several_views_that_agree_are_believed_before_one_that_is_loud():
    agreed = np.mean([realised(decided(members(seed, odd=30, far=3.5), COLOUR), 30)[1] for seed in range(10)])
    alone = np.mean([realised(decided(members(seed, odd=30, far=3.5, views="b"), COLOUR), 30)[1]
                     for seed in range(10)])
    assert agreed > 0.3 > alone + 0.2


def test_a_lead_of_one_kind_is_believed_alone():
    found = np.mean([realised(decided(members(seed, odd=50, views="a")), 50)[1] for seed in range(10)])
    assert found > 0.5


def test_one_threshold_decides_and_p_values_fall_with_the_score():
    own = members(odd=50)
    decision = decided(own)
    fusion = Fusion({"a": 1.0}, {"b": 0.3, "c": 0.3})
    fused = fuse(fusion, own, own)
    assert np.array_equal(decision.flagged, fused >= decision.threshold)
    assert (np.diff(decision.p_values[np.argsort(fused)]) <= 0).all()
    assert np.array_equal(decision.null.p_values(fused), decision.p_values)
    assert decision.p_values.min() == pytest.approx(1e-4)  # of 1,000 images none is rarer than 1 in 10,000
    assert decision.share.low <= 50 / 1000 <= decision.share.high


def test_a_new_image_beyond_all_fitted_ones_is_judged_by_the_tail():
    decision = decided(members())
    assert not decision.flagged.any()
    assert np.isfinite(decision.threshold)
    far = decision.null.p_values(np.array([decision.threshold, 1e6]))
    assert far[1] <= far[0]
    assert decision.null.raw(np.array([1e6]))[0] < 1e-6


def test_three_answers_make_one_by_their_weighted_harmonic_mean():
    rng = np.random.default_rng(0)
    fused, lead = rng.normal(size=(2, 500))
    views = list(rng.normal(size=(3, 500)))
    total, weights = views[0] + views[1] + views[2], AnswerWeights(0.2, 0.3, 0.5, 7.0, 5.0, 3.0)
    answers = [0.2 / fit_null(lead, False, 7).raw(lead), 0.3 / fit_null(total, False, 5).raw(total),
               0.5 / fit_null(fused, False, 3).raw(fused)]
    p = combined_p_values(fused, lead, views, weights)
    assert p == pytest.approx(1 / (answers[0] + answers[1] + answers[2]))
    fused[0] = lead[0] = 1e99  # so far out that the p-value is 0 in floating point
    nothing_for_the_lead = AnswerWeights(0.0, 0.5, 0.5, 1e6, 8.0, 1e6)
    assert combined_p_values(fused, lead, views, nothing_for_the_lead)[0] == pytest.approx(2e-300, rel=1e-3)


def test_what_cannot_be_known_has_the_p_value_of_one_half():
    assert combined_p_values(np.ones(9), np.ones(9), [np.ones(9)], UNIMODAL) == pytest.approx(np.full(9, 0.5))
    decision = decide_by_agreement(np.ones(9), np.ones(9), [np.ones(9)], UNIMODAL)
    assert decision.share == Share(0, 0, 1)
    assert (decision.p_values == 0.5).all()


def test_normal_scores_are_those_of_the_p_values_and_none_is_above_7():
    scores = np.r_[np.random.default_rng(1).normal(size=500), 1e9, -1e9]
    found = normal_scores(scores)
    assert found[:500] == pytest.approx(stats.norm.isf(fit_null(scores).raw(scores))[:500])
    assert found[500:] == pytest.approx([7.0345, -7.0345], abs=1e-3)


def test_views_of_one_group_count_as_one_by_their_mean():
    own = members()
    one, both = grouped(own, [["a"], ["b", "c"]])
    assert one == pytest.approx(normal_scores(own["a"]))
    assert both == pytest.approx((normal_scores(own["b"]) + normal_scores(own["c"])) / 2)


@pytest.mark.parametrize(("leads", "sees", "groups"), [
    ({"a": 1.0}, SEES, ["a", "b", "c"]),
    ({"a": 1.0}, {"a": "x", "b": "y", "c": "y"}, ["a", "bc"]),
    ({"a": 1.0}, {"a": "x", "b": "x", "c": "y"}, ["a", "b", "c"]),  # what leads is asked by itself
    ({"a": 0.3, "b": 0.7}, SEES, ["ab", "c"]),
])
def test_what_sees_alike_is_asked_once_and_so_is_what_leads(leads, sees, groups):
    own = members(odd=50)
    fusion = Fusion(leads, {"b": 0.2} if len(leads) == 1 else {"c": 0.2})
    fused = fuse(fusion, own, own)
    lead = sum(share * fit_tail(own[view]).surprisal(own[view]) for view, share in leads.items())
    expected = decide_by_agreement(fused, lead, grouped(own, groups), COLOUR, 0.2)
    decision = decide_fused(fused, fusion, own, sees, COLOUR, 0.2)
    assert np.array_equal(decision.p_values, expected.p_values)
    assert (decision.share, decision.rate) == (expected.share, 0.2)


def test_the_rate_is_a_tenth_where_none_is_given():
    fused = np.log(members(odd=50)["a"])
    assert decide_by_agreement(fused, fused, [fused], UNIMODAL).rate == 0.1


def test_a_null_of_steps_by_hand():
    null = StepNull(np.array([1.0, 2, 4]), np.array([0.6, 0.3, 0.2]), Null(0.0, 1.0, 8.0, 0.0), 0.5, 0.01)
    assert null.raw([0.5, 1, 1.5, 2, 4]).tolist() == [1, 0.6, 0.6, 0.3, 0.2]
    assert null.raw([4.5]) == pytest.approx([stats.t.sf(4.5, 8) / 0.5])
    assert null.p_values([1.5, 9.0]).tolist() == [0.6, 0.01]
    assert [null.score_at(p) for p in (1.0, 0.6, 0.5, 0.3, 0.2)] == [1, 1, 2, 2, 4]
    assert null.score_at(0.01) == np.nextafter(4, np.inf), "the tail alone would have it below a step that is no less"
    assert null.score_at(1e-6) == pytest.approx(stats.t.isf(0.5e-6, 8))
    heavy = StepNull(null.scores, null.p, Null(4.0, 1.0, 8.0, 0.0), 0.5, 0.01)
    assert heavy.raw([4.5]).tolist() == [0.2], "never more than at the last step"
    unknown = StepNull(null.scores, null.p, Null(0.0, np.inf, 8.0, 0.0), 0.5, 0.01)
    assert not unknown.known
    assert unknown.raw([1.0, 9.0]).tolist() == [0.5, 0.5]
    assert unknown.score_at(0.1) == np.inf


def test_steps_by_hand():
    scores, p = np.r_[np.arange(1.0, 21), 20], np.r_[0.9, 0.4, 0.6, np.full(16, 0.3), 0.1, 0.3]
    null = stepwise(scores, p, UNIMODAL)
    assert null.raw(np.array([0.5, 1.0, 2.5, 3.9, 4.0, 19, 20])) == pytest.approx([1, 0.9, 0.5, 0.5, 0.3, 0.3, 0.2])
    assert null.score_at(0.5) == 2.0
    assert null.score_at(0.2) == 20.0
    binary = stepwise(scores, np.r_[0.75, 0.25, 0.5, np.full(16, 0.25), 0.125, 0.25], UNIMODAL)
    assert binary.scores.tolist() == [1, 2, 4, 20], "where the p-value falls"
    assert binary.p.tolist() == [0.75, 0.375, 0.25, 0.1875]
    assert null.least == 1 / 210
    assert vars(null.beyond) == vars(fit_null(scores, False, UNIMODAL.fused_freedom))
    assert null.share == UNIMODAL.fused
    flat = stepwise(scores, np.full(21, 0.5), UNIMODAL)
    assert flat.scores.tolist() == [1, 20], "what is farther than all begins at the largest score"


def test_without_views_beside_the_leads_there_is_one_answer():
    own = members(odd=50)
    fusion = Fusion({"a": 0.5, "b": 0.5}, {})
    assert decide_fused(fuse(fusion, own, own), fusion, own, SEES, COLOUR, 0.1).flagged[:50].mean() > 0.5


@pytest.mark.parametrize("n", [1, 5, 12])
def test_few_and_equal_scores_are_no_trouble(n):
    for scores in (np.ones(n), np.arange(float(n))):
        decision = decide_by_agreement(scores, scores, [normal_scores(scores)], UNIMODAL)
        assert not decision.flagged.any()
        assert np.isfinite(decision.p_values).all()
