"""Write docs/reference.md from the code: every command, every encoder and detector with its options, every error."""

from __future__ import annotations

import inspect
from pathlib import Path

import click

from oddlens import errors, registry
from oddlens.cli import cli
from oddlens.model import AnomalyModel

REFERENCE = Path(__file__).with_name("reference.md")


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
    lines += ["## Errors", "", "```text", inspect.cleandoc(errors.__doc__ or ""), "```", ""]
    return "\n".join(lines)


if __name__ == "__main__":
    REFERENCE.write_text(reference())
