"""``AnomalyModel`` where scikit-learn's estimators go, and what of scikit-learn, PyOD and torch goes into it."""

import warnings

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone, is_outlier_detector
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import OneClassSVM
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import check_estimator

from oddlens import AnomalyModel, load_model, save_model
from oddlens.detectors.neighbors import Neighbors
from oddlens.errors import OptionError
from oddlens.run import rank_into
from oddlens.settings import build_model

ODD = np.arange(0, 60, 12)


@pytest.fixture
def images():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 60, (60, 8, 8), dtype=np.uint8)
    images[ODD] = rng.integers(0, 220, (len(ODD), 8, 8), dtype=np.uint8)
    return images


def brighter(images):
    return images + np.uint8(9)


def means(batch):
    return batch.mean((1, 2))


def strangest(model):
    return {int(image.name) for image in model.rank().top(len(ODD))}


def test_scikit_learn_is_told_that_it_takes_images():
    model = AnomalyModel()
    tags = get_tags(model)
    assert is_outlier_detector(model)
    assert not tags.input_tags.two_d_array
    assert tags.input_tags.three_d_array
    assert tags.input_tags.string
    with pytest.warns(UserWarning, match="requires input *of type"):  # the checks are all about tables
        assert not [each for each in check_estimator(model) if each["status"] == "failed"]


def test_it_is_last_in_a_pipeline(images):
    line = Pipeline([("brighter", FunctionTransformer(brighter)), ("model", AnomalyModel("pixels", "neighbors"))])
    assert is_outlier_detector(line)
    line.set_params(model__contamination=len(ODD) / 60).fit(images)
    np.testing.assert_array_equal(np.flatnonzero(line.predict(images) == -1), ODD)
    np.testing.assert_array_equal(line.fit_predict(images), line.predict(images))
    np.testing.assert_array_equal(line.score_samples(images), line[-1].score_samples(brighter(images)))


def test_a_grid_search_goes_through_options_nested_ones_too(images):
    labels = np.where(np.isin(np.arange(60), ODD), -1, 1)
    grid = {"detector__k": [1, 5], "encoder": ["pixels", "hog"]}
    search = GridSearchCV(AnomalyModel("pixels", Neighbors()), grid, scoring="roc_auc", cv=2).fit(images, labels)
    assert len(search.cv_results_["params"]) == 4
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_score_ == 1
    assert search.best_estimator_.detectors_["neighbors"].k == search.best_params_["detector__k"]


def test_nested_options_are_told_set_and_cloned():
    model = AnomalyModel(PCA(3), Neighbors(k=4))
    assert {"encoder__n_components": 3, "detector__k": 4}.items() <= model.get_params().items()
    model.set_params(encoder__n_components=2, detector__k=6)
    assert clone(model).get_params()["encoder__n_components"] == 2
    assert clone(model).build().detectors["neighbors"].k == 6


@pytest.mark.parametrize("options", [{}, {"effort": "fast"}, {"encoder": PCA(4), "detector": OneClassSVM()},
                                     {"encoder": means, "detector": ["forest", "neighbors"]}],
                         ids=["default", "fast", "others", "function"])
def test_joblib_keeps_a_fitted_model(options, images, tmp_path):
    model = AnomalyModel(**options).fit(images)
    joblib.dump(model, tmp_path / "model.joblib")
    again = joblib.load(tmp_path / "model.joblib")
    np.testing.assert_array_equal(again.rank().scores, model.rank().scores)
    np.testing.assert_array_equal(again.score_samples(images[:9] + 1), model.score_samples(images[:9] + 1))


def networks():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Conv2d(1, 8, 3), torch.nn.ReLU())


@pytest.mark.parametrize("encoder", [means, PCA(4), make_pipeline(StandardScaler(), PCA(4)), networks()],
                         ids=["function", "transformer", "pipeline", "network"])
def test_an_own_encoder_finds_them(encoder, images):
    model = AnomalyModel(encoder, "neighbors").fit(images)
    assert strangest(model) == set(ODD)
    np.testing.assert_allclose(model.score_samples(images[:3] + 1)[:1], model.score_samples(images[:1] + 1))


def test_others_detectors_find_them(images):
    from pyod.models.ecod import ECOD

    model = AnomalyModel("pixels", [OneClassSVM(), ECOD(), "neighbors"]).fit(images)
    assert list(model.rank().members) == ["oneclasssvm", "ecod", "neighbors"]
    for column in model.rank().members:
        assert {int(image.name) for image in model.rank().top(len(ODD), by=column)} == set(ODD), column
    odd = np.argmax(model.score_samples(np.stack([images[1] + 1, images[0] // 2 + 1])) * -1)
    assert odd == 1


@pytest.mark.parametrize(("options", "says"), [
    ({"detector": OneClassSVM()}, "OneClassSVM cannot be saved.*save_model=False"),
    ({"encoder": means}, "means cannot be saved.*save_model=False"),
])
def test_what_only_pickle_could_save_is_refused_before_an_image_is_read(options, says, images, tmp_path):
    model = AnomalyModel(**{"encoder": "pixels", **options})
    with pytest.raises(OptionError, match=says):
        rank_into("no-such-folder", tmp_path / "run", model)
    with pytest.raises(OptionError, match="cannot be saved"):
        save_model(model.fit(images), tmp_path / "model")
    assert not (tmp_path / "model").exists()
    done = rank_into(images, tmp_path / "run", model, save_model=False)
    assert {int(image.name) for image in done.ranking.top(len(ODD))} == set(ODD)


def test_a_class_of_another_library_goes_by_its_module_with_settings(images):
    model = build_model("pixels", ["sklearn.svm.OneClassSVM", "neighbors"],
                        {"OneClassSVM.nu": 0.2, "sklearn.svm.OneClassSVM.gamma": 0.1, "k": 3}, random_state=3)
    one, two = (view.detector for view in model.views)
    assert (one.nu, one.gamma, two.k) == (0.2, 0.1, 3)
    assert strangest(model.fit(images)) == set(ODD)
    with pytest.raises(OptionError, match=r"Did you mean 'sklearn\.svm\.OneClassSVM\.nu'"):
        build_model("pixels", ["sklearn.svm.OneClassSVM"], {"sklearn.svm.OneClassSVM.mu": 0.2})


def test_a_saved_model_that_names_a_class_by_its_module_is_refused(images, tmp_path):
    save_model(AnomalyModel("pixels", "neighbors").fit(images), tmp_path / "model")
    path = tmp_path / "model" / "model.json"
    path.write_text(path.read_text().replace('"neighbors"', '"sklearn.svm.OneClassSVM"'))
    with warnings.catch_warnings(), pytest.raises(Exception, match="There is no detector named"):
        load_model(tmp_path / "model")
