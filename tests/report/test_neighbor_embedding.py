import numpy as np
import pytest
from sklearn.manifold import TSNE

from oddlens.report.neighbor_embedding import embedded


def kinds(count=4, each=50, d=20):
    rng = np.random.default_rng(0)
    kind = np.repeat(np.arange(count), each)
    return kind, rng.normal(0, 4, (count, d))[kind] + rng.normal(size=(count * each, d))


def start(features):
    return features[:, :2] / features[:, 0].std() * 1e-4


def kept(places, features, k=10):
    """The share of the nearest by features that are among the nearest by places."""
    def nearest(rows):
        apart = np.square(rows[:, None] - rows).sum(2)
        np.fill_diagonal(apart, np.inf)
        return apart.argsort(1)[:, :k]
    return np.mean([len(set(a) & set(b)) / k for a, b in zip(nearest(places), nearest(features), strict=True)])


def test_neighbours_stay_neighbours_as_often_as_in_scikit_learn():
    _, features = kinds()
    ours = embedded(features, start(features), 30, 500)
    theirs = TSNE(2, perplexity=30, init=start(features).astype(np.float32), max_iter=500, method="exact",
                  random_state=0).fit_transform(features)
    assert kept(ours, features) > kept(theirs, features) - 0.02 > 0.3


def test_kinds_lie_apart():
    kind, features = kinds()
    places = embedded(features, start(features), 30, 500)
    apart = np.linalg.norm(places[:, None] - places, axis=2)
    np.fill_diagonal(apart, np.inf)
    assert (kind[apart.argmin(1)] == kind).all()


def test_it_is_the_same_each_time_in_any_unit_and_leaves_the_start_as_it_was():
    _, features = kinds()
    first = np.asfortranarray(start(features).astype(np.float32))
    before = first.copy()
    places = embedded(features, first, 30, 60)
    assert np.array_equal(first, before)
    assert np.array_equal(places, embedded(features * 1024, first, 30, 60))


def test_the_rows_around_a_row_count_by_the_perplexity():
    """With few of them in view, what lies far away has no say in where a row lies."""
    _, features = kinds()
    narrow, wide = (embedded(features, start(features), perplexity, 500) for perplexity in (5, 60))
    assert kept(narrow, features, 3) > kept(wide, features, 3)


@pytest.mark.parametrize("features", [np.zeros((30, 4)), np.repeat([[0.0, 1.0], [1.0, 0.0]], 15, 0), np.eye(30)])
def test_rows_that_hardly_differ_have_finite_places(features):
    first = np.random.default_rng(0).normal(0, 1e-4, (len(features), 2))
    assert np.isfinite(embedded(features, first, 9, 300)).all()
