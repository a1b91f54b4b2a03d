"""Options, encoders, detectors and views as JSON, and back to what equals them.

JSON has no tuples and no objects, so these are written as an object with one key that says what it is. Whatever is
read back is made by way of the registry: nothing in a file can name code.

    (28, 28)                             {"tuple": [28, 28]}
    {"k": 5}                             {"dict": {"k": 5}}
    an encoder or detector               {"role": "encoder", "name": name, "options": {...},
                                          "package": [name, version] or null}
    a view                               {"view": {...}}
    a view's tail weights                {"tail_weights": [one, many, colour, photograph]}
"""

from __future__ import annotations

import re
from dataclasses import astuple, fields
from pathlib import PurePath
from typing import Any

import numpy as np

from oddlens import registry
from oddlens.errors import OptionError, SavedModelError
from oddlens.protocols import Detector, Encoder, Unsavable
from oddlens.views import TailWeight, View

ROLES: tuple[registry.Role, ...] = ("encoder", "detector")
ARTICLES = {"encoder": "an", "detector": "a"}
WITHOUT = "Or keep no model: --no-model, in Python rank_into(..., save_model=False)."
PACKAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")  # what a package's name looks like
VERSION = re.compile(r"[A-Za-z0-9.!+_-]{1,50}")


def described(role: registry.Role, thing: Any) -> dict[str, Any]:
    """An encoder or detector by its registered name, options and package; ``OptionError`` if it cannot be saved."""
    if isinstance(thing, Unsavable):
        raise OptionError(f"{thing.unsavable} {WITHOUT}")
    name = registry.name_of(role, thing)
    if name is None:
        raise OptionError(
            f"{type(thing).__name__} cannot be saved: it is not registered. Register it as an entry point of the group "
            f"oddlens.{role}s, so that loading finds it by name (docs/write-{ARTICLES[role]}-{role}.md). {WITHOUT}")
    if untold := registry.untold(thing):
        raise OptionError(
            f"The {role} {name} cannot be saved: it does not tell its option {untold[0]}. Keep it as the attribute "
            f"{untold[0]}, or give {type(thing).__name__} get_params and set_params, as scikit-learn's BaseEstimator "
            f"does. {WITHOUT}")
    options, package = registry.options_of(thing), registry.package_of(role, name)
    return {"role": role, "name": name, "package": None if package is None else list(package),
            "options": {key: written(value, f"The option {key} of {role} {name}") for key, value in options.items()}}


def written(value: Any, what: str) -> Any:
    """A value as what JSON can hold; raises ``OptionError``, with ``what`` it is, for one that it cannot."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic) and isinstance(value.item(), bool | int | float | str):
        return value.item()
    if isinstance(value, list):
        return [written(item, what) for item in value]
    if isinstance(value, tuple):
        return {"tuple": [written(item, what) for item in value]}
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {"dict": {key: written(item, what) for key, item in value.items()}}
    if isinstance(value, View):
        return {"view": {field.name: written(getattr(value, field.name), what) for field in fields(value)}}
    if isinstance(value, TailWeight):
        return {"tail_weights": [written(weight, what) for weight in astuple(value)]}
    if isinstance(value, Encoder):
        return described("encoder", value)
    if isinstance(value, Detector):
        return described("detector", value)
    if isinstance(value, PurePath):
        return str(value)
    raise OptionError(f"{what} cannot be saved: {value!r:.80} is no number, text, list, tuple or dict of these. "
                      f"{WITHOUT}")


def tail_weight(weights: list[Any]) -> TailWeight:
    """The tail weights of a list as ``written`` makes it."""
    numbers = [float(weight) for weight in weights[:3]]
    return TailWeight(*numbers, *(None if weight is None else float(weight) for weight in weights[3:]))


def revived(value: Any) -> Any:
    """What ``written`` or ``described`` wrote; raises ``SavedModelError`` where a package is missing."""
    if isinstance(value, list):
        return [revived(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "tuple" in value:
        return tuple(revived(item) for item in value["tuple"])
    if "dict" in value:
        return {key: revived(item) for key, item in value["dict"].items()}
    if "view" in value:
        return View(**{key: revived(item) for key, item in value["view"].items()})
    if "tail_weights" in value:
        return tail_weight(value["tail_weights"])
    role = value["role"]
    if role not in ROLES:
        raise ValueError(f"a value of the role {role!r}")
    _require_package(role, value)
    return registry.create(role, value["name"], **{key: revived(item) for key, item in value["options"].items()})


def _require_package(role: registry.Role, item: dict[str, Any]) -> None:
    """Say which package is missing, but no command: its name comes from a file that may be hostile."""
    name, package = item["name"], item.get("package")
    if package is None or (isinstance(name, str) and name in registry.names(role)):
        return
    given, version = package
    if not (PACKAGE.fullmatch(given) and VERSION.fullmatch(version)):
        raise ValueError(f"a package called {given!r} {version!r}")
    raise SavedModelError(f"The {role} {name!r} of this model was given by the package {given} {version}, which is not "
                          "installed here. Where you trust it, install it and load the model again.")
