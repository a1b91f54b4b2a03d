"""Others' detectors: signs, folds, company, seeds, what is refused."""

import numpy as np
import pytest
from sklearn.ensemble import IsolationForest
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity, LocalOutlierFactor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, OneClassSVM

from oddlens import Encoded
from oddlens.adapters.outlier_detectors import OutlierDetector, is_outlier_detector
from oddlens.errors import OptionError
from oddlens.testing import detector as contract
from oddlens.testing.detector import sample_encoded

# It stands for another, which it cannot do without, and has no state.
NOT_OF_IT = {"detector_keeps_its_options", "detector_says_that_it_is_not_fitted", "detector_comes_back_from_its_state"}
CHECKS = [check for check in contract.DETECTOR_CHECKS if check.__name__ not in NOT_OF_IT]


@pytest.fixture
def encoded():
    rows = np.random.default_rng(0).normal(size=(120, 4)).astype(np.float32)
    rows[:6] += 8 * np.array([[1, 1, 0, 0], [0, 0, 1, 1], [-1, -1, 0, 0], [0, 0, -1, -1], [1, 0, -1, 0], [0, 1, 0, -1]])
    return Encoded(embedding=rows)


def theirs():
    from pyod.models.copod import COPOD
    from pyod.models.ecod import ECOD
    from pyod.models.iforest import IForest
    from pyod.models.knn import KNN
    from pyod.models.ocsvm import OCSVM

    return [cls() for cls in (COPOD, ECOD, IForest, KNN, OCSVM)]


OURS = [IsolationForest(), LocalOutlierFactor(), OneClassSVM(), GaussianMixture(2), KernelDensity(),
        make_pipeline(StandardScaler(), OneClassSVM(nu=0.2))]
EVERY = [*OURS, *theirs()]


@pytest.mark.parametrize("detector", EVERY, ids=lambda detector: type(detector).__name__)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_contract_of_a_detector_holds_but_for_its_state(detector, check):
    check(OutlierDetector(detector), sample_encoded())


@pytest.mark.parametrize("detector", EVERY, ids=lambda detector: type(detector).__name__)
def test_the_odd_come_first_whatever_the_sign_was(detector, encoded):
    fitted = OutlierDetector(detector).fit(encoded)
    assert len(set(np.argsort(-fitted.score_own())[:6]) & set(range(6))) >= 4
    new = fitted.score_new(Encoded(embedding=np.array([[8, 8, 0, 0], [0, 0, 0, 0]], np.float32)))
    assert new[0] > new[1]
    with pytest.raises(OptionError, match="cannot be saved"):
        fitted.get_state()
    with pytest.raises(OptionError, match="cannot be saved"):
        fitted.set_state({})


def test_an_own_score_is_that_of_detectors_which_have_not_seen_the_image(encoded):
    fitted = OutlierDetector(OneClassSVM(), folds=5).fit(encoded)
    others = [detector for detector in fitted.detectors_
              if np.isclose(-detector.score_samples(encoded.embedding[:1]), fitted.score_own()[0])]
    assert len(others) == 1
    assert not (others[0].support_vectors_ == encoded.embedding[0]).all(1).any(), "an outlier would be one of these"
    whole = [-detector.score_samples(encoded.embedding[:9] + 1) for detector in fitted.detectors_]
    np.testing.assert_allclose(fitted.score_new(Encoded(embedding=encoded.embedding[:9] + 1)), np.mean(whole, 0))


def test_a_flexible_density_would_take_its_own_rows_for_ordinary():
    rows = np.random.default_rng(1).normal(size=(200, 10)).astype(np.float32)
    new = Encoded(embedding=np.random.default_rng(2).normal(size=(500, 10)).astype(np.float32))
    above = {}
    for folds in (1, 5):
        fitted = OutlierDetector(GaussianMixture(8), folds=folds).fit(Encoded(embedding=rows))
        above[folds] = np.mean(fitted.score_new(new) > np.quantile(fitted.score_own(), 0.9))
    assert above[1] > 0.5, "nine in ten should lie below"
    assert above[5] < 0.15


def test_with_one_fold_it_says_that_its_scores_are_in_sample(encoded):
    fitted = OutlierDetector(OneClassSVM(), folds=1).fit(encoded)
    assert fitted.judges == "by OneClassSVM, in-sample"
    assert OutlierDetector(OneClassSVM()).judges == "by OneClassSVM"
    np.testing.assert_allclose(fitted.score_own(), -OneClassSVM().fit(encoded.embedding).score_samples(
        encoded.embedding.astype(np.float64)), rtol=1e-6)


@pytest.mark.parametrize("folds", [2, 5])
def test_copies_share_a_fold(encoded, folds):
    rows = np.concatenate([encoded.embedding, encoded.embedding[:6], encoded.embedding[:6]])
    own = OutlierDetector(GaussianMixture(2), folds=folds).fit(Encoded(embedding=rows)).score_own()
    np.testing.assert_array_equal(own[:6], own[120:126])
    assert own[:6].min() > np.quantile(own[6:120], 0.9)


def test_detectors_that_look_at_the_company_of_a_row_are_asked_about_each_alone(encoded):
    from pyod.models.ecod import ECOD

    fitted = OutlierDetector(ECOD()).fit(encoded)
    assert fitted.alone_
    assert not OutlierDetector(OneClassSVM()).fit(encoded).alone_
    some = encoded.embedding[:9] + 0.1
    np.testing.assert_array_equal(fitted.score_new(Encoded(embedding=some))[:1],
                                  fitted.score_new(Encoded(embedding=some[:1])))


def test_a_seed_is_given_where_there_was_none_and_kept_where_there_was(encoded):
    assert {d.random_state for d in OutlierDetector(IsolationForest(), random_state=4).fit(encoded).detectors_} == {4}
    kept = OutlierDetector(IsolationForest(random_state=1), random_state=4).fit(encoded)
    assert {detector.random_state for detector in kept.detectors_} == {1}


@pytest.mark.parametrize(("detector", "folds", "says"), [
    (OneClassSVM(), 0, "folds must be"), (OneClassSVM(), 21, "folds must be"),
    (OneClassSVM(nu=7), 5, "oneclasssvm cannot be fitted to 96 images of 4 features: InvalidParameterError"),
])
def test_what_cannot_work_is_refused(detector, folds, says, encoded):
    with pytest.raises(OptionError, match=says):
        OutlierDetector(detector, folds=folds).fit(encoded)


def test_features_that_are_all_the_same_or_others_are_refused(encoded):
    with pytest.raises(OptionError, match="are the same"):
        OutlierDetector(OneClassSVM()).fit(Encoded(embedding=np.ones((20, 3), np.float32)))
    with pytest.raises(OptionError, match="fitted to 4 features, got 2"):
        OutlierDetector(OneClassSVM()).fit(encoded).score_new(Encoded(embedding=np.ones((20, 2), np.float32)))


def test_what_is_an_outlier_detector():
    assert all(is_outlier_detector(detector) for detector in EVERY)
    for thing in (SVC(), StandardScaler(), OneClassSVM, "forest", object(), lambda rows: rows):
        assert not is_outlier_detector(thing)
