"""The report: one HTML file that opens from disk without a network and explains itself to a stranger."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from numpy.typing import NDArray

from oddlens.errors import UnreadableImage
from oddlens.files import write_atomically
from oddlens.pixels import thumbnail
from oddlens.protocols import Doubles
from oddlens.ranking import RankedImage, Ranking

THUMBNAIL = 160  # pixels on the longer side
BARS = 48  # of a histogram
MOST_UNREADABLE = 500  # listed by name; more are counted

Reader = Callable[[int], NDArray[np.uint8]]


@dataclass(frozen=True)
class Section:
    """What one detector found: its column in the ranking, a heading, and in plain words what it looks for."""

    column: str | None  # None: the score over all detectors
    title: str
    sought: str


@dataclass(frozen=True)
class Note:
    """A paragraph with a small table, apart from the results proper."""

    title: str
    text: str
    header: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()


@dataclass(frozen=True)
class Report:
    """All that the page needs.

    read gives the picture of a row of the ranking, as uint8 (height, width, 1 or 3); one that cannot be read any
    more is shown as a placeholder. facts, parameters and versions are shown as tables, in their order.
    """

    title: str
    source: str
    ranking: Ranking
    read: Reader
    sections: Sequence[Section]
    facts: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    command: str = ""
    top: int = 20
    notes: Sequence[Note] = ()


@dataclass(frozen=True)
class Card:
    """One image on the page."""

    image: RankedImage
    picture: str | None  # a data URI
    pixelated: bool
    others: Mapping[str, int]  # detector -> the image's rank there


@dataclass(frozen=True)
class Histogram:
    """How many images score how high; the bars that hold any of the images shown are marked."""

    low: float
    high: float
    counts: Sequence[int]
    marked: Sequence[bool]
    threshold: float

    @cached_property
    def heights(self) -> list[float]:
        """Each bar's height in 0..1, on a square-root scale: single images stay visible beside thousands."""
        most = max(self.counts) or 1
        return [(count / most) ** 0.5 for count in self.counts]


def write_report(path: str | Path, report: Report) -> None:
    """Write the page."""
    environment = Environment(
        loader=PackageLoader("oddlens"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )
    pictures = _Pictures(report.read)
    ranks = {column: report.ranking.ranks(column) for column in report.ranking.members}

    def card(image: RankedImage, shown: str | None) -> Card:
        others = {column: int(rank[image.index]) for column, rank in ranks.items() if column != shown}
        picture, pixelated = pictures[image.index]
        return Card(image, picture, pixelated, others)

    sections = [
        {
            "section": section,
            "cards": [card(image, section.column) for image in report.ranking.top(report.top, section.column)],
            "ordinary": [card(image, section.column)
                         for image in report.ranking.bottom(min(report.top, 10), section.column)],
            "histogram": histogram(_column(report.ranking, section.column), report.top),
        }
        for section in report.sections
    ]
    page = environment.get_template("report.html").render(
        report=report, sections=sections, unreadable=report.ranking.unreadable[:MOST_UNREADABLE],
        several=len(report.ranking.members) > 1, visible=visible, number=number,
    )
    write_atomically(path, page.encode("utf-8", "backslashreplace"))


def histogram(scores: Doubles, top: int) -> Histogram:
    """The scores in bars of equal width, with the score of the last of the ``top`` strangest."""
    if not len(scores):
        return Histogram(0, 0, [0], [False], 0)
    counts, edges = np.histogram(scores, BARS if np.ptp(scores) > 0 else 1)
    threshold = float(np.sort(scores)[::-1][min(max(top, 1), len(scores)) - 1])
    return Histogram(float(scores.min()), float(scores.max()), [int(count) for count in counts],
                     [bool(edge >= threshold) for edge in edges[1:]], threshold)


def visible(name: str) -> str:
    """A name with the characters that a reader could not see, or that would turn the line around, as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in name)


def number(value: float) -> str:
    """A score in at most five significant digits."""
    return f"{value:.4g}"


class _Pictures:
    """Thumbnails as data URIs, each made once."""

    def __init__(self, read: Reader) -> None:
        self._read = read
        self._made: dict[int, tuple[str | None, bool]] = {}

    def __getitem__(self, index: int) -> tuple[str | None, bool]:
        if index not in self._made:
            try:
                self._made[index] = data_uri(self._read(index))
            except UnreadableImage:
                self._made[index] = None, False
        return self._made[index]


def data_uri(image: NDArray[np.uint8]) -> tuple[str, bool]:
    """An image as a data URI, and whether it is so small that its pixels should be shown as squares."""
    small = max(image.shape[:2]) <= THUMBNAIL // 2
    picture = thumbnail(image, max(image.shape[:2]) if small else THUMBNAIL)
    content = io.BytesIO()
    if small:
        picture.save(content, "PNG", optimize=True)
    else:
        picture.save(content, "JPEG", quality=85)
    kind = "png" if small else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(content.getvalue()).decode()}", small


def _column(ranking: Ranking, column: str | None) -> Doubles:
    return ranking.scores if column is None else ranking.members[column]
