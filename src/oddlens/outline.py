"""What a class of ours says of itself, read from its source: to list all of them imports none, and so no torch."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from oddlens import registry
from oddlens.registry import Role


@dataclass(frozen=True)
class Outline:
    """A class in short.

    says:     the first line of its docstring.
    options:  of its constructor, with their defaults; None where one has none.
    """

    says: str
    options: dict[str, Any]


def outline(role: Role, name: str) -> Outline:
    """An encoder, a detector or a source in short; one of another package's is imported for it."""
    found = _read(*registry.OURS[role][name].split(":")) if name in registry.OURS[role] else None
    if found is not None:
        return found
    cls = registry.find(role, name)
    return Outline(_first_line(cls.__doc__), registry.options(role, name))


def _read(module: str, attribute: str) -> Outline | None:
    """From the source; None where it is not there, or a default is more than a literal."""
    spec = find_spec(module)  # imports the room that it lies in, which is empty
    try:
        tree = ast.parse(Path(spec.origin or "").read_text(encoding="utf-8")) if spec else ast.Module([], [])
        cls = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == attribute)
        made = [node for node in cls.body if isinstance(node, ast.FunctionDef) and node.name == "__init__"]
        options = _options(made[0].args) if made else {}  # without a constructor there are none: nothing is inherited
    except (OSError, StopIteration, SyntaxError, ValueError):
        return None
    return Outline(_first_line(ast.get_docstring(cls)), options)


def _options(arguments: ast.arguments) -> dict[str, Any]:
    """Name -> default; raises ``ValueError`` for one that has to be computed."""
    names = [argument.arg for argument in (*arguments.posonlyargs, *arguments.args)][1:]  # without self
    without = len(names) - len(arguments.defaults)
    names += [argument.arg for argument in arguments.kwonlyargs]
    defaults = [*[None] * without, *arguments.defaults, *arguments.kw_defaults]
    pairs = zip(names, defaults, strict=True)
    return {name: None if default is None else ast.literal_eval(default) for name, default in pairs}


def _first_line(text: str | None) -> str:
    return next(iter((text or "").strip().splitlines()), "")
