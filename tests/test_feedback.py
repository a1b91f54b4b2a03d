"""Learning from labels: what it promises on made-up evidence whose truth is known."""

import numpy as np
import pytest

from oddlens.errors import OptionError
from oddlens.feedback import Evidence, compared, learn, likeness, next_shown, prior_variance


def evidence(n=4500, odd=60, seed=0):
    """Images in a cloud, the odd ones a small cluster of their own that the score hardly sees."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, 20)).astype(np.float32)
    features[:odd] = features[:odd] * 0.4 + np.r_[1.5, 1.5, np.zeros(18)]
    scores = rng.exponential(size=n)
    scores[:odd] += 0.7
    members = np.column_stack([scores + rng.normal(size=n) * 0.3, rng.exponential(size=n)]).astype(np.float32)
    return Evidence(scores, members, features), np.arange(n) < odd


def replayed(known, odd, looks, every=5):
    """How many odd images are found with labels, and how many by the unlabelled order."""
    labels = {}
    while len(labels) < looks:
        for row in next_shown(learn(known, labels), labels, every):
            labels[int(row)] = bool(odd[row])
    return sum(labels.values()), int(odd[np.argsort(-known.scores)[:looks]].sum())


def test_without_labels_the_order_is_the_unlabelled_one():
    known, _ = evidence()
    lesson = learn(known, {})
    assert np.array_equal(lesson.scores, known.scores)
    assert np.array_equal(next_shown(lesson, {}, 50), np.argsort(-known.scores, kind="stable")[:50])
    assert (np.diff(lesson.probability[np.argsort(known.scores)]) >= 0).all()


def test_labels_find_a_kind_that_the_scores_hardly_see():
    found, unlabelled = np.sum([replayed(*evidence(seed=seed), 100) for seed in range(3)], axis=0)
    assert found > 1.5 * unlabelled


def test_what_was_said_stands():
    known, _ = evidence()
    lesson = learn(known, {3: True, 900: False, 901: True})
    assert lesson.probability[[3, 900, 901]].tolist() == [1, 0, 1]
    unseen = np.delete(lesson.scores, [3, 900, 901])
    assert lesson.scores[[3, 901]].min() > unseen.max()
    assert lesson.scores[900] < unseen.min()
    assert not set(next_shown(lesson, [3, 900, 901], 4500).tolist()) & {3, 900, 901}


def test_bounds_hold_the_probability_between_them():
    known, odd = evidence()
    lesson = learn(known, {row: bool(odd[row]) for row in range(50, 70)})
    assert ((lesson.low <= lesson.probability) & (lesson.probability <= lesson.high)).all()
    assert ((lesson.low >= 0) & (lesson.high <= 1)).all()


def test_the_order_of_images_does_not_matter():
    known, odd = evidence()
    labels = {row: bool(odd[row]) for row in range(40, 80)}
    order = np.random.default_rng(1).permutation(len(known))
    place = np.argsort(order)
    other = learn(known.of(order), {int(place[row]): label for row, label in labels.items()})
    lesson = learn(known, labels)
    np.testing.assert_allclose(other.scores, lesson.scores[order], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(other.probability, lesson.probability[order], rtol=1e-3, atol=1e-6)


def test_a_new_image_is_judged_as_a_fitted_one_and_alone():
    known, odd = evidence()
    for labels in ({}, {row: bool(odd[row]) for row in range(40, 80)}):
        lesson = learn(known, labels)
        rows = np.arange(100, 140)
        scores, probability = lesson.judge(known.of(rows))
        np.testing.assert_allclose(scores, lesson.scores[rows], rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(probability, lesson.probability[rows], rtol=1e-3)
        alone = [lesson.judge(known.of(rows[i : i + 1])) for i in range(len(rows))]
        assert np.concatenate([one for one, _ in alone]).tolist() == scores.tolist()
        assert np.concatenate([one for _, one in alone]).tolist() == probability.tolist()


def test_evidence_without_features_is_learned_from_too():
    known, odd = evidence()
    bare = Evidence(known.scores, known.members, np.zeros((len(known), 0), np.float32))
    lesson = learn(bare, {row: bool(odd[row]) for row in range(40, 80)})
    assert np.isfinite(lesson.scores).all()
    assert np.ptp(lesson.scores[100:]) > 0


def test_images_that_do_not_differ_are_ranked_alike():
    known = Evidence(np.ones(30), np.ones((30, 2), np.float32), np.ones((30, 4), np.float32))
    lesson = learn(known, {0: True, 1: False})
    assert np.isfinite(lesson.scores).all()
    assert np.ptp(lesson.scores[2:]) < 1e-4


def test_all_may_be_labelled():
    known, odd = evidence(200, 20)
    lesson = learn(known, dict(enumerate(odd.tolist())))
    assert np.array_equal(lesson.probability, odd)
    assert len(lesson.unseen) == 0


def test_a_row_that_there_is_not_is_refused():
    known, _ = evidence()
    for row in (4500, -1):
        with pytest.raises(OptionError, match=f"There is no row {row}: the evidence has 4500"):
            learn(known, {row: True})


def test_parts_of_unequal_length_are_refused():
    with pytest.raises(OptionError, match="a row an image in each part"):
        Evidence(np.zeros(3), np.zeros((4, 1), np.float32), np.zeros((3, 2), np.float32))


def test_an_anchor_is_one_to_the_rank():
    known = Evidence(np.array([5.0, 9.0, 1.0, 1.0]), np.zeros((4, 1), np.float32), np.zeros((4, 0), np.float32))
    assert np.exp(-known.placed.anchor).round(9).tolist() == [2, 1, 3.5, 3.5]
    assert np.exp(-known.frame.anchor(np.array([10.0, 4.0, 0.0]))).round(9).tolist() == [1, 2.5, 4.5]


def test_likeness_is_a_covariance_and_alone_the_same():
    known, _ = evidence(200, 20)
    placed = known.placed
    together = likeness(placed, placed)
    np.testing.assert_allclose(likeness(placed, placed, alone=True), together, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(np.diag(together), prior_variance(placed), rtol=1e-4)
    assert np.linalg.eigvalsh(together.astype(np.float64)).min() > -1e-2


def test_certainty_grows_with_labels_and_follows_what_was_said():
    rng = np.random.default_rng(0)
    unseen = np.sort(rng.normal(-6, 1, 3000))
    expected = rng.normal(0, 2, 400)
    rarely = compared(expected, rng.random(400) < 0.1, unseen)
    often = compared(expected, rng.random(400) < 0.8, unseen)
    assert rarely.probability(np.zeros(1))[0] < 0.25 < 0.6 < often.probability(np.zeros(1))[0]
    few = compared(expected[:10], rng.random(10) < 0.5, unseen)
    assert few.spread(np.zeros(1))[1] > often.spread(np.zeros(1))[1]
    assert compared(np.empty(0), np.zeros(0, bool), unseen).probability(np.array([-8.0]))[0] < 0.1


def test_probabilities_never_fall_with_the_odds():
    rng = np.random.default_rng(0)
    odds = np.linspace(-300, 300, 4000)
    for count in (0, 3, 30, 300):
        for share in (0.0, 0.1, 0.9, 1.0):
            certainty = compared(rng.normal(-1, 3, count), rng.random(count) < share, np.sort(rng.normal(-6, 2, 500)))
            assert (np.diff(certainty.probability(odds)) >= -1e-12).all()
