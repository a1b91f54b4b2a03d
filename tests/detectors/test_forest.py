import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.base import clone
from sklearn.ensemble import IsolationForest
from sklearn.exceptions import NotFittedError

from oddlens.detectors import forest
from oddlens.detectors.forest import Forest, expected_depths
from oddlens.errors import OptionError, SavedModelError
from oddlens.protocols import Encoded


def encoded(rows):
    return Encoded(embedding=np.asarray(rows, np.float32))


def cloud(n=400, d=6, seed=0):
    """Features of unequal spread, and a few rows that lie far out."""
    rng = np.random.default_rng(seed)
    rows = rng.standard_t(4, (n, d)) * np.linspace(0.5, 2, d)
    return rows.astype(np.float32)


def average_depth(fitted, row, trees=None):
    """A row's average depth, walked in plain Python."""
    depths = []
    for tree in range(fitted.n_estimators) if trees is None else trees:
        node = 0
        while node < fitted.features_.shape[1]:
            node = 2 * node + 1 + int(row[fitted.features_[tree, node]] > fitted.cuts_[tree, node])
        depths.append(float(fitted.leaves_[tree, node - fitted.features_.shape[1]]))
    return sum(depths) / len(depths)


class TestKnownAnswers:
    def test_expected_depths(self):
        # c(2) = 1, c(3) = 2 H(2) - 4/3 = 5/3, c(4) = 2 H(3) - 6/4 = 13/6
        assert expected_depths(4) == pytest.approx([0, 0, 1, 5 / 3, 13 / 6])
        assert expected_depths(256)[256] == pytest.approx(2 * sum(1 / i for i in range(1, 256)) - 2 * 255 / 256)

    def test_two_images_are_a_cut_apart(self):
        fitted = Forest(n_estimators=20, score="depth").fit(encoded([[0.0], [1.0]]))
        assert fitted.depths_.tolist() == [1, 1]
        assert fitted.score_own().tolist() == [-1, -1]
        assert Forest(n_estimators=20).fit(encoded([[0.0], [1.0]])).score_own().tolist() == [0.5, 0.5]

    def test_samples_of_two_put_every_image_at_depth_one(self):
        assert Forest(50, max_samples=2).fit(encoded(cloud(9))).depths_.tolist() == [1] * 9

    def test_the_depth_that_theory_gives(self):
        # Half of the images are 0 and half 1: one cut parts a sample of four, at depth 1 + c(size of the side).
        rows = np.repeat([0.0, 1.0], 400)[:, None]
        fitted = Forest(4000, max_samples=4).fit(encoded(rows))
        c = expected_depths(4)
        binomial = np.array([1, 4, 6, 4, 1]) / 16  # how many of the four are of one value
        expected = c[4] * binomial[[0, 4]].sum() + sum(binomial[i] * (1 + c[i]) for i in (1, 2, 3))
        assert fitted.score_new(encoded([[0.0], [1.0]])) == pytest.approx(2 ** (-expected / c[4]), abs=0.005)

    def test_cuts_are_uniform_between_the_extremes(self):
        fitted = Forest(4000, max_samples=2).fit(encoded([[0.0], [8.0], [0.0], [8.0]]))
        cuts = fitted.cuts_[np.isfinite(fitted.cuts_)]
        assert cuts.min() >= 0
        assert cuts.max() < 8
        counts = np.histogram(cuts, 8, (0, 8))[0] / len(cuts)
        assert counts == pytest.approx(np.full(8, 1 / 8), abs=0.03)

    def test_every_varying_feature_is_cut_as_often_and_no_other(self):
        rows = cloud(300, 6)
        rows[:, [1, 4]] = 3
        fitted = Forest(500).fit(encoded(rows))
        cut = np.bincount(fitted.features_[np.isfinite(fitted.cuts_)], minlength=6)
        assert cut[1] == cut[4] == 0
        assert cut[[0, 2, 3, 5]] / cut.sum() == pytest.approx(np.full(4, 1 / 4), abs=0.01)

    def test_samples_are_fair_and_without_repeats(self):
        seen = np.empty((3000, 5), np.int64)
        for tree, members in enumerate(seen):
            forest.draw(np.uint64(tree * 7919), 12, members)
        assert all(len(set(members)) == 5 for members in seen.tolist())
        assert np.bincount(seen.ravel(), minlength=12) / 3000 == pytest.approx(np.full(12, 5 / 12), abs=0.04)

    def test_random_bits_are_those_of_splitmix64(self):
        # what its authors' code gives from the seed 0
        assert [int(forest.random_bits(np.uint64(0), counter)) for counter in (1, 2, 3)] == [
            0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]

    @pytest.mark.parametrize("seed", [0, 41, 2**63])
    def test_each_tree_has_random_numbers_of_its_own(self, seed):
        def bits(start, counter):
            return int(forest.random_bits(np.uint64(start), np.uint64(counter)))

        fitted = Forest(30, random_state=seed).fit(encoded([[0.0], [1.0]]))
        trees = [bits(bits(0, seed + 1), tree + 1) for tree in range(30)]
        # the counters 0 and 1 draw the sample, 2 the feature, and 3 where it is cut
        assert fitted.cuts_[:, 0].tolist() == [np.float32((bits(tree, 3) >> 11) / 2**53) for tree in trees]

    def test_new_images_go_through_all_trees(self):
        fitted = Forest(60, score="depth").fit(encoded(cloud()))
        new = cloud(25, seed=1)
        assert fitted.score_new(encoded(new)) == pytest.approx([-average_depth(fitted, row) for row in new], rel=1e-14)


