"""A finished run, opened to be looked at: its ranking, its images, and what can be said of each.

Everything is read from the run folder, and only from parts that its summary names. What a run does not have (a model,
kept images, the files themselves) is left out where it would be shown, never an error. Nothing is read before it is
asked for: a run of a million images is open as soon as one of fifty.
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from oddlens import run_folder
from oddlens.errors import OutputError, SavedModelError, UnreadableImage
from oddlens.mapped_arrays import mapped_arrays
from oddlens.protocols import Bools, Doubles
from oddlens.provenance import FoundImages, Provenance
from oddlens.ranking import Ranking
from oddlens.reading.limits import Limits
from oddlens.report.counts import heading, split
from oddlens.review.likeness import Likeness
from oddlens.run_columns import RunColumns, read_columns
from oddlens.texts import Words

if TYPE_CHECKING:
    from oddlens.explaining.reference_images import Memory
    from oddlens.feedback import Evidence
    from oddlens.model import AnomalyModel

SHOWN_VIEWS = 3
MANY = 50_000  # images; of a run of more the page does not wait for what it can be without


class OpenedRun:
    """One run, open. Threads may share it.

    folder:      of the run; labels are kept there.
    summary:     what ``run.json`` says.
    ranking:     as it was written, without the views' own scores.
    provenance:  where the images came from.
    images:      where they are now.
    row_of:      name -> row.
    identity:    tells this ranking from another of the same images.
    many:        whether what takes long is left to ``complete``, which a thread is to call.
    """

    def __init__(self, folder: str | Path, images: Any = None, limits: Limits | None = None) -> None:
        self.folder = self._held = Path(folder)
        self.summary = run_folder.summary_of(self.folder)
        if not (self.folder / run_folder.IMAGES).is_file():
            raise SavedModelError(f"{self.folder} is a run of an earlier oddlens, which does not say where its images "
                                  "are: rank them anew.")
        self.columns = self._columns()
        self.ranking: Ranking = self.columns.ranking
        self.provenance: Provenance = self.columns.provenance
        self.row_of: Mapping[str, int] = self.columns.row_of
        self.identity = self._tables()[0][:16]
        self.images: FoundImages = self.provenance.open(images, limits)
        self.many = len(self) > MANY
        self.fault: SavedModelError | None = None
        self._loading = threading.RLock()
        self._memory: Memory | None = None
        if not self.many:
            self._require_parts()

    def __len__(self) -> int:
        return len(self.ranking)

    def complete(self) -> None:
        """Do what the first page did not wait for: compare the parts with their digests, and open the reasons.

        Where a part is not the run's own, ``fault`` says so from then on.
        """
        try:
            if self.many:
                self._require_parts()
            _ = self.memory
        except SavedModelError as error:
            self.fault = error

    def _require_parts(self) -> None:
        run_folder.require_parts(self._held, self.summary, (*run_folder.PARTS, *run_folder.SHOWN))
        if run_folder.COLUMNS in self.summary["parts"]:
            run_folder.require_parts(self._held, self.summary, (run_folder.COLUMNS,))

    def _tables(self) -> list[str]:
        """The digests of the tables, as the summary names them."""
        named = self.summary.get("parts")
        found = [named.get(part) for part in run_folder.SHOWN] if isinstance(named, dict) else []
        if not found or not all(isinstance(digest, str) for digest in found):
            raise SavedModelError(f"{self._held / run_folder.SUMMARY} does not name the tables of its run. Rank the "
                                  "images anew.")
        return [str(digest) for digest in found]

    def _columns(self) -> RunColumns:
        """The run's columns; of an earlier run put together now, and kept for the next time where that can be."""
        tables, path = self._tables(), self._held / run_folder.COLUMNS
        unreadable = _unreadable(self.summary)
        if path.is_file():
            found = read_columns(path, unreadable)
            if list(found.tables) == tables:
                return found
            if run_folder.COLUMNS in self.summary["parts"]:
                raise SavedModelError(f"{path} does not belong to the run in {self._held}: it was exchanged or comes "
                                      "from a run that was cut off. Rank the images anew.")
        from oddlens.review.earlier_runs import write_columns_of

        try:
            write_columns_of(self._held, self.summary, path, tables)
            return read_columns(path, unreadable)
        except OutputError:  # the run may be looked at, but not written to
            with tempfile.TemporaryDirectory(prefix="oddlens-") as place:
                path = Path(place) / run_folder.COLUMNS
                write_columns_of(self._held, self.summary, path, tables)
                return read_columns(path, unreadable)

    @property
    def has_model(self) -> bool:
        """Whether there is a model of these images; what one that new images were scored by said is in the ranking."""
        return (self._held / run_folder.MODEL).is_dir()

    @cached_property
    def model(self) -> AnomalyModel | None:
        """What was learned; None where none was saved or the images are not the fitted ones."""
        if not self.has_model:
            return None
        with self._loading:
            from oddlens.saving import load_model

            model = load_model(run_folder.model_of(self._held))
            if len(model.names_) != len(self) or any(
                    one != other for one, other in zip(model.names_, self.ranking.names, strict=True)):
                raise SavedModelError(f"The model and the table in {self._held} are of different images. Rank them "
                                      "anew.")
            return model

    @property
    def has_memory(self) -> bool:
        """Whether something is kept of the images, for reasons."""
        return self.has_model and (self._held / run_folder.REASONS).is_file()

    @property
    def memory(self) -> Memory | None:
        """What is kept of the images; None where nothing is."""
        with self._loading:
            if self._memory is None and self.has_memory:
                from oddlens.explaining.reference_images import Memory

                self._memory = Memory.load(self._held / run_folder.REASONS, None, len(self))
            return self._memory

    @cached_property
    def features(self) -> NDArray[np.floating[Any]]:
        """(n, d) principal components of the images, as the model keeps them; d is 0 without a model."""
        found = sorted((self._held / run_folder.MODEL).glob("features-*.safetensors"))
        if len(found) != 1:
            return np.zeros((len(self), 0), np.float32)
        features = mapped_arrays(found[0])[0].get("features", np.zeros((0, 0)))
        if features.dtype != np.float16 or features.ndim != 2 or len(features) != len(self):
            raise SavedModelError(f"{found[0]} holds {features.dtype} {features.shape}, not the features of "
                                  f"{len(self)} images. Rank them anew.")
        return features

    @cached_property
    def likeness(self) -> Likeness:
        """Which images are alike."""
        return Likeness(self.features, self.ranking)

    @cached_property
    def evidence(self) -> Evidence:
        """What there is to learn from beside labels: the model's own, or else what the table says."""
        from oddlens.feedback import Evidence

        known = self.columns
        if self.has_model and len(known.score):
            return Evidence(known.score, known.surprisal, self.features)
        ranks: list[NDArray[np.integer[Any]]] = [*known.ranks.values()] or [self.ranking.ranks()]
        return Evidence(self.ranking.scores, np.column_stack([_surprisal(rank) for rank in ranks]).astype(np.float32),
                        np.zeros((len(self), 0), np.float32))

    @cached_property
    def folders(self) -> set[Path]:
        """Every folder that an image lies in; nothing is ever written there."""
        if self.images.moved:
            return {path.parent for path in map(self.images.path, range(len(self))) if path is not None}
        return {Path(folder) for folder in {os.path.dirname(path) for path in self.provenance.files()}}  # noqa: PTH120

    @cached_property
    def causes(self) -> dict[str, Bools]:
        """Short name -> (n,) whether that simple cause is named of an image, the most frequent first."""
        named: dict[str, Bools] = {}
        texts = self.ranking.causes
        if isinstance(texts, Words):
            for cause in dict.fromkeys(cause for word in texts.words for cause in split(word)):
                named[cause] = np.array([cause in split(word) for word in texts.words])[texts.codes]
        else:
            for row, text in enumerate(texts or ()):
                for cause in split(text):
                    named.setdefault(cause, np.zeros(len(self), np.bool_))[row] = True
        return dict(sorted(named.items(), key=lambda item: -int(item[1].sum())))

    @cached_property
    def cause_counts(self) -> list[tuple[str, int]]:
        """The causes that are named, each with of how many images."""
        return [(cause, int(which.sum())) for cause, which in self.causes.items()]

    @cached_property
    def copies(self) -> int:
        """How many images are in a group of copies and near duplicates."""
        return int(np.count_nonzero(self.columns.duplicates))

    @cached_property
    def duplicates(self) -> list[list[int]]:
        """Groups of copies and near duplicates, as rows, the largest first."""
        group = self.columns.duplicates
        rows = np.flatnonzero(group)
        rows = rows[np.argsort(group[rows], kind="stable")]
        starts = np.flatnonzero(np.diff(group[rows])) + 1
        return [part.tolist() for part in np.split(rows, starts)] if len(rows) else []

    def reasons(self, row: int) -> list[str]:
        """The simple causes of an image, in words; of many images in short ones until their reasons are open."""
        memory = self._memory if self.many else self.memory
        if memory is not None:
            return [reason.text for reason in memory.causes.named(row)]
        return [f"{heading(cause)}." for cause in split(self.ranking.causes[row])] if self.ranking.causes else []

    def views(self, row: int) -> list[tuple[str, int]]:
        """The views that find an image strangest: in words, and its rank there."""
        places = sorted((int(ranks[row]), column) for column, ranks in self.columns.ranks.items())[:SHOWN_VIEWS]
        return [(self.columns.titles.get(column, column), rank) for rank, column in places]

    def keeps(self, row: int) -> bool:
        """Whether an image lay in memory or in a source of the user's own, and a small copy of it is kept."""
        return self.has_memory and self.provenance.origins[row].kind in ("array", "source")

    def kept(self, row: int) -> NDArray[np.uint8]:
        """The small grey copy that is kept of an image that is no file; raises ``UnreadableImage`` without one."""
        if not self.keeps(row):
            raise UnreadableImage(self.ranking.names[row], "the run keeps no copy of it")
        thumbs = self._thumbs
        side = round(thumbs.shape[1] ** 0.5)
        return np.asarray(thumbs[row].reshape(side, side, 1))

    @cached_property
    def _thumbs(self) -> NDArray[np.uint8]:
        """(n, pixels): the kept copies alone, without the rest of what is kept, which takes longer to open."""
        arrays, _ = mapped_arrays(self._held / run_folder.REASONS)
        thumbs = arrays.get("causes.thumbs", np.zeros((0, 0), np.uint8))
        if thumbs.dtype != np.uint8 or thumbs.ndim != 2 or len(thumbs) != len(self) or (
                round(thumbs.shape[1] ** 0.5) ** 2 != thumbs.shape[1]):
            raise SavedModelError(f"{self._held / run_folder.REASONS} keeps no copies of these images.")
        return thumbs

    def heat(self, row: int) -> tuple[Doubles, str] | None:
        """Where an image is strange, in its own frame, and what it has there; None where that cannot be said.

        It reads the image and scores 101 variants of it, which takes a second or so.
        """
        if not self.has_memory:
            return None
        self.images.read_near(row, 1)  # an image that cannot be read is no reason to load the model
        from oddlens.explaining.explainer import NewExplainer
        from oddlens.pixels import read_pixels

        model, memory = self.model, self.memory
        if model is None or memory is None:
            return None
        collection = read_pixels(_One(self.images, row), model.format_, jobs=1)
        if not len(collection):
            return None
        explainer = NewExplainer(model, collection, model.rank(collection), memory)
        heat, where = explainer.heat(0)
        return None if heat is None else (heat, where)


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


def _unreadable(summary: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    listed = summary.get("unreadable")
    return tuple((str(each.get("name")), str(each.get("reason"))) for each in listed if isinstance(each, dict)
                 ) if isinstance(listed, list) else ()


def _surprisal(ranks: NDArray[np.integer[Any]]) -> Doubles:
    """(n,) minus the logarithm of the share that scores as high."""
    return np.asarray(-np.log(ranks / (len(ranks) + 1)))
