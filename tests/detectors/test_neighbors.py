import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.neighbors import NearestNeighbors

from oddlens import arrays
from oddlens.detectors import neighbors
from oddlens.detectors.neighbors import Neighbors
from oddlens.errors import OptionError, SavedModelError
from oddlens.protocols import Encoded


def encoded(rows):
    return Encoded(embedding=np.asarray(rows, np.float32))


def line(*values):
    return encoded(np.array(values)[:, None])


def cloud(n=300, d=7, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


def brute(rows, k, mean=False):
    """Every row's distance to its k-th nearest other row, the slow and certain way; copies are not known here."""
    rows = np.asarray(rows, np.float64)
    distances = np.sqrt(((rows[:, None] - rows[None]) ** 2).sum(2))
    np.fill_diagonal(distances, np.inf)
    nearest = np.sort(distances, 1)[:, :k]
    return nearest.mean(1) if mean else nearest[:, -1]


@pytest.fixture
def scans(monkeypatch):
    """How many rows were compared with all others, call by call."""
    counts = []

    def counted(rows, *rest):
        counts.append(len(rows))
        return nearest_of_all(rows, *rest)

    nearest_of_all = neighbors.nearest_of_all
    monkeypatch.setattr(neighbors, "nearest_of_all", counted)
    return counts


class TestKnownAnswers:
    def test_kth(self):
        assert Neighbors(k=1).fit(line(0, 1, 3, 7)).score_own().tolist() == [1, 1, 2, 4]
        assert Neighbors(k=2).fit(line(0, 1, 3, 7)).score_own().tolist() == [3, 2, 3, 6]
        assert Neighbors(k=3).fit(line(0, 1, 3, 7)).score_own().tolist() == [7, 6, 4, 7]

    def test_mean(self):
        own = Neighbors(k=2, combine="mean").fit(line(0, 1, 3, 7)).score_own()
        assert own.tolist() == [2, 1.5, 2.5, 5]

    def test_new(self):
        fitted = Neighbors(k=2).fit(line(0, 1, 3, 7))
        assert fitted.score_new(line(2, 10, -1)).tolist() == [1, 7, 2]

    def test_cosine(self):
        own = Neighbors(k=1, metric="cosine").fit(encoded([[1, 0], [5, 0.0001], [0, 2], [0, 0], [-3, 0]])).score_own()
        assert own == pytest.approx([2e-10, 2e-10, 0.5, 0.5, 0.5], abs=1e-9)

    @pytest.mark.parametrize("metric", ["euclidean", "cosine"])
    @pytest.mark.parametrize("combine", ["kth", "mean"])
    def test_as_scikit_learn(self, metric, combine):
        rows = cloud()
        distances, _ = NearestNeighbors(n_neighbors=5, metric=metric).fit(rows.astype(np.float64)).kneighbors()
        expected = distances[:, -1] if combine == "kth" else distances.mean(1)
        own = Neighbors(k=5, combine=combine, metric=metric).fit(encoded(rows)).score_own()
        assert own == pytest.approx(expected, rel=1e-5)

    @pytest.mark.parametrize(("n", "k"), [(2, 1), (19, 1), (40, 2), (300, 15), (1000, 50), (1300, 50)])
    def test_the_default_k(self, n, k):
        assert Neighbors().fit(encoded(cloud(n, 2))).k_ == k

    def test_a_planted_image_comes_first(self):
        rows = cloud(500)
        rows[123] += 9
        assert Neighbors().fit(encoded(rows)).score_own().argmax() == 123


class TestCopies:
    def test_copies_of_one_odd_image_do_not_hide_each_other(self):
        own = Neighbors(k=2).fit(line(0, 1, 2, 3, 50, 50)).score_own()
        assert own[4] == own[5] == 48

    def test_with_k_copies_beside_it_an_image_is_odd_and_with_one_more_it_is_common(self):
        assert Neighbors(k=2).fit(line(0, 1, 2, 3, 50, 50, 50)).score_own()[4:].tolist() == [48, 48, 48]
        assert Neighbors(k=2).fit(line(0, 1, 2, 3, 50, 50, 50, 50)).score_own()[4:].tolist() == [0, 0, 0, 0]

    @pytest.mark.parametrize("combine", ["kth", "mean"])
    def test_copies_of_other_images_count_each(self, combine):
        own = Neighbors(k=3, combine=combine).fit(line(0, 5, 5, 9)).score_own()
        assert own[0] == (9 if combine == "kth" else pytest.approx(19 / 3))
        assert Neighbors(k=2, combine=combine).fit(line(0, 5, 5, 9)).score_own()[0] == 5

    def test_where_too_few_others_are_left_these_count(self):
        assert Neighbors(k=3).fit(line(0, 0, 0, 4)).score_own().tolist() == [4, 4, 4, 4]

    @pytest.mark.parametrize("n", [2, 3, 10])
    def test_all_the_same(self, n):
        fitted = Neighbors().fit(encoded(np.ones((n, 4))))
        assert fitted.score_own().tolist() == [0] * n
        assert fitted.score_new(encoded([[1, 1, 1, 1], [1, 1, 1, 3]])).tolist() == [0, 2]

    def test_minus_zero_is_zero(self):
        assert Neighbors(k=1).fit(line(0.0, -0.0, 3)).score_own().tolist() == [3, 3, 3]
        assert Neighbors(k=1).fit(line(0.0, -0.0, -0.0, 3)).score_own().tolist() == [0, 0, 0, 3]

    @pytest.mark.parametrize("combine", ["kth", "mean"])
    @pytest.mark.parametrize("metric", ["euclidean", "cosine"])
    def test_the_fitted_images_score_the_same_when_they_come_as_new(self, combine, metric):
        rows = np.concatenate([cloud(60, 3), cloud(60, 3)[:20], np.repeat(cloud(60, 3)[:2], 9, 0)])
        fitted = Neighbors(k=4, combine=combine, metric=metric).fit(encoded(rows))
        assert np.array_equal(fitted.score_new(encoded(rows)), fitted.score_own())
        assert (fitted.score_own() == 0).sum() == 22
        assert (fitted.score_own() > 0).sum() == 76

    def test_copies_are_told_apart_in_few_and_many_features(self):
        for d in (1, 2, 300):
            rows = np.tile(np.arange(40.0), (d, 1)).T
            rows[7] = rows[8]
            own = Neighbors(k=1).fit(encoded(rows)).score_own() / np.sqrt(d)
            assert own == pytest.approx(np.ones(40))


class TestExact:
    """FAISS proposes by squares less twice the product, which is wrong for tight clusters that lie far apart."""

    @staticmethod
    def tight(gap, spread=0.01, n=2500, d=64):
        rng = np.random.default_rng(0)
        return (rng.normal(0, spread, (n, d)) + gap * rng.choice([-1, 1], (n, 1))).astype(np.float32)

    def test_faiss_alone_would_be_wrong_here(self):
        import faiss

        rows = self.tight(10)
        index = faiss.IndexFlatL2(rows.shape[1])
        index.add(rows)
        found = index.search(rows, 14)[1]
        exact = np.sort(np.linalg.norm(rows[:, None].astype(np.float64) - rows[found], axis=2), 1)[:, 5]
        assert np.mean(np.abs(exact - brute_kth(rows, 5)) > 1e-6) > 0.5

    @pytest.mark.parametrize("gap", [10, 1000])
    def test_tight_clusters_far_apart(self, gap, scans):
        rows = self.tight(gap)
        own = Neighbors(k=5).fit(encoded(rows)).score_own()
        assert np.allclose(own, brute_kth(rows, 5), rtol=1e-12)
        assert sum(scans) > 1000

    def test_new_rows_do_not_depend_on_their_batch(self):
        rows = self.tight(10)
        fitted = Neighbors(k=5).fit(encoded(rows[:2300]))
        whole = fitted.score_new(encoded(rows[2300:]))
        alone = [fitted.score_new(encoded(rows[i : i + 1]))[0] for i in range(2300, 2340)]
        assert np.array_equal(whole[:40], alone)

    def test_plain_rows_need_no_second_look(self, scans):
        Neighbors().fit(encoded(cloud(3000, 50)))
        assert sum(scans) < 30

    def test_both_ways_give_the_same_last_digit(self):
        rows, fitted = arrays.read_only(cloud(70, 37)), arrays.read_only(cloud(600, 37, seed=1))
        everything = np.tile(np.arange(600), (70, 1))
        for copies in (True, False):
            one = neighbors.nearest_among(rows, fitted, everything, 9, copies)
            two = neighbors.nearest_of_all(rows, fitted, 9, copies)
            assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))

    @pytest.mark.parametrize("m", [1, 33, 64, 70])
    @pytest.mark.parametrize("copies", [True, False])
    def test_the_nearest_come_first_and_of_equals_the_first(self, m, copies):
        rng = np.random.default_rng(0)
        fitted = arrays.read_only(rng.integers(0, 4, (600, 2)).astype(np.float32))  # a grid: many are equally far
        rows = arrays.read_only(fitted[rng.permutation(600)[:m]])
        squares = np.square(rows[:, None].astype(np.float64) - fitted).sum(2)
        if copies:
            squares[squares == 0] = np.inf
        order = squares.argsort(1, kind="stable")[:, :9]
        shuffled = rng.permuted(np.tile(np.arange(600), (m, 1)), axis=1)
        for nearest in (neighbors.nearest_of_all(rows, fitted, 9, copies),
                        neighbors.nearest_among(rows, fitted, shuffled, 9, copies)):
            assert np.array_equal(nearest[1], order)
            assert np.array_equal(nearest[0], np.take_along_axis(squares, order, 1))

    def test_where_there_are_too_few_the_rest_is_nobody(self):
        fitted = arrays.read_only(np.array([[0, 0], [3, 4], [0, 1]], np.float32))
        proposed = np.array([[-1, 1, 0, -1]])
        squares, found = neighbors.nearest_among(fitted[:1], fitted, proposed, 4, False)
        assert (squares.tolist(), found.tolist()) == ([[0, 25, np.inf, np.inf]], [[0, 1, -1, -1]])
        squares, found = neighbors.nearest_of_all(fitted[:1], fitted, 4, True)
        assert (squares.tolist(), found.tolist()) == ([[1, 25, np.inf, np.inf]], [[2, 1, -1, -1]])

    def test_settled_is_what_lies_within_the_rounding(self):
        rows = np.array([[3, 4], [0, 0], [30, 40]], np.float32)
        fitted = Neighbors(k=1).fit(encoded([[1, 1], [-1, -1]]))  # centred at 0
        farthest = np.array([16.0, 4.0, 0.0])
        reach = np.array([2 * 5 + 4, 2, 2 * 50])
        edge = farthest + 10 * 2.0**-24 * reach**2
        assert fitted._settled(rows, farthest, edge * (1 + 1e-9)).tolist() == [True] * 3
        assert fitted._settled(rows, farthest, edge * (1 - 1e-9)).tolist() == [False] * 3
        far = np.full(2, np.inf)
        lengths = np.array([[0.4e-15], [0.6e-15]]), np.array([[0.6e18], [0.4e18]])
        for values, settled in zip(lengths, ([False, True], [False, True]), strict=True):
            detector = Neighbors(k=1).fit(line(1, -1))
            assert detector._settled(values.astype(np.float32), np.zeros(2), far).tolist() == settled

    def test_ties_on_a_grid(self):
        grid = np.stack(np.meshgrid(*[np.arange(4.0)] * 4), -1).reshape(-1, 4)
        assert np.array_equal(Neighbors(k=9).fit(encoded(grid)).score_own(), brute(grid, 9))

    @pytest.mark.parametrize("scale", [1e-30, 1e-19, 1e17, 1e19, 1e38])
    def test_very_small_and_very_large_features(self, scale):
        rows = (cloud(200, 3) / 5 * scale).astype(np.float32)
        assert Neighbors(k=3).fit(encoded(rows)).score_own() == pytest.approx(brute(rows, 3), rel=1e-12)