class TestOwn:
    def test_own_scores_are_the_average_depth_over_all_trees(self):
        rows = cloud(40)
        fitted = Forest(80).fit(encoded(rows))
        assert fitted.depths_ == pytest.approx([average_depth(fitted, row) for row in rows])
        assert np.array_equal(fitted.score_own(), fitted.score_new(encoded(rows)))

    def test_a_far_image_of_few_is_isolated_first(self):
        # A tree that did not see it could not set it apart from the image at the rim that it falls in with.
        ring = np.stack([np.sin(np.arange(40.0)), np.cos(np.arange(40.0))], 1)
        ring[3] = 5, 5
        own = Forest(100).fit(encoded(ring)).score_own()
        assert own[3] > 1.5 * np.delete(own, 3).max()

    def test_the_two_scores_rank_alike(self):
        rows = encoded(cloud())
        one, two = Forest(200).fit(rows).score_own(), Forest(200, score="depth").fit(rows).score_own()
        assert np.array_equal(one.argsort(), two.argsort())
        assert 0 < one.min() < one.max() < 1
        assert two.max() < 0

    def test_planted_images_come_first(self):
        rows = np.random.default_rng(0).normal(size=(1000, 10)).astype(np.float32)
        rows[[3, 500, 999]] *= 6
        own = Forest(300).fit(encoded(rows)).score_own()
        assert set(own.argsort()[-3:]) == {3, 500, 999}

    def test_it_agrees_with_scikit_learn(self):
        rows = cloud(1000, 8)
        theirs = -IsolationForest(n_estimators=2000, max_samples=256, random_state=0).fit(rows).score_samples(rows)
        fitted = Forest().fit(encoded(rows))
        assert spearmanr(fitted.score_own(), theirs)[0] > 0.97
        assert spearmanr(fitted.score_new(encoded(rows)), theirs)[0] > 0.98
        # score_new knows the images that its trees saw, like scikit-learn's: the values agree as well
        assert np.abs(fitted.score_new(encoded(rows)) - theirs).mean() < 0.006


