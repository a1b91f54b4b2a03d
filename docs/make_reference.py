"""Write from the code what the documents say about it: docs/reference.md, and tables in other pages.

The reference has every command, every encoder and detector with its options, the contract of others' methods and every
error. README.md has tables of the encoders and detectors in each class's own words, docs/architecture.md tables of what
each method's file imports. A table stands between two comments, ``<!-- encoders -->`` and ``<!-- /encoders -->``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path

import click
import import_graph

import oddlens
from oddlens import errors, protocols, registry
from oddlens.cli import cli
from oddlens.model import AnomalyModel
from oddlens.views import DEFAULT

REFERENCE = Path(__file__).with_name("reference.md")
README = Path(__file__).parent.parent / "README.md"
ARCHITECTURE = Path(__file__).with_name("architecture.md")
ROOMS_OF_METHODS = ("encoders", "detectors", "scoring.patterns")
CONTRACT = ("ImageSource", "Encoded", "Reason", "Encoder", "Detector", "HasOptions", "LooksAt", "Judges", "Seeks",
            "Explains", "ReadsNear", "InFolder", "Skips", "HoldsPixels")
PYTHON = ("rank", "open_source", "load_model", "save_model", "Ranking", "Outliers")


def reference() -> str:
    """The whole page."""
    lines = ["# Reference", "", "Written by `make docs` from the code; edit the docstrings instead.", ""]
    lines += ["## Commands", ""]
    program = click.Context(cli, info_name="oddlens", help_option_names=["-h", "--help"])
    for name, command in sorted(cli.commands.items()):
        help_text = command.get_help(click.Context(command, info_name=name, parent=program, max_content_width=100))
        lines += [f"### oddlens {name}", "", "```text", help_text, "```", ""]
    for kind in ("encoder", "detector"):
        lines += [f"## {kind.capitalize()}s", ""]
        for name in registry.names(kind):
            cls = registry.find(kind, name)
            values = ", ".join(f"{key}={value!r}" for key, value in registry.options(kind, name).items())
            lines += [f"### {name}", "", inspect.cleandoc(inspect.getmodule(cls).__doc__ or ""), "",
                      "```text", f"{cls.__name__}({values})", "", inspect.cleandoc(cls.__doc__), "```", ""]
    lines += ["## AnomalyModel", "", "```text", inspect.cleandoc(AnomalyModel.__doc__ or ""), "```", ""]
    lines += ["## Functions and results", ""]
    for name in PYTHON:
        lines += [f"### {name}", "", "```text", *_described(name), "```", ""]
    lines += ["## The contract of others' methods", "", "```text", inspect.cleandoc(protocols.__doc__ or ""), "```", ""]
    for name in CONTRACT:
        lines += [f"### {name}", "", "```text", *_members(getattr(protocols, name)), "```", ""]
    lines += ["## Errors", "", "```text", inspect.cleandoc(errors.__doc__ or ""), "```", ""]
    return "\n".join(lines)


def _described(name: str) -> list[str]:
    """A public function or class: how it is called, what it is for, and the same of its public methods."""
    thing = getattr(oddlens, name)
    call = "" if inspect.isclass(thing) else _call(thing)
    lines = [f"oddlens.{name}{call}", "", inspect.cleandoc(thing.__doc__ or "")]
    for method, member in vars(thing).items() if inspect.isclass(thing) else ():
        if inspect.isfunction(member) and not method.startswith("_") and member.__doc__:
            lines += ["", f"{method}{_call(member)}",
                      *(f"    {line}".rstrip() for line in inspect.cleandoc(member.__doc__).splitlines())]
    return lines


def _call(function: Callable[..., object]) -> str:
    return str(inspect.signature(function)).replace("'", "")


def _members(cls: type) -> list[str]:
    """What a class is for, and its attributes and methods with what they are for."""
    lines = [inspect.cleandoc(cls.__doc__ or ""), ""]
    for name, kind in inspect.get_annotations(cls).items():
        lines.append(f"{name}: {kind}")
    for name, member in vars(cls).items():
        method = member.fget if isinstance(member, property) else member
        if inspect.isfunction(method) and method.__module__ == protocols.__name__ and method.__doc__:
            if (name.startswith("_") and name != "__len__") or hasattr(cls, "__dataclass_fields__"):
                continue
            lines += [f"{name}{inspect.signature(method)}".replace("'", ""),
                      *(f"    {line}".rstrip() for line in inspect.cleandoc(method.__doc__).splitlines())]
    return lines


def _words(role: registry.Role, name: str) -> str:
    cls = registry.find(role, name)
    if role == "encoder":
        line = inspect.cleandoc(cls.__doc__ or "").splitlines()[0].removesuffix(".").replace("``", "`")
        return f"{cls.looks_at} | {line}"
    return f"{cls.judges} | {cls.seeks}"


def readme() -> str:
    """README.md with the tables of encoders and detectors as the classes say."""
    text = README.read_text()
    for kind, headings in (("encoder", "looks at | in a line"), ("detector", "judges an image | looks for")):
        used = list(dict.fromkeys(getattr(view, kind) for view in DEFAULT))
        names = [*used, *(name for name in registry.names(kind) if name not in used)]
        rows = [f"| {kind} | {headings} |", "| --- | --- | --- |"]
        rows += [f"| `{name}`{' (default)' if name in used else ''} | {_words(kind, name)} |" for name in names]
        text = _between(text, f"{kind}s", "\n".join(rows))
    return text


def architecture() -> str:
    """docs/architecture.md with the tables of what the methods' files import."""
    text = ARCHITECTURE.read_text()
    for room in ROOMS_OF_METHODS:
        text = _between(text, room, import_graph.radius(room))
    return text


def _between(text: str, name: str, table: str) -> str:
    """The text with what stands between the two comments of that name replaced by a table."""
    before, start, rest = text.partition(f"<!-- {name} -->")
    _, end, after = rest.partition(f"<!-- /{name} -->")
    return f"{before}{start}\n{table}\n{end}{after}"


if __name__ == "__main__":
    REFERENCE.write_text(reference())
    README.write_text(readme())
    ARCHITECTURE.write_text(architecture())
