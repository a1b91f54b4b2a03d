"""The plot of an evaluation: how precise each method is on each kind of set."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from oddlens.errors import MissingExtra
from oddlens.files import write_atomically

OWN, BASELINE, QUIET = "#b3402a", "#6d7f8f", "#c9ced3"  # colours: ours, theirs, AUROC
ACROSS = 3  # panels a row


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
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    write_atomically(path, picture.getvalue())


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
