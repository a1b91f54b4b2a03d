import numpy as np

from oddlens.ranking import Ranking
from oddlens.review.likeness import OFFERED, Likeness


def of(features, scores=None, group=None):
    n = len(features)
    measures = {} if group is None else {"group": np.asarray(group, np.float64)}
    ranking = Ranking(tuple(map(str, range(n))), np.arange(n, dtype=float) if scores is None else scores,
                      measures=measures)
    return Likeness(np.asarray(features, np.float32), ranking)


def test_the_nearest_are_those_of_all_distances():
    features = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    found = of(features).nearest(7, 5)
    apart = np.linalg.norm(features - features[7], axis=1)
    apart[7] = np.inf
    assert found == np.argsort(apart)[:5].tolist()


def test_ordinary_are_of_the_less_strange_half_and_not_called_odd():
    likeness = of(np.arange(10.0)[:, None])
    assert likeness.ordinary(9) == [4, 3, 2, 1]
    assert likeness.ordinary(9, odd=[4]) == [3, 2, 1, 0]


def test_a_group_is_shown_whole_and_what_is_labelled_left_out():
    likeness = of(np.arange(30.0)[:, None], group=[-1] * 20 + [0] * 6 + [1] * 4)
    still_open = np.ones(30, bool)
    assert likeness.alike(22, still_open) == ([22, 21, 23, 20, 24, 25], True) or likeness.alike(22, still_open)[1]
    assert sorted(likeness.alike(22, still_open)[0]) == [20, 21, 22, 23, 24, 25]
    still_open[[20, 25]] = False
    assert sorted(likeness.alike(22, still_open)[0]) == [21, 22, 23, 24]


def test_of_an_image_alone_the_nearest_are_offered():
    rows, found = of(np.arange(30.0)[:, None], group=[-1] * 30).alike(3, np.ones(30, bool))
    assert rows[0] == 3
    assert set(rows) == set(range(OFFERED))
    assert not found


def test_without_features_nothing_is_alike():
    likeness = of(np.zeros((5, 0)))
    assert likeness.nearest(2, 3) == []
    assert likeness.alike(2, np.ones(5, bool)) == ([2], False)


