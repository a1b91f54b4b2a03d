"""Names and classes; what other packages add is in test_plugins.py."""

import pytest

from oddlens import registry
from oddlens.detectors.neighbors import Neighbors
from oddlens.errors import OptionError
from oddlens.protocols import Detector, Encoder


@pytest.mark.parametrize("role", ["encoder", "detector"])
def test_every_name_stands_for_a_class_that_has_it(role):
    for name in registry.names(role):
        made = registry.create(role, name)
        assert isinstance(made, Encoder if role == "encoder" else Detector)
        assert registry.name_of(role, made) == name
        assert registry.package_of(role, name) is None
        assert type(made).__module__ == f"oddlens.{role}s.{name}"
        assert registry.options(role, name) == registry.options_of(made)


def test_names_are_in_order():
    assert registry.names("detector") == sorted(registry.DETECTORS)
    assert registry.names("encoder") == sorted(registry.ENCODERS)


@pytest.mark.parametrize("name", ["neighbours", "os:system", "", None, ["neighbors"]])
def test_no_other_name_stands_for_anything(name):
    with pytest.raises(OptionError, match="There is no detector named"):
        registry.find("detector", name)


def test_an_option_that_there_is_not_is_named_with_the_nearest():
    with pytest.raises(OptionError, match=r"option of detector neighbors named 'kk'.* Did you mean 'k'\?"):
        registry.create("detector", "neighbors", kk=3)
    assert registry.create("detector", "neighbors", k=3).k == 3


class Untold:
    """Keeps one option under another name and has one without a default."""

    def __init__(self, size, power=2):
        self.size, self.how = size, power


def test_options_that_are_not_told_are_listed():
    thing = Untold(3)
    assert registry.options_of(thing) == {"size": 3}
    assert registry.untold(thing) == ["power"]
    assert registry.untold(Neighbors()) == []
    assert registry.name_of("detector", thing) is None
