"""``Outliers``: scikit-learn's manners in full, PyOD's names, and the detectors of oddlens behind them."""

import os
import subprocess
import sys

import joblib
import numpy as np
import pytest
from sklearn.base import clone, is_outlier_detector
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from oddlens import Encoded, Outliers
from oddlens.detectors.neighbors import Neighbors
from oddlens.errors import OptionError

ODD = np.arange(0, 200, 20)
ON_FEATURES = ["burnout", "forest", "neighbors", "self_training", "subspace"]


@pytest.fixture
def rows():
    rows = np.random.default_rng(0).normal(size=(200, 4)).astype(np.float32)
    rows[ODD] += 6
    return rows


@pytest.mark.parametrize("name", ON_FEATURES)
def test_every_check_of_scikit_learn_holds(name):
    done = check_estimator(Outliers(name), on_skip=None)
    skipped = {each["check_name"] for each in done if each["status"] != "passed"}
    # One needs an environment of its own: the next test.
    assert skipped <= ({"check_array_api_input"} if "SCIPY_ARRAY_API" not in os.environ else set())
    assert len(done) >= 40


def test_no_check_is_skipped_where_scipy_takes_array_apis():
    code = ("from sklearn.utils.estimator_checks import check_estimator; from oddlens import Outliers; "
            "print({each['status'] for each in check_estimator(Outliers('neighbors'), on_skip=None)})")
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, "SCIPY_ARRAY_API": "1"}, text=True,
                          capture_output=True)
    assert done.stdout.strip() == "{'passed'}", done.stderr


def test_the_names_of_pyod_say_what_pyods_say(rows):
    from pyod.models.knn import KNN

    theirs = KNN(contamination=0.05, n_neighbors=5).fit(rows)
    ours = Outliers("neighbors", contamination=0.05, options={"k": 5}).fit(rows)
    np.testing.assert_allclose(ours.decision_scores_, theirs.decision_scores_, rtol=1e-4)
    np.testing.assert_array_equal(ours.labels_, theirs.labels_)
    assert ours.threshold_ == pytest.approx(theirs.threshold_, rel=1e-4)
    new = rows[::7] + np.float32(0.01)
    np.testing.assert_allclose(-ours.score_samples(new), theirs.decision_function(new), rtol=1e-4)
    np.testing.assert_array_equal(ours.predict(new) == -1, theirs.predict(new) == 1)


def test_rows_are_judged_by_the_detector_itself(rows):
    own = Neighbors(k=3).fit(Encoded(embedding=rows))
    found = Outliers(Neighbors(k=3)).fit(rows)
    np.testing.assert_array_equal(found.decision_scores_, own.score_own())
    np.testing.assert_array_equal(found.score_samples(rows), -own.score_own())
    new = rows[:5] + 1
    np.testing.assert_array_equal(found.score_samples(new), -own.score_new(Encoded(embedding=new)))


@pytest.mark.parametrize("name", ON_FEATURES)
def test_a_fitted_row_is_known_again_and_equal_rows_have_one_score(name, rows):
    rows[50], rows[60] = rows[3], [0.0, 1.0, 0.0, 1.0]
    found = Outliers(name, random_state=3).fit(rows)
    assert found.decision_scores_[50] == found.decision_scores_[3]
    np.testing.assert_array_equal(-found.score_samples(rows), found.decision_scores_)
    assert found.score_samples([[-0.0, 1, -0.0, 1]])[0] == -found.decision_scores_[60]
    np.testing.assert_array_equal(found.predict(rows), found.fit_predict(rows))


def test_contamination_flags_that_share_and_none_goes_by_the_false_discovery_rate(rows):
    assert Outliers("neighbors", contamination=0.2).fit(rows).labels_.sum() == 40
    found = Outliers("neighbors", contamination=None, fdr=0.1, options={"k": 12}).fit(rows)
    ordinary = np.delete(rows, ODD, axis=0)
    assert found.labels_[ODD].all(), "ten rows lie far out"
    assert found.labels_.sum() <= 13, "a tenth of the flagged may be ordinary, not a tenth of all"
    none = Outliers("neighbors", contamination=None).fit(ordinary)
    assert none.labels_.mean() < 0.02
    np.testing.assert_array_equal(none.predict(ordinary) == -1, none.labels_ == 1)


@pytest.mark.parametrize(("options", "says"), [
    ({"contamination": 0.0}, "contamination must be above 0"),
    ({"contamination": 0.6}, "at most 0.5"),
    ({"fdr": 0.5}, "fdr must be"),
    ({"detector": "neighbor"}, "Did you mean 'neighbors'"),
    ({"detector": "places"}, "Detector places needs maps"),
    ({"detector": Neighbors(), "options": {"k": 3}}, "detector__NAME"),
    ({"detector": "neighbors", "options": {"kk": 3}}, "Did you mean 'k'"),
    ({"detector": 3}, "3 is not a detector"),
])
def test_what_cannot_work_is_refused(options, says, rows):
    with pytest.raises(OptionError, match=says):
        Outliers(**options).fit(rows)


def test_it_goes_where_estimators_go(rows, tmp_path):
    line = make_pipeline(StandardScaler(), Outliers(Neighbors(k=5), contamination=0.05))
    assert is_outlier_detector(line)
    line.set_params(outliers__detector__k=12).fit(rows)
    assert line[-1].detector_.k == 12
    np.testing.assert_array_equal(np.flatnonzero(line.predict(rows) == -1), ODD)
    joblib.dump(line, tmp_path / "line.joblib")
    again = joblib.load(tmp_path / "line.joblib")
    np.testing.assert_array_equal(again.score_samples(rows + 1), line.score_samples(rows + 1))
    assert clone(line[-1]).get_params()["detector__k"] == 12


def test_a_grid_search_finds_the_better_option_where_labels_are_to_be_had(rows):
    search = GridSearchCV(Outliers("neighbors"), {"options": [{"k": 1}, {"k": 12}]}, scoring="roc_auc", cv=3)
    search.fit(rows, np.where(np.isin(np.arange(200), ODD), -1, 1))
    assert search.best_params_ == {"options": {"k": 12}}, "by one neighbour odd rows hide behind each other"
    assert search.best_score_ > 0.99


def test_names_of_features_are_kept_and_held_to(rows):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(rows, columns=list("abcd"))
    found = Outliers("neighbors").fit(frame)
    assert list(found.feature_names_in_) == list("abcd")
    assert found.n_features_in_ == 4
    with pytest.raises(ValueError, match="feature names"):
        found.predict(frame[list("dcba")])


def test_a_detector_of_another_library_is_judged_in_folds(rows):
    from sklearn.svm import OneClassSVM

    found = Outliers(OneClassSVM(), contamination=0.05).set_params(detector__nu=0.2).fit(rows)
    assert found.labels_[ODD].sum() >= 6
    assert {part.nu for part in found.detector_.detectors_} == {0.2}
