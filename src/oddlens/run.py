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
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

import oddlens
from oddlens import chart, listing, registry, saving
from oddlens.check import Check
from oddlens.check import check as run_check
from oddlens.errors import OptionError, OutputError, SavedModelError, UnreadableImage
from oddlens.explaining import Explainer, NewExplainer, Why
from oddlens.files import write_atomically
from oddlens.gallery import Panel, write_gallery
from oddlens.memory import Memory
from oddlens.model import AnomalyModel
from oddlens.pixels import read_near
from oddlens.progress import advance
from oddlens.protocols import Explains, HasOptions, ImageSource, InFolder, Seeks, Skips
from oddlens.ranking import RankedImage, Ranking
from oddlens.report import THUMBNAIL, Fragment, Note, Reader, Report, Section, number, picture, write_report
from oddlens.sources import open_source
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
    title: str = "The odd images", what: str | None = None, look: Look | None = None, check: bool = False,
    save_model: bool = True,
) -> RunResult:
    """Fit ``model`` to images, rank them and write the run into the folder ``out``.

    title and what head the report: what it is about, and what the images are (by default their path). look changes
    what the pictures show; see :class:`Look`. check plants known oddities in copies of the images and says what such a
    run can see and what not; it takes about five times as long again. save_model: False keeps no model and nothing of
    the images, so that new ones cannot be scored by the run. Raises, before any work, ``OutputError`` if ``out`` lies
    in the folder of images or holds other files, and ``OptionError`` for a model that cannot be fitted, or not saved.
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
        return RunResult(ranking, model, _summary(model, ranking, shown, {}))
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
    title: str
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
    summary = _summary(model, ranking, shown, {label: str(folder / name) for label, name in files.items()})
    ranking.to_csv(folder / "scores.csv")
    ranking.to_parquet(folder / "scores.parquet")
    top = min(shown.top, MOST_SHOWN)
    sections = _sections(model, ranking, shown)
    advance("pictures", 0, 2)
    if look.panels is None:
        panels = [Panel(s.title, "the strangest, with scores", *strangest(ranking, shown.read, s.column, min(top, 20)))
                  for s in sections]
    else:
        panels = list(look.panels(ranking, shown.read))
    write_gallery(folder / "gallery.png", panels)
    advance("pictures", 1, 2)
    write_report(folder / "report.html", Report(
        title=shown.title, source=shown.what, ranking=ranking, read=shown.read, sections=sections,
        facts={"Looked at as": _looked_at(summary["learned_at"])}, skipped=summary["skipped"], seed=summary["seed"],
        timings=summary["seconds"], created=summary["created"], parameters=summary["parameters"],
        versions=summary["versions"], command=shown.command, top=top, statement=summary["statement"],
        fragments=_fragments(shown.explainer, ranking) if shown.explainer and len(ranking) else (),
        **_fitted(model, shown.explainer),
        notes=[*(look.notes(ranking) if look.notes else ()), *([_checked(shown.check)] if shown.check else [])],
    ))
    advance("pictures", 2, 2)
    write_atomically(folder / "run.json", (json.dumps(summary, indent=1) + "\n").encode())
    return RunResult(ranking, model, summary)


def _fitted(model: AnomalyModel, explainer: Explainer | None) -> dict[str, Any]:
    """The images that new ones are explained by, for the report."""
    if explainer is None or explainer.remembered is None:
        return {}
    return {"fitted": model.rank(), "read_fitted": explainer.remembered.picture}


def _sections(model: AnomalyModel, ranking: Ranking, shown: _Shown) -> list[Section]:
    """One section of the report for the score and, where there are several views, one for each."""
    explainer = shown.explainer
    several = len(ranking.members) > 1
    sections = [] if not several else [Section(
        None, "All views together", "The images that all views of the collection, taken together, find strangest.",
        explainer.why if explainer else None, explainer.leaders if explainer else None)]
    for column in ranking.members:
        detector = model.detectors_[column]
        explain, rows = None, None
        if isinstance(detector, Explains) and explainer and not shown.new:
            explain = _nodes(detector)
        elif explainer and not several:
            explain, rows = explainer.why, explainer.leaders
        sought = detector.seeks if isinstance(detector, Seeks) else "odd images"
        title = f"View {column}" if "+" in column else f"Detector {column}"
        sections.append(Section(column, title, f"It looks for {sought}.", explain, rows))
    return sections


def _fragments(explainer: Explainer, ranking: Ranking) -> list[Fragment]:
    """The map of the collection and the table of the strangest, their pictures as the model saw them."""
    pixels = explainer.collection.pixels
    groups = explainer.group_of
    parts = []
    if len(chosen := chart.choose(ranking)):
        embedding = explainer.embedding(pixels[chosen])
        places = chart.lay_out(embedding, np.arange(len(chosen)), explainer.model.random_state)
        parts.append(Fragment("map", "Map", chart.map_fragment(
            ranking, chosen, places, lambda row: np.asarray(pixels[row]), groups), chart.SCRIPT))
    table = listing.listing_fragment(
        ranking, ranking.order()[:MOST_SHOWN], lambda row: picture("", np.asarray(pixels[row]), 3000).uri or "",
        lambda row: [reason.text for reason in explainer.reasons(row)], groups, MOST_SHOWN)
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


def statement(model: AnomalyModel, ranking: Ranking, fitted: bool) -> str:
    """How many images look odd and how sure that is."""
    assert ranking.flagged is not None  # noqa: S101  a model always decides
    count, n, decision = int(ranking.flagged.sum()), len(ranking), model.decision_
    if model.contamination is not None:
        return (f"{count:,} of {n:,} images are flagged: the share that was asked for, {model.contamination:.3g}. "
                "How many of them are really odd was not asked.")
    if not fitted:
        return (f"{count:,} of {n:,} new images look{'s' if count == 1 else ''} odd beside the fitted ones, at a "
                f"false-discovery rate of {model.fdr:.3g}.")
    if not count:
        return decision.statement
    false = min(decision.expected_false, model.fdr * count)
    words = "none of them" if false < 0.5 else f"about {false:.0f} of them"
    share = decision.share
    looks = "image looks" if count == 1 else "images look"
    return (f"{count:,} {looks} odd; expect {words} to be {'a false alarm' if round(false) == 1 else 'false alarms'}.\n"
            f"About {_percent(share.value)} of the {n:,} images are anomalous, flagged or not "
            f"(somewhere from {_percent(share.low)} to {_percent(share.high)}).")


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %"


def _summary(model: AnomalyModel, ranking: Ranking, shown: _Shown, files: dict[str, str]) -> dict[str, Any]:
    """The run in plain values: what ``--json`` prints and ``run.json`` keeps."""
    form = model.format_
    return {
        "finished": True,
        "oddlens": oddlens.__version__,
        "command": shown.command,
        "images": shown.what,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "found": len(ranking) + len(ranking.unreadable),
        "read": len(ranking),
        "skipped": shown.source.skipped if isinstance(shown.source, Skips) else 0,
        "unreadable": [{"name": name, "reason": reason} for name, reason in ranking.unreadable],
        "learned_at": {"height": form.height, "width": form.width, "channels": form.channels, "resize": form.resize},
        "seed": model.random_state,
        "seconds": {stage: round(seconds, 3) for stage, seconds in model.timings_.items()},
        "statement": statement(model, ranking, not shown.new),
        "flagged": 0 if ranking.flagged is None else int(ranking.flagged.sum()),
        "fdr": model.fdr if model.contamination is None else None,
        "share_anomalous": {"value": model.decision_.share.value, "low": model.decision_.share.low,
                            "high": model.decision_.share.high},
        "check": None if shown.check is None else shown.check.to_dict(),
        "top": [{"rank": i.rank, "name": i.name, "score": i.score, "p_value": i.p_value, "flagged": i.flagged,
                 "causes": ranking.causes[i.index] if ranking.causes else "", **i.members}
                for i in ranking.top(shown.top)],
        "parameters": _parameters(model),
        "versions": _versions(),
        "files": files,
    }


def _looked_at(size: dict[str, Any]) -> str:
    kind = "colour" if size["channels"] == 3 else "grey"
    return f"{size['width']} x {size['height']} pixels, {kind}; other shapes: {size['resize']}"


def _parameters(model: AnomalyModel) -> dict[str, dict[str, Any]]:
    own = {key: value for key, value in model.get_params(deep=False).items()
           if key not in ("encoder", "detector", "views")}
    parts: dict[str, Any] = {f"Encoder {name}": encoder for name, encoder in model.encoders_.items()}
    parts |= {f"Detector {column}": detector for column, detector in model.detectors_.items()}
    listed = {title: registry.options_of(part) for title, part in parts.items()}
    return {title: {key: value if isinstance(value, int | float | str | None) else repr(value)
                    for key, value in options.items()}
            for title, options in {"Model": own, **listed}.items() if options}


def _versions() -> dict[str, str]:
    packages = ("faiss-cpu", "numba", "numpy", "pillow", "scikit-learn", "torch")
    return {"oddlens": oddlens.__version__, "Python": platform.python_version(),
            **{package: version(package) for package in packages}}


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
