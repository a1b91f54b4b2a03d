"""The plot of an evaluation: how precise each method is on each kind of set."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from PIL import Image

from oddlens.errors import MissingExtra
from oddlens.files import write_atomically

OWN, BASELINE, QUIET = "#b3402a", "#6d7f8f", "#c9ced3"  # colours: ours, theirs, AUROC
STYLES = ("--", "-", "-.", ":")  # of the curves of a panel, in their order
ACROSS = 3  # panels a row
COLOURS = 128  # of a picture: four, with the steps between these and white


@dataclass(frozen=True)
class Bars:
    """One panel: method -> (average precision, its standard error or None, AUROC)."""

    title: str
    values: dict[str, tuple[float, float | None, float]]


def write_plot(path: Path, panels: Sequence[Bars]) -> None:
    """Write the panels as one PNG; raises ``MissingExtra`` without matplotlib."""
    if find_spec("matplotlib") is None:
        raise MissingExtra.named("matplotlib", "evaluate", "The plot")
    from matplotlib.figure import Figure

    across = min(ACROSS, len(panels))
    down = -(-len(panels) // across)
    most = max(len(panel.values) for panel in panels)
    figure = Figure(figsize=(5.2 * across, (1.2 + 0.24 * most) * down), dpi=120, layout="constrained")
    for number, panel in enumerate(panels):
        _draw(figure.add_subplot(down, across, number + 1), panel)
    figure.supxlabel("bar: average precision (line: standard error over seeds); ring: AUROC", fontsize=9)
    _write(path, figure)


@dataclass(frozen=True)
class Curves:
    """One panel: method -> how many odd images were found, on average, after every so many looks."""

    title: str
    every: int
    values: dict[str, list[float]]


def write_curves(path: Path, panels: Sequence[Curves]) -> None:
    """Write the panels as one PNG; raises ``MissingExtra`` without matplotlib."""
    if find_spec("matplotlib") is None:
        raise MissingExtra.named("matplotlib", "evaluate", "The plot")
    from matplotlib.figure import Figure

    across = min(ACROSS, len(panels))
    down = -(-len(panels) // across)
    figure = Figure(figsize=(4.2 * across, 3.0 * down), dpi=110, layout="constrained")
    for number, panel in enumerate(panels):
        axes = figure.add_subplot(down, across, number + 1)
        for style, (name, found) in zip(STYLES, panel.values.items(), strict=False):
            axes.plot([0, *(panel.every * (1 + i) for i in range(len(found)))], [0, *found], style, label=name,
                      color=BASELINE if style == STYLES[0] else OWN, linewidth=1.4)
        axes.set_title(panel.title, fontsize=10)
        axes.tick_params(labelsize=8)
        axes.grid(color=QUIET, linewidth=0.6)
        axes.set_ylim(bottom=0)
        axes.set_xlim(left=0)
        if not number:
            axes.legend(fontsize=8)
    figure.supxlabel("images looked at", fontsize=9)
    figure.supylabel("odd images found", fontsize=9)
    _write(path, figure)


def _write(path: Path, figure: Any) -> None:
    """A figure as a PNG of few colours: it has few, and takes a third of the room."""
    drawn, picture = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png")
    few_colours(Image.open(drawn)).save(picture, "PNG", optimize=True)
    write_atomically(path, picture.getvalue())


def few_colours(picture: Image.Image) -> Image.Image:
    """A picture with a palette."""
    return picture.convert("RGB").quantize(COLOURS, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)


def _draw(axes: Any, panel: Bars) -> None:
    names = list(panel.values)
    precision, errors, auroc = zip(*panel.values.values(), strict=True)
    colours = [OWN if name.startswith("oddlens") else BASELINE for name in names]
    axes.barh(names, precision, xerr=[error or 0 for error in errors], color=colours, height=0.7)
    axes.plot(auroc, range(len(names)), "o", markerfacecolor="none", markeredgecolor="black", markersize=4)
    axes.set_xlim(0, 1.02)
    axes.invert_yaxis()
    axes.set_title(panel.title, fontsize=10)
    axes.tick_params(labelsize=8)
    axes.grid(axis="x", color=QUIET, linewidth=0.6)
    axes.set_axisbelow(True)
