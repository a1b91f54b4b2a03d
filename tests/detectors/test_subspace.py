import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError

from oddlens.detectors import subspace
from oddlens.detectors.subspace import Subspace
from oddlens.errors import OptionError, SavedModelError
from oddlens.progress import listening
from oddlens.protocols import Encoded


def flat(n=200, d=12, rank=3, noise=0.01, seed=0):
    """Rows near a subspace of a few dimensions."""
    rng = np.random.default_rng(seed)
    axes = np.linalg.qr(rng.normal(size=(d, rank)))[0]
    return (rng.normal(size=(n, rank)) @ axes.T + noise * rng.normal(size=(n, d)) + 5).astype(np.float32)


def test_what_lies_off_the_subspace_is_strange_and_what_lies_far_along_it_is_not():
    rows = flat()
    axes = np.linalg.svd(rows - rows.mean(0))[2]
    rows[0] = rows.mean(0) + axes[11]  # across
    rows[1] = rows.mean(0) + 9 * axes[0]  # along
    own = Subspace(share=0.9).fit(Encoded(embedding=rows)).score_own()
    assert own.argmax() == 0
    assert own[1] < own[0] / 2


def test_new_rows_lie_as_far_as_the_components_of_the_five_folds_say():
    rows, new = flat(), flat(n=9, seed=1)
    detector = Subspace(share=0.97).fit(Encoded(embedding=rows))
    fold = np.random.default_rng(0).permutation(200) % 5
    expected = []
    for number in range(5):
        found = PCA(n_components=0.97, svd_solver="full").fit(rows[fold != number].astype(np.float64))
        left = new - found.inverse_transform(found.transform(new.astype(np.float64)))
        expected.append(np.linalg.norm(left, axis=1))
    assert np.allclose(detector.score_new(Encoded(embedding=new)), np.mean(expected, 0), rtol=1e-6)


def test_an_image_has_no_part_in_the_components_that_judge_it():
    rows = flat(noise=1e-4)
    rows[7] = rows.mean(0)
    rows[7, :] += 100 * np.linalg.svd(rows - rows.mean(0))[2][11].astype(np.float32)
    own = Subspace(share=0.99).fit(Encoded(embedding=rows)).score_own()
    assert own[7] > 90  # in the components of all rows it would be an axis of its own, and nothing of it left
    together = PCA(n_components=0.99, svd_solver="full").fit(rows)
    left = rows - together.inverse_transform(together.transform(rows))
    assert np.linalg.norm(left[7]) < 1


def test_the_copies_of_an_image_have_no_part_in_the_components_that_judge_it_either():
    rows = flat(noise=1e-4)
    rows[7] += 100 * np.linalg.svd(rows - rows.mean(0))[2][11].astype(np.float32)
    once, twice = (Subspace(share=0.99).fit(Encoded(embedding=r)).score_own() for r in (rows, np.tile(rows, (2, 1))))
    assert np.array_equal(twice[:200], twice[200:])
    assert twice.argmax() == once.argmax() == 7
    assert twice[7] > 90


def test_a_collection_of_nothing_but_copies_holds_nothing_strange():
    own = Subspace().fit(Encoded(embedding=np.ones((20, 3), np.float32))).score_own()
    assert np.array_equal(own, np.zeros(20))


def test_few_rows_with_many_features_and_many_with_few_agree():
    rows = flat(n=60, d=40, rank=5)
    wide = np.concatenate([rows, np.zeros((60, 400), np.float32)], 1)  # the same rows, in a wider space
    one, two = (Subspace(share=0.9).fit(Encoded(embedding=r)) for r in (rows, wide))
    assert np.allclose(one.score_own(), two.score_own(), rtol=1e-4, atol=1e-6)


def test_a_sample_of_a_large_collection_finds_the_same_subspace(monkeypatch):
    rows = flat(n=3000)
    whole = Subspace(share=0.9).fit(Encoded(embedding=rows)).score_own()
    monkeypatch.setattr(subspace, "SAMPLED_ROWS", 300)
    assert np.corrcoef(whole, Subspace(share=0.9).fit(Encoded(embedding=rows)).score_own())[0, 1] > 0.97


