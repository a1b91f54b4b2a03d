import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from oddlens.detectors.burnout import Burnout
from oddlens.errors import OptionError, SavedModelError
from oddlens.protocols import Encoded
from oddlens.scoring import neighborhood


def encoded(rows):
    return Encoded(embedding=np.asarray(rows, np.float32))


def cloud(n=300, d=7, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


def brute(rows, ranks):
    """The largest of each row's distances over the median row's, the slow and certain way."""
    apart = np.sort(np.linalg.norm(rows[:, None].astype(np.float64) - rows, axis=2), axis=1)[:, ranks]
    return (apart / np.median(apart, axis=0)).max(1)


def test_the_formula():
    rows = cloud()
    detector = Burnout(local=0).fit(encoded(rows))
    ranks = detector.neighborhood_.ranks
    assert ranks[0] == 5  # a third of 15, the twentieth of 300
    assert ranks[-1] == 75
    assert detector.score_own() == pytest.approx(brute(rows, ranks), rel=1e-5)


@pytest.mark.parametrize("share", [0.01, 0.02, 0.05, 0.1, 0.15, 0.2])
def test_no_number_of_alike_images_hides_them(share):
    rows = cloud(1000)
    count = round(share * len(rows))
    rows[:count] = 6 + rows[:count] / 20
    scores = Burnout().fit(encoded(rows)).score_own()
    assert scores[:count].min() > scores[count:].max()


def test_copies_of_one_odd_image_do_not_hide_each_other_either():
    rows = cloud(400)
    rows[:30] = 5
    scores = Burnout().fit(encoded(rows)).score_own()
    assert scores[:30].min() > scores[30:].max()


def test_a_new_row_that_is_a_copy_gets_the_fitted_ones_score():
    rows = cloud()
    detector = Burnout().fit(encoded(rows))
    assert np.array_equal(detector.score_new(encoded(rows[17:20])), detector.score_own()[17:20])


def test_new_rows_do_not_depend_on_their_batch_nor_on_threads():
    rows, new = cloud(), cloud(700, seed=1)
    detector = Burnout(n_jobs=1).fit(encoded(rows))
    whole = detector.score_new(encoded(new))
    assert np.array_equal(whole, [detector.score_new(encoded(new[i : i + 1]))[0] for i in range(len(new))])
    assert np.array_equal(Burnout(n_jobs=2).fit(encoded(rows)).score_new(encoded(new)), whole)


def test_of_many_rows_a_sample_is_compared_with(monkeypatch):
    rows = cloud(2000)
    rows[:60] = 6 + rows[:60] / 20
    whole = Burnout().fit(encoded(rows)).score_own()
    monkeypatch.setattr(neighborhood, "REFERENCE_ROWS", 500)
    detector = Burnout().fit(encoded(rows))
    found = detector.score_own()
    assert detector.get_state()["reference"].shape == (500, 7)
    assert found[:60].min() > found[60:].max()
    assert np.corrcoef(np.argsort(np.argsort(whole)), np.argsort(np.argsort(found)))[0, 1] > 0.95


def test_among_many_kinds_a_ratio_is_measured_against_those_around_it():
    rng = np.random.default_rng(0)
    tight, wide = 0.1 * rng.normal(size=(200, 4)), 10 + 3 * rng.normal(size=(200, 4))
    rows = np.r_[[[1.5, 0, 0, 0]], tight, wide].astype(np.float32)
    plain, local = (Burnout(local=amount).fit(encoded(rows)).score_own() for amount in (0, 1))
    assert (plain > plain[0]).sum() > (local > local[0]).sum()


@pytest.mark.parametrize("rows", [np.ones((20, 3)), np.arange(2.0)[:, None], np.zeros((2, 1)), np.eye(3)])
def test_few_and_equal_rows_are_no_trouble(rows):
    scores = Burnout().fit(encoded(rows)).score_own()
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("scale", [1e-25, 1e25])
def test_very_small_and_very_large_features(scale):
    rows = cloud()
    assert Burnout().fit(encoded(rows * np.float32(scale))).score_own() == pytest.approx(
        Burnout().fit(encoded(rows)).score_own(), rel=1e-4)


@pytest.mark.parametrize("local", [-0.1, 1.1, "often", None])
def test_options_that_cannot_work_are_refused(local):
    with pytest.raises(OptionError, match="local"):
        Burnout(local=local).fit(encoded(cloud()))


def test_what_is_no_embedding_is_refused():
    with pytest.raises(OptionError, match="finite"):
        Burnout().fit(encoded([[np.nan], [1.0]]))
    with pytest.raises(OptionError, match="2 images"):
        Burnout().fit(encoded([[1.0]]))
    with pytest.raises(OptionError, match="embedding"):
        Burnout().fit(Encoded())
    with pytest.raises(OptionError, match="7 features"):
        Burnout().fit(encoded(cloud())).score_new(encoded(cloud(d=6)))
    with pytest.raises(NotFittedError):
        Burnout().score_own()


@pytest.mark.parametrize("change", [
    {"reference": np.zeros((1, 4), np.float32)}, {"ranks": np.array([0])}, {"ranks": np.array([30])},
    {"usual": np.zeros(1)}, {"plain": np.ones(3)}, {"local": np.array([2.0])}, {"own": np.full(30, np.nan)},
    {"reference": np.zeros((30, 4))},
])
def test_hostile_states(change):
    state = Burnout().fit(encoded(cloud(30, 4))).get_state()
    with pytest.raises(SavedModelError):
        Burnout().set_state({**state, **change})
