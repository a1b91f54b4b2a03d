"""The encoders and detectors by name: two tables, then what other installed packages add.

A package adds its own through the entry-point groups ``oddlens.encoders``, ``oddlens.detectors`` and
``oddlens.sources``. A name stands for a class only by way of these tables, so nothing that is read from a file, a saved
model least of all, can name code to run. Each name stands for one thing: a package that offers a name that is taken is
refused with an error that names it.
"""

from __future__ import annotations

import inspect
import sys
from functools import lru_cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal, TypeAlias

from oddlens.errors import OptionError

Role: TypeAlias = Literal["encoder", "detector", "source"]

ENCODERS = {
    "alterations": "oddlens.encoders.alterations:Alterations",
    "autoencoder": "oddlens.encoders.autoencoder:Autoencoder",
    "backbone": "oddlens.encoders.backbone:Backbone",
    "conv_autoencoder": "oddlens.encoders.conv_autoencoder:ConvAutoencoder",
    "deep_autoencoder": "oddlens.encoders.deep_autoencoder:DeepAutoencoder",
    "dictionary": "oddlens.encoders.dictionary:Dictionary",
    "hog": "oddlens.encoders.hog:Hog",
    "lines": "oddlens.encoders.lines:Lines",
    "patch_maps": "oddlens.encoders.patch_maps:PatchMaps",
    "texture": "oddlens.encoders.texture:Texture",
    "pixels": "oddlens.encoders.pixels:Pixels",
    "statistics": "oddlens.encoders.statistics:Statistics",
    "transforms": "oddlens.encoders.transforms:Transforms",
}

DETECTORS = {
    "activations": "oddlens.detectors.activations:Activations",
    "burnout": "oddlens.detectors.burnout:Burnout",
    "forest": "oddlens.detectors.forest:Forest",
    "neighbors": "oddlens.detectors.neighbors:Neighbors",
    "patch_bank": "oddlens.detectors.patch_bank:PatchBank",
    "places": "oddlens.detectors.places:Places",
    "reconstruction": "oddlens.detectors.reconstruction:Reconstruction",
    "self_training": "oddlens.detectors.self_training:SelfTraining",
    "subspace": "oddlens.detectors.subspace:Subspace",
    "surprise": "oddlens.detectors.surprise:Surprise",
}

OURS: dict[Role, dict[str, str]] = {"encoder": ENCODERS, "detector": DETECTORS, "source": {}}


def names(role: Role) -> list[str]:
    """The names of all encoders, all detectors or all sources that a name opens, in alphabetical order."""
    return sorted({**_theirs(role), **OURS[role]})


def find(role: Role, name: str) -> type[Any]:
    """The class behind a name; raises ``OptionError`` with the list of names if there is none."""
    theirs = _theirs(role)
    if not isinstance(name, str) or name not in {**theirs, **OURS[role]}:
        raise OptionError.unknown(role, name, names(role))
    if name in OURS[role]:
        module, _, attribute = OURS[role][name].partition(":")
        found = getattr(import_module(module), attribute)
    else:
        found = _loaded(role, theirs[name])
    if not isinstance(found, type):
        raise OptionError(f"The {role} {name!r} of {_giver(theirs[name])} is {found!r}, not a class: "
                          "its entry point must name a class.")
    return found


def options(role: Role, name: str) -> dict[str, Any]:
    """A class's constructor options with their defaults (None where it has none): the constructor is the schema."""
    return {key: None if parameter.default is parameter.empty else parameter.default
            for key, parameter in parameters(find(role, name)).items()}


def create(role: Role, name: str, **values: Any) -> Any:
    """An encoder or detector by name; an option that it does not have is an ``OptionError``."""
    cls = find(role, name)
    known = parameters(cls)
    for key in values:
        if key not in known:
            raise OptionError.unknown(f"option of {role} {name}", key, known)
    for key, parameter in known.items():
        if key not in values and parameter.default is parameter.empty:
            raise OptionError(f"The {role} {name} needs a value for {key}, which has no default.")
    return cls(**values)


def name_of(role: Role, thing: object) -> str | None:
    """The registered name of an encoder or detector, or None if it is not registered."""
    cls = type(thing)
    path = f"{cls.__module__}:{cls.__qualname__}"
    if (ours := next((name for name, value in OURS[role].items() if value == path), None)) is not None:
        return ours
    root = cls.__module__.partition(".")[0]
    for name, point in _theirs(role).items():  # which may name a class by another module than the one that defines it
        if point.value == path or (point.module.partition(".")[0] == root and _loaded(role, point) is cls):
            return name
    return None


def package_of(role: Role, name: str) -> tuple[str, str] | None:
    """The name and version of the package that gives an encoder or detector; None for one of ours."""
    point = _theirs(role).get(name)
    return None if point is None or point.dist is None else (point.dist.name, point.dist.version)


def parameters(cls: type[Any]) -> dict[str, inspect.Parameter]:
    """The parameters of a class's constructor that have a name of their own."""
    return {key: parameter for key, parameter in inspect.signature(cls).parameters.items()
            if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)}


def options_of(thing: object) -> dict[str, Any]:
    """The options that an encoder or detector was made with, as far as it tells them; see ``untold``.

    They are what ``get_params`` says, and of a class that has none the attributes that are called as the parameters of
    its constructor.
    """
    from oddlens.protocols import HasOptions  # only here: the list of names needs no numpy

    if isinstance(thing, HasOptions):
        return dict(thing.get_params(deep=False))
    return {key: getattr(thing, key) for key in parameters(type(thing)) if hasattr(thing, key)}


def untold(thing: object) -> list[str]:
    """The options that an encoder or detector has and does not tell, so that none like it can be made."""
    return sorted(set(parameters(type(thing))) - set(options_of(thing)))


def _theirs(role: Role) -> dict[str, EntryPoint]:
    """What other packages give, by name; raises ``OptionError`` where a name is taken."""
    return _given(role, tuple(sys.path))


@lru_cache(16)
def _given(role: Role, path: tuple[str, ...]) -> dict[str, EntryPoint]:  # noqa: ARG001  packages are found along it
    """The same, looked up once for a path: to go through all that is installed takes milliseconds each time."""
    given: dict[str, EntryPoint] = {}
    for point in entry_points(group=f"oddlens.{role}s"):
        if point.name in OURS[role]:
            raise OptionError(f"A {role} named {point.name!r} is given by {_giver(point)}, but that is the name of a "
                              "built-in one: rename the entry point there, or uninstall the package.")
        other = given.setdefault(point.name, point)
        if other.value != point.value:
            raise OptionError(f"A {role} named {point.name!r} is given by {_giver(other)} and by {_giver(point)}: "
                              "rename one of the entry points, or uninstall one of the packages.")
    return given


def _loaded(role: Role, point: EntryPoint) -> Any:
    try:
        return point.load()
    except Exception as error:  # a package of others may fail in any way when it is imported
        raise OptionError(f"The {role} {point.name!r} of {_giver(point)} cannot be loaded from {point.value}: "
                          f"{type(error).__name__}: {error}.") from error


def _giver(point: EntryPoint) -> str:
    return "an installed package" if point.dist is None else f"the package {point.dist.name} {point.dist.version}"