class TestEdges:
    @pytest.mark.parametrize("n", [2, 3, 4, 10])
    def test_few_images(self, n):
        own = Forest(100).fit(encoded(cloud(n))).score_own()
        assert own.shape == (n,)
        assert np.isfinite(own).all()

    def test_three_images_the_far_one_first(self):
        assert Forest(100).fit(encoded([[0.0], [0.1], [9.0]])).score_own().argmax() == 2
        own = Forest(500).fit(encoded([[0.0], [0.1], [0.2], [0.3], [0.4], [9.0]])).score_own()
        assert own.argmax() == 5

    @pytest.mark.parametrize("d", [1, 3])
    def test_all_the_same(self, d):
        fitted = Forest(30).fit(encoded(np.full((20, d), 2.5)))
        assert fitted.score_own() == pytest.approx(np.full(20, 0.5), rel=1e-6)
        assert fitted.score_new(encoded(np.full((1, d), 99.0))) == pytest.approx([0.5], rel=1e-6)

    def test_one_feature(self):
        values = np.append(np.random.default_rng(0).normal(size=300), [9, -9])[:, None]
        assert set(Forest(200).fit(encoded(values)).score_own().argsort()[-2:]) == {300, 301}

    def test_more_features_than_images(self):
        rows = np.random.default_rng(0).normal(size=(60, 3000)).astype(np.float32)
        rows[9] *= 5
        assert Forest(200).fit(encoded(rows)).score_own().argmax() == 9

    def test_samples_of_sizes_that_are_no_power_of_two(self):
        for size in (2, 3, 5, 17, 100):
            fitted = Forest(20, max_samples=size).fit(encoded(cloud(500)))
            assert fitted.leaves_.shape[1] == 2 ** int(np.ceil(np.log2(size)))
            assert average_depth(fitted, cloud()[0]) <= fitted.leaves_.max()

    def test_large_samples_take_no_more_than_their_share_of_time(self):
        rows = np.random.default_rng(0).normal(size=(40_000, 2)).astype(np.float32)
        fitted = Forest(4, max_samples=20_000).fit(encoded(rows))
        assert fitted.sample_ == 20_000
        assert np.isfinite(fitted.score_own()).all()

    def test_neighbouring_numbers_and_extremes(self):
        close = np.float32(1) + np.arange(3, dtype=np.float32)[:, None] * np.finfo(np.float32).eps
        assert np.isfinite(Forest(50).fit(encoded(np.repeat(close, 4, 0))).score_own()).all()
        # between neighbours every cut is at the lower one, and it must part them all the same
        assert Forest(20).fit(encoded(close[:2])).depths_.tolist() == [1, 1]
        wide = np.array([-3e38, 0, 1, 3e38] * 4)[:, None]
        fitted = Forest(50).fit(encoded(wide))
        assert np.isfinite(fitted.score_own()).all()
        assert np.abs(fitted.cuts_[np.isfinite(fitted.cuts_)]).max() < 3.1e38

    def test_nothing_to_score(self):
        assert Forest(5).fit(encoded(cloud())).score_new(encoded(np.empty((0, 6)))).shape == (0,)