def own_by_singular_vectors(rows, share, most):
    """Each row's distance from the components of the others' folds: the definition, the slow way."""
    rng, n = np.random.default_rng(0), len(rows)
    fold, own = rng.permutation(n) % 5, np.empty(n)
    for number in range(5):
        others = np.sort(rng.permutation(np.flatnonzero(fold != number))[:most])
        mean = rows[others].mean(0, dtype=np.float64)
        _, values, axes = np.linalg.svd(rows[others] - mean)
        held = np.cumsum(values**2) / (values**2).sum()
        kept = axes[: 1 + np.argmax(held >= share)]
        left = rows[fold == number] - mean
        own[fold == number] = np.linalg.norm(left - left @ kept.T @ kept, axis=1)
    return own


@pytest.mark.parametrize(("d", "most"), [(12, 50), (13, 25)])
def test_a_sample_finds_the_components_and_half_of_it_those_of_wide_features(monkeypatch, d, most):
    monkeypatch.setattr(subspace, "SAMPLED_ROWS", 50)
    monkeypatch.setattr(subspace, "WIDE_FEATURES", 12)
    rows = flat(d=d, noise=0.3)
    own = Subspace(share=0.8).fit(Encoded(embedding=rows)).score_own()
    assert own == pytest.approx(own_by_singular_vectors(rows, 0.8, most), rel=1e-6)


@pytest.mark.parametrize(("n", "d", "most"), [(5100, 3, 4000), (5100, 1024, 4000), (2600, 1025, 2000)])
def test_how_many_images_find_the_components(monkeypatch, n, d, most):
    found_from = []

    def none_found(rows, _):
        found_from.append(len(rows))
        return rows.mean(0, dtype=np.float64), np.zeros((rows.shape[1], 0))

    monkeypatch.setattr(subspace, "_components", none_found)
    rows = np.zeros((n, d), np.float32)
    rows[:, 0] = np.arange(n)  # no copies, which would share a fold
    Subspace().fit(Encoded(embedding=rows))
    assert found_from == [most] * 5


@pytest.mark.parametrize(("share", "count"), [(0.6, 1), (0.7, 2), (0.9, 2), (0.95, 3)])
def test_as_many_components_as_hold_the_share(share, count):
    # 3, 2 and 1 along three axes: 9, 4 and 1 of 14 parts of the variance, that is .64, .93 and all of it
    axes = np.concatenate([np.diag([3, 2, 1]), -np.diag([3, 2, 1])])
    rows = (np.tile(axes, (200, 1)) + np.random.default_rng(0).normal(0, 1e-4, (1200, 3))).astype(np.float32)
    detector = Subspace(share=share).fit(Encoded(embedding=rows))
    assert [kept.shape for kept in detector.axes_] == [(3, count)] * 5
    left = detector.score_new(Encoded(embedding=np.array([[5, 6, 7]], np.float32)))
    assert left == pytest.approx([np.hypot(6, 7), 7, 0][count - 1], abs=0.3)


def test_one_feature_is_all_in_its_component():
    rows = np.arange(20, dtype=np.float32)[:, None]
    assert Subspace().fit(Encoded(embedding=rows)).score_own() == pytest.approx(np.zeros(20), abs=1e-6)


@pytest.mark.parametrize("n", [6, 200])
def test_scores_are_in_the_unit_of_the_features(n):
    rows = flat(n=n, d=12)
    large, small = (Subspace().fit(Encoded(embedding=rows * np.float32(unit))).score_own() for unit in (1, 2.0**-14))
    assert small * 2**14 == pytest.approx(large, rel=1e-6)


def test_progress_goes_fold_by_fold():
    told = []
    with listening(lambda *report: told.append(report)):
        Subspace().fit(Encoded(embedding=flat()))
        Subspace().fit(Encoded(embedding=flat(n=3)))
    assert told == [("subspace", done, total) for total in (5, 3) for done in range(1, total + 1)]


def test_wide_components_judge_each_row_alone(monkeypatch):
    rows = flat(n=80)
    narrow = Subspace(share=0.9).fit(Encoded(embedding=rows))
    monkeypatch.setattr(subspace, "SMALL_PRODUCT", 0)
    wide = Subspace(share=0.9).fit(Encoded(embedding=rows))
    assert np.allclose(narrow.score_own(), wide.score_own(), rtol=1e-9)
    alone = np.concatenate([wide.score_new(Encoded(embedding=rows[i : i + 1])) for i in range(80)])
    assert np.array_equal(wide.score_new(Encoded(embedding=rows)), alone)