def brute_kth(rows, k):
    return NearestNeighbors(n_neighbors=k, algorithm="kd_tree").fit(rows.astype(np.float64)).kneighbors()[0][:, -1]


class TestSameEverywhere:
    def test_threads(self, monkeypatch):
        monkeypatch.setattr(neighbors, "SEARCH_ROWS", 100)
        rows = np.concatenate([cloud(1000, 30), TestExact.tight(10, n=200, d=30)])
        one, two = (Neighbors(n_jobs=jobs).fit(encoded(rows)) for jobs in (1, 2))
        assert np.array_equal(one.score_own(), two.score_own())
        new = encoded(cloud(450, 30, seed=3))
        assert np.array_equal(one.score_new(new), two.score_new(new))

    def test_batches_and_parts(self, monkeypatch):
        rows = encoded(cloud(700, 30))
        expected = Neighbors().fit(rows).score_own()
        monkeypatch.setattr(neighbors, "BATCH_ROWS", 64)
        monkeypatch.setattr(neighbors, "SEARCH_ROWS", 10)
        assert np.array_equal(Neighbors().fit(rows).score_own(), expected)

    def test_new_rows_are_independent(self):
        fitted = Neighbors().fit(encoded(cloud(400, 30)))
        new = cloud(50, 30, seed=1)
        whole = fitted.score_new(encoded(new))
        assert np.array_equal(whole, [fitted.score_new(encoded(row[None]))[0] for row in new])
        assert np.array_equal(whole[::-1], fitted.score_new(encoded(new[::-1])))

    def test_order_of_the_fitted_images(self):
        rows = cloud(400, 30)
        own = Neighbors().fit(encoded(rows)).score_own()
        assert np.allclose(Neighbors().fit(encoded(rows[::-1])).score_own()[::-1], own, rtol=1e-14)

    @pytest.mark.parametrize("metric", ["euclidean", "cosine"])
    def test_state_round_trip(self, metric):
        rows = np.concatenate([cloud(200, 6), cloud(200, 6)[:30]])
        fitted = Neighbors(metric=metric).fit(encoded(rows))
        state = {key: value.copy() for key, value in fitted.get_state().items()}
        for array in state.values():
            array.flags.writeable = False
        again = clone(fitted).set_state(state)
        new = encoded(cloud(40, 6, seed=4))
        assert np.array_equal(again.score_own(), fitted.score_own())
        assert np.array_equal(again.score_new(new), fitted.score_new(new))

    def test_mapped_and_strided_rows(self, tmp_path):
        rows = cloud(200, 6)
        np.save(tmp_path / "rows.npy", rows)
        expected = Neighbors().fit(encoded(rows)).score_own()
        mapped = Encoded(embedding=np.load(tmp_path / "rows.npy", mmap_mode="r"))
        assert np.array_equal(Neighbors().fit(mapped).score_own(), expected)
        assert np.array_equal(Neighbors().fit(Encoded(embedding=np.asfortranarray(rows))).score_own(), expected)

    def test_it_can_be_fitted_again_to_other_features(self):
        detector = Neighbors(k=1).fit(encoded(cloud(9, 5)))
        assert detector.fit(line(0, 1, 3)).score_own().tolist() == [1, 1, 2]

    def test_nothing_to_score(self):
        assert Neighbors().fit(encoded(cloud(9, 5))).score_new(encoded(np.empty((0, 5)))).shape == (0,)


