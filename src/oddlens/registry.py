"""The encoders and detectors by name: two tables, then what other installed packages add.

A package adds its own through the entry-point groups ``oddlens.encoders`` and ``oddlens.detectors``.
A name stands for a class only by way of these tables, so nothing that is read from a file, a saved model
least of all, can name code to run.
"""

from __future__ import annotations

import inspect
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Literal, TypeAlias

from oddlens.errors import OptionError

Kind: TypeAlias = Literal["encoder", "detector"]

ENCODERS = {
    "autoencoder": "oddlens.encoders.autoencoder:Autoencoder",
    "conv_autoencoder": "oddlens.encoders.conv_autoencoder:ConvAutoencoder",
    "deep_autoencoder": "oddlens.encoders.deep_autoencoder:DeepAutoencoder",
    "dictionary": "oddlens.encoders.dictionary:Dictionary",
    "hog": "oddlens.encoders.hog:Hog",
    "pixels": "oddlens.encoders.pixels:Pixels",
    "statistics": "oddlens.encoders.statistics:Statistics",
    "transforms": "oddlens.encoders.transforms:Transforms",
}

DETECTORS = {
    "activations": "oddlens.detectors.activations:Activations",
    "burnout": "oddlens.detectors.burnout:Burnout",
    "forest": "oddlens.detectors.forest:Forest",
    "neighbors": "oddlens.detectors.neighbors:Neighbors",
    "reconstruction": "oddlens.detectors.reconstruction:Reconstruction",
    "self_training": "oddlens.detectors.self_training:SelfTraining",
    "subspace": "oddlens.detectors.subspace:Subspace",
    "surprise": "oddlens.detectors.surprise:Surprise",
}


def names(kind: Kind) -> list[str]:
    """The names of all encoders or all detectors, in alphabetical order."""
    return sorted(_table(kind))


def find(kind: Kind, name: str) -> type[Any]:
    """The class behind a name; raises ``OptionError`` with the list of names if there is none."""
    table = _table(kind)
    if name not in table:
        raise OptionError.unknown(kind, name, table)
    module, _, attribute = table[name].partition(":")
    found = getattr(import_module(module), attribute)
    assert isinstance(found, type)  # noqa: S101  a broken package, not a user's input
    return found


def options(kind: Kind, name: str) -> dict[str, Any]:
    """A class's constructor options with their defaults: the constructor is the schema."""
    parameters = inspect.signature(find(kind, name)).parameters
    return {key: parameter.default for key, parameter in parameters.items()}


def create(kind: Kind, name: str, **values: Any) -> Any:
    """An encoder or detector by name; an option that it does not have is an ``OptionError``."""
    known = options(kind, name)
    for key in values:
        if key not in known:
            raise OptionError.unknown(f"option of {kind} {name}", key, known)
    return find(kind, name)(**values)


def name_of(kind: Kind, thing: object) -> str | None:
    """The registered name of an encoder or detector, or None if it is not registered."""
    cls = type(thing)
    path = f"{cls.__module__}:{cls.__qualname__}"
    return next((name for name, value in _table(kind).items() if value == path), None)


def _table(kind: Kind) -> dict[str, str]:
    ours = {"encoder": ENCODERS, "detector": DETECTORS}[kind]
    theirs = {point.name: point.value for point in entry_points(group=f"oddlens.{kind}s")}
    return {**theirs, **ours}
