"""The command that says which methods there are: list."""

from __future__ import annotations

import json

import click

from oddlens import registry
from oddlens.cli.options import shared


@click.command("list")
@shared("json")
def list_command(as_json: bool) -> None:
    """List the encoders and detectors with their options and defaults."""
    from oddlens.outline import outline

    roles: list[registry.Role] = ["encoder", "detector"]
    if registry.names("source"):  # only other packages give any
        roles.append("source")
    table = {f"{role}s": {name: outline(role, name) for name in registry.names(role)} for role in roles}
    if as_json:
        listed = {heading: {name: told.options for name, told in each.items()} for heading, each in table.items()}
        click.echo(json.dumps(listed, indent=2, default=repr))
        return
    for heading, each in table.items():
        click.echo(heading)
        for name, told in each.items():
            click.echo(f"  {name:<18}{told.says}")
            for option, default in told.options.items():
                click.echo(f"      {option}={default!r}")
