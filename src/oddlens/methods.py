"""An encoder or a detector as it was asked for, made: by its name, from an object, or from what another library gives.

Here alone names and objects become what a model works with, so that ``AnomalyModel``, ``Outliers`` and the command line
take the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sklearn.base import clone

from oddlens import registry
from oddlens.errors import OptionError
from oddlens.protocols import Detector, Encoder

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
    if not isinstance(spec, {"encoder": Encoder, "detector": Detector}[role]):
        raise OptionError(f"{spec!r} is not {ARTICLES[role]} {role}: give a name of {registry.names(role)} or an "
                          f"object with the methods of oddlens.{role.capitalize()}.")
    return clone(spec, safe=False)  # by its options; of a class that tells none, a copy


def name_of(role: registry.Role, thing: object) -> str:
    """What an encoder or detector is called in a model's columns."""
    return registry.name_of(role, thing) or type(thing).__name__.lower()
