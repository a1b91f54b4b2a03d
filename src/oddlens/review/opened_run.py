"""A finished run, opened to be looked at: its ranking, its images, and what can be said of each.

Everything is read from the run folder, and only from parts that its summary names. What a run does not have (a model,
kept images, the files themselves) is left out where it would be shown, never an error.
"""

from __future__ import annotations

import hashlib
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oddlens import run_folder, saving
from oddlens.errors import SavedModelError
from oddlens.explaining.explainer import NewExplainer
from oddlens.explaining.reference_images import Memory
from oddlens.feedback import Evidence
from oddlens.model import AnomalyModel
from oddlens.pixels import read_pixels
from oddlens.protocols import Doubles
from oddlens.provenance import FoundImages, Provenance
from oddlens.ranking import Ranking
from oddlens.reading.limits import Limits
from oddlens.report import headings
from oddlens.report.counts import heading, split
from oddlens.review.likeness import Likeness

DETECTOR = "Detector "  # what the parameters of a detector stand under in the summary, before its column
SHOWN_VIEWS = 3


class OpenedRun:
    """One run, open.

    folder:    of the run.
    summary:   what ``run.json`` says.
    ranking:   as it was written.
    images:    where the images are now.
    model:     what was learned; None where none was saved or the images are not the fitted ones.
    memory:    what is kept of the images, for reasons; None likewise.
    identity:  tells this ranking from another of the same images.
    """

    def __init__(self, folder: str | Path, images: Any = None, limits: Limits | None = None) -> None:
        self.folder = Path(folder)
        self.summary = run_folder.summary_of(self.folder)
        run_folder.require_parts(self.folder, self.summary, (*run_folder.PARTS, *run_folder.SHOWN))
        table = self.folder / run_folder.FILES["table"]
        places = self.folder / run_folder.IMAGES
        if not places.is_file():
            raise SavedModelError(f"{self.folder} is a run of an earlier oddlens, which does not say where its images "
                                  "are: rank them anew.")
        self.ranking = Ranking.from_csv(table, _columns(self.summary), _unreadable(self.summary))
        self.identity = hashlib.sha256(table.read_bytes()).hexdigest()[:16]
        self.provenance = Provenance.load(places)
        if self.provenance.names != self.ranking.names:
            raise SavedModelError(f"{places} and {table.name} are of different images. Rank them anew.")
        self.images: FoundImages = self.provenance.open(images, limits)
        self.row_of = {name: row for row, name in enumerate(self.ranking.names)}
        self.model: AnomalyModel | None = None
        self.memory: Memory | None = None
        if (self.folder / run_folder.MODEL).is_dir():
            self._open_model()
        self.likeness = Likeness(self.evidence.features, self.ranking)

    def _open_model(self) -> None:
        model = saving.load_model(run_folder.model_of(self.folder))
        if model.names_ != self.ranking.names:
            raise SavedModelError(f"The model and the table in {self.folder} are of different images. Rank them anew.")
        self.model = model
        kept = self.folder / run_folder.REASONS
        if kept.is_file():
            form = model.format_
            self.memory = Memory.load(kept, (form.height, form.width, form.channels), len(model.names_))

    def __len__(self) -> int:
        return len(self.ranking)

    @cached_property
    def evidence(self) -> Evidence:
        """What there is to learn from beside labels: the model's own, or else what the table says."""
        if self.model is not None:
            return self.model.evidence_
        members = [_surprisal(column) for column in self.ranking.members.values()] or [_surprisal(self.ranking.scores)]
        return Evidence(self.ranking.scores, np.column_stack(members).astype(np.float32),
                        np.zeros((len(self), 0), np.float32))

    @cached_property
    def digests(self) -> dict[str, str]:
        """Name -> the SHA-256 of the image as it was ranked."""
        return {name: origin.sha256 for name, origin in
                zip(self.provenance.names, self.provenance.origins, strict=True)}

    @cached_property
    def folders(self) -> set[Path]:
        """Every folder that an image lies in; nothing is ever written there."""
        return {path.parent for path in map(self.images.path, range(len(self))) if path is not None}

    @cached_property
    def causes(self) -> dict[str, NDArray[np.bool_]]:
        """Short name -> (n,) whether that simple cause is named of an image, the most frequent first."""
        named: dict[str, NDArray[np.bool_]] = {}
        for row, text in enumerate(self.ranking.causes or ()):
            for cause in split(text):
                named.setdefault(cause, np.zeros(len(self), np.bool_))[row] = True
        return dict(sorted(named.items(), key=lambda item: -int(item[1].sum())))

    @cached_property
    def duplicates(self) -> list[list[int]]:
        """Groups of copies and near duplicates, as rows, the largest first."""
        if self.memory is not None:
            return self.memory.causes.groups()
        return self.likeness.linked([self.ranking.measures.get(key, ()) for key in ("copy_of", "near_duplicate_of")],
                                    self.row_of)

    def reasons(self, row: int) -> list[str]:
        """The simple causes of an image, in words."""
        if self.memory is not None:
            return [reason.text for reason in self.memory.causes.named(row)]
        return [f"{heading(cause)}." for cause in split(self.ranking.causes[row])] if self.ranking.causes else []

    def views(self, row: int) -> list[tuple[str, int]]:
        """The views that find an image strangest: in words, and its rank there."""
        places = sorted(((int(ranks[row]), column) for column, ranks in self._ranks.items()))[:SHOWN_VIEWS]
        known = self.model.sees_ if self.model is not None else {}
        return [(headings.title(self.model, column) if self.model is not None and column in known else column, rank)
                for rank, column in places]

    def heat(self, row: int) -> tuple[Doubles, str] | None:
        """Where an image is strange, in its own frame, and what it has there; None where that cannot be said.

        It reads the image and scores 101 variants of it, which takes a second or so.
        """
        if self.model is None or self.memory is None:
            return None
        collection = read_pixels(_One(self.images, row), self.model.format_, jobs=1)
        if not len(collection):
            return None
        explainer = NewExplainer(self.model, collection, self.model.rank(collection), self.memory)
        heat, where = explainer.heat(0)
        return None if heat is None else (heat, where)

    @cached_property
    def _ranks(self) -> dict[str, NDArray[np.intp]]:
        return {column: self.ranking.ranks(column) for column in self.ranking.members}


