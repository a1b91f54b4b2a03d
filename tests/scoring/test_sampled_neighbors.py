import numpy as np
import pytest
from sklearn.base import clone

from oddlens.decisions import fit_null
from oddlens.detectors import neighbors
from oddlens.detectors.neighbors import Neighbors
from oddlens.errors import OptionError, SavedModelError
from oddlens.protocols import Encoded
from oddlens.scoring import large_neighborhood, neighborhood, sampled_neighbors
from oddlens.scoring.inverted_lists import InvertedLists
from oddlens.scoring.neighborhood import Neighborhood
from oddlens.scoring.sampled_neighbors import kth_distances, roughly

N = 6000


@pytest.fixture
def many(monkeypatch):
    """In small: a sample of 1,500, a quarter of the lists."""
    monkeypatch.setattr(neighbors, "MOST_EXACT", 1000)
    monkeypatch.setattr(neighborhood, "REFERENCE_ROWS", 1500)
    monkeypatch.setattr(large_neighborhood, "MOST_WHOLE", 0)
    monkeypatch.setattr(large_neighborhood, "FEWEST_PROBED", N // 4)
    monkeypatch.setattr(sampled_neighbors, "ROUGH_ROWS", 100)


def kinds(n=N, d=8, seed=0):
    rng = np.random.default_rng(seed)
    centres, widths, kind = 3 * rng.normal(size=(10, d)), rng.uniform(0.5, 1.5, 10), rng.integers(0, 10, n)
    return (centres[kind] + widths[kind, None] * rng.normal(size=(n, d))).astype(np.float32)


def encoded(rows):
    return Encoded(embedding=np.asarray(rows, np.float32))


def overlap(one, two, share=0.01):
    count = int(share * len(one))
    return len(np.intersect1d(np.argsort(-one)[:count], np.argsort(-two)[:count])) / count


OPTIONS = [{"k": 5}, {"k": 50}, {"k": 5, "combine": "mean"}, {"k": 20, "metric": "cosine"},
           {"k": 20, "metric": "cosine", "combine": "mean"}, {"k": 5, "local": 0.25}]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_the_strangest_are_the_right_ones_and_the_null_is_too(options, monkeypatch, many):
    rows = kinds()
    got = Neighbors(**options).fit(encoded(rows)).score_own()
    monkeypatch.setattr(neighbors, "MOST_EXACT", N)
    wanted = Neighbors(**options).fit(encoded(rows)).score_own()
    assert overlap(got, wanted) >= (0.98 if "local" not in options else 0.95)  # those around are rough there
    top = np.argsort(-wanted)[: N // 100]
    assert got[top] == pytest.approx(wanted[top], rel=3e-3 if "local" not in options else 0.03)
    right, found = fit_null(wanted), fit_null(got)
    assert found.location == pytest.approx(right.location, abs=0.1 * right.scale)
    assert found.scale == pytest.approx(right.scale, rel=0.1)


@pytest.mark.parametrize("options", [*OPTIONS, {}], ids=str)
def test_new_rows_are_on_the_scale_of_the_fitted_ones_each_alone_and_survive_saving(options, many):
    rows = kinds(2 * N)
    detector = Neighbors(**options).fit(encoded(rows[:N]))
    new = detector.score_new(encoded(rows[N:]))
    assert np.median(new) == pytest.approx(np.median(detector.score_own()), rel=0.1 if "metric" in options else 0.05)
    few = rows[N : N + 7]
    assert np.array_equal(detector.score_new(encoded(few)), new[:7])
    assert detector.score_new(encoded(few[:1]))[0] == new[0]
    state = detector.get_state()
    assert state["rows"].shape == (1500, 8)
    again = clone(detector).set_state(state)
    assert np.array_equal(again.score_own(), detector.score_own())
    assert np.array_equal(again.score_new(encoded(few)), new[:7])
    assert (again.k_, again.local_) == (detector.k_, detector.local_)
    with pytest.raises(OptionError, match="fitted to 8 features, got 7"):
        again.score_new(encoded(few[:, :7]))


def test_an_odd_new_row_is_as_strange_as_it_was_among_the_fitted(many):
    rows = kinds()
    rows[0] = 40
    detector = Neighbors(k=5).fit(encoded(rows))
    assert detector.score_new(encoded(rows[:1]))[0] == pytest.approx(detector.score_own()[0], rel=0.3)


def test_copies(many):
    rows = kinds()
    rows[:30], rows[30:33] = 25, -25
    own = Neighbors(k=10).fit(encoded(rows)).score_own()
    assert (own[:30] == 0).all()  # a common sight
    assert (own[30:33] > np.sort(own[33:])[-1]).all()
    assert len(set(own[30:33])) == 1


def test_of_many_images_few_of_which_differ_the_search_is_exact(many):
    rows = np.tile(kinds(500), (12, 1))
    detector = Neighbors(k=3).fit(encoded(rows))
    assert detector.sampled_ is None
    assert (detector.score_own() == 0).all()


def test_threads_make_no_difference(many):
    rows = kinds()
    one, two = (Neighbors(k=5, n_jobs=jobs).fit(encoded(rows)) for jobs in (1, 2))
    assert np.array_equal(one.score_own(), two.score_own())


def test_it_can_be_fitted_again_to_few_and_to_many(many):
    detector = Neighbors(k=5).fit(encoded(kinds()))
    few = kinds(300)
    assert np.array_equal(detector.fit(encoded(few)).score_own(), Neighbors(k=5).fit(encoded(few)).score_own())
    assert detector.sampled_ is None
    assert set(detector.get_state()) == {"rows", "own"}


@pytest.mark.parametrize("most", [16_384, 200])
def test_roughly_is_at_least_the_distance_and_close_to_it(monkeypatch, most):
    monkeypatch.setattr(sampled_neighbors, "MOST_ROUGH", most)
    rows = kinds(3000)
    sample = np.arange(0, 3000, 4)
    near = Neighborhood(rows[sample], np.array([1]), np.ones(1))
    lists = InvertedLists(near, rows, sample, 2)
    lists.survey(lambda part, distances: None, near.ranks)
    found = roughly(lists, 5) / near.unit
    exact = np.sort(np.linalg.norm(rows[:, None] - rows[::1], axis=2), axis=1)[:, 5]
    assert (found > exact * (1 - 1e-3)).all()
    assert np.median(found / exact) < {16_384: 1.01, 200: 1.6}[most]


def test_the_kth_distance_of_few():
    products = np.zeros((2, 3), np.float32)
    lengths, others = np.zeros(2, np.float32), np.float32([1, 4, 9])
    own, names = np.int32([7, 1]), np.int32([1, 2, 3])
    assert kth_distances(products, lengths, others, own, names, 2).tolist() == [2, 3]
    assert kth_distances(products, lengths, others, own, names, 9).tolist() == [3, 3]


@pytest.mark.parametrize(("change", "reason"), [
    ({"usual": None}, "lack usual"), ({"rank": np.array([1.0])}, "lack rank"), ({"plain": np.zeros(3)}, "do not fit"),
    ({"rank": np.array([1, 2]), "usual": np.ones(2)}, "do not fit"), ({"numbers": np.zeros(3)}, "cannot be"),
    ({"numbers": np.array([2.0, 5])}, "cannot be"), ({"numbers": np.array([0, np.nan])}, "cannot be"),
    ({"plain": np.full(1500, np.nan)}, "not finite"), ({"own": np.zeros((3, 2))}, "one finite number"),
    ({"own": np.full(N, np.inf)}, "one finite number"), ({"usual": np.zeros(1)}, "cannot be"),
])
def test_hostile_states(change, reason, many):
    state = {**Neighbors(k=5).fit(encoded(kinds())).get_state(), **change}
    with pytest.raises(SavedModelError, match=reason):
        Neighbors(k=5).set_state({key: value for key, value in state.items() if value is not None})