class TestLocal:
    """Distances measured against those around them."""

    def two_kinds(self):
        rng = np.random.default_rng(0)
        wide, tight = rng.normal(0, 4, (200, 3)), rng.normal(50, 0.5, (200, 3))
        odd_among_tight = [[54.0, 50, 50]]  # nearer to its kind than many of the wide ones to theirs
        return np.concatenate([wide, tight, odd_among_tight]).astype(np.float32)

    def test_an_odd_one_of_a_tight_kind_comes_before_ordinary_ones_of_a_wide_kind(self):
        rows = encoded(self.two_kinds())
        plain = Neighbors(k=10).fit(rows).score_own()
        local = Neighbors(k=10, local=1.0).fit(rows).score_own()
        assert (plain[:200] > plain[400]).sum() > 20
        assert local.argmax() == 400

    def test_the_formula(self):
        rows = cloud(60, 3)
        plain = brute(rows, 12)
        distances = np.sqrt(((rows[:, None].astype(float) - rows[None]) ** 2).sum(2))
        np.fill_diagonal(distances, np.inf)
        nearest = np.argsort(distances, 1)[:, :10]
        wide = np.quantile(plain, 0.75)
        around = np.exp(np.log(np.clip(plain, wide / 10, wide))[nearest].mean(1))
        got = Neighbors(k=12, local=0.3).fit(encoded(rows)).score_own()
        np.testing.assert_allclose(got, plain * (wide / around) ** 0.3)

    def test_it_never_lowers_a_distance_and_raises_it_tenfold_at_most(self):
        rows = encoded(np.concatenate([cloud(200, 3), cloud(40, 3) * 1e-6]))
        plain = Neighbors(k=12).fit(rows).score_own()
        ratio = Neighbors(k=12, local=1).fit(rows).score_own() / plain
        assert ratio.min() >= 1
        assert ratio.max() <= 10 + 1e-9

    def test_auto_is_a_quarter_among_many_kinds_and_nothing_in_one(self):
        rng = np.random.default_rng(0)
        many = rng.normal(0, 1, (600, 5)) + np.repeat(rng.normal(0, 30, (12, 5)), 50, axis=0)
        one = rng.normal(0, 1, (600, 50))
        assert Neighbors(local="auto").fit(encoded(many)).local_ == 0.25
        fitted = Neighbors(local="auto").fit(encoded(one))
        assert fitted.local_ == 0
        assert fitted.score_own().tolist() == Neighbors().fit(encoded(one)).score_own().tolist()

    def test_new_ones_are_measured_as_fitted_ones(self):
        rows = self.two_kinds()
        fitted = Neighbors(k=10, local=0.5).fit(encoded(rows))
        np.testing.assert_array_equal(fitted.score_new(encoded(rows)), fitted.score_own())  # copies of fitted ones
        moved = fitted.score_new(encoded(rows + np.float32(1e-6)))  # now each meets itself too: one neighbour nearer
        assert np.corrcoef(moved, fitted.score_own())[0, 1] > 0.98

    def test_saved_and_taken_back(self):
        rows = self.two_kinds()
        fitted = Neighbors(k=10, local=0.5).fit(encoded(rows))
        again = Neighbors(k=10, local=0.5).set_state(fitted.get_state())
        new = encoded(cloud(20, 3))
        np.testing.assert_array_equal(again.score_new(new), fitted.score_new(new))
        without = {name: array for name, array in fitted.get_state().items() if name != "plain"}
        for plain, reason in ((None, "lack the plain distances"), (np.zeros(400), "do not fit"),
                              (np.zeros((401, 1)), "do not fit"), (np.zeros(401, np.float32), "do not fit"),
                              (np.full(401, np.nan), "not finite")):
            with pytest.raises(SavedModelError, match=reason):
                Neighbors(k=10, local=0.5).set_state(without if plain is None else {**without, "plain": plain})

    def test_copies(self):
        rows = np.concatenate([cloud(30, 3), np.repeat(cloud(1, 3, seed=1), 40, axis=0)])
        own = Neighbors(k=10, local=1).fit(encoded(rows)).score_own()
        assert np.isfinite(own).all()
        assert (own[30:] == 0).all()
        assert (own[:30] > 0).all()
        assert (Neighbors(k=3, local=1).fit(encoded(np.zeros((20, 2)))).score_own() == 0).all()


