"""The report: one HTML file that opens from disk without a network and explains itself to a stranger."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from oddlens.errors import OptionError, UnreadableImage
from oddlens.files import write_atomically
from oddlens.protocols import Why
from oddlens.ranking import RankedImage, Ranking
from oddlens.report.counts import cause_counts, duplicate_counts, heading, in_a_line, split
from oddlens.report.histogram import histogram
from oddlens.report.html import digest, fill
from oddlens.report.thumbnails import MOST_LARGE_BYTES, Large, Pictures, heated, large
from oddlens.statement import RARITY_FACTOR
from oddlens.thumbnails import Picture, Reader

SHOWN_ORDINARY = 10  # most ordinary images shown for comparison
MOST_UNREADABLE = 500  # unreadable images listed by name; more are counted
MOST_NAMED = 4  # detectors up to which their ranks stand under each picture; the reasons have bars of all
MOST_EXPLAINED = 20  # images whose reasons are shown
DUPLICATES = "duplicates"  # what the table of images calls those that are in groups of copies
OPEN_SECTIONS = 3  # images whose reasons are unfolded; those of the others are shown on request


@dataclass(frozen=True)
class Section:
    """What one view found, or all together.

    column:   its column in the ranking; None: the score over all. That one is shown first, the others folded away.
    title:    its heading, in plain words.
    seeks:    in plain words what it looks for.
    explain:  a row of the ranking -> what made it strange.
    rows:     the images to explain, by default the strangest; others are similar to these.
    name:     the view in plain words, where the title says something else.
    """

    column: str | None
    title: str
    seeks: str
    explain: Callable[[int], Why] | None = None
    rows: Sequence[int] | None = None
    name: str = ""


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
    sections:    one or more, one a view; that of all views together is shown first, the others are folded away.
    facts:       more lines for the table of how it was made; they replace the page's own of the same name.
    parameters:  who -> option -> value.
    versions:    package -> version.
    command:     makes the same again, typed in a shell.
    top:         how many of the strangest images each section shows.
    notes:       what is to be said apart from the results.
    statement:   how many images look odd and how sure that is, in a line or two; it stands first.
    duplicates:  groups of copies and near duplicates, as rows of the ranking.
    fragments:   parts that are HTML already.
    fitted:      the images that reasons and nearest ones point at, where they are others than those ranked.
    read_fitted: gives their pictures.
    read_large:  gives the picture of a row with more pixels, for those that are explained; shown on a click.
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
    duplicates: Sequence[Sequence[int]] = ()
    fragments: Sequence[Fragment] = ()
    fitted: Ranking | None = None
    read_fitted: Reader | None = None
    read_large: Reader | None = None
    skipped: int | None = None
    seed: int | None = None
    timings: Mapping[str, float] = field(default_factory=dict)
    created: str = ""

    @property
    def found(self) -> int:
        """How many images there were, readable or not."""
        return len(self.ranking) + len(self.ranking.unreadable)

    @property
    def flagged(self) -> int:
        """How many images are flagged."""
        return 0 if self.ranking.flagged is None else int(self.ranking.flagged.sum())

    @property
    def counts(self) -> list[tuple[str, int, str]]:
        """For each simple cause, and for copies, a heading, how many, and what the table of images calls it."""
        if self.ranking.causes is None:
            return []
        rows = [(heading(cause), count, cause) for cause, count in cause_counts(self.ranking.causes).items()]
        found = duplicate_counts(self.duplicates)
        groups = f", in {found['groups']:,} group{'' if found['groups'] == 1 else 's'}" if found["groups"] else ""
        # What new images are copies of are fitted ones: of them the causes say all.
        if self.fitted is None:
            rows.append((f"Copies and near duplicates{groups}", found["images"], DUPLICATES))
        return rows

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
class Card:
    """One image on the page. others: detector -> the image's rank there; causes: in a word each."""

    image: RankedImage
    score: float
    picture: Picture | None  # None: it can no longer be read
    others: Mapping[str, int]
    causes: str = ""


@dataclass(frozen=True)
class Explained:
    """Why one image is strange.

    reasons:  in words, with cards of images that show what is meant.
    nearest:  ordinary images that are most like it.
    heat:     the picture with the strange places coloured.
    where:    what stands under it.
    large:    the picture that a click shows whole; None where the thumbnail does, or it stands further up.
    bars:     (view, p-value, its length in 0..1), the longer the more surprising.
    """

    card: Card
    reasons: Sequence[tuple[str, Sequence[Card]]]
    nearest: Sequence[Card] = ()
    heat: Picture | None = None
    where: str = ""
    large: Large | None = None
    bars: Sequence[tuple[str, float, float]] = ()


def write_report(path: str | Path, report: Report) -> None:
    """Write the page."""
    ranking, maker = report.ranking, _Maker(report)
    first, *views = sorted(report.sections, key=lambda section: section.column is not None)
    fitted = ranking if report.fitted is None else report.fitted
    page = fill(
        "report.html", report=report, first=maker.section(first, True),
        views=[maker.section(section, False) for section in views], unreadable=ranking.unreadable[:MOST_UNREADABLE],
        several=len(ranking.members) > 1, crowded=len(ranking.members) > MOST_NAMED, images=_counted,
        told_first=OPEN_SECTIONS,
        chance=lambda p_value: chance(p_value, len(fitted)),
        scripts=" ".join(digest(fragment.script) for fragment in report.fragments) or "'none'",
    )
    write_atomically(path, page.encode("utf-8", "backslashreplace"))


