"""Flags, p-values and shares once some images are labelled."""

import numpy as np
import pytest

from oddlens.feedback import learn
from oddlens.labelled_decisions import decide_labelled
from test_review_outlook import lesson


def test_what_was_said_is_flagged_or_not_whatever_the_rate():
    learned, _ = lesson(100)
    for rate in (0.01, 0.4):
        decision = decide_labelled(learned, rate)
        for row, odd in learned.labels.items():
            assert decision.flagged[row] == odd
            assert decision.q_values[row] == (0 if odd else 1)


def test_of_the_rest_about_the_stated_rate_are_ordinary():
    false = flagged = 0
    for seed in range(6):
        learned, truth = lesson(100, seed=seed)
        unseen = learned.unseen
        chosen = unseen[decide_labelled(learned, 0.2).flagged[unseen]]
        flagged += len(chosen)
        false += (~truth[chosen]).sum()
    assert flagged > 50
    assert false / flagged <= 0.2


def test_what_the_scores_alone_flag_stays_flagged_as_long_as_it_is_borne_out():
    learned, _ = lesson(20)
    unseen = learned.unseen
    assert not decide_labelled(learned, 0.1).flagged[unseen].any()
    before = learned.evidence.scores >= np.sort(learned.evidence.scores)[-70]
    looked = np.fromiter(learned.labels, np.intp)
    left = before.sum() - before[looked].sum()
    said = dict.fromkeys(learned.labels, True)
    borne_out = decide_labelled(learn(learned.evidence, said), 0.1, before)
    assert borne_out.flagged.sum() == 20 + left
    unseen = learn(learned.evidence, said).unseen
    assert borne_out.flagged[unseen[:left]].all(), "the strangest by what was learned, so that one threshold decides"
    assert np.array_equal(borne_out.flagged, learn(learned.evidence, said).scores >= borne_out.threshold)
    assert (borne_out.q_values[borne_out.flagged] <= 0.1).all()
    first = int(looked[before[looked]][0])
    false = decide_labelled(learn(learned.evidence, {first: False}), 0.1, before)
    assert not false.flagged.any(), "one of one is wrong: the scores are not to be relied on"


def test_the_threshold_and_the_p_values_go_by_the_score_alone():
    learned, _ = lesson(100)
    decision = decide_labelled(learned, 0.2)
    assert np.array_equal(learned.scores >= decision.threshold, decision.flagged)
    order = np.argsort(learned.scores)
    assert (np.diff(decision.p_values[order]) <= 0).all()
    assert decision.p_values.min() == pytest.approx(1 / (10 * len(order)))
    assert np.array_equal(decision.null.p_values(learned.scores[:5]), decision.p_values[:5])
    assert decision.null.score_at(0.5) == pytest.approx(np.median(learned.scores), abs=1)


def test_where_none_can_be_flagged_the_threshold_is_what_one_would_need():
    learned, _ = lesson(100)
    only_normal = learn(learned.evidence, dict.fromkeys(learned.labels, False))
    decision = decide_labelled(only_normal, 0.1)
    assert not decision.flagged.any()
    assert only_normal.certainty.probability(np.array([decision.threshold]))[0] == pytest.approx(0.9, abs=1e-3)


def test_the_share_counts_what_was_found_and_what_is_left():
    learned, truth = lesson(300)
    decision = decide_labelled(learned, 0.1)
    assert decision.share.low <= truth.mean() <= decision.share.high
    assert decision.share.low >= sum(learned.labels.values()) / len(truth)
    assert f"You found {sum(learned.labels.values())} odd images in 300 looks" in decision.statement
    assert "By the labels" in decision.statement
