import numpy as np
import pytest

from oddlens.detectors.forest import Forest
from oddlens.detectors.neighbors import Neighbors
from oddlens.errors import OptionError
from oddlens.methods import made, name_of, named, options_of_named


def test_a_name_gets_its_options_and_of_the_shared_ones_those_that_it_has():
    forest = made("detector", "forest", {"n_estimators": 7}, {"n_jobs": 2, "device": "cpu", "random_state": 3})
    assert (forest.n_estimators, forest.n_jobs, forest.random_state) == (7, 2, 3)


def test_an_object_is_taken_as_it_is_and_stays_untouched():
    given = Neighbors(k=4)
    got = made("detector", given, {}, {"n_jobs": 2})
    assert got is not given
    assert got.get_params() == given.get_params()


@pytest.mark.parametrize("thing", [3, object(), np.zeros((2, 2))])
def test_what_is_no_method_is_refused(thing):
    with pytest.raises(OptionError, match="is not an encoder"):
        made("encoder", thing, {}, {})


def test_a_method_is_called_by_its_registered_name_or_by_its_class():
    assert name_of("detector", Forest()) == "forest"
    assert name_of("detector", object()) == "object"


def test_what_other_libraries_give_is_adapted():
    from sklearn.decomposition import PCA
    from sklearn.svm import OneClassSVM

    detector = made("detector", OneClassSVM(nu=0.3), {}, {"random_state": 7})
    assert (detector.detector.nu, detector.random_state, name_of("detector", detector)) == (0.3, 7, "oneclasssvm")
    assert name_of("encoder", made("encoder", PCA(2), {}, {})) == "pca"
    assert name_of("encoder", made("encoder", len, {}, {})) == "len"


def test_a_class_goes_by_its_module_where_a_person_asks_for_it():
    assert named("detector", "sklearn.svm.OneClassSVM", nu=0.2).nu == 0.2
    assert options_of_named("detector", "sklearn.svm.OneClassSVM")["nu"] == 0.5
    assert named("detector", "neighbors", k=3).k == 3
    assert options_of_named("detector", "neighbors")["combine"] == "kth"


@pytest.mark.parametrize(("name", "says"), [
    ("sklearn.svm.OneClass", "There is no detector 'sklearn.svm.OneClass'"),
    ("no_such_package.Detector", "No module named 'no_such_package'"),
    ("os.path.join", "no class of outlier detectors"),
    ("collections.OrderedDict", "no class of outlier detectors"),
    ("sklearn.svm.SVC", "no outlier detector"),
    (".Thing", "There is no detector"),
])
def test_a_name_with_dots_that_is_no_detector_is_refused(name, says):
    with pytest.raises(OptionError, match=says):
        named("detector", name)


def test_an_option_that_a_class_does_not_have_is_refused():
    with pytest.raises(OptionError, match="cannot be made"):
        named("detector", "sklearn.svm.OneClassSVM", nn=1)


def test_no_other_way_leads_from_a_name_to_a_class_of_another_library():
    from oddlens import registry

    for find in (lambda: made("detector", "sklearn.svm.OneClassSVM", {}, {}),
                 lambda: registry.create("detector", "sklearn.svm.OneClassSVM")):
        with pytest.raises(OptionError, match="There is no detector named"):
            find()
