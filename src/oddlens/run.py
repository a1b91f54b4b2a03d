"""One run on disk: a folder with the table, the pictures, the report, the model and a summary.

scores.csv, scores.parquet   every image with its score and rank
gallery.png                  the strangest images of each detector side by side
report.html                  the same and more, one page that opens without a network
model/                       what was learned, for ``oddlens score``
reasons.safetensors          what is kept of the images, so that ``oddlens score`` can say why
run.json                     a machine-readable summary; a folder that has one is a run
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from oddlens import chart, listing, registry, saving, wording
from oddlens.check import Check
from oddlens.check import check as run_check
from oddlens.errors import OptionError, OutputError, SavedModelError, UnreadableImage
from oddlens.explaining import Explainer, NewExplainer, Why
from oddlens.files import write_atomically
from oddlens.gallery import Panel, write_gallery
from oddlens.memory import Memory
from oddlens.model import AnomalyModel
from oddlens.page import number
from oddlens.pixels import read_near
from oddlens.progress import advance
from oddlens.protocols import Explains, HasOptions, ImageSource, InFolder, Skips
from oddlens.ranking import RankedImage, Ranking
from oddlens.report import Fragment, Note, Report, Section, write_report
from oddlens.sources import open_source
from oddlens.summary import summary
from oddlens.thumbnails import THUMBNAIL, Reader, picture
from oddlens.views import View, chosen, parsed

REASONS = "reasons.safetensors"
#: Above the number of images at which a page of thumbnails stops being read.
MOST_SHOWN = 500


@dataclass(frozen=True)
class RunResult:
    """A finished run: the ranking, the model behind it and a summary that can be written as JSON."""

    ranking: Ranking
    model: AnomalyModel
    summary: dict[str, Any] = field(default_factory=dict)


def build_model(
    encoder: str | None = None, detectors: Sequence[str] = (), settings: Mapping[str, Any] | None = None, *,
    views: Sequence[str] = (), effort: str = "default", **options: Any,
) -> AnomalyModel:
    """An unfitted model from names and NAME=VALUE settings.

    Without encoder, detectors and views it is the default of ``effort``. A setting goes to the encoders, the detectors
    or the model, wherever there is an option of that name; ``neighbors.k`` goes to each of that name alone, and
    ``dictionary+neighbors.k`` to the one in that view. Raises ``OptionError`` for a setting that nothing takes.
    """
    settings = settings or {}
    shared = {key: options[key] for key in ("device", "n_jobs", "random_state") if key in options}
    mine = set(AnomalyModel().get_params(deep=False)) - {"encoder", "detector", "views", "effort"}
    taken = mine & set(settings)
    every = set(mine)

    def make(kind: registry.Kind, name: str, column: str, given: Mapping[str, Any]) -> Any:
        known = registry.options(kind, name)
        every.update(f"{name}.{key}" for key in known)
        values: dict[str, Any] = {**{key: value for key, value in shared.items() if key in known}, **given}
        for setting, value in settings.items():
            owner, dot, option = setting.rpartition(".")
            if option in known and (not dot or owner in (name, column)):
                values[option] = value
                taken.add(setting)
        return registry.create(kind, name, **values)

    made = []
    for view in _asked(encoder, detectors, views, effort):
        column = f"{view.encoder}+{view.detector}"
        made.append(replace(view, encoder=make("encoder", str(view.encoder), column, view.encoder_options),
                            detector=make("detector", str(view.detector), column, view.options)))
    for setting in settings:
        if setting not in taken:
            raise OptionError.unknown("option", setting, every)
    options.update((setting, value) for setting, value in settings.items() if setting in mine)
    return AnomalyModel(views=made, effort=effort, **options)


def _asked(encoder: str | None, detectors: Sequence[str], views: Sequence[str], effort: str) -> Sequence[View]:
    if views and (encoder or detectors):
        raise OptionError("Give either views, or an encoder and detectors, not both.")
    if views:
        return [parsed(text) for text in views]
    if encoder or detectors:
        return [View(encoder or "dictionary", detector) for detector in detectors or ("neighbors",)]
    return chosen(effort)


def rank_into(
    images: Any, out: str | Path, model: AnomalyModel, *, top: int = 20, command: str = "",
    title: str | None = None, what: str | None = None, look: Look | None = None, check: bool = False,
    save_model: bool = True,
) -> RunResult:
    """Fit ``model`` to images, rank them and write the run into the folder ``out``.

    title and what head the report: what it is about (by default the odd images, or where none is flagged the
    strangest), and what the images are (by default their path). look changes what the pictures show; see
    :class:`Look`. check plants known oddities in copies of the images and says what such a run can see and what not; it
    takes about five times as long again. save_model: False keeps no model and nothing of the images, so that new ones
    cannot be scored by the run. Raises, before any work, ``OutputError`` if ``out`` lies in the folder of images or
    holds other files, and ``OptionError`` for a model that cannot be fitted, or not saved.
    """
    model.build()  # an option that cannot work is said before any image is read
    if save_model:
        saving.require_savable(model)
    source = open_source(images)
    folder = claim(out, source)
    collection = model.read(source)
    model.fit(collection)
    (folder / REASONS).unlink(missing_ok=True)  # never the reasons of another model
    if save_model:
        saving.save_model(model, folder / "model")
    else:
        saving.remove_model(folder / "model")  # never the model of another run
    start = time.perf_counter()
    explainer = Explainer(model, collection, model.rank())
    if save_model:
        explainer.memory().save(folder / REASONS)
    ranking = replace(model.rank(), causes=explainer.named(), measures=explainer.measures())
    model.timings_["causes"] = time.perf_counter() - start
    checked = None
    if check:
        start = time.perf_counter()
        checked = run_check(collection.pixels, lambda seed: reseeded(model, seed), random_state=model.random_state)
        model.timings_["checking"] = time.perf_counter() - start
    shown = _Shown(source, what or described(images), model.indices_, top, command, title, explainer, checked)
    return _write(folder, model, ranking, shown, look or Look())


def reseeded(model: AnomalyModel, seed: int) -> AnomalyModel:
    """An unfitted model like this one, with another seed for it and for all that it is made of."""
    fresh: AnomalyModel = clone(model)
    fresh.random_state = seed
    views = [view for view in fresh.views or () if isinstance(view, View)]
    parts: list[Any] = [fresh.encoder, fresh.detector, *(part for v in views for part in (v.encoder, v.detector))]
    for part in parts:
        if isinstance(part, HasOptions) and "random_state" in part.get_params(deep=False):
            part.set_params(random_state=seed)
    return fresh


def score_with(
    path: str | Path, images: Any, out: str | Path | None = None, *, top: int = 20, n_jobs: int | None = None,
    command: str = "",
) -> RunResult:
    """Score images with the saved model or the run at ``path``; write a run folder if ``out`` is given."""
    path = Path(path)
    if not path.exists():
        raise SavedModelError(f"There is no {path}: give the folder of a run or of a saved model.")
    if (path / "run.json").is_file() and not (path / "model").is_dir():
        raise SavedModelError(f"{path} is a run without a model: make it again without --no-model (save_model=False).")
    model = saving.load_model(path / "model" if (path / "model").is_dir() else path)
    model.n_jobs = n_jobs
    source = open_source(images)
    folder = None if out is None else claim(out, source)
    start = time.perf_counter()
    collection = model.read_new(source)
    ranking = model.rank(collection)
    model.timings_ = {"scoring": time.perf_counter() - start}
    explainer = None
    if len(ranking) and (path / REASONS).is_file():
        start = time.perf_counter()
        form = model.format_
        memory = Memory.load(path / REASONS, (form.height, form.width, form.channels), len(model.names_))
        explainer = NewExplainer(model, collection, ranking, memory)
        ranking = replace(ranking, causes=explainer.named(), measures=explainer.measures())
        model.timings_["causes"] = time.perf_counter() - start
    shown = _Shown(source, described(images), collection.indices, top, command, "New images, scored", explainer,
                   new=True)
    if folder is None:
        return RunResult(ranking, model, _summary(model, ranking, shown, {}, _duplicates(shown)))
    return _write(folder, model, ranking, shown, Look())


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
class _Shown:
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

    def read(self, row: int) -> NDArray[np.uint8]:
        """The picture of a row of the ranking, large enough for a thumbnail."""
        return read_near(self.source, int(self.indices[row]), THUMBNAIL)[0]


def _write(folder: Path, model: AnomalyModel, ranking: Ranking, shown: _Shown, look: Look) -> RunResult:
    """Write tables, pictures and report, and ``run.json`` last."""
    files = {"table": "scores.csv", "parquet": "scores.parquet", "gallery": "gallery.png", "report": "report.html"}
    if (folder / "model").is_dir():
        files["model"] = "model"
    duplicates = _duplicates(shown)
    told = _summary(model, ranking, shown, {label: str(folder / name) for label, name in files.items()}, duplicates)
    ranking.to_csv(folder / "scores.csv")
    ranking.to_parquet(folder / "scores.parquet")
    top = min(shown.top, MOST_SHOWN)
    sections = _sections(model, ranking, shown)
    advance("pictures", 0, 2)
    panels = _panels(ranking, shown, sections) if look.panels is None else look.panels(ranking, shown.read)
    write_gallery(folder / "gallery.png", panels)
    advance("pictures", 1, 2)
    write_report(folder / "report.html", Report(
        title=shown.title or ("The odd images" if told["flagged"] else "The strangest images"), source=shown.what,
        ranking=ranking, read=shown.read, sections=sections, duplicates=duplicates,
        facts={"Looked at as": _looked_at(told["learned_at"])}, skipped=told["skipped"], seed=told["seed"],
        timings=told["seconds"], created=told["created"], parameters=told["parameters"],
        versions=told["versions"], command=shown.command, top=top, statement=told["statement"],
        fragments=_fragments(shown.explainer, ranking, duplicates) if shown.explainer and len(ranking) else (),
        **_fitted(model, shown.explainer),
        notes=[*(look.notes(ranking) if look.notes else ()), *([_checked(shown.check)] if shown.check else [])],
    ))
    advance("pictures", 2, 2)
    write_atomically(folder / "run.json", (json.dumps(told, indent=1) + "\n").encode())
    return RunResult(ranking, model, told)


def _summary(
    model: AnomalyModel, ranking: Ranking, shown: _Shown, files: Mapping[str, str], duplicates: list[list[int]]
) -> dict[str, Any]:
    return summary(
        model, ranking, images=shown.what, command=shown.command, top=shown.top, new=shown.new, files=files,
        skipped=shown.source.skipped if isinstance(shown.source, Skips) else 0, duplicates=duplicates,
        check=None if shown.check is None else shown.check.to_dict())


def _duplicates(shown: _Shown) -> list[list[int]]:
    return shown.explainer.duplicate_groups() if shown.explainer else []


def _panels(ranking: Ranking, shown: _Shown, sections: Sequence[Section]) -> list[Panel]:
    """The contact sheet: the strangest of the score, the flagged ones framed, then those of each view."""
    panels = []
    for section in sections:
        column, top = section.column, min(shown.top, 20)
        images = ranking.top(top, column)
        flagged = sum(bool(image.flagged) for image in images) if section is sections[0] else 0
        caption = "flagged ones in red, with scores" if flagged else "the strangest, with scores"
        title = "The strangest" if section is sections[0] else section.title
        panels.append(Panel(title, caption, *strangest(ranking, shown.read, column, top), flagged=flagged))
    return panels


def _fitted(model: AnomalyModel, explainer: Explainer | None) -> dict[str, Any]:
    """The images that new ones are explained by, for the report."""
    if explainer is None or explainer.remembered is None:
        return {}
    return {"fitted": model.rank(), "read_fitted": explainer.remembered.picture}


def _sections(model: AnomalyModel, ranking: Ranking, shown: _Shown) -> list[Section]:
    """One section of the report for the score and, where there are several views, one for each."""
    explainer = shown.explainer
    several = len(ranking.members) > 1
    heading = "The strangest" if explainer is None else "The strangest, and why"
    sections = [] if not several else [Section(
        None, heading, f"The score puts {len(ranking.members)} ways of looking at the images together.",
        explainer.why if explainer else None, explainer.leaders if explainer else None)]
    for column in ranking.members:
        explain, rows = None, None
        detector, name = model.detectors_[column], wording.title(model, column)
        if isinstance(detector, Explains) and explainer and not shown.new:
            explain = _nodes(detector)
        elif explainer and not several:
            explain, rows = explainer.why, explainer.leaders
        title = name if several else heading
        sections.append(Section(column, title, wording.seeks(model, column), explain, rows, name))
    return sections


def _fragments(explainer: Explainer, ranking: Ranking, duplicates: Sequence[Sequence[int]]) -> list[Fragment]:
    """The map of the collection and the table of the strangest, their pictures as the model saw them."""
    pixels = explainer.collection.pixels
    groups = explainer.group_of
    parts = []
    if len(chosen := chart.choose(ranking)):
        embedding = explainer.embedding(pixels[chosen])
        places = chart.lay_out(embedding, np.arange(len(chosen)), explainer.model.random_state)
        parts.append(Fragment("map", "Map", chart.map_fragment(
            ranking, chosen, places, lambda row: np.asarray(pixels[row]), groups), chart.SCRIPT))
    rows = listing.choose(ranking, duplicates, MOST_SHOWN)
    table = listing.listing_fragment(
        ranking, rows, lambda row: picture("", np.asarray(pixels[row]), 3000).uri or "",
        lambda row: [reason.text for reason in explainer.reasons(row)], groups, len(rows), duplicates)
    return [*parts, Fragment("listing", "Table", table, listing.SCRIPT)]


def _nodes(detector: Explains) -> Callable[[int], Why]:
    return lambda row: Why(tuple(detector.explain_own(row)))


def _checked(check: Check) -> Note:
    """What the planted oddities showed, as a note of the report."""
    rows = [[sight.kind, f"{sight.on_top} of {sight.planted}",
             "" if sight.flagged is None else f"{sight.flagged} of {sight.planted}", f"{sight.auroc:.2f}"]
            for sight in sorted(check.sights, key=lambda sight: -sight.auroc)]
    text = ["Known oddities were made from copies of these images and planted among them; a fresh model that knew "
            "nothing of it ranked the mixture.", *check.sentences()]
    return Note("What this run can see, and what not", "\n".join(text),
                ["Planted", "among the strangest 5 %", "flagged", "scores above an untouched image"], rows)


def _looked_at(size: dict[str, Any]) -> str:
    kind = "colour" if size["channels"] == 3 else "grey"
    return f"{size['width']} x {size['height']} pixels, {kind}; other shapes: {size['resize']}"


def described(images: Any) -> str:
    """What was looked at, in words."""
    if isinstance(images, str | Path):
        return str(images)
    return f"{len(images):,} images of a {type(images).__name__}" if hasattr(images, "__len__") else str(type(images))


def claim(out: str | Path, source: ImageSource) -> Path:
    """The folder ``out``, if a run may be written there: never among the images, never over other files."""
    folder = Path(out)
    root = source.root if isinstance(source, InFolder) else None
    if root is not None and folder.resolve().is_relative_to(Path(root).resolve()):
        raise OutputError(f"{folder} lies in the folder of images {root}, which is never written to: "
                          "choose another place with --out.")
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is a file: choose a folder with --out.")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "run.json").is_file():
        raise OutputError(f"{folder} holds files that are not of a run: choose an empty or new folder with --out.")
    if not (folder / "run.json").is_file():
        write_atomically(folder / "run.json", b'{"finished": false}\n')
    return folder