def test_the_same_seed_gives_the_same_scores_and_another_one_others():
    rows = Encoded(embedding=flat())
    one, two, three = (Subspace(random_state=seed).fit(rows).score_own() for seed in (0, 0, 1))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, three)


@pytest.mark.parametrize("n", [2, 3, 4, 6])
def test_tiny_collections(n):
    detector = Subspace().fit(Encoded(embedding=flat(n=n)))
    assert np.isfinite(detector.score_own()).all()
    assert np.isfinite(detector.score_new(Encoded(embedding=flat(n=3, seed=2)))).all()


def test_rows_that_are_all_alike_score_0_and_whatever_differs_by_how_much():
    detector = Subspace().fit(Encoded(embedding=np.full((20, 3), 0.5, np.float32)))
    assert detector.score_own().max() == 0
    assert [kept.shape for kept in detector.axes_] == [(3, 0)]  # copies share a fold
    assert detector.score_new(Encoded(embedding=np.array([[0.5, 3.5, 4.5]], np.float32)))[0] == pytest.approx(5)


def test_the_defaults():
    assert Subspace().get_params() == {"share": 0.9, "random_state": 0}


@pytest.mark.parametrize("n", [2, 4, 200])
def test_state_round_trip(n):
    detector = Subspace(share=0.8).fit(Encoded(embedding=flat(n=n)))
    again = Subspace(share=0.8).set_state(detector.get_state())
    new = Encoded(embedding=flat(n=5, seed=3))
    assert np.array_equal(again.score_own(), detector.score_own())
    assert np.array_equal(again.score_new(new), detector.score_new(new))


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(OptionError, match="share"):
        Subspace(share=share).fit(Encoded(embedding=flat()))


@pytest.mark.parametrize("encoded", [
    Encoded(residual=np.zeros(3)), Encoded(embedding=np.zeros((3, 0), np.float32)),
    Encoded(embedding=np.zeros((1, 3), np.float32)), Encoded(embedding=np.full((4, 2), np.nan, np.float32)),
])
def test_what_cannot_be_fitted_is_refused(encoded):
    with pytest.raises(OptionError):
        Subspace().fit(encoded)


def test_other_features_than_were_fitted_are_refused():
    detector = Subspace().fit(Encoded(embedding=flat()))
    with pytest.raises(OptionError, match="12 features, got 11"):
        detector.score_new(Encoded(embedding=flat(d=11)))


def test_not_fitted_is_said():
    for ask in (lambda d: d.score_own(), lambda d: d.score_new(Encoded(embedding=flat())), lambda d: d.get_state()):
        with pytest.raises(NotFittedError):
            ask(Subspace())


@pytest.mark.parametrize(("change", "reason"), [
    ({"means": None}, "its means or its scores"), ({"own": None}, "its means or its scores"),
    ({"means": np.zeros(5)}, "its means or its scores"), ({"means": np.zeros((6, 12))}, "its means or its scores"),
    ({"means": np.zeros((0, 12))}, "its means or its scores"), ({"own": np.zeros((3, 2))}, "its means or its scores"),
    ({"axes.3": None}, "components that fit"), ({"axes.0": np.zeros((11, 2))}, "components that fit"),
    ({"axes.1": np.zeros(12)}, "components that fit"), ({"axes.1": np.zeros((12, 2, 1))}, "components that fit"),
    ({"means": np.full((5, 12), np.nan)}, "not finite"), ({"means": np.zeros((5, 12), np.float32)}, "not finite"),
    ({"axes.4": np.full((12, 2), np.inf)}, "not finite"), ({"axes.4": np.zeros((12, 2), np.int64)}, "not finite"),
    ({"own": np.array([np.nan])}, "not finite"),
])
def test_hostile_states_are_refused(change, reason):
    state = {**Subspace().fit(Encoded(embedding=flat())).get_state(), **change}
    with pytest.raises(SavedModelError, match=reason):
        Subspace().set_state({key: value for key, value in state.items() if value is not None})