class TestRefused:
    @pytest.mark.parametrize("k", [0, -1, 5, 2.0, "3"])
    def test_k(self, k):
        with pytest.raises(OptionError, match="from 1 to 4 for 5 images"):
            Neighbors(k=k).fit(line(0, 1, 2, 3, 4))

    @pytest.mark.parametrize("options", [
        {"combine": "median"}, {"metric": "manhattan"}, {"n_jobs": 0},
        {"local": -0.1}, {"local": 1.5}, {"local": "always"}, {"local": None},
    ])
    def test_options(self, options):
        with pytest.raises(OptionError):
            Neighbors(**options).fit(line(0, 1, 2))

    def test_the_defaults(self):
        assert Neighbors().get_params() == {
            "k": None, "combine": "kth", "metric": "euclidean", "local": 0.0, "n_jobs": None}

    def test_the_constructor_only_stores(self):
        assert Neighbors(k="x", combine=3).get_params() == {
            "k": "x", "combine": 3, "metric": "euclidean", "local": 0.0, "n_jobs": None}

    @pytest.mark.parametrize("rows", [
        np.zeros((1, 3)), np.zeros((0, 3)), np.zeros((3, 0)), np.zeros(3),
        [[0.0], [np.nan]], [[0.0], [np.inf]], [[0.0], [1e300]],
    ])
    def test_embeddings(self, rows):
        with pytest.raises(OptionError):
            Neighbors().fit(Encoded(embedding=np.asarray(rows, np.float64)))
        with pytest.raises(OptionError):
            Neighbors().fit(Encoded(residual=np.zeros(5)))

    def test_new_rows_of_another_width(self):
        fitted = Neighbors().fit(encoded(cloud(9, 5)))
        with pytest.raises(OptionError, match="fitted to 5 features, got 4"):
            fitted.score_new(encoded(cloud(9, 4)))

    def test_not_fitted(self):
        new = line(1)
        for ask in (lambda d: d.score_own(), lambda d: d.score_new(new), lambda d: d.get_state()):
            with pytest.raises(NotFittedError):
                ask(Neighbors())

    @pytest.mark.parametrize("change", [
        {"rows": None}, {"own": None},
        {"rows": np.zeros((9, 5))}, {"own": np.zeros(9, np.float32)},
        {"rows": np.zeros((8, 5), np.float32)}, {"rows": np.zeros((9, 0), np.float32)},
        {"rows": np.zeros(9, np.float32)}, {"rows": np.full((9, 5), np.nan, np.float32)}, {"own": np.full(9, np.inf)},
        {"rows": np.zeros((1, 5), np.float32), "own": np.zeros(1)},
        {"rows": np.zeros((3, 5), np.float32), "own": np.zeros(3)},
    ])
    def test_hostile_states(self, change):
        state = {**Neighbors(k=4).fit(encoded(cloud(9, 5))).get_state(), **change}
        with pytest.raises(SavedModelError):
            Neighbors(k=4).set_state({key: value for key, value in state.items() if value is not None})
