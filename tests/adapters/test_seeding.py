import numpy as np
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from oddlens import rank
from oddlens.adapters.seeding import seeded


def test_a_seed_is_given_where_there_is_none_in_steps_too():
    line = seeded(make_pipeline(StandardScaler(), PCA(2), IsolationForest(random_state=1)), 7)
    assert (line[1].random_state, line[2].random_state) == (7, 1)
    assert seeded(StandardScaler(), 7).get_params() == StandardScaler().get_params()


def test_a_ranking_with_what_others_drew_at_random_comes_out_twice():
    images = np.random.default_rng(0).integers(0, 256, (60, 24, 24), dtype=np.uint8)
    encoder = PCA(5, svd_solver="randomized", iterated_power=1)
    options = {"encoder": encoder, "detector": IsolationForest(n_estimators=20)}
    one, two, other = (rank(images, random_state=seed, **options).scores for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, other)
