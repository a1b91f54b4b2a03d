"""An encoder or a detector as it was asked for, made: by its name, from an object, or from what another library gives.

Here alone names and objects become what a model works with, so that ``AnomalyModel``, ``Outliers`` and the command line
take the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from sklearn.base import clone

from oddlens import registry
from oddlens.adapters.outlier_detectors import OutlierDetector, is_outlier_detector
from oddlens.adapters.own_encoders import OwnEncoder, is_transformer
from oddlens.errors import OptionError
from oddlens.protocols import Called, Detector, Encoder

OTHERS = {"encoder": "a function of a batch of images, a torch.nn.Module or a transformer of scikit-learn's kind",
          "detector": "an outlier detector of scikit-learn's or PyOD's kind"}
ARTICLES = {"encoder": "an", "detector": "a"}


def made(role: registry.Role, spec: Any, options: Mapping[str, Any], shared: Mapping[str, Any]) -> Any:
    """An unfitted encoder or detector; ``OptionError`` for what is none.

    spec:     a registered name or an object.
    options:  of a method given by name.
    shared:   what a method given by name gets of these where it has an option of that name.
    """
    if isinstance(spec, str):
        known = registry.options(role, spec)
        given = {key: value for key, value in shared.items() if key in known}
        return registry.create(role, spec, **{**given, **options})
    if isinstance(spec, {"encoder": Encoder, "detector": Detector}[role]):
        return clone(spec, safe=False)  # by its options; of a class that tells none, a copy
    if role == "detector" and is_outlier_detector(spec):
        return OutlierDetector(clone(spec), random_state=shared.get("random_state", 0))
    if role == "encoder" and (callable(spec) or is_transformer(spec)) and not isinstance(spec, type):
        return OwnEncoder(spec, shared.get("random_state", 0))
    raise OptionError(f"{spec!r} is not {ARTICLES[role]} {role}: give a name of {registry.names(role)}, an object with "
                      f"the methods of oddlens.{role.capitalize()}, or {OTHERS[role]}.")


def options_of_named(role: registry.Role, name: str) -> dict[str, Any]:
    """Option -> default of what a name on the command line stands for: a registered one or, with dots, a class.

    With dots it is a detector of scikit-learn or PyOD by its module and class, like ``sklearn.svm.OneClassSVM``. Only
    what a person asks for by hand is looked up so: a name in a file, a saved model's least of all, names no code.
    """
    if not _dotted(role, name):
        return registry.options(role, name)
    return {key: None if parameter.default is parameter.empty else parameter.default
            for key, parameter in registry.parameters(_imported(name)).items()}


def named(role: registry.Role, name: str, **options: Any) -> Any:
    """An encoder or detector by what ``options_of_named`` takes for a name; ``OptionError`` where there is none."""
    if not _dotted(role, name):
        return registry.create(role, name, **options)
    cls = _imported(name)
    try:
        thing = cls(**options)
    except (TypeError, ValueError) as error:
        raise OptionError(f"The detector {name} cannot be made: {error}.") from error
    if not isinstance(thing, Detector) and not is_outlier_detector(thing):
        raise OptionError(f"{name} is no outlier detector of scikit-learn's or PyOD's kind.")
    return thing


def _dotted(role: registry.Role, name: str) -> bool:
    return role == "detector" and "." in name and name not in registry.names(role)


def _imported(name: str) -> type[Any]:
    module, _, attribute = name.rpartition(".")
    try:
        found = getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise OptionError(f"There is no detector {name!r}: {error}. Give a name of {registry.names('detector')}, or a "
                          "class by its module, like sklearn.svm.OneClassSVM; is the package installed?") from error
    if not isinstance(found, type) or not hasattr(found, "fit"):
        raise OptionError(f"{name} is no class of outlier detectors: it has no method fit.")
    return found


def name_of(role: registry.Role, thing: object) -> str:
    """What an encoder or detector is called in a model's columns."""
    registered = registry.name_of(role, thing)
    return registered or (thing.called if isinstance(thing, Called) else type(thing).__name__.lower())
