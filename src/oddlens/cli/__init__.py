"""The command line: parse, call one function, print."""

from oddlens.cli.program import cli, main

__all__ = ["cli", "main"]
