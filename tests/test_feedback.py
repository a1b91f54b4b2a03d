"""Learning from labels: what it promises on made-up evidence whose truth is known."""

import numpy as np
import pytest

from oddlens.errors import OptionError
from oddlens.feedback import Evidence, anchored, learn, next_shown, posterior, standard


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
    other = learn(Evidence(known.scores[order], known.members[order], known.features[order]),
                  {int(place[row]): label for row, label in labels.items()})
    np.testing.assert_allclose(other.scores, learn(known, labels).scores[order], rtol=1e-6)


def test_a_row_that_there_is_not_is_refused():
    known, _ = evidence()
    with pytest.raises(OptionError, match="There is no row 4500: the evidence has 4500"):
        learn(known, {4500: True})


def test_parts_of_unequal_length_are_refused():
    with pytest.raises(OptionError, match="a row an image in each part"):
        Evidence(np.zeros(3), np.zeros((4, 1), np.float32), np.zeros((3, 2), np.float32))


def test_an_anchor_is_one_to_the_rank():
    assert np.exp(-anchored(np.array([5.0, 9.0, 1.0, 1.0]))).round(9).tolist() == [2, 1, 3.5, 3.5]


def test_a_constant_column_says_nothing():
    assert standard(np.array([[1, 0], [1, 2]], np.float32)).tolist() == [[0, -1], [0, 1]]


def test_the_posterior_is_the_prior_without_data_and_the_mode_with():
    mean, spread = np.array([1.0, -2.0]), np.array([0.5, 3.0])
    nothing = posterior(np.zeros((0, 2)), np.zeros(0, bool), np.zeros(0), mean, spread)
    np.testing.assert_allclose(nothing[0], mean)
    np.testing.assert_allclose(nothing[1], np.diag(spread**2))
    rng = np.random.default_rng(0)
    design, odd, weights = rng.normal(size=(80, 2)), rng.random(80) < 0.5, rng.random(80)
    mode, _ = posterior(design, odd, weights, mean, spread)

    def loss(at):
        z = design @ at
        return weights @ (np.logaddexp(0, z) - odd * z) + (((at - mean) / spread) ** 2).sum() / 2

    assert all(loss(mode) < loss(mode + step) for step in np.r_[np.eye(2), -np.eye(2)] * 0.01)
