"""The report: one HTML file that opens from disk without a network and explains itself to a stranger."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, features

from oddlens.errors import OptionError, UnreadableImage
from oddlens.explaining import Why
from oddlens.files import write_atomically
from oddlens.page import digest, fill
from oddlens.page import number as number
from oddlens.page import short as short
from oddlens.page import visible as visible
from oddlens.pixels import as_picture
from oddlens.protocols import Doubles
from oddlens.ranking import RankedImage, Ranking

THUMBNAIL = 160  # pixels on the longer side, at most
TINY = 64  # pixels on the longer side: up to here an image is kept as it is and shown in squares
SQUARE = 144  # pixels that a tiny image is shown at, less what whole pixels leave over
ORDINARY = 10  # of the most ordinary images, shown for comparison
BARS = 48  # of a histogram
MOST_UNREADABLE = 500  # listed by name; more are counted
MOST_NAMED = 4  # detectors whose ranks stand under each picture; of more, the bars of the reasons speak
MOST_TOLD = 20  # images whose reasons are shown
BUDGET = 8 * 2**20  # bytes of all thumbnails together, before base64 makes them a third larger

# A thumbnail that is too large for its share of the budget is made again, smaller and coarser.
STEPS = ((THUMBNAIL, 82), (THUMBNAIL, 60), (128, 45), (96, 35), (64, 25), (40, 20))

Reader = Callable[[int], NDArray[np.uint8]]


@dataclass(frozen=True)
class Section:
    """What one detector found: its column in the ranking, a heading, and in plain words what it looks for."""

    column: str | None  # None: the score over all detectors
    title: str
    sought: str
    explain: Callable[[int], Why] | None = None  # a row of the ranking -> what made it strange
    rows: Sequence[int] | None = None  # the images to explain, by default the strangest; others are like these


@dataclass(frozen=True)
class Note:
    """A paragraph with a small table, apart from the results proper. The first cell of each row heads it."""

    title: str
    text: str
    header: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()

    def __post_init__(self) -> None:
        if any(len(row) != len(self.header) for row in self.rows):
            raise OptionError(f"Note {self.title!r} has {len(self.header)} headings: give each row as many cells.")


@dataclass(frozen=True)
class Fragment:
    """A part of the page that is HTML already, ours and safe to show as it is.

    anchor, title:  where the page's list of parts leads, and in which words.
    script:         the text of its script; the page lets no other run.
    """

    anchor: str
    title: str
    html: str
    script: str


@dataclass(frozen=True)
class Report:
    """All that the page needs.

    title:       what the page is about.
    source:      what was looked at, in words or as a path.
    ranking:     the result; its length and its unreadable images are the page's counts.
    read:        gives the picture of a row of the ranking, as uint8 (height, width, 1 or 3); one that raises
                 ``UnreadableImage`` is shown as a placeholder.
    sections:    one a detector; the one of all detectors together is shown first.
    facts:       more lines for the table of how it was made; they replace the page's own of the same name.
    parameters:  who -> option -> value.
    versions:    package -> version.
    command:     makes the same again, typed in a shell.
    top:         how many of the strangest images each section shows.
    notes:       what is to be said apart from the results.
    statement:   how many images look odd and how sure that is, in a sentence or two; it stands first.
    fragments:   parts that are HTML already.
    fitted:      the images that reasons and nearest ones point at, where they are others than those ranked.
    read_fitted: gives their pictures.
    skipped:     files that were there and are no images, if they were counted.
    seed, timings (stage -> seconds), created: shown if given.
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
    statement: str = ""
    fragments: Sequence[Fragment] = ()
    fitted: Ranking | None = None
    read_fitted: Reader | None = None
    skipped: int | None = None
    seed: int | None = None
    timings: Mapping[str, float] = field(default_factory=dict)
    created: str = ""

    @property
    def found(self) -> int:
        """How many images there were, readable or not."""
        return len(self.ranking) + len(self.ranking.unreadable)

    @property
    def table(self) -> dict[str, str]:
        """How it was made, line by line."""
        own = {
            "Images": self.source,
            "Found": f"{self.found:,}",
            "Read": f"{len(self.ranking):,}",
            "Could not be read": f"{len(self.ranking.unreadable):,}",
            "Other files, passed over": "" if self.skipped is None else f"{self.skipped:,}",
            "Seed": "" if self.seed is None else str(self.seed),
            "Time": ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in self.timings.items()),
            "Made on": self.created,
        }
        return {key: value for key, value in {**own, **self.facts}.items() if value}


