"""What the commands print: text that a terminal can show, a ranking in lines, progress in bars."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import click

from oddlens.progress import listening
from oddlens.report.counts import came_in_words, in_words

if TYPE_CHECKING:
    from oddlens.ranking import Ranking


def show(ranking: Ranking, top: int, summary: dict[str, Any], as_json: bool) -> None:
    """Print a finished run: its strangest images, what is said of all, and where its files are."""
    if as_json:
        click.echo(json.dumps(summary, indent=2))
        return
    strangest = ranking.top(top)
    for image, after in zip_longest(strangest, strangest[1:]):
        mark = "!" if image.flagged else " "
        causes = ranking.causes[image.index] if ranking.causes else ""
        click.echo(f"{image.rank:>4} {mark} {image.score:>10.5g}  {printable(image.name)}"
                   + (f"  ({causes})" if causes else ""))
        if image.flagged and after is not None and not after.flagged:
            click.echo("     ---- the cut: flagged above, not flagged below")
    for line in came_in_words(summary["update"]):
        click.echo(line)
    if summary["kept"]:
        click.echo(f"Went on with a run that was cut off: {summary['kept']:,} of {summary['found']:,} images were "
                   "done already.")
    click.echo(summary["statement"])
    for line in in_words(summary["causes"], summary["duplicates"]):
        click.echo(printable(line))
    for line in (summary["check"] or {}).get("sentences", ()):
        click.echo(f"      {line}")
    if ranking.unreadable:
        click.echo(f"{len(ranking.unreadable)} of {summary['found']} could not be read:")
        for name, reason in ranking.unreadable[:10]:
            click.echo(f"      {printable(name)}: {printable(reason)}")
        if len(ranking.unreadable) > 10:
            click.echo(f"      and {len(ranking.unreadable) - 10} more")
    if summary["passed_over"]:
        click.echo("Passed over: " + ", ".join(f"{count:,} {what}" for what, count in summary["passed_over"].items()))
    for label, path in summary["files"].items():
        click.echo(f"{label + ':':<10}{printable(path)}")


def printable(text: str) -> str:
    """Text that cannot move the cursor or break the line of a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)


def printable_lines(text: str) -> str:
    """Text of several lines, of which each is made printable."""
    return "\n".join(map(printable, text.split("\n")))


@contextmanager
def progress(quiet: bool) -> Iterator[None]:
    """A bar with rate and remaining time for each stage; silent when not a terminal."""
    with nullcontext() if quiet or not sys.stderr.isatty() else _bar():
        yield


@contextmanager
def _bar() -> Iterator[None]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TaskID,
        TextColumn,
        TimeRemainingColumn,
    )

    class Rate(ProgressColumn):
        def render(self, task: Task) -> str:
            speed = task.finished_speed or task.speed
            return f"{speed:,.0f}/s" if speed else ""

    tasks: dict[str, TaskID] = {}
    with Progress(TextColumn("{task.description:>10}"), BarColumn(), MofNCompleteColumn(), Rate(),
                  TimeRemainingColumn(), console=Console(stderr=True)) as bar:

        def show(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bar.add_task(stage, total=total)
            bar.update(tasks[stage], completed=done, total=total)

        with listening(show):
            yield
