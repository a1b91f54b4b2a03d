import numpy as np
import pytest
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


@pytest.mark.parametrize("options", [{"share": 0}, {"share": 0.6}, {"rounds": -1}, {"ridge": 0}])
def test_options_that_cannot_work_are_refused(options):
    with pytest.raises(OptionError, match=next(iter(options))):
        SelfTraining(**options).fit(Encoded(embedding=np.eye(60, dtype=np.float32)))


@pytest.mark.parametrize("change", [
    {"rule": np.zeros(3)}, {"rows": np.zeros((0, 4), np.float32)}, {"own": np.full(30, np.nan)},
    {"numbers": np.array([0.0, 0, 1, 1])}, {"numbers": np.array([1.0, 0, 0, 1])}, {"numbers": np.ones(3)},
    {"rows": np.zeros((30, 4))}, {"ranks": np.array([0])}, {"ranks": np.array([30])}, {"usual": np.zeros(2)},
])
def test_a_state_that_does_not_fit_is_refused(change):
    rows = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)
    state = SelfTraining().fit(Encoded(embedding=rows)).get_state()
    with pytest.raises(SavedModelError):
        SelfTraining().set_state({**state, **change})
