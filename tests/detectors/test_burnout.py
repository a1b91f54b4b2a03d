import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from oddlens.detectors.burnout import Burnout
from oddlens.errors import OptionError, SavedModelError
from oddlens.protocols import Encoded
from oddlens.scoring import neighborhood
from oddlens.scoring.structure import unimodality


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


def test_the_defaults():
    assert Burnout().get_params() == {"local": "auto", "random_state": 0, "n_jobs": None}


def test_auto_is_a_quarter_among_many_kinds_nothing_in_one_and_between_in_proportion():
    rng = np.random.default_rng(0)
    many, one, between = (rng.normal(size=(600, width)).astype(np.float32) for width in (5, 50, 12))
    many += np.repeat(rng.normal(0, 30, (12, 5)), 50, axis=0).astype(np.float32)
    assert Burnout().fit(encoded(many)).local_ == 0.25
    assert Burnout().fit(encoded(one)).local_ == 0
    kind = unimodality(between)
    assert 0.2 < kind < 0.8
    fitted = Burnout().fit(encoded(between))
    assert fitted.local_ == pytest.approx(0.25 * (1 - kind))
    assert np.array_equal(fitted.score_own(), Burnout(local=fitted.local_).fit(encoded(between)).score_own())


def test_the_local_formula():
    rows = cloud()
    plain = Burnout(local=0).fit(encoded(rows)).score_own()
    apart = np.linalg.norm(rows[:, None].astype(np.float64) - rows, axis=2)
    nearest = apart.argsort(1)[:, 1:11]
    wide = np.quantile(plain, 0.75)
    around = np.exp(np.log(np.clip(plain, wide / 10, wide))[nearest].mean(1))
    detector = Burnout(local=0.3).fit(encoded(rows))
    assert detector.score_own() == pytest.approx(plain * (wide / around) ** 0.3, rel=1e-5)


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


def test_there_and_back():
    detector = Burnout(local=0.3).fit(encoded(cloud()))
    again = Burnout(local=0.3).set_state(detector.get_state())
    assert again.local_ == 0.3
    assert np.array_equal(again.score_own(), detector.score_own())
    new = encoded(cloud(30, seed=1))
    assert np.array_equal(again.score_new(new), detector.score_new(new))


@pytest.mark.parametrize("local", [0, 1])
def test_the_ends_of_the_range_can_be_saved(local):
    state = Burnout(local=local).fit(encoded(cloud(30, 4))).get_state()
    assert Burnout(local=local).set_state(state).local_ == local


@pytest.mark.parametrize("local", [-0.1, 1.1, "often", "always", None])
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
    for width in (6, 8):
        with pytest.raises(OptionError, match=f"fitted to 7 features, got {width}"):
            Burnout().fit(encoded(cloud())).score_new(encoded(cloud(d=width)))
    with pytest.raises(NotFittedError):
        Burnout().score_own()


@pytest.mark.parametrize(("change", "reason"), [
    ({"reference": np.zeros((1, 4), np.float32)}, "rows"), ({"ranks": np.array([0])}, "missing or not finite"),
    ({"ranks": np.array([30])}, "missing or not finite"), ({"usual": np.zeros(1)}, "missing or not finite"),
    ({"plain": np.ones(3)}, "shapes"), ({"plain": np.ones((30, 1))}, "shapes"), ({"local": np.ones(2)}, "shapes"),
    ({"local": np.array(0.5)}, "shapes"), ({"own": np.ones((30, 1))}, "shapes"), ({"own": np.array(1.0)}, "shapes"),
    ({"local": np.array([1.5])}, "cannot be"), ({"local": np.array([-0.5])}, "cannot be"),
    ({"local": np.array([np.nan])}, "cannot be"), ({"plain": np.full(30, np.inf)}, "cannot be"),
    ({"own": np.full(30, np.nan)}, "cannot be"), ({"reference": np.zeros((30, 4))}, "lacks reference, or"),
    ({"own": None, "usual": None}, "lacks usual, own, or"),
])
def test_hostile_states(change, reason):
    state = {**Burnout().fit(encoded(cloud(30, 4))).get_state(), **change}
    with pytest.raises(SavedModelError, match=reason):
        Burnout().set_state({key: value for key, value in state.items() if value is not None})
