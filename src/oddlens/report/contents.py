"""What the report and the contact sheet of one run show: its sections, map, table, panels and notes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oddlens.errors import UnreadableImage
from oddlens.evaluation.self_check import Check
from oddlens.explaining.explainer import Explainer
from oddlens.model import AnomalyModel
from oddlens.pixels import read_near
from oddlens.protocols import Explains, ImageSource, Why
from oddlens.ranking import RankedImage, Ranking
from oddlens.report import headings, table
from oddlens.report import map as overview
from oddlens.report.contact_sheet import Panel
from oddlens.report.counts import came_in_words
from oddlens.report.html import number
from oddlens.report.page import Fragment, Note, Report, Section
from oddlens.report.thumbnails import LARGE
from oddlens.thumbnails import THUMBNAIL, Reader, picture

MOST_SHOWN = 500  # images; nobody reads through a page of more thumbnails


@dataclass(frozen=True)
class Look:
    """What the pictures of a run show, where they should differ from the strangest images of each detector.

    panels:  makes the contact sheet's panels from the ranking and a reader of its images.
    notes:   makes what the report says at its end.
    """

    panels: Callable[[Ranking, Reader], Sequence[Panel]] | None = None
    notes: Callable[[Ranking], Sequence[Note]] | None = None


def strangest(ranking: Ranking, read: Reader, column: str | None, top: int) -> tuple[list[Any], list[str]]:
    """The pictures and the score labels of the strangest images that can still be read."""
    return pictured(read, [(i, i.score if column is None else i.members[column]) for i in ranking.top(top, column)])


def pictured(read: Reader, images: Sequence[tuple[RankedImage, float]]) -> tuple[list[Any], list[str]]:
    """The pictures and score labels of images that can still be read."""
    pictures, labels = [], []
    for image, score in images:
        try:
            pictures.append(read(image.index))
        except UnreadableImage:
            continue
        labels.append(number(score))
    return pictures, labels


@dataclass(frozen=True)
class Shown:
    """What was ranked and how it is to be shown."""

    source: ImageSource
    what: str
    indices: NDArray[np.int64]  # row of the ranking -> number in the source
    top: int
    command: str
    title: str | None
    explainer: Explainer | None = None  # None: of new images, where nothing is kept of the fitted ones
    check: Check | None = None
    new: bool = False  # the images are others than the fitted ones
    kept: int = 0  # images that a run that was cut off had done
    update: dict[str, Any] | None = None  # what joined the run later, and what became of the collection

    def read(self, row: int) -> NDArray[np.uint8]:
        """The picture of a row of the ranking, large enough for a thumbnail."""
        return read_near(self.source, int(self.indices[row]), THUMBNAIL)[0]

    def read_large(self, row: int) -> NDArray[np.uint8]:
        """The same, as large as a page may hold it."""
        return read_near(self.source, int(self.indices[row]), LARGE)[0]

    @cached_property
    def duplicates(self) -> list[list[int]]:
        """Groups of copies and near duplicates, as rows of the ranking."""
        return self.explainer.duplicate_groups() if self.explainer else []


def report(model: AnomalyModel, ranking: Ranking, shown: Shown, look: Look, summed: dict[str, Any]) -> Report:
    """The report of a run, ``summed`` being its summary."""
    notes = [*(look.notes(ranking) if look.notes else ()), *([_checked(shown.check)] if shown.check else [])]
    return Report(
        title=shown.title or ("The odd images" if summed["flagged"] else "The strangest images"), source=shown.what,
        ranking=ranking, read=shown.read, read_large=shown.read_large,
        sections=_sections(model, ranking, shown), duplicates=shown.duplicates,
        facts={"Looked at as": _looked_at(summed["learned_at"])}, skipped=summed["skipped"], seed=summed["seed"],
        timings=summed["seconds"], created=summed["created"], parameters=summed["parameters"],
        versions=summed["versions"], command=shown.command, top=min(shown.top, MOST_SHOWN),
        statement="\n".join([summed["statement"], *came_in_words(shown.update)]),
        fragments=_fragments(shown.explainer, ranking, shown.duplicates) if shown.explainer and len(ranking) else (),
        notes=notes, **_fitted(model, shown.explainer),
    )


def panels(model: AnomalyModel, ranking: Ranking, shown: Shown, look: Look) -> list[Panel]:
    """The contact sheet: the strangest of the score, the flagged ones framed, then those of each view."""
    if look.panels is not None:
        return list(look.panels(ranking, shown.read))
    sections, found = _sections(model, ranking, shown), []
    for section in sections:
        column, top = section.column, min(shown.top, 20)
        images = ranking.top(top, column)
        flagged = sum(bool(image.flagged) for image in images) if section is sections[0] else 0
        caption = "flagged ones in red, with scores" if flagged else "the strangest, with scores"
        title = "The strangest" if section is sections[0] else section.title
        found.append(Panel(title, caption, *strangest(ranking, shown.read, column, top), flagged=flagged))
    return found


def _fitted(model: AnomalyModel, explainer: Explainer | None) -> dict[str, Any]:
    """The images that new ones are explained by, for the report."""
    if explainer is None or explainer.remembered is None:
        return {}
    return {"fitted": model.rank(), "read_fitted": explainer.remembered.picture}


def _sections(model: AnomalyModel, ranking: Ranking, shown: Shown) -> list[Section]:
    """One section of the report for the score and, where there are several views, one for each."""
    explainer = shown.explainer
    several = len(ranking.members) > 1
    heading = "The strangest" if explainer is None else "The strangest, and why"
    sections = [] if not several else [Section(
        None, heading, f"The score combines {len(ranking.members)} views of the images.",
        explainer.why if explainer else None, explainer.leaders if explainer else None)]
    for column in ranking.members:
        explain, rows = None, None
        detector, name = model.detectors_[column], headings.title(model, column)
        if isinstance(detector, Explains) and explainer and not shown.new:
            explain = _nodes(detector, model.learned_)
        elif explainer and not several:
            explain, rows = explainer.why, explainer.leaders
        title = name if several else heading
        sections.append(Section(column, title, headings.seeks(model, column), explain, rows, name))
    return sections


def _fragments(explainer: Explainer, ranking: Ranking, duplicates: Sequence[Sequence[int]]) -> list[Fragment]:
    """The map of the collection and the table of the strangest, their pictures as the model saw them."""
    pixels = explainer.collection.pixels
    groups = explainer.group_of
    parts = []
    if len(chosen := overview.choose(ranking)):
        embedding = explainer.embedding_of(chosen)
        places = overview.lay_out(embedding, np.arange(len(chosen)))
        parts.append(Fragment("map", "Map", overview.map_fragment(
            ranking, chosen, places, lambda row: np.asarray(pixels[row]), groups), overview.SCRIPT))
    rows = table.choose(ranking, duplicates, MOST_SHOWN)
    listed = table.listing_fragment(
        ranking, rows, lambda row: picture("", np.asarray(pixels[row]), 3000).uri or "",
        lambda row: [reason.text for reason in explainer.reasons(row)], groups, len(rows), duplicates)
    return [*parts, Fragment("listing", "Table", listed, table.SCRIPT)]


def _nodes(detector: Explains, learned: int) -> Callable[[int], Why]:
    """What a detector says of the images that it was fitted to, the first ``learned``."""
    return lambda row: Why(tuple(detector.explain_own(row)) if row < learned else ())


def _checked(check: Check) -> Note:
    """What the synthetic anomalies showed, as a note of the report."""
    rows = [[sight.kind, f"{sight.on_top} of {sight.injected}",
             "" if sight.flagged is None else f"{sight.flagged} of {sight.injected}", f"{sight.auroc:.2f}"]
            for sight in sorted(check.sights, key=lambda sight: -sight.auroc)]
    text = ["Synthetic anomalies were made from copies of these images and injected among them; a fresh model that "
            "knew nothing of it ranked the mixture.", *check.sentences()]
    return Note("What this run can detect, and what not", "\n".join(text),
                ["Injected", "among the strangest 5 %", "flagged", "scores above an untouched image"], rows)


def _looked_at(size: dict[str, Any] | None) -> str:
    if size is None:
        return "features that were made elsewhere; no picture was given"
    kind = "colour" if size["channels"] == 3 else "grey"
    return f"{size['width']} x {size['height']} pixels, {kind}; other shapes: {size['resize']}"

