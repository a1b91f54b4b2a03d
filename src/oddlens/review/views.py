"""What the pages of a review show, put into words and templates.

Names are hostile text: every template escapes on its own, and ``visible`` shows what a reader could not see.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any
from urllib.parse import urlencode

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from oddlens.report.counts import heading, split
from oddlens.report.html import called, number, short, visible
from oddlens.review.labels import LabelStore, Said
from oddlens.review.opened_run import OpenedRun
from oddlens.review.queue import CODES, Filter, Learned, Progress, Queue

STRIP_BEFORE, STRIP_AFTER = 3, 9  # images of the filmstrip before and after the one that is shown
RECENT = 12  # images last labelled that one can go back to
CHART = (240, 56)  # width and height of the curve of what was found
WORDS = {"odd": "odd", "normal": "normal", "skip": "skipped", "": "not looked at"}
CHANGED = "This image has changed since it was ranked: its score and reasons are of the earlier picture."
FILE_MOVED = "This image is not where it was. If its folder was moved, start the review with --images FOLDER."
HOLDER_MOVED = ("The file that holds this image is not where it was, or holds it no more. If it was moved, start the "
                "review with --images FILE.")
NOT_GIVEN = "This image is not among those that were given with --images."
IN_NO_FILE = "This image lay in no file on this machine"
KEPT = " What is shown is the small grey copy that the run keeps."


@dataclass(frozen=True)
class Tile:
    """One image in a row of several."""

    row: int
    name: str
    label: str  # "" where nobody said any
    current: bool = False


@dataclass(frozen=True)
class Stage:
    """The image that is looked at, and all that is shown with it.

    tiles:     the filmstrip.
    before, after:  the rows that the arrows lead to; None where there is none.
    """

    row: int
    name: str
    path: str
    rank: int
    place: int
    count: int
    score: float
    p_value: float | None
    flagged: bool
    size: str
    causes: str
    reasons: list[str]
    views: list[tuple[str, int]]
    state: str
    said: Said | None
    holder: str
    heated: bool
    ordinary: list[Tile]
    alike: list[Tile]
    alike_found: bool
    tiles: list[Tile]
    before: int | None
    after: int | None


def fill(template: str, **values: Any) -> str:
    """A template of ours with its values put in, each escaped. Raises if one is missing."""
    return _environment().get_template(template).render(**values)


@cache
def _environment() -> Environment:
    environment = Environment(loader=PackageLoader("oddlens.review"), autoescape=True, undefined=StrictUndefined,
                              trim_blocks=True, lstrip_blocks=True)
    shown: dict[str, Callable[..., str]] = {
        "visible": visible, "short": short, "called": called, "number": number, "heading": heading,
        "counted": lambda value: f"{value:,}", "said": lambda label: str(WORDS.get(label, label))}
    environment.filters |= shown
    return environment


def query(asked: Filter, **more: Any) -> str:
    """A filter as the end of an address, with a question mark if there is anything to say."""
    values = {key: value for key, value in {**asdict(asked), **more}.items() if value not in ("", None)}
    return f"?{urlencode(values)}" if values else ""


def tile(run: OpenedRun, queue: Queue, row: int, current: bool = False) -> Tile:
    """One image of several."""
    code = int(queue.codes[row])
    return Tile(row, run.ranking.names[row], next(label for label, value in CODES.items() if value == code), current)


def stage(run: OpenedRun, queue: Queue, store: LabelStore, session: str, asked: Filter, row: int) -> Stage:
    """All that is shown of one image."""
    holders = store.holders(session)
    standing = store.current()
    image, name = run.ranking.image(row), run.ranking.names[row]
    origin = run.provenance.origins[row]
    path = run.images.path(row)
    still_open = queue.codes == CODES[""]
    alike, found_kin = run.likeness.alike(row, still_open)
    odd = [other for other, label in queue.said().items() if label]
    recent = sorted((said for said in standing.values() if said.session == session and said.name in run.row_of),
                    key=lambda said: said.number)[-RECENT:]
    line = [int(run.row_of[said.name]) for said in recent]
    ahead = [int(other) for other in queue.matching(asked, holders)[: STRIP_AFTER + RECENT]]
    line += [other for other in ahead if other not in line]
    if row not in line:
        whole = queue.matching(asked, holders)  # further on in the queue, or not in it at all
        found_at = np.flatnonzero(whole == row)
        at = int(found_at[0]) if len(found_at) else -1
        line = ([*line[: len(recent)], row, *ahead] if at < 0 else
                whole[max(0, at - STRIP_BEFORE) : at + STRIP_AFTER + 1].tolist())
    at = line.index(row)
    return Stage(
        row, name, "" if path is None else str(path), image.rank, queue.place(row), len(run), image.score,
        image.p_value, bool(image.flagged), f"{origin.width} × {origin.height} pixels" if origin.width else "",
        ", ".join(heading(cause).lower() for cause in split(run.ranking.causes[row])) if run.ranking.causes else "",
        run.reasons(row), run.views(row), _told(run, row), standing.get(name),
        holders.get(name, ""), run.has_memory,
        [tile(run, queue, other) for other in run.likeness.ordinary(row, odd)],
        [tile(run, queue, other) for other in alike], found_kin,
        [tile(run, queue, other, other == row) for other in line[max(0, at - STRIP_BEFORE) : at + STRIP_AFTER + 1]],
        line[at - 1] if at else None, line[at + 1] if at + 1 < len(line) else None)


def _told(run: OpenedRun, row: int) -> str:
    """What there is to say of the file of an image."""
    state, kept = run.images.state(row), run.keeps(row)
    if state == "fileless":
        return (f"{IN_NO_FILE}.{KEPT} To see it whole, give the images again with --images." if kept else
                f"{IN_NO_FILE}, and the run keeps no copy of it. To see it, give the images again with --images.")
    if state == "missing":
        moved = FILE_MOVED if run.provenance.origins[row].kind == "file" else HOLDER_MOVED
        return (NOT_GIVEN if run.images.moved else moved) + (KEPT if kept else "")
    return CHANGED if state == "changed" else ""


def learned_words(learned: Learned | None) -> str:
    """What was learned last, in a sentence."""
    if learned is None:
        return ""
    kind, way = ("odd", "up") if learned.odd else ("normal", "down")
    start = f"Learned from {learned.labels} label{'' if learned.labels == 1 else 's'}"
    if not learned.moved:
        return f"{start}."
    return (f"{start}: {learned.moved} image{'' if learned.moved == 1 else 's'} like {called(learned.name)}, which you "
            f"called {kind}, moved {way}.")


def estimate_words(progress: Progress) -> str:
    """What may be left, in a sentence or two; how many were found stands beside it."""
    if progress.outlook is None:
        return "The first labels will tell how many odd images may be left."
    left = progress.outlook.sentence.partition("; ")[2]
    return left[:1].upper() + left[1:]


def chart(progress: Progress) -> dict[str, Any]:
    """The curve of found against looked at, as the points of a path within ``CHART``."""
    width, height = CHART
    looked, found = max(progress.looked, 1), max(progress.found, 1)
    step = max(1, len(progress.curve) // 200)
    points = [*progress.curve[::step], progress.curve[-1]]
    path = " ".join(f"{'L' if place else 'M'}{x / looked * width:.1f} {height - y / found * height:.1f}"
                    for place, (x, y) in enumerate(points))
    return {"width": width, "height": height, "path": path}
