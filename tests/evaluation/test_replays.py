"""Replays: what they count, whom they ask, and when they stop."""

import numpy as np
import pytest

from oddlens.evaluation import replays
from oddlens.evaluation.replays import Replay, unlabelled, with_feedback
from oddlens.feedback import Evidence


def known(n=900, odd=60, seed=0):
    rng = np.random.default_rng(seed)
    truth = np.arange(n) < odd
    features = rng.normal(size=(n, 8)).astype(np.float32)
    features[:odd, :2] += 3
    scores = rng.exponential(size=n) + truth
    return Evidence(scores, scores[:, None].astype(np.float32), features), truth


def test_the_unlabelled_order_is_looked_through_from_the_top():
    evidence, odd = known()
    replay = unlabelled(evidence, odd)
    order = np.argsort(-evidence.scores)
    assert [replay.at(looks) for looks in (20, 200)] == [odd[order[:20]].sum(), odd[order[:200]].sum()]


def test_with_feedback_each_image_is_looked_at_once_and_more_is_found():
    evidence, odd = known()
    replay = with_feedback(evidence, odd)
    assert len(set(replay.looks.tolist())) == len(replay.looks) == 200
    assert np.array_equal(replay.found, np.cumsum(odd[replay.looks]))
    assert replay.at(100) > 1.2 * unlabelled(evidence, odd).at(100)


def test_wrong_answers_mislead_the_order_but_not_the_count():
    evidence, odd = known()
    right, wrong = with_feedback(evidence, odd), with_feedback(evidence, odd, 0.4, seed=1)
    assert wrong.at(100) < right.at(100)
    assert np.array_equal(wrong.found, np.cumsum(odd[wrong.looks]))


def test_to_the_end_it_stops_once_most_are_found_and_says_what_was_left():
    evidence, odd = known()
    replay = with_feedback(evidence, odd, to_the_end=True)
    looks, share = replay.stopped
    assert 60 <= looks <= 900
    assert share >= 0.75
    assert [one[0] for one in replay.ahead][:3] == list(replays.SPOKEN)[:3]
    for _, said, low, high, true in replay.ahead:
        assert 0 <= low <= high <= 100
        assert low <= np.ceil(said)
        assert 0 <= true <= 60


def test_a_small_collection_is_looked_through_to_its_last_image():
    evidence, odd = known(60, 8)
    replay = with_feedback(evidence, odd, to_the_end=True)
    assert len(replay.looks) == 60
    assert replay.at(200) == 8
    assert replay.stopped[1] == 1


def test_plain_values_hold_the_counts_and_the_curve():
    plain = Replay(np.arange(1, 201), np.arange(200), ((50, 6.2, 2, 14, 7),), (300, 0.9)).plain()
    assert plain["found"] == {"20": 20, "50": 50, "100": 100, "200": 200}
    assert plain["curve"] == list(range(5, 201, 5))
    assert plain["ahead"] == [[50, 6.2, 2, 14, 7]]
    assert plain["stopped"] == [300, 0.9]
    assert Replay(np.zeros(0, np.int64), np.zeros(0, np.int64)).at(20) == 0
    assert Replay(np.array([1]), np.array([0])).plain()["stopped"] is None


@pytest.mark.parametrize("looks", replays.SPOKEN)
def test_what_is_left_is_asked_about_at_looks_that_come(looks):
    assert looks % replays.EVERY == 0
    assert looks <= replays.LATER
