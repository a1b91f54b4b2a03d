import json

import numpy as np
import pytest
from sklearn.base import BaseEstimator

from instant import InstantEncoder
from oddlens.detectors.neighbors import Neighbors
from oddlens.encoders.hog import Hog
from oddlens.errors import OptionError, SavedModelError
from oddlens.specifications import described, revived, written
from oddlens.views import TailWeight, View


def there_and_back(value):
    return revived(json.loads(json.dumps(written(value, "it"))))


@pytest.mark.parametrize("value", [
    None, True, 0, -1.5, "text", [], [1, [2, "a"]], (), (28, 28), {}, {"tuple": [1]}, {"a": {"dict": (1, None)}},
    [(1, {"k": (2,)})], TailWeight(0.1, 0.2, 0.3), TailWeight(0.1, 0.2, 0.3, 0.4),
    View("pixels", "forest", 0.5, TailWeight(0.1, 0.2, 0.3), True, {"side": 14}, {"size": (1, 2)}),
])
def test_what_is_written_comes_back(value):
    found = there_and_back(value)
    assert type(found) is type(value)
    assert found == value


@pytest.mark.parametrize(("value", "plain"), [
    (np.float64(0.5), 0.5), (np.int32(3), 3), (np.bool_(True), True), (np.str_("a"), "a"),
])
def test_numbers_of_numpy_come_back_as_pythons_own(value, plain):
    found = there_and_back(value)
    assert type(found) is type(plain)
    assert found == plain


def test_encoders_and_detectors_come_back_by_name_and_options_alone():
    encoder, detector = there_and_back([Hog(orientations=5), Neighbors(k=3)])
    assert (type(encoder), encoder.get_params()) == (Hog, Hog(orientations=5).get_params())
    assert (type(detector), detector.get_params()) == (Neighbors, Neighbors(k=3).get_params())
    assert described("detector", Neighbors(k=3)) == {
        "role": "detector", "name": "neighbors", "package": None, "options": Neighbors(k=3).get_params()}


@pytest.mark.parametrize("bad", [1 + 0j, {1: "a"}, {1, 2}, b"bytes", object(), np.complex128(1), np.zeros(2),
                                 [object()], {"a": object()}, (object(),)])
def test_what_json_cannot_hold_is_named(bad):
    with pytest.raises(OptionError, match=r"^The option size cannot be saved: .* --no-model"):
        written(bad, "The option size")


def test_what_is_not_registered_is_named_with_the_way_out():
    with pytest.raises(OptionError, match=r"InstantEncoder .* group oddlens.encoders.*docs/write-an-encoder.md"):
        described("encoder", InstantEncoder())

    class Own(BaseEstimator):
        needs = frozenset()
        fit = score_own = score_new = get_state = set_state = None

    with pytest.raises(OptionError, match=r"Own cannot be saved.*group oddlens.detectors.*docs/write-a-detector.md"):
        described("detector", Own())


@pytest.mark.parametrize(("bad", "error", "message"), [
    ({"role": "source", "name": "folder", "options": {}}, ValueError, "role 'source'"),
    ({"role": ["encoder"], "name": "pixels", "options": {}}, ValueError, "role"),
    ({"role": "encoder", "name": "os:system", "options": {}}, OptionError, "no encoder named 'os:system'"),
    ({"role": "encoder", "name": "neighbors", "options": {}}, OptionError, "no encoder named 'neighbors'"),
    ({"role": "encoder", "name": ["pixels"], "options": {}, "package": ["a", "1"]}, SavedModelError, "not installed"),
    ({"role": "encoder", "name": "pixels", "options": {"no": 1}}, OptionError, "named 'no'"),
    ({"role": "encoder", "name": "gone", "options": {}, "package": ["some-thing", "1.0"]}, SavedModelError,
     "'gone' of this model was given by the package some-thing 1.0, which is not installed"),
    ({"role": "encoder", "name": "gone", "options": {}, "package": ["x; rm", "1.0"]}, ValueError, "called 'x; rm'"),
    ({"role": "encoder", "name": "gone", "options": {}, "package": ["x", "1; rm"]}, ValueError, "called 'x' '1; rm'"),
    ({"role": "encoder", "name": "gone", "options": {}, "package": ["x"]}, ValueError, "unpack"),
    ({"role": "encoder", "name": "gone", "options": {}, "package": [["x"], 7]}, TypeError, "string"),
    ({}, KeyError, "role"), ({"tuple": 7}, TypeError, "iter"), ({"dict": [1]}, AttributeError, "items"),
    ({"view": {"os": 1}}, TypeError, "os"), ({"tail_weights": ["loud", 1, 1]}, ValueError, "loud"),
    ({"tail_weights": [1, 1]}, TypeError, "colour"), ({"tail_weights": [1, None, 1, None]}, TypeError, "NoneType"),
])
def test_what_nobody_wrote_makes_nothing(bad, error, message):
    with pytest.raises(error, match=message):
        revived(bad)


def test_a_package_is_not_asked_for_where_its_name_is_known():
    item = {"role": "detector", "name": "neighbors", "options": {"k": 3}, "package": ["elsewhere", "2.0"]}
    assert revived(item).k == 3


def test_the_first_option_that_is_not_told_is_named():
    class Silent:
        def __init__(self, power=1, base=2, root=3): ...

    Silent.__module__, Silent.__qualname__ = "oddlens.detectors.neighbors", "Neighbors"  # as if it were registered
    with pytest.raises(OptionError, match=r"neighbors .* its option base\. .* the attribute base, or .*--no-model"):
        described("detector", Silent())
