import numpy as np
import pytest

from oddlens.detectors.forest import Forest
from oddlens.detectors.neighbors import Neighbors
from oddlens.errors import OptionError
from oddlens.methods import made, name_of


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
