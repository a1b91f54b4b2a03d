"""One run: fit a model to images, or take a saved one, rank, explain, and write all of it into a folder."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from oddlens import run_folder, saving
from oddlens.arrays import give_back
from oddlens.blocks import Block
from oddlens.budget import bytes_of, within
from oddlens.errors import OptionError, OutputError
from oddlens.evaluation.self_check import check as self_check
from oddlens.explaining.causes import parts_of
from oddlens.explaining.explainer import Explainer, NewExplainer
from oddlens.explaining.reference_images import Memory
from oddlens.files import write_atomically
from oddlens.given_features import Unseen, fit_features, for_features, names_of, require_as_many, require_features
from oddlens.model import AnomalyModel
from oddlens.passing import Work, working
from oddlens.pixels import Collection
from oddlens.progress import advance
from oddlens.protocols import ImageSource, PassesOver, Skips
from oddlens.provenance import Provenance
from oddlens.ranking import Ranking
from oddlens.report import contents, headings
from oddlens.report.contact_sheet import write_gallery
from oddlens.report.contents import Look, Shown
from oddlens.report.page import write_report
from oddlens.report.summary import summary
from oddlens.run_columns import write_columns
from oddlens.settings import reseeded
from oddlens.sources import open_source

CAUSES = "causes/"  # what the columns are called that the simple causes are told by
STORED = "features"  # the one of these that is read where it is needed and never held whole


@dataclass(frozen=True)
class RunResult:
    """A finished run: the ranking, the model behind it and a summary that can be written as JSON."""

    ranking: Ranking
    model: AnomalyModel
    summary: dict[str, Any] = field(default_factory=dict)


def rank_into(
    images: Any | None, out: str | Path, model: AnomalyModel, *, top: int = 20, command: str = "",
    title: str | None = None, what: str | None = None, look: Look | None = None, check: bool = False,
    save_model: bool = True, overwrite: bool = False, embeddings: Any = None, names: Sequence[str] | None = None,
    memory: int | str | None = None,
) -> RunResult:
    """Fit ``model`` to images, rank them and write the run into the folder ``out``.

    title and what head the report: what it is about (by default the odd images, or where none is flagged the
    strangest), and what the images are (by default their path). look changes what the pictures show; see
    :class:`Look`. check injects synthetic anomalies, made from copies of the images, and reports which of them such a
    run detects; it takes about five times as long again. save_model: False saves no model and no pixels, so that new
    images cannot be scored by the run. overwrite: a finished run in ``out`` is replaced, once the new one is whole.
    embeddings: (n, d) features that were made elsewhere, a row for each image, to judge by in the place of an encoder's
    features; no model is saved then, for it could score no new image; images may be None then, and the run has no
    pictures. names: of the rows of embeddings, which must be those of the images where there are images. memory: bytes
    that the run may take, or a size such as "4G": beyond it, arrays are temporary files; what of files is in memory
    does not count.
    Raises, before any work, ``OutputError`` if ``out`` lies in a folder of images, holds other files or, without
    overwrite, a finished run, and ``OptionError`` for a model that cannot be fitted, or not saved.
    """
    if embeddings is not None:
        model, embeddings, save_model = for_features(model), require_features(embeddings), False
        if check:
            raise OptionError("Synthetic anomalies have no embeddings, so there is nothing to check with.")
    model.build()  # an option that cannot work is reported before any image is read
    if save_model:
        saving.require_savable(model)
    _require_top(top)
    if images is None and embeddings is None:
        raise OptionError("There is nothing to rank: give images, embeddings, or both.")
    source: ImageSource = (Unseen(names_of(len(embeddings), names)) if images is None else open_source(images))
    if embeddings is not None:
        require_as_many(len(embeddings), len(source))
        _require_same(names, source)
    size = bytes_of(memory) if isinstance(memory, str) else memory
    with within(size), run_folder.claimed(out, source, overwrite) as place:
        return _fitted(place, source, model, top, command, title, what or described(images, source), look or Look(),
                       check, save_model, embeddings)


def _fitted(
    place: run_folder.Place, source: ImageSource, model: AnomalyModel, top: int, command: str, title: str | None,
    what: str, look: Look, check: bool, save_model: bool, embeddings: Any,
) -> RunResult:
    """Fit, rank, explain and write."""
    if isinstance(source, Unseen):
        fit_features(model, embeddings, names=source.names)
        shown = Shown(source, what, model.indices_, top, command, title)
        return _write(place, model, model.rank(), shown, look, model.shapes_)
    work = Work(place.work, saving.signature(model) or uuid4().hex, (causes_of,))
    stream = model.stream(source, work)
    if embeddings is None:
        model.fit(stream, work=work)
    else:
        fit_features(model, embeddings, stream, work)
    collection = stream.collection(work.columns)
    folder = place.building
    if save_model:
        saving.save_model(model, folder / run_folder.MODEL)
    give_back()
    start = time.perf_counter()
    first = next(iter(model.encoders_))
    explainer = Explainer(model, collection, model.rank(), work.columns.under(CAUSES, STORED),
                          embedded=lambda rows: work.columns.rows(f"{first}/embedding", rows))
    if save_model:
        explainer.memory().save(folder / run_folder.REASONS)
    ranking = explainer.explained()
    model.timings_["causes"] = time.perf_counter() - start
    checked = None
    if check:
        start = time.perf_counter()
        checked = self_check(stream.learned().pixels, lambda seed: reseeded(model, seed),
                             random_state=model.random_state)
        model.timings_["checking"] = time.perf_counter() - start
    shown = Shown(source, what, model.indices_, top, command, title, explainer, checked, kept=work.kept)
    return _write(place, model, ranking, shown, look, model.shapes_)


def causes_of(images: Collection) -> Block:
    """What the simple causes are told by, of a block of images."""
    return Block({f"{CAUSES}{name}": column for name, column in parts_of(images.pixels, images.shapes).items()})


def score_with(
    path: str | Path, images: Any, out: str | Path | None = None, *, top: int = 20, n_jobs: int | None = None,
    command: str = "", what: str | None = None, overwrite: bool = False, labels: Mapping[str, str] | None = None,
) -> RunResult:
    """Score images with the saved model or the run at ``path``; write a run folder if ``out`` is given.

    labels: name -> "odd" or "normal", what a person said of images of that run since; others' names are passed over.
    overwrite: a finished run in ``out`` is replaced. Raises ``SavedModelError`` for a run that was not finished.
    """
    _require_top(top)
    path = Path(path)
    model, memory = opened(path, labels, n_jobs)
    source = open_source(images)
    if out is None:
        return _scored(None, memory, source, model, top, command, what or described(images, source))
    if Path(out).resolve() == path.resolve():
        raise OutputError(f"{out} is the run that is scored by: choose another place with --out.")
    with run_folder.claimed(out, source, overwrite) as place:
        return _scored(place, memory, source, model, top, command, what or described(images, source))


def opened(
    path: str | Path, labels: Mapping[str, str] | None = None, n_jobs: int | None = None
) -> tuple[AnomalyModel, Memory | None]:
    """The saved model or the model of the run at ``path``, and of a run what it keeps to explain new images by.

    labels:  name -> "odd" or "normal", what a person said of images of that run since; others' names are passed over.
    """
    path = Path(path)
    model = saving.load_model(run_folder.model_of(path))
    model.n_jobs = n_jobs
    known = set(model.names_)
    if said := {name: label for name, label in (labels or {}).items() if name in known}:
        model.give_feedback(said)
    kept = path / run_folder.REASONS
    if not kept.is_file():
        return model, None
    form = model.format_
    return model, Memory.load(kept, (form.height, form.width, form.channels), len(model.names_))


def judge(
    model: AnomalyModel, source: ImageSource, memory: Memory | None = None
) -> tuple[Ranking, Collection, NewExplainer | None]:
    """New images scored by a model: their ranking, themselves, and what explains them, where ``memory`` is given."""
    start = time.perf_counter()
    stream = model.stream_new(source)
    with working(Work(measures=(causes_of,)), stream) as work:
        ranking = model.rank(stream, work=work)
        parts = work.columns.under(CAUSES)
    collection = stream.collection(work.columns)
    model.timings_ = {"scoring": time.perf_counter() - start}
    if memory is None or not len(ranking):
        return ranking, collection, None
    start = time.perf_counter()
    explainer = NewExplainer(model, collection, ranking, memory, parts)
    ranking = explainer.explained()
    model.timings_["causes"] = time.perf_counter() - start
    return ranking, collection, explainer


def _scored(
    place: run_folder.Place | None, memory: Memory | None, source: ImageSource, model: AnomalyModel, top: int,
    command: str, what: str,
) -> RunResult:
    """Read, score and explain new images, and write them where there is a place."""
    ranking, collection, explainer = judge(model, source, memory)
    shown = Shown(source, what, collection.indices, top, command, "New images, scored", explainer,
                  new=True)
    if place is None:
        return RunResult(ranking, model, _summary(model, ranking, shown))
    return _write(place, model, ranking, shown, Look(), collection.shapes)


def _require_same(names: Sequence[str] | None, source: ImageSource) -> None:
    """Raise ``OptionError`` where rows with names are of other images than these, or stand in another order."""
    for place, name in enumerate(names or ()):
        if name != (found := source.name(place)):
            raise OptionError(f"Row {place} of the embeddings is of {name!r}, and image {place} is {found!r}: put the "
                              "rows into the order of the images.")


def _require_top(top: int) -> None:
    if not isinstance(top, int) or top < 0:
        raise OptionError(f"top takes a number of images of 0 or more, got {top!r}.")


def _write(
    place: run_folder.Place, model: AnomalyModel, ranking: Ranking, shown: Shown, look: Look,
    shapes: NDArray[np.integer[Any]],
) -> RunResult:
    """Find out where the images are, and write all but the model."""
    found = Provenance.of(shown.source, ranking.names, shown.indices, shapes, model.n_jobs)
    return write(place, model, ranking, shown, look, found)


def write(
    place: run_folder.Place, model: AnomalyModel, ranking: Ranking, shown: Shown, look: Look, found: Provenance,
) -> RunResult:
    """Write tables, pictures and report, and ``run.json`` last; ``found`` is where the images are."""
    folder = place.building
    found.save(folder / run_folder.IMAGES)
    ranking.to_csv(folder / run_folder.FILES["table"])
    _write_columns(folder, model, ranking, shown, found)
    summed = _summary(model, ranking, shown, place)
    ranking.to_parquet(folder / run_folder.FILES["parquet"])
    give_back()
    advance("pictures", 0, 2)
    write_gallery(folder / run_folder.FILES["gallery"], contents.panels(model, ranking, shown, look))
    advance("pictures", 1, 2)
    write_report(folder / run_folder.FILES["report"], contents.report(model, ranking, shown, look, summed))
    advance("pictures", 2, 2)
    write_atomically(folder / run_folder.SUMMARY, (json.dumps(summed, indent=1) + "\n").encode())
    return RunResult(ranking, model, summed)


def _write_columns(folder: Path, model: AnomalyModel, ranking: Ranking, shown: Shown, found: Provenance) -> None:
    """Write what a review reads; the tables are there already."""
    titles = {column: headings.title(model, column) for column in ranking.members if column in model.sees_}
    tables = run_folder.digests(folder, run_folder.SHOWN)
    write_columns(folder / run_folder.COLUMNS, ranking, found, shown.duplicates, list(tables.values()),
                  model.evidence_ if (folder / run_folder.MODEL).is_dir() else None, titles)


def _summary(
    model: AnomalyModel, ranking: Ranking, shown: Shown, place: run_folder.Place | None = None
) -> dict[str, Any]:
    summed = summary(
        model, ranking, images=shown.what, command=shown.command, top=shown.top, new=shown.new,
        files={} if place is None else place.files(), duplicates=shown.duplicates,
        skipped=shown.source.skipped if isinstance(shown.source, Skips) else 0,
        passed_over=shown.source.passed_over if isinstance(shown.source, PassesOver) else {},
        check=None if shown.check is None else shown.check.to_dict(), kept=shown.kept, update=shown.update)
    if isinstance(shown.source, Unseen):
        summed["learned_at"] = None
    return summed if place is None else {**place.marks(), **summed}


def described(images: Any, source: ImageSource) -> str:
    """What was looked at, in words."""
    if images is None:
        return f"{len(source):,} rows of embeddings"
    return str(images) if isinstance(images, str | Path) else f"{len(source):,} images of a {type(images).__name__}"
