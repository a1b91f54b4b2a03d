import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.metrics import roc_auc_score

from oddlens.detectors.burnout import Burnout
from oddlens.detectors.self_training import FEWEST_IMAGES, SelfTraining
from oddlens.errors import OptionError, SavedModelError
from oddlens.protocols import Encoded


def mixed(n=1000, odd=60, d=60):
    """One direction in which the odd rows agree, and too small a step for distances among so many features."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(n, d)).astype(np.float32)
    rows[:odd, :6] += 1.4
    return rows, np.arange(n) < odd


def test_what_odd_images_agree_in_comes_to_count():
    rows, odd = mixed()
    found = [roc_auc_score(odd, SelfTraining(rounds=r).fit(Encoded(embedding=rows)).score_own()) for r in (0, 3)]
    assert found[1] > found[0] + 0.05


def test_an_image_is_judged_by_rules_that_it_did_not_teach():
    """Of pure noise nothing can be learned: the own scores spread no wider than those of new rows do."""
    rng = np.random.default_rng(1)
    rows, new = rng.normal(size=(2, 2000, 40)).astype(np.float32)
    detector = SelfTraining().fit(Encoded(embedding=rows))
    own, other = detector.score_own(), detector.score_new(Encoded(embedding=new))
    for share in (0.5, 0.9, 0.99):
        assert abs(np.mean(other > np.quantile(own, share)) - (1 - share)) < 0.05


def test_without_rules_it_is_the_log_of_the_largest_ratio():
    rows, _ = mixed(200)
    detector = SelfTraining().fit(Encoded(embedding=rows))
    assert len(rows) < FEWEST_IMAGES
    ratios = Burnout(local=0).fit(Encoded(embedding=rows)).score_own()
    assert np.corrcoef(np.log(ratios), detector.score_own())[0, 1] > 1 - 1e-9


def slowly(rows, new, share, rounds, ridge=1.0):
    """The own and the new scores by their definition, the rules by scikit-learn's ridge regression."""
    rng, n = np.random.default_rng(0), len(rows)
    rng.permutation(n)  # the sample: all of them
    ratios = Burnout(local=0).fit(Encoded(embedding=rows))
    floor = ratios.score_own().max() * 1e-6
    base, other = (np.log(np.maximum(found, floor)) for found in
                   (ratios.score_own(), ratios.score_new(Encoded(embedding=new))))
    base, other = ((found - np.median(base)) / base.std() for found in (base, other))
    own, new_scores = base, other
    for _ in range(rounds):
        beyond = np.maximum(own - np.quantile(own, 1 - share), 0)
        odd = beyond > 0
        judged, judged_new = np.zeros(n), []
        for _ in range(3):
            fold = rng.integers(0, 5, n)
            for number in range(5):
                trained = fold != number
                few = beyond[trained]
                if (few > 0).sum() < 2:
                    continue
                weight = np.where(few > 0, few**2 / (few**2).sum(), 1 / (few == 0).sum()) / 2
                middle = weight @ rows[trained]
                variance = weight @ (rows[trained] - middle) ** 2
                rule = Ridge(alpha=ridge * variance.mean()).fit(
                    rows[trained].astype(np.float64), np.where(few > 0, 1.0, -1.0), sample_weight=weight)
                judged[~trained] += rule.predict(rows[~trained]) / 3
                judged_new.append(rule.predict(new))
        own = base + 0.5 * judged / judged.std()
        new_scores = other + 0.5 * np.mean(judged_new, axis=0) / judged.std()
        assert odd.sum() == np.ceil(share * n)
    return own, new_scores


@pytest.mark.parametrize(("share", "rounds", "ridge"), [(0.2, 3, 1.0), (0.01, 1, 1.0), (0.1, 2, 0.3)])
def test_the_formula(share, rounds, ridge):
    rng = np.random.default_rng(0)  # in features small enough that a ridge of another unit would show
    rows, new = (0.1 * rng.normal(size=(n, 6)).astype(np.float32) + np.float32(0.5) for n in (FEWEST_IMAGES, 20))
    rows[:9, 0] += 0.6
    detector = SelfTraining(share, rounds, ridge).fit(Encoded(embedding=rows))
    own, other = slowly(rows, new, share, rounds, ridge)
    assert detector.score_own() == pytest.approx(own, rel=1e-4, abs=1e-4)
    assert detector.score_new(Encoded(embedding=new)) == pytest.approx(other, rel=1e-4, abs=1e-4)


def test_the_defaults():
    assert SelfTraining().get_params() == {"share": 0.2, "rounds": 3, "ridge": 1.0, "random_state": 0, "n_jobs": None}


@pytest.mark.parametrize(("n", "learned"), [(299, False), (300, True)])
def test_from_300_images_on_a_rule_is_learned(n, learned):
    rows = mixed(n, odd=20, d=6)[0]
    assert SelfTraining(rounds=1).fit(Encoded(embedding=rows)).rule_.any() == learned


def test_no_rule_is_learned_from_one_odd_image():
    rows = mixed(400, odd=1, d=6)[0]
    plain, detector = (SelfTraining(0.002, rounds).fit(Encoded(embedding=rows)) for rounds in (0, 2))
    assert not detector.rule_.any()
    assert np.array_equal(detector.score_own(), plain.score_own())


