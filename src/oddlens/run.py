"""One run: fit a model to images, or take a saved one, rank, explain, and write all of it into a folder."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from oddlens import run_folder, saving
from oddlens.evaluation.self_check import check as self_check
from oddlens.explaining.explainer import Explainer, NewExplainer
from oddlens.explaining.reference_images import Memory
from oddlens.files import write_atomically
from oddlens.model import AnomalyModel
from oddlens.progress import advance
from oddlens.protocols import Skips
from oddlens.ranking import Ranking
from oddlens.report import contents
from oddlens.report.contact_sheet import write_gallery
from oddlens.report.contents import Look, Shown
from oddlens.report.page import write_report
from oddlens.report.summary import summary
from oddlens.settings import reseeded
from oddlens.sources import open_source


@dataclass(frozen=True)
class RunResult:
    """A finished run: the ranking, the model behind it and a summary that can be written as JSON."""

    ranking: Ranking
    model: AnomalyModel
    summary: dict[str, Any] = field(default_factory=dict)


def rank_into(
    images: Any, out: str | Path, model: AnomalyModel, *, top: int = 20, command: str = "",
    title: str | None = None, what: str | None = None, look: Look | None = None, check: bool = False,
    save_model: bool = True,
) -> RunResult:
    """Fit ``model`` to images, rank them and write the run into the folder ``out``.

    title and what head the report: what it is about (by default the odd images, or where none is flagged the
    strangest), and what the images are (by default their path). look changes what the pictures show; see
    :class:`Look`. check injects synthetic anomalies, made from copies of the images, and reports which of them such a
    run detects; it takes about five times as long again. save_model: False saves no model and no pixels, so that new
    images cannot be scored by the run. Raises, before any work, ``OutputError`` if ``out`` lies in the folder of
    images or holds other files, and ``OptionError`` for a model that cannot be fitted, or not saved.
    """
    model.build()  # an option that cannot work is reported before any image is read
    if save_model:
        saving.require_savable(model)
    source = open_source(images)
    folder = run_folder.claim(out, source)
    collection = model.read(source)
    model.fit(collection)
    run_folder.remove_model(folder)  # never the model of another run
    if save_model:
        saving.save_model(model, folder / run_folder.MODEL)
    start = time.perf_counter()
    explainer = Explainer(model, collection, model.rank())
    if save_model:
        explainer.memory().save(folder / run_folder.REASONS)
    ranking = replace(model.rank(), causes=explainer.cause_names(), measures=explainer.measures())
    model.timings_["causes"] = time.perf_counter() - start
    checked = None
    if check:
        start = time.perf_counter()
        checked = self_check(collection.pixels, lambda seed: reseeded(model, seed), random_state=model.random_state)
        model.timings_["checking"] = time.perf_counter() - start
    shown = Shown(source, what or described(images), model.indices_, top, command, title, explainer, checked)
    return _write(folder, model, ranking, shown, look or Look())


def score_with(
    path: str | Path, images: Any, out: str | Path | None = None, *, top: int = 20, n_jobs: int | None = None,
    command: str = "",
) -> RunResult:
    """Score images with the saved model or the run at ``path``; write a run folder if ``out`` is given."""
    path = Path(path)
    model = saving.load_model(run_folder.model_of(path))
    model.n_jobs = n_jobs
    source = open_source(images)
    folder = None if out is None else run_folder.claim(out, source)
    start = time.perf_counter()
    collection = model.read_new(source)
    ranking = model.rank(collection)
    model.timings_ = {"scoring": time.perf_counter() - start}
    explainer = None
    reasons = path / run_folder.REASONS
    if len(ranking) and reasons.is_file():
        start = time.perf_counter()
        form = model.format_
        memory = Memory.load(reasons, (form.height, form.width, form.channels), len(model.names_))
        explainer = NewExplainer(model, collection, ranking, memory)
        ranking = replace(ranking, causes=explainer.cause_names(), measures=explainer.measures())
        model.timings_["causes"] = time.perf_counter() - start
    shown = Shown(source, described(images), collection.indices, top, command, "New images, scored", explainer,
                  new=True)
    if folder is None:
        return RunResult(ranking, model, _summary(model, ranking, shown))
    return _write(folder, model, ranking, shown, Look())


def _write(folder: Path, model: AnomalyModel, ranking: Ranking, shown: Shown, look: Look) -> RunResult:
    """Write tables, pictures and report, and ``run.json`` last."""
    summed = _summary(model, ranking, shown, folder)
    ranking.to_csv(folder / run_folder.FILES["table"])
    ranking.to_parquet(folder / run_folder.FILES["parquet"])
    advance("pictures", 0, 2)
    write_gallery(folder / run_folder.FILES["gallery"], contents.panels(model, ranking, shown, look))
    advance("pictures", 1, 2)
    write_report(folder / run_folder.FILES["report"], contents.report(model, ranking, shown, look, summed))
    advance("pictures", 2, 2)
    write_atomically(folder / run_folder.SUMMARY, (json.dumps(summed, indent=1) + "\n").encode())
    return RunResult(ranking, model, summed)


def _summary(model: AnomalyModel, ranking: Ranking, shown: Shown, folder: Path | None = None) -> dict[str, Any]:
    return summary(
        model, ranking, images=shown.what, command=shown.command, top=shown.top, new=shown.new,
        files={} if folder is None else run_folder.files(folder), duplicates=shown.duplicates,
        skipped=shown.source.skipped if isinstance(shown.source, Skips) else 0,
        check=None if shown.check is None else shown.check.to_dict())


def described(images: Any) -> str:
    """What was looked at, in words."""
    if isinstance(images, str | Path):
        return str(images)
    return f"{len(images):,} images of a {type(images).__name__}" if hasattr(images, "__len__") else str(type(images))