class _One:
    """One image of several, as a source."""

    def __init__(self, images: FoundImages, row: int) -> None:
        self._images, self._row = images, row

    def __len__(self) -> int:
        return 1

    def name(self, index: int) -> str:
        return self._images.name(self._row + index)

    def read(self, index: int) -> NDArray[np.uint8]:
        return self._images.read(self._row + index)

    def read_near(self, index: int, side: int) -> tuple[NDArray[np.uint8], tuple[int, int]]:
        return self._images.read_near(self._row + index, side)


def _columns(summary: dict[str, Any]) -> list[str]:
    """The columns of the table that are detectors' own scores."""
    parameters = summary.get("parameters")
    named = parameters if isinstance(parameters, dict) else {}
    columns = [title.removeprefix(DETECTOR) for title in named if title.startswith(DETECTOR)]
    top = summary.get("top")
    if isinstance(top, list) and top and isinstance(top[0], dict):  # a detector without options is in no list of them
        columns += [key for key in top[0] if key not in ("rank", "name", "score", "p_value", "flagged", "causes")]
    return columns


def _unreadable(summary: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    listed = summary.get("unreadable")
    return tuple((str(each.get("name")), str(each.get("reason"))) for each in listed if isinstance(each, dict)
                 ) if isinstance(listed, list) else ()


def _surprisal(column: Doubles) -> Doubles:
    """(n,) minus the logarithm of the share that scores as high."""
    ranks = np.empty(len(column))
    ranks[np.argsort(-column, kind="stable")] = np.arange(1, len(column) + 1)
    return -np.log(ranks / (len(column) + 1))