def test_distances_of_nothing_are_taken_for_a_millionth_of_the_largest():
    rows = np.zeros((40, 3), np.float32)
    rows[0] = 1
    detector = SelfTraining().fit(Encoded(embedding=rows))
    ratios = Burnout(local=0).fit(Encoded(embedding=rows)).score_own()
    assert (ratios[1:] == 0).all()
    # one stands out by log 1e6; the others, at the median, are at 0
    spread = np.log(1e6) * np.sqrt(1 / 40 * 39 / 40)
    assert detector.score_own() == pytest.approx([np.log(1e6) / spread, *[0] * 39], abs=1e-6)


def test_there_and_back():
    rows = mixed(300, odd=20, d=1 + 6)[0]
    for part in (rows, rows[:, :1]):
        detector = SelfTraining().fit(Encoded(embedding=part))
        again = SelfTraining().set_state(detector.get_state())
        new = Encoded(embedding=part[:30] + np.float32(0.1))
        assert np.array_equal(again.score_own(), detector.score_own())
        assert np.array_equal(again.score_new(new), detector.score_new(new))


def test_new_rows_must_be_as_wide_and_fitted_ones_two():
    detector = SelfTraining().fit(Encoded(embedding=np.eye(30, 4, dtype=np.float32)))
    for width in (3, 5):
        with pytest.raises(OptionError, match=f"fitted to 4 features, got {width}"):
            detector.score_new(Encoded(embedding=np.zeros((7, width), np.float32)))
    with pytest.raises(OptionError, match="2 images or more, got 1"):
        SelfTraining().fit(Encoded(embedding=np.zeros((1, 4), np.float32)))
    assert len(SelfTraining().fit(Encoded(embedding=np.eye(2, dtype=np.float32))).score_own()) == 2


def test_large_collections_are_learned_from_in_part(monkeypatch):
    monkeypatch.setattr("oddlens.scoring.neighborhood.REFERENCE_ROWS", 500)
    rows, odd = mixed()
    detector = SelfTraining().fit(Encoded(embedding=rows))
    assert detector.get_state()["rows"].shape == (500, 60)
    assert roc_auc_score(odd, detector.score_own()) > 0.8


def test_new_rows_are_judged_alone_also_where_neighbours_are_all_but_equally_far():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(400, 300)).astype(np.float32)
    rows[200:] = rows[:200] + 1e-6 * rng.normal(size=(200, 300)).astype(np.float32)
    new = rng.normal(size=(150, 300)).astype(np.float32)
    detector = SelfTraining().fit(Encoded(embedding=rows))
    whole = detector.score_new(Encoded(embedding=new))
    assert np.array_equal(whole, [detector.score_new(Encoded(embedding=new[i : i + 1]))[0] for i in range(150)])
    assert np.array_equal(whole[40:90], detector.score_new(Encoded(embedding=new[40:90])))


def test_rows_that_are_all_alike_score_alike():
    scores = SelfTraining().fit(Encoded(embedding=np.ones((400, 5), np.float32))).score_own()
    assert np.isfinite(scores).all()
    assert np.ptp(scores) == 0


@pytest.mark.parametrize("options", [{"share": 0.5, "rounds": 100, "ridge": 0.01}, {"rounds": np.int64(0)}])
def test_options_at_the_ends_of_their_ranges(options):
    SelfTraining(**options).fit(Encoded(embedding=np.eye(60, dtype=np.float32)))


@pytest.mark.parametrize("options", [
    {"share": 0}, {"share": 0.6}, {"share": -0.1}, {"rounds": -1}, {"rounds": 101}, {"rounds": 2.5}, {"ridge": 0},
    {"ridge": -1.0},
])
def test_options_that_cannot_work_are_refused(options):
    with pytest.raises(OptionError, match=next(iter(options))):
        SelfTraining(**options).fit(Encoded(embedding=np.eye(60, dtype=np.float32)))


@pytest.mark.parametrize(("change", "reason"), [
    ({"rule": np.zeros(3)}, "but a rule"), ({"rule": np.zeros((5, 1))}, "but a rule"),
    ({"rows": np.zeros(30, np.float32)}, "but a rule"), ({"rows": np.zeros((30, 4, 1), np.float32)}, "but a rule"),
    ({"rows": np.zeros((0, 4), np.float32)}, "neighbourhood"),
    ({"rows": np.zeros((30, 0), np.float32), "rule": np.zeros(1)}, "neighbourhood"),
    ({"own": np.full(30, np.nan)}, "missing or not finite"), ({"own": np.zeros((30, 1))}, "missing or not finite"),
    ({"own": np.array(1.0)}, "missing or not finite"),
    ({"rule": np.full(5, np.inf)}, "missing or not finite"), ({"numbers": np.ones(3)}, "missing or not finite"),
    ({"numbers": np.array([1.0, np.nan, 1, 1])}, "missing or not finite"),
    ({"numbers": np.array([0.0, 0, 1, 1])}, "scales"), ({"numbers": np.array([1.0, 0, 0, 1])}, "scales"),
    ({"numbers": np.array([1.0, 0, 1, 0])}, "scales"), ({"rows": np.zeros((30, 4))}, "lacks rows, or"),
    ({"ranks": np.array([0])}, "neighbourhood"), ({"ranks": np.array([30])}, "neighbourhood"),
    ({"usual": np.zeros(2)}, "neighbourhood"),
])
def test_a_state_that_does_not_fit_is_refused(change, reason):
    rows = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)
    state = SelfTraining().fit(Encoded(embedding=rows)).get_state()
    with pytest.raises(SavedModelError, match=reason):
        SelfTraining().set_state({**state, **change})