@dataclass(frozen=True)
class Picture:
    """A thumbnail. Each image stands once in the page, where it is first shown; later places point there."""

    key: str
    uri: str | None  # a data URI; None where the picture stands further up
    width: int
    height: int
    shown: int | None  # pixels on the longer side to show a tiny image at, in squares

    @property
    def shown_width(self) -> int:
        """The width to show a tiny image at."""
        return round(self.width * (self.shown or 0) / max(self.width, self.height)) or 1


@dataclass(frozen=True)
class Card:
    """One image on the page. others: detector -> the image's rank there."""

    image: RankedImage
    score: float
    picture: Picture | None  # None: it can no longer be read
    others: Mapping[str, int]


@dataclass(frozen=True)
class Told:
    """Why one image is strange.

    reasons:  in words, with cards of images that show what is meant.
    nearest:  ordinary images that are most like it.
    heat:     the picture with the strange places coloured.
    bars:     (view, p-value, its length in 0..1), the longer the more surprising.
    """

    card: Card
    reasons: Sequence[tuple[str, Sequence[Card]]]
    nearest: Sequence[Card] = ()
    heat: Picture | None = None
    bars: Sequence[tuple[str, float, float]] = ()


@dataclass(frozen=True)
class Histogram:
    """How many images score how high. The bars' edges are laid so that one of them is the threshold.

    edges:      (bars + 1) from low to high.
    counts:     (bars) how many images score from an edge up to the next.
    threshold:  the score of the last of the strangest images shown; bars from here up hold only those, and images
                that score the same.
    spread:     (in words, score) from low to high.
    """

    edges: Sequence[float]
    counts: Sequence[int]
    threshold: float
    spread: Sequence[tuple[str, float]]

    @property
    def low(self) -> float:
        """The lowest score."""
        return self.spread[0][1]

    @property
    def high(self) -> float:
        """The highest score."""
        return self.spread[-1][1]

    @cached_property
    def heights(self) -> list[float]:
        """Each bar's height in 0..1, on a square-root scale: single images stay visible beside thousands."""
        most = max(self.counts) or 1
        return [(count / most) ** 0.5 for count in self.counts]

    def place(self, score: float) -> float:
        """Where a score lies between the first edge and the last, in 0..1."""
        return (score - self.edges[0]) / (self.edges[-1] - self.edges[0])


def write_report(path: str | Path, report: Report) -> None:
    """Write the page."""
    ranking = report.ranking
    page = fill(
        "report.html", report=report, sections=_shown(report), unreadable=ranking.unreadable[:MOST_UNREADABLE],
        several=len(ranking.members) > 1, crowded=len(ranking.members) > MOST_NAMED, images=_counted, chance=chance,
        scripts=" ".join(digest(fragment.script) for fragment in report.fragments) or "'none'",
    )
    write_atomically(path, page.encode("utf-8", "backslashreplace"))


def _shown(report: Report) -> list[dict[str, Any]]:
    """The sections with their cards and histograms, the one of all detectors first."""
    ranking = report.ranking
    ordinary = max(0, min(ORDINARY, len(ranking) - report.top))  # an image is not shown as both
    explained = sum(section.explain is not None for section in report.sections)
    shown_at_most = (report.top + ordinary) * len(report.sections) + 14 * min(report.top, MOST_TOLD) * explained
    pictures = _Pictures(report.read, shown_at_most)
    others = ranking if report.fitted is None else report.fitted
    theirs = pictures if report.read_fitted is None else _Pictures(report.read_fitted, shown_at_most, "f")
    ranks = {column: ranking.ranks(column) for column in ranking.members}

    def card(image: RankedImage, shown: str | None) -> Card:
        score = image.score if shown is None else image.members[shown]
        places = {column: int(rank[image.index]) for column, rank in ranks.items() if column != shown}
        return Card(image, score, pictures[image.index], places)

    def example(row: int) -> Card:
        image = others.image(row)
        return Card(image, image.score, theirs[row], {})

    def told(section: Section) -> list[Told]:
        if section.explain is None:
            return []
        rows = section.rows
        if rows is None:
            rows = [image.index for image in ranking.top(report.top, section.column)]
        return [one(section, row) for row in rows[: min(report.top, MOST_TOLD)]]

    def one(section: Section, row: int) -> Told:
        assert section.explain is not None  # noqa: S101
        why, column = section.explain(row), section.column
        known = ranking.image(row)
        place = known if column is None else replace(known, rank=int(ranks[column][row]))
        reasons = [(reason.text, [example(i) for i in reason.examples]) for reason in why.reasons]
        if why.alike is not None:
            reasons.append((why.alike.text, [card(ranking.image(i), column) for i in why.alike.examples]))
        heat = None if why.heat is None else picture(f"h{row}", why.heat, pictures.limit)
        return Told(card(place, column), reasons, [example(i) for i in why.nearest], heat,
                    [(name, p, surprise(p)) for name, p in (why.agreement or {}).items()])

    return [
        {
            "section": section,
            "cards": [card(image, section.column) for image in ranking.top(report.top, section.column)],
            "ordinary": [card(image, section.column) for image in ranking.bottom(ordinary, section.column)],
            "told": told(section),
            "histogram": histogram(_column(ranking, section.column), report.top),
        }
        for section in sorted(report.sections, key=lambda section: section.column is not None)
    ]