class TestSameEverywhere:
    def test_threads(self):
        rows, new = encoded(cloud(3000, 9)), encoded(cloud(700, 9, seed=1))
        one, two = (Forest(200, n_jobs=jobs).fit(rows) for jobs in (1, 2))
        assert all(np.array_equal(one.get_state()[key], two.get_state()[key]) for key in one.get_state())
        assert np.array_equal(one.score_own(), two.score_own())
        assert np.array_equal(one.score_new(new), two.score_new(new))

    def test_the_number_of_threads_is_put_back(self):
        import numba

        before = numba.get_num_threads()
        Forest(5, n_jobs=1).fit(encoded(cloud()))
        assert numba.get_num_threads() == before

    def test_batches(self, monkeypatch):
        expected = Forest(50).fit(encoded(cloud(700))).score_own()
        monkeypatch.setattr(forest, "BATCH", 100)
        assert np.array_equal(Forest(50).fit(encoded(cloud(700))).score_own(), expected)

    def test_new_rows_are_independent(self):
        fitted, new = Forest(50).fit(encoded(cloud())), cloud(300, seed=1)
        whole = fitted.score_new(encoded(new))
        assert np.array_equal(whole[:40], [fitted.score_new(encoded(row[None]))[0] for row in new[:40]])
        assert np.array_equal(whole[::-1], fitted.score_new(encoded(new[::-1])))

    def test_seeds(self):
        zero, again, one = (Forest(50, random_state=seed).fit(encoded(cloud())) for seed in (0, 0, 1))
        assert np.array_equal(zero.score_own(), again.score_own())
        assert not np.array_equal(zero.cuts_, one.cuts_)
        # no tree of one seed is a tree of the next one
        assert not set(zero.cuts_[:, 0].tolist()) & set(one.cuts_[:, 0].tolist())
        assert len(set(zero.cuts_[:, 0].tolist())) == 50

    def test_state_round_trip(self):
        fitted = Forest(50).fit(encoded(cloud()))
        state = {key: value.copy() for key, value in fitted.get_state().items()}
        again, new = clone(fitted).set_state(state), encoded(cloud(40, seed=1))
        assert np.array_equal(again.score_own(), fitted.score_own())
        assert np.array_equal(again.score_new(new), fitted.score_new(new))

    def test_one_compilation_serves_all_kinds_of_arrays(self, tmp_path):
        fitted = Forest(10).fit(encoded(cloud()))
        np.save(tmp_path / "rows.npy", cloud())
        mapped = Encoded(embedding=np.load(tmp_path / "rows.npy", mmap_mode="r"))
        assert np.array_equal(Forest(10).fit(mapped).score_own(), fitted.score_own())
        assert np.array_equal(Forest(10).fit(Encoded(embedding=np.asfortranarray(cloud()))).score_own(),
                              fitted.score_own())
        assert np.array_equal(Forest(10).fit(Encoded(embedding=cloud().astype(np.float64))).score_own(),
                              fitted.score_own())
        frozen = {key: value.copy() for key, value in fitted.get_state().items()}
        for array in frozen.values():
            array.flags.writeable = False
        clone(fitted).set_state(frozen).score_new(mapped)
        assert [len(kernel.signatures) for kernel in (forest.grow, forest.walk)] == [1, 1]


class TestRefused:
    @pytest.mark.parametrize("options", [
        {"n_estimators": 0}, {"n_estimators": 2.5}, {"n_estimators": 10**7}, {"max_samples": 1},
        {"max_samples": 2**16 + 1}, {"max_samples": "auto"}, {"random_state": -1}, {"random_state": None},
        {"score": "depths"}, {"n_jobs": 0},
    ])
    def test_options(self, options):
        with pytest.raises(OptionError):
            Forest(**options).fit(encoded(cloud()))

    def test_the_defaults(self):
        assert Forest().get_params() == {"n_estimators": 2000, "max_samples": 256, "score": "normalized",
                                         "random_state": 0, "n_jobs": None}

    def test_the_constructor_only_stores(self):
        assert Forest(n_estimators="x").get_params()["n_estimators"] == "x"

    @pytest.mark.parametrize("rows", [
        np.zeros((1, 3)), np.zeros((0, 3)), np.zeros((3, 0)), np.zeros(3),
        [[0.0], [np.nan]], [[0.0], [-np.inf]], [[0.0], [1e300]],
    ])
    def test_embeddings(self, rows):
        with pytest.raises(OptionError):
            Forest().fit(Encoded(embedding=np.asarray(rows, np.float64)))
        with pytest.raises(OptionError):
            Forest().fit(Encoded(residual=np.zeros(5)))

    def test_new_rows_of_another_width(self):
        with pytest.raises(OptionError, match="fitted to 6 features, got 5"):
            Forest(5).fit(encoded(cloud())).score_new(encoded(cloud(9, 5)))

    def test_not_fitted(self):
        for ask in (lambda d: d.score_own(), lambda d: d.score_new(encoded(cloud())), lambda d: d.get_state()):
            with pytest.raises(NotFittedError):
                ask(Forest())


