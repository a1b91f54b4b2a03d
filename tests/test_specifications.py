"""Options, methods and views go through JSON and come back equal; nothing else does."""

import json

import numpy as np
import pytest

from instant import InstantEncoder
from oddlens.detectors.neighbors import Neighbors
from oddlens.encoders.dictionary import Dictionary
from oddlens.errors import OptionError, SavedModelError
from oddlens.specifications import described, revived, written
from oddlens.views import TailWeight, View


def there_and_back(value):
    return revived(json.loads(json.dumps(written(value, "It"))))


@pytest.mark.parametrize("value", [
    None, True, 3, 0.1, "text", [1, [2]], (5, 7), ((1,), "a"), {"k": (1, 2)}, {}, TailWeight(0.1, 0.2, 0.3),
    View("hog", "burnout", 0, tail_weight=TailWeight(0.0, 0.05, 0.5), options={"local": 0.0})])
def test_values_come_back_equal(value):
    found = there_and_back(value)
    assert found == value
    assert type(found) is type(value)


def test_numpys_numbers_become_pythons():
    assert type(there_and_back(np.int64(3))) is int
    assert there_and_back(np.float64(0.5)) == 0.5


def test_methods_come_back_with_their_options():
    found = there_and_back(Dictionary(patch=(5, 7), atoms=9))
    assert isinstance(found, Dictionary)
    assert found.get_params() == Dictionary(patch=(5, 7), atoms=9).get_params()
    assert there_and_back(Neighbors(k=4)).k == 4


@pytest.mark.parametrize("value", [object(), {1: 2}, np.zeros(3), {"a": {3}}, b"bytes"])
def test_what_json_cannot_hold_names_what_it_is_and_the_way_out(value):
    with pytest.raises(OptionError, match=r"The option x cannot be saved: .* --no-model"):
        written(value, "The option x")


def test_a_method_without_a_name_says_how_to_give_it_one():
    with pytest.raises(OptionError, match=r"InstantEncoder cannot be saved: it is not registered.*write-an-encoder"):
        described("encoder", InstantEncoder())


@pytest.mark.parametrize("item", [
    {"role": "encoder", "name": "os:system", "options": {}, "package": None},
    {"role": "detector", "name": "neighbors", "options": {"nonsense": 1}, "package": None}])
def test_a_name_or_option_that_there_is_not_is_refused(item):
    with pytest.raises(OptionError, match="There is no"):
        revived(item)


def test_a_role_that_there_is_not_is_refused():
    with pytest.raises(ValueError, match="a value of the role 'source'"):
        revived({"role": "source", "name": "frames", "options": {}, "package": None})


def test_a_missing_package_is_named_and_its_name_is_not_trusted():
    item = {"role": "detector", "name": "theirs", "options": {}, "package": ["their-package", "1.2"]}
    with pytest.raises(SavedModelError, match=r"given by the package their-package 1\.2, which is not installed here"):
        revived(item)
    with pytest.raises(ValueError, match="a package called"):
        revived({**item, "package": ["x; rm -rf ~", "1"]})