def surprise(p_value: float) -> float:
    """The length of a p-value's bar in 0..1: none from 1/2 up, full from 1 in 100,000 down."""
    return float(np.clip(-np.log10(max(2 * p_value, 1e-12)) / 4.7, 0, 1))


def chance(p_value: float) -> str:
    """A p-value in words: the share of ordinary images that would score as high."""
    if p_value >= 0.01:
        return f"{100 * p_value:.0f} in 100"
    return "fewer than 1 in a million" if p_value < 1e-6 else f"1 in {float(f'{1 / p_value:.2g}'):,.0f}"


def histogram(scores: Doubles, top: int) -> Histogram | None:
    """The scores in bars of equal width, one edge at the score of the last of the ``top`` strangest.

    None if there is nothing to tell apart: no images shown, all of them shown, or no scores that differ.
    """
    scores = np.sort(scores[np.isfinite(scores)])
    if not 0 < top < len(scores):
        return None
    low, high = float(scores[0]), float(scores[-1])
    width = (high - low) / BARS
    if not 0 < width < np.inf:
        return None
    threshold = float(scores[-top])
    place = np.floor((scores - threshold) / width)
    first, last = int(place[0]), int(place[-1])
    counts = np.bincount((place - first).astype(np.int64), minlength=last - first + 1)
    edges = [threshold + bar * width for bar in range(first, last + 2)]
    edges[0], edges[-1] = min(edges[0], low), max(edges[-1], high)  # they may miss by a rounding
    half, most, nearly = (float(q) for q in np.quantile(scores, (0.5, 0.9, 0.99)))
    spread = [("The most ordinary image", low), ("Half of all images score below", half),
              ("90 % score below", most), ("99 % score below", nearly), ("The strangest image", high)]
    return Histogram(edges, counts.tolist(), threshold, spread)


class _Pictures:
    """Thumbnails by row, each made once; ``most`` of them share the budget. ``prefix`` tells two such sets apart."""

    def __init__(self, read: Reader, most: int, prefix: str = "p") -> None:
        self._read, self._prefix = read, prefix
        self.limit = BUDGET // max(most, 1)
        self._made: dict[int, Picture | None] = {}

    def __getitem__(self, index: int) -> Picture | None:
        made = self._made.get(index)
        if made is not None:
            return Picture(made.key, None, made.width, made.height, made.shown)
        if index not in self._made:
            try:
                self._made[index] = picture(f"{self._prefix}{index}", self._read(index), self.limit)
            except UnreadableImage:
                self._made[index] = None
        return self._made[index]


def picture(key: str, image: NDArray[np.uint8], limit: int = BUDGET) -> Picture:
    """A thumbnail of an image, in about ``limit`` bytes at most; tiny images keep every pixel if that allows it."""
    small = as_picture(image)
    longer = max(small.size)
    if longer <= TINY:
        content = _encoded(small, "PNG", optimize=True)
        if len(content) <= limit:
            return Picture(key, _uri("png", content), *small.size, max(SQUARE // longer, 1) * longer)
    kind = "webp" if features.check("webp") else "jpeg"
    for side, quality in STEPS:
        small.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=3)
        content = _encoded(small, kind.upper(), quality=quality)
        if len(content) <= limit:
            break
    return Picture(key, _uri(kind, content), *small.size, None)


def _encoded(small: Image.Image, kind: str, **options: Any) -> bytes:
    content = io.BytesIO()
    small.save(content, kind, **options)
    return content.getvalue()


def _uri(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _counted(count: int) -> str:
    return f"{count:,} image" if count == 1 else f"{count:,} images"


def _column(ranking: Ranking, column: str | None) -> Doubles:
    return ranking.scores if column is None else ranking.members[column]
