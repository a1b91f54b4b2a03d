"""What the commands take: the options that several share, and how their texts are read."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from oddlens.errors import OptionError

if TYPE_CHECKING:
    from oddlens.protocols import ImageSource

F = TypeVar("F", bound=Callable[..., Any])


def shared(*names: str) -> Callable[[F], F]:
    """The options that several commands share, each defined once."""
    known = {
        "column": click.option("--column", default=None, metavar="NAME",
                               help="Of a table: the column of images.  [default: the only one that holds any]"),
        "device": click.option("--device", default="auto", show_default=True,
                               help="Device that encoders run on: auto (a GPU if there is one), cpu, cuda, mps."),
        "jobs": click.option("--jobs", type=int, default=None, help="Threads.  [default: one for each core]"),
        "json": click.option("--json", "as_json", is_flag=True, help="Print a machine-readable summary."),
        "links": click.option("--follow-links", is_flag=True,
                              help="Follow links that lead out of the folder of images; else they are passed over."),
        "memory": click.option("--max-memory", type=click.FloatRange(min=0, min_open=True), default=1.0,
                               show_default=True, metavar="GIB",
                               help="What decoding one image may take; what would take more is listed as unreadable."),
        "isolate": click.option("--isolate/--no-isolate", default=True, show_default=True,
                                help="Decode images in processes of their own, so that a crash costs one image."),
        "seconds": click.option("--max-seconds", type=click.FloatRange(min=0, min_open=True), default=30.0,
                                show_default=True, help="How long decoding one image may take, with --isolate."),
        "overwrite": click.option("--overwrite", is_flag=True,
                                  help="Replace the finished run in --out, when the new one is whole."),
        "quiet": click.option("--quiet", is_flag=True, help="No progress bar."),
        "seed": click.option("--seed", type=int, default=0, show_default=True, help="Random seed."),
        "top": click.option("--top", type=click.IntRange(min=0), default=20, show_default=True,
                            help="How many of the strangest images to show."),
    }

    def apply(command: F) -> F:
        for name in reversed(names):
            command = known[name](command)
        return command

    return apply


def source_of(
    images: tuple[str, ...], column: str | None, follow_links: bool, isolate: bool, max_memory: float,
    max_seconds: float,
) -> ImageSource:
    """The source of what the command line names: one thing, or several; "-" stands for paths on standard input."""
    from oddlens.reading.limits import Limits
    from oddlens.sources import open_source
    from oddlens.sources.listed_paths import listed_in

    paths: list[str] = []
    for path in images:
        paths += listed_in(sys.stdin.buffer.read()) if path == "-" else [path]
    return open_source(paths[0] if images == tuple(paths) and len(paths) == 1 else paths, column=column,
                       follow_links=follow_links, limits=Limits(int(max_memory * 2**30), max_seconds, isolate))


def named(images: tuple[str, ...]) -> str:
    """What the images are called in the report."""
    first = "paths on standard input" if images[0] == "-" else images[0]
    return first if len(images) == 1 else f"{first} and {len(images) - 1:,} more"


def setting(text: str) -> tuple[str, Any]:
    """NAME=VALUE, the value read as a Python literal where it is one and as text where not."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise OptionError(f"--set takes NAME=VALUE, got {text!r}.")
    try:
        return name.strip(), ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name.strip(), value


def listed(text: str | None) -> list[str] | None:
    """Texts separated by commas."""
    return None if text is None else [part.strip() for part in text.split(",") if part.strip()]


def numbers(text: str | None, kind: type[Any], option: str) -> list[Any] | None:
    """Numbers separated by commas."""
    try:
        return None if text is None else [kind(part) for part in listed(text) or ()]
    except ValueError:
        raise OptionError(f"{option} takes numbers separated by commas, got {text!r}.") from None


def size(text: str | None) -> int | tuple[int, int] | None:
    """One number of pixels, or a height and a width."""
    if text is None:
        return None
    sides = text.lower().split("x")
    if len(sides) not in (1, 2) or not all(side.strip().isdecimal() for side in sides):
        raise OptionError(f"--image-size takes a number or HEIGHTxWIDTH in pixels, got {text!r}.")
    sizes = [int(side) for side in sides]
    return sizes[0] if len(sizes) == 1 else (sizes[0], sizes[1])
