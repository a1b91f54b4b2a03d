"""Gaussian process classification: the mode, the variances, what is left out, and the line."""

import numpy as np
from scipy.special import expit

from oddlens.posterior import averaged, fitted, line


def labelled(n=40, seed=0):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(n, 2))
    odd = rng.random(n) < expit(2 * points[:, 0])
    distance = ((points[:, None] - points) ** 2).sum(-1)
    return points @ points.T + 4 * np.exp(-distance / 2), np.full(n, -0.5), odd


def log_posterior(values, likeness, prior, odd):
    fit = -np.logaddexp(0, np.where(odd, -values, values)).sum()
    return fit - (values - prior) @ np.linalg.solve(likeness, values - prior) / 2


def test_it_is_the_mode():
    likeness, prior, odd = labelled()
    likeness = likeness + 1e-3 * np.eye(len(odd))
    found = fitted(likeness, prior, odd)
    mode = prior + likeness @ found.pull
    best = log_posterior(mode, likeness, prior, odd)
    rng = np.random.default_rng(1)
    for _ in range(50):
        assert log_posterior(mode + 0.05 * rng.normal(size=len(odd)), likeness, prior, odd) < best


def test_the_variances_are_those_of_the_laplace_approximation():
    likeness, prior, odd = labelled()
    found = fitted(likeness, prior, odd)
    p = expit(prior + likeness @ found.pull)
    exact = np.linalg.inv(np.linalg.inv(likeness + 1e-9 * np.eye(len(odd))) + np.diag(p * (1 - p)))
    told = likeness @ found.factor.T
    np.testing.assert_allclose(likeness - told @ told.T, exact, atol=1e-4)


def test_what_is_left_out_is_about_what_the_others_say():
    likeness, prior, odd = labelled()
    found = fitted(likeness, prior, odd)
    for i in (0, 7, 20):
        rest = np.arange(len(odd)) != i
        others = fitted(likeness[np.ix_(rest, rest)], prior[rest], odd[rest])
        expected = prior[i] + others.shift(likeness[i : i + 1, rest])[0]
        assert abs(found.left_out[i] - expected) < 0.3


def test_without_labels_nothing_moves():
    found = fitted(np.zeros((0, 0)), np.zeros(0), np.zeros(0, bool))
    assert found.shift(np.zeros((3, 0))).tolist() == [0, 0, 0]


def test_labels_that_are_sure_stay_finite():
    likeness = np.full((60, 60), 100.0)
    found = fitted(likeness, np.full(60, -9.0), np.ones(60, bool))
    assert np.isfinite(found.left_out).all()
    assert (-9 + found.shift(likeness[:1]))[0] > 3


def test_averaged_is_less_sure():
    assert averaged(np.array([3.0]), np.array([0.0]))[0] == expit(3.0)
    assert 0.5 < averaged(np.array([3.0]), np.array([9.0]))[0] < expit(3.0)


def test_a_line_is_the_prior_without_labels_and_the_truth_with_many():
    mean, spread = np.array([-1.0, 1.5]), np.array([2.0, 0.5])
    nothing = line(np.zeros(0), np.zeros(0, bool), np.zeros(0), mean, spread)
    np.testing.assert_allclose(nothing.at, mean)
    np.testing.assert_allclose(nothing.covariance, np.diag(spread**2))
    np.testing.assert_allclose(nothing.odds(np.array([2.0])), [[2.0], [4 + 4 * 0.25]])
    rng = np.random.default_rng(0)
    scores = rng.normal(0, 2, 5000)
    odd = rng.random(5000) < expit(0.5 + scores)
    many = line(scores, odd, np.ones(5000), mean, spread)
    np.testing.assert_allclose(many.at, [0.5, 1.0], atol=0.15)
    assert np.diag(many.covariance).max() < 0.01
