"""The public face: the names, the cost of importing them, the scikit-learn manners."""

import subprocess
import sys

import pytest
from sklearn.base import clone

import oddlens
from oddlens import AnomalyModel, registry


def test_every_public_name_loads_and_has_a_docstring():
    for name in oddlens.__all__:
        assert getattr(oddlens, name).__doc__, name
    assert oddlens.__all__ == sorted(oddlens.__all__)
    assert set(oddlens.__all__) <= set(dir(oddlens))


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'ranks'"):
        oddlens.ranks  # noqa: B018


@pytest.mark.parametrize("line", ["import oddlens", "import oddlens.cli"])
def test_importing_is_light(line):
    heavy = ("torch", "sklearn", "numba", "faiss", "pyarrow", "PIL", "ray", "pandas")
    code = f"{line}, sys; print([name for name in {heavy!r} if name in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_constructors_only_store_and_clone_keeps_all():
    odd = object()
    for kind in ("encoder", "detector"):
        for name in registry.names(kind):
            cls = registry.find(kind, name)
            given = dict.fromkeys(registry.options(kind, name), odd)
            thing = cls(**given)
            assert thing.get_params(deep=False) == given, "a constructor changes or checks an option"
            assert not [key for key in vars(thing) if key.endswith("_")]
    model = AnomalyModel("autoencoder", ["forest"], image_size=9, random_state=4)
    assert clone(model).get_params() == model.get_params()


def test_one_stem_everywhere():
    for kind in ("encoder", "detector"):
        for name in registry.names(kind):
            cls = registry.find(kind, name)
            assert cls.__module__ == f"oddlens.{kind}s.{name}"
            assert cls.__name__.lower() == name.replace("_", "")
