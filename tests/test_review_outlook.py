"""What is left to find: counts with their bounds, what is worth a look, and when a share may be said to be found."""

import numpy as np
import pytest

from oddlens.feedback import Evidence, learn
from oddlens.review_outlook import Count, expected, found_share, outlook, worth


def lesson(looks=200, n=3000, odd=150, seed=0):
    rng = np.random.default_rng(seed)
    truth = np.arange(n) < odd
    features = rng.normal(size=(n, 10)).astype(np.float32)
    features[:odd, :2] += 2.5
    scores = rng.exponential(size=n) + truth
    known = Evidence(scores, scores[:, None].astype(np.float32), features)
    labels = {}
    while len(labels) < looks:
        for row in learn(known, labels).unseen[:20]:
            labels[int(row)] = bool(truth[row])
    return learn(known, labels), truth


def test_the_number_among_the_next_lies_between_its_bounds():
    inside = []
    for seed in range(6):
        for looks in (60, 120, 200):
            learned, truth = lesson(looks, seed=seed)
            rows = learned.unseen[:100]
            count = expected(learned, rows)
            assert 0 <= count.low <= count.value <= count.high <= 100
            inside.append(count.low <= truth[rows].sum() <= count.high)
    assert np.mean(inside) >= 0.8


def test_of_no_image_none_is_odd():
    learned, _ = lesson(20)
    assert expected(learned, np.empty(0, np.intp)) == Count(0.0, 0, 0)


def test_the_value_is_about_the_sum_of_the_probabilities():
    learned, _ = lesson(100)
    rows = learned.unseen[:300]
    assert expected(learned, rows).value == pytest.approx(learned.probability[rows].sum(), rel=0.1)


def test_looking_is_worth_while_until_there_is_nothing_left():
    early, _ = lesson(40)
    late, _ = lesson(700)
    assert worth(late, late.unseen) < worth(early, early.unseen)
    assert outlook(early).found + outlook(early).left > 40 * 0.5
    assert outlook(late).left < 1


def test_without_labels_there_is_no_outlook():
    known = Evidence(np.arange(30.0), np.zeros((30, 1), np.float32), np.zeros((30, 0), np.float32))
    assert outlook(learn(known, {})) is None


def test_a_long_run_without_finds_says_that_most_are_found():
    odd = np.r_[np.ones(100, bool), np.zeros(300, bool)]
    assert found_share(odd, 1000) >= 0.9
    assert found_share(odd[:110], 1000) == 0
    assert found_share(odd, 100_000) < 0.5
    assert found_share(np.zeros(50, bool), 1000) == 0
    assert found_share(odd, 400) == 1


def test_drawn_at_random_a_share_is_said_wrongly_at_most_once_in_ten():
    rng = np.random.default_rng(0)
    wrong = []
    for _ in range(200):
        truth = rng.permutation(np.arange(2000) < 100)
        looked = rng.integers(1000, 1900)
        wrong.append(found_share(truth[:looked], 2000) > truth[:looked].mean() * looked / 100)
    assert np.mean(wrong) <= 0.1
