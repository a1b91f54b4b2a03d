import numpy as np
import pytest

from oddlens.calibration import Fusion, fuse
from oddlens.scoring.agreement import (
    COLOUR,
    MULTIMODAL,
    UNIMODAL,
    answer_weights,
    decide_by_agreement,
    decide_fused,
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


def test_what_counts_is_between_many_kinds_and_one_and_of_its_own_in_colour():
    assert vars(answer_weights(1, 1.0)) == pytest.approx(vars(UNIMODAL))
    assert answer_weights(1, 0.0) == MULTIMODAL
    assert answer_weights(3, 1.0) == answer_weights(3, 0.0) == COLOUR
    between = answer_weights(1, 0.5)
    assert between.lead == pytest.approx((UNIMODAL.lead + MULTIMODAL.lead) / 2)
    for weights in (UNIMODAL, MULTIMODAL, COLOUR, between):
        assert weights.lead + weights.stouffer + weights.fused == pytest.approx(1)


@pytest.mark.parametrize("weights", [UNIMODAL, MULTIMODAL, COLOUR])
def test_the_rate_is_kept_and_odd_images_are_found(weights):
    found = np.array([realised(decided(members(seed, odd=50), weights), 50) for seed in range(20)])
    assert found[:, 0].mean() < 0.1
    assert found[:, 1].mean() > 0.8


@pytest.mark.parametrize("weights", [UNIMODAL, MULTIMODAL, COLOUR])
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


def test_steps_by_hand():
    scores, p = np.r_[np.arange(1.0, 21), 20], np.r_[0.9, 0.4, 0.6, np.full(16, 0.3), 0.1, 0.3]
    null = stepwise(scores, p, UNIMODAL)
    assert null.raw(np.array([0.5, 1.0, 2.5, 3.9, 4.0, 19, 20])) == pytest.approx([1, 0.9, 0.5, 0.5, 0.3, 0.3, 0.2])
    assert null.score_at(0.5) == 2.0
    assert null.score_at(0.2) == 20.0


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