class _Maker:
    """Makes the cards of a page; each picture is made once, wherever it is shown."""

    def __init__(self, report: Report) -> None:
        self.report, self.ranking = report, report.ranking
        self.ordinary = max(0, min(SHOWN_ORDINARY, len(self.ranking) - report.top))  # an image is not shown as both
        explained = sum(section.explain is not None for section in report.sections)
        most = report.top * len(report.sections) + self.ordinary + 14 * min(report.top, MOST_EXPLAINED) * explained
        self.pictures = Pictures(report.read, most)
        self.others = self.ranking if report.fitted is None else report.fitted
        self.theirs = self.pictures if report.read_fitted is None else Pictures(report.read_fitted, most, "f")
        self.ranks = {column: self.ranking.ranks(column) for column in self.ranking.members}
        self.names = {section.column: section.name or section.title for section in report.sections}

    def section(self, section: Section, first: bool) -> dict[str, Any]:
        """A section with its cards and reasons, the first with the most ordinary images and a histogram too."""
        column, top = section.column, self.report.top
        cards = [self.card(image, column) for image in self.ranking.top(top, column)]
        flagged = sum(bool(card.image.flagged) for card in cards) if first else 0
        scores = self.ranking.scores if column is None else self.ranking.members[column]
        return {
            "section": section, "flagged": cards[:flagged], "others": cards[flagged:],
            "ordinary": [self.card(image, column) for image in self.ranking.bottom(self.ordinary, column)]
                        if first else [],
            "told": self.told(section), "histogram": histogram(scores, top) if first else None,
        }

    def card(self, image: RankedImage, column: str | None) -> Card:
        """An image of the ranking, as it is shown by a column."""
        score = image.score if column is None else image.members[column]
        places = {other: int(rank[image.index]) for other, rank in self.ranks.items() if other != column}
        causes = self.ranking.causes[image.index] if self.ranking.causes else ""
        return Card(image, score, self.pictures[image.index], places, in_a_line(split(causes)))

    def example(self, row: int) -> Card:
        """A fitted image that a reason points at."""
        image = self.others.image(row)
        return Card(image, image.score, self.theirs[row], {})

    def told(self, section: Section) -> list[Explained]:
        """Why the images of a section are strange."""
        if section.explain is None:
            return []
        top = self.report.top
        rows = section.rows
        if rows is None:
            rows = [image.index for image in self.ranking.top(top, section.column)]
        return [self.one(row, section.explain(row), section.column) for row in rows[: min(top, MOST_EXPLAINED)]]

    def one(self, row: int, why: Why, column: str | None) -> Explained:
        """Why one image is strange."""
        known = self.ranking.image(row)
        shown = self.card(known if column is None else replace(known, rank=int(self.ranks[column][row])), column)
        reasons = [(reason.text, [self.example(i) for i in reason.examples]) for reason in why.reasons]
        if why.alike is not None:
            reasons.append((why.alike.text, [self.card(self.ranking.image(i), column) for i in why.alike.examples]))
        heat = None
        if why.heat is not None and shown.picture is not None:
            heat = heated(f"h{row}", shown.picture, self.report.read(row), why.heat, self.pictures.limit)
        return Explained(shown, reasons, [self.example(i) for i in why.nearest], heat, why.where,
                         self.whole(row, why) if column is None or len(self.report.sections) == 1 else None,
                    [(self.names.get(name, name), p, surprise(p)) for name, p in (why.agreement or {}).items()])


    def whole(self, row: int, why: Why) -> Large | None:
        """The picture that a click shows."""
        if self.report.read_large is None:
            return None
        try:
            image = self.report.read_large(row)
        except UnreadableImage:
            return None
        return large(f"large-{row}", image, why.heat, MOST_LARGE_BYTES // max(1, min(self.report.top, MOST_EXPLAINED)))


def surprise(p_value: float) -> float:
    """The length of a p-value's bar in 0..1: none from 1/2 up, full from 1 in 100,000 down."""
    return float(np.clip(-np.log10(max(2 * p_value, 1e-12)) / 4.7, 0, 1))


def chance(p_value: float, count: int) -> str:
    """A p-value in words: the share of ordinary images that would score as high, as far as ``count`` of them can tell.

    >>> chance(0.3, 500), chance(0.004, 500), chance(1e-9, 500)
    ('30 in 100', '1 in 250', 'rarer than 1 in 5,000')
    """
    if p_value >= 0.01:
        return f"{100 * p_value:.0f} in 100"
    rarest = RARITY_FACTOR * max(count, 1)
    if p_value * rarest <= 1 + 1e-9:
        return f"rarer than 1 in {rarest:,}" if rarest > 100 else "rarer than 1 in 100"
    return f"1 in {float(f'{1 / p_value:.2g}'):,.0f}"


def _counted(count: int) -> str:
    return f"{count:,} image" if count == 1 else f"{count:,} images"
