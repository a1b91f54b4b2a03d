import numpy as np

from oddlens.calibration import fuse, log_tail


def test_bulk_is_the_share_at_or_above():
    fitted = np.arange(100.0)
    # half of the scores lie above the median: minus log of one half
    assert np.isclose(log_tail(fitted, np.array([49.5]))[0], np.log(2))
    assert log_tail(fitted, np.array([-5.0]))[0] == 0


def test_an_exponential_tail_is_found_exactly_beyond_all_fitted_scores():
    scores = -np.log(1 - (np.arange(5000) + 0.5) / 5000)  # quantiles of the exponential law
    new = np.array([3.0, 6.0, 12.0, 24.0])
    assert np.allclose(log_tail(scores, new), new, rtol=0.02)


def test_order_is_kept_and_units_do_not_matter():
    rng = np.random.default_rng(0)
    fitted, new = rng.gamma(2, 1, 300), np.sort(rng.gamma(2, 3, 200))
    tail = log_tail(fitted, new)
    assert (np.diff(tail) >= 0).all()
    assert np.allclose(log_tail(fitted * 1e-6, new * 1e-6), tail)


def test_the_batch_being_scored_has_no_say():
    fitted, new = np.random.default_rng(1).normal(size=(2, 50))
    alone = np.array([log_tail(fitted, new[i : i + 1])[0] for i in range(50)])
    assert np.array_equal(alone, log_tail(fitted, new))


def test_all_scores_equal_and_one_score_are_no_trouble():
    assert np.isfinite(log_tail(np.ones(20), np.array([0.0, 1.0, 2.0]))).all()
    assert (np.diff(log_tail(np.ones(20), np.array([0.0, 1.0, 2.0]))) > 0).all()
    assert np.isfinite(log_tail(np.ones(1), np.array([1.0]))).all()


def test_fusion_is_the_mean_of_log_tails():
    a, b = np.random.default_rng(2).normal(size=(2, 80))
    assert np.allclose(fuse([a, b], [a, b]), (log_tail(a, a) + log_tail(b, b)) / 2)
