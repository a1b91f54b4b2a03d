"""Images that came later join a finished run: they are scored by its model, and nothing is learned anew."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oddlens import run_folder, saving
from oddlens.errors import SavedModelError
from oddlens.explaining.explainer import Explainer
from oddlens.explaining.reference_images import Memory
from oddlens.passing import Work, working
from oddlens.pixels import nothing_of
from oddlens.protocols import ImageSource
from oddlens.provenance import Provenance
from oddlens.reading.limits import Limits
from oddlens.reading.texture import measures
from oddlens.report.contents import Look, Shown
from oddlens.run import CAUSES, RunResult, causes_of, write
from oddlens.sources import open_source
from oddlens.stream import Later, Some, Stream


def update(
    path: str | Path, images: Any = None, *, top: int = 20, n_jobs: int | None = None, command: str = "",
    what: str | None = None, limits: Limits | None = None,
) -> RunResult:
    """Add to the run at ``path`` the images that it does not know or that changed, and write it anew in its place.

    images:  where they are: by default what was ranked. Images of the run that are there no more stay in it.
    what:    what they are, in words or as a path; by default as the run says.

    What was said of the images stays, but of those that changed. The summary's "update" says what came and whether the
    collection has drifted so far that it should be learned anew. Raises ``SavedModelError`` for a run without a model.
    """
    path = Path(path)
    content = run_folder.summary_of(path)
    model = saving.load_model(run_folder.model_of(path))
    model.n_jobs = n_jobs
    before = Provenance.load(path / run_folder.IMAGES)
    if before.names != model.names_:
        raise SavedModelError(f"{path / run_folder.IMAGES} is not of the images of its model. Rank them anew.")
    form = model.format_
    memory = Memory.load(path / run_folder.REASONS, (form.height, form.width, form.channels), len(model.names_))
    source = open_source(content["images"] if images is None else images, limits=limits)
    places, changed, gone = _news(source, before, images, limits)
    with run_folder.claimed(path, source, overwrite=True) as place:
        stream = Stream.open(Some(source, places), form, n_jobs)
        with working(Work(measures=(causes_of,)), stream) as work:
            rows = model.extend(stream, work=work)
            parts = work.columns.under(CAUSES)
        came = work.columns
        causes = memory.causes
        if len(rows):
            causes.extend(parts, rows)
        found = _joined(before, Provenance.of(source, came.names, np.asarray(places)[came.indices], came.shapes,
                                              n_jobs), rows)
        all_images = found.open(images, limits)
        shapes = {"pixels": (form.height, form.width, form.channels),
                  "detail": form.detail and (*form.detail, form.channels),
                  "texture": form.texture and measures(*form.texture, form.channels)}
        later: dict[str, Any] = {part: Later(all_images, form, model.indices_, part, shape)
                                 for part, shape in shapes.items() if shape}
        collection = replace(nothing_of(form, model.names_, model.unreadable_, model.shapes_, model.indices_), **later)
        saving.save_model(model, place.building / run_folder.MODEL)
        explainer = Explainer(model, collection, model.rank(), causes=causes)
        explainer.memory().save(place.building / run_folder.REASONS)
        ranking = explainer.explained()
        drifted = model.drift_
        told = {"new": len(came.names) - changed, "changed": changed, "gone": gone, "drifted": drifted.drifted,
                "p_value": drifted.p_value, "statement": drifted.sentence}
        shown = Shown(all_images, what or str(content["images"]), model.indices_, top, command, None, explainer,
                      update=told)
        return write(place, model, ranking, shown, Look(), found)


def _news(
    source: ImageSource, before: Provenance, images: Any, limits: Limits | None
) -> tuple[list[int], int, int]:
    """Places in the source of images that the run lacks; how many of them changed; how many of the run are gone."""
    rows = {name: row for row, name in enumerate(before.names)}
    known = before.open(images, limits)
    places, changed, seen = [], 0, 0
    for place in range(len(source)):
        row = rows.get(source.name(place))
        if row is not None:
            seen += 1
            if known.state(row) != "changed":
                continue
            changed += 1
        places.append(place)
    return places, changed, len(rows) - seen


def _joined(before: Provenance, later: Provenance, rows: NDArray[np.int64]) -> Provenance:
    """Where the images of the run are, with those that came at their rows."""
    origins = dict(enumerate(before.origins)) | dict(zip(rows.tolist(), later.origins, strict=True))
    names = dict(enumerate(before.names)) | dict(zip(rows.tolist(), later.names, strict=True))
    return Provenance(tuple(names[row] for row in sorted(names)), tuple(origins[row] for row in sorted(origins)))