def poisoned(key, value, dtype=None):
    def change(state):
        array = state[key].astype(dtype or state[key].dtype)
        array.flat[3 % array.size] = value
        return {**state, key: array}

    return change


class TestHostileStates:
    @pytest.mark.parametrize("change", [
        poisoned("features", 6), poisoned("features", -1), poisoned("features", 2**31 - 1),
        poisoned("cuts", np.nan), poisoned("leaves", np.nan), poisoned("leaves", np.inf), poisoned("leaves", -1),
        poisoned("depths", np.nan), poisoned("depths", -1),
        poisoned("features", 1, np.int64), poisoned("cuts", 1, np.float64), poisoned("shape", 6, np.float64),
        poisoned("features", 1, ">i4"),
        lambda state: {**state, "shape": np.array([200, 5])},
        lambda state: {**state, "shape": np.array([400, 6])},
        lambda state: {**state, "shape": np.array([2**62, 6])},
        lambda state: {**state, "shape": np.array([-1, 6])},
        lambda state: {**state, "shape": np.array([200])},
        lambda state: {**state, "shape": np.array(6)},
        lambda state: {**state, "features": state["features"][:-1]},
        lambda state: {**state, "cuts": state["cuts"][:, :-1]},
        lambda state: {**state, "leaves": state["leaves"][:, :-1]},
        lambda state: {**state, "depths": state["depths"][None]},
        *[lambda state, key=key: {k: v for k, v in state.items() if k != key}
          for key in ("features", "cuts", "leaves", "depths", "shape")],
    ])
    def test_are_refused(self, change):
        fitted = Forest(12).fit(encoded(cloud()))
        with pytest.raises(SavedModelError):
            Forest(12).set_state(change(fitted.get_state()))

    def test_trees_for_another_number_of_trees(self):
        fitted = Forest(12).fit(encoded(cloud()))
        for options in ({"n_estimators": 13}, {"n_estimators": "x"}, {"n_estimators": 12, "score": "?"}):
            with pytest.raises(SavedModelError):
                Forest(**options).set_state(fitted.get_state())

    def test_any_sound_numbers_are_walked_to_an_end_within_bounds(self):
        fitted = Forest(12).fit(encoded(cloud()))
        rng, state = np.random.default_rng(0), fitted.get_state()
        state["features"] = rng.integers(0, 6, state["features"].shape, dtype=np.int32)
        state["cuts"] = np.where(rng.random(state["cuts"].shape) < 0.5, -np.inf, np.inf).astype(np.float32)
        scores = Forest(12).set_state(state).score_new(encoded(cloud()))
        assert np.isfinite(scores).all()
        state["leaves"] = np.zeros_like(state["leaves"])
        assert (Forest(12).set_state(state).score_new(encoded(cloud())) == 1).all()

    @pytest.mark.parametrize(("options", "reason"), [
        ({"n_estimators": 10**6}, "for 1000000 trees"), ({"n_estimators": 10**6 + 1}, "options that cannot work"),
        ({"n_estimators": 1}, "for 1 trees"), ({"n_estimators": 12.0}, "options that cannot work"),
        ({"max_samples": 2**16 + 1}, "options that cannot work"), ({"max_samples": 1}, "options that cannot work"),
        ({"random_state": 2**63 + 1}, "options that cannot work"), ({"random_state": -1}, "options that cannot work"),
        ({"max_samples": 2**16, "random_state": 2**63}, None), ({"max_samples": 2, "random_state": 0}, None),
    ])
    def test_options_at_the_ends_of_their_ranges(self, options, reason):
        state = Forest(12).fit(encoded(cloud())).get_state()
        detector = Forest(**{"n_estimators": 12, **options})
        if reason is None:
            assert np.isfinite(detector.set_state(state).score_own()).all()
        else:
            with pytest.raises(SavedModelError, match=reason):
                detector.set_state(state)
