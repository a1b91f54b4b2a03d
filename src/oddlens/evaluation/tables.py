"""Rows put together: the mean over classes and seeds, with the standard error over seeds, as text and as Markdown."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean, median, stdev
from typing import Any

HEADS = {"auroc": "AUROC", "average_precision": "av. precision", "precision_at_n": "precision at n"}
TITLES = {"A": "one class contaminated with others, unlabelled", "B": "one class, clean; a whole test split scored",
          "C": "all classes but one, clean", "C5": "all classes but one, contaminated with 5 % of it, unlabelled",
          "D": "foreign and damaged images among real ones", "labels": "your own labels"}


@dataclass(frozen=True)
class Entry:
    """One method on one group of sets.

    means:    metric -> (mean, standard error over seeds or None where there is one seed).
    sets:     how many sets the means are of.
    seconds, cpu_seconds:  the median of a set; None where a score is a part of another method's.
    """

    method: str
    means: dict[str, tuple[float, float | None]]
    sets: int
    seconds: float | None
    cpu_seconds: float | None


@dataclass(frozen=True)
class Group:
    """All methods on one kind of set: one protocol, data set and share of odd images."""

    protocol: str
    data: str
    c: float | None
    sets: int
    seeds: int
    entries: list[Entry] = field(default_factory=list)

    @property
    def title(self) -> str:
        """In a few words."""
        return self.data if not self.c else f"{self.data}, {100 * self.c:g} %"


def summarise(rows: Sequence[dict[str, Any]], order: Sequence[str]) -> list[Group]:
    """The groups of rows, sorted; methods in the given order, others after them, parts under their whole."""
    metrics = list(HEADS)
    place = {name: number for number, name in enumerate(order)}
    groups: dict[tuple[Any, ...], dict[str, list[dict[str, Any]]]] = {}
    for row in rows:
        found = groups.setdefault((row["protocol"], row["data"], row["c"]), {})
        found.setdefault(row["method"], []).append(row)
    result = []
    for (protocol, data, c), found in sorted(groups.items(), key=lambda item: [str(part) for part in item[0]]):
        sets = {(row["case"], row["seed"]) for method in found.values() for row in method}
        group = Group(protocol, data, c, len(sets), len({seed for _, seed in sets}))
        for name in sorted(found, key=lambda name: (place.get(name.split(": ")[0], len(place)), name)):
            group.entries.append(Entry(name, {metric: _mean(found[name], metric) for metric in metrics},
                                       len(found[name]), _median(found[name], "seconds"),
                                       _median(found[name], "cpu_seconds")))
        result.append(group)
    return result


def _mean(rows: Sequence[dict[str, Any]], metric: str) -> tuple[float, float | None]:
    """The mean over seeds of each seed's mean over classes, and the standard error of it."""
    seeds: dict[int, list[float]] = {}
    for row in rows:
        seeds.setdefault(row["seed"], []).append(row[metric])
    means = [fmean(values) for values in seeds.values()]
    return fmean(means), stdev(means) / math.sqrt(len(means)) if len(means) > 1 else None


def _median(rows: Sequence[dict[str, Any]], name: str) -> float | None:
    values = [row[name] for row in rows if row[name] is not None]
    return median(values) if values else None


def text(groups: Sequence[Group]) -> str:
    """The tables for a terminal, one a group."""
    lines = []
    for group in groups:
        width = max([len(entry.method) for entry in group.entries] + [6])
        lines += ["", f"{group.protocol}: {TITLES.get(group.protocol, '')}; {group.title}",
                  f"mean of {_sets(group)}" + ("; +- standard error over seeds" if group.seeds > 1 else ""),
                  f"{'':<{width}}" + "".join(f"  {head:>14}" for head in HEADS.values())
                  + f"  {'seconds':>8}  {'CPU-s':>8}"]
        for entry in group.entries:
            cells = "".join(f"  {_cell(*entry.means[metric], '+-'):>14}" for metric in HEADS)
            times = "".join(f"  {'' if value is None else f'{value:.2f}':>8}"
                            for value in (entry.seconds, entry.cpu_seconds))
            part = "" if entry.sets == group.sets else f"  {entry.sets} of {group.sets} sets"
            lines.append(f"{entry.method:<{width}}{cells}{times}{part}")
    return "\n".join(lines).lstrip("\n")


def markdown(groups: Sequence[Group]) -> str:
    """The tables for a page, one a protocol: AUROC / average precision, a column for each data set and share."""
    lines: list[str] = []
    for protocol in dict.fromkeys(group.protocol for group in groups):
        columns = [group for group in groups if group.protocol == protocol]
        methods = list(dict.fromkeys(entry.method for group in columns for entry in group.entries))
        heads = " | ".join(f"{group.title} ({_sets(group)})" for group in columns)
        lines += ["", f"**{protocol}**: {TITLES.get(protocol, '')}. AUROC / average precision.", "",
                  f"| method | {heads} | CPU-s a set |",
                  "| --- |" + " --- |" * (len(columns) + 1)]
        for method in sorted(methods, key=_first_seen(columns)):
            entries = [next((entry for entry in group.entries if entry.method == method), None) for group in columns]
            cells = ["" if entry is None else _pair(entry, group)
                     for entry, group in zip(entries, columns, strict=True)]
            times = [entry.cpu_seconds for entry in entries if entry is not None and entry.cpu_seconds is not None]
            lines.append(f"| {method} | " + " | ".join(cells) + f" | {f'{median(times):.1f}' if times else ''} |")
    return "\n".join(lines).lstrip("\n")


def _first_seen(columns: Sequence[Group]) -> Any:
    """Sorts methods as the group that has most of them does."""
    fullest = max(columns, key=lambda group: len(group.entries))
    place = {entry.method: number for number, entry in enumerate(fullest.entries)}
    return lambda method: place.get(method, len(place))


def _sets(group: Group) -> str:
    sets = f"{group.sets} set" + "s" * (group.sets > 1)
    return f"{sets}, {group.seeds} seeds" if group.seeds > 1 else sets


def _pair(entry: Entry, group: Group) -> str:
    pair = " / ".join(_cell(*entry.means[metric], " ± ") for metric in ("auroc", "average_precision"))
    return pair if entry.sets == group.sets else f"{pair} ({entry.sets} of {group.sets})"


def _cell(mean: float, error: float | None, sign: str) -> str:
    return f"{mean:.3f}" if error is None else f"{mean:.3f}{sign}{error:.3f}"


def plain(groups: Sequence[Group]) -> list[dict[str, Any]]:
    """The same in plain values, for JSON."""
    return [{"protocol": group.protocol, "data": group.data, "c": group.c, "sets": group.sets, "seeds": group.seeds,
             "methods": [{"method": entry.method, "sets": entry.sets, "seconds": entry.seconds,
                          "cpu_seconds": entry.cpu_seconds,
                          **{metric: mean for metric, (mean, _) in entry.means.items()},
                          "standard_error": {metric: error for metric, (_, error) in entry.means.items()}}
                         for entry in group.entries]} for group in groups]
