"""Runs of some of the images, timed by stage: what an estimate of a run of all is reckoned from.

What takes as long each time is done a few times instead of all: a network learns in a few steps, few images are
explained. How long one of these takes is timed, and the others are added when a run of all is reckoned.
"""

from __future__ import annotations

import json
import re
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls
from sklearn.base import clone

from oddlens.encoders.alterations import Alterations
from oddlens.encoders.autoencoder import Autoencoder
from oddlens.encoders.conv_autoencoder import ConvAutoencoder
from oddlens.encoders.deep_autoencoder import DeepAutoencoder
from oddlens.encoders.transforms import Transforms
from oddlens.ensemble import Ensemble
from oddlens.kernels import one_blas_thread
from oddlens.learning.training import one_thread
from oddlens.model import AnomalyModel
from oddlens.passing import Columns
from oddlens.pixels import Copies
from oddlens.protocols import Encoded, Encoder
from oddlens.report.map import lay_out
from oddlens.run import rank_into
from oddlens.run_folder import FILES
from oddlens.stream import Some, Stream
from oddlens.threads import in_order

LEARNERS = (Alterations, Autoencoder, ConvAutoencoder, DeepAutoencoder, Transforms)  # that learn in ``steps``
FEW_STEPS = 4  # of each learner in a timed run
TIMED_STEPS = (4, 24)  # from whose difference it follows what a step takes,
TIMED_IMAGES = 32  # of so many images, a mini-batch
LAST = "pictures and tables"  # the last stage
DIGEST = re.compile(r"-[0-9a-f]{16}(?=\.)")  # in the names of a model's files


class Brief(AnomalyModel):
    """A model whose encoders learn in a few steps, where they learn in steps; else as the one that it is made from."""

    def build(self) -> Ensemble:
        """As of any model, but for the steps."""
        ensemble = super().build()
        for encoder in ensemble.encoders.values():
            if isinstance(encoder, LEARNERS):
                encoder.steps = min(encoder.steps, FEW_STEPS)
        return ensemble


def brief(model: AnomalyModel) -> Brief:
    """The same options as a model that learns briefly; the model is left as it is."""
    return Brief(**clone(model).get_params(deep=False))


@dataclass(frozen=True)
class Timing:
    """A run of some images: how many, seconds by stage, bytes of the run.

    top:     how many of the strangest are shown.
    kept:    by kind of file, and of a file of arrays by array: bytes, and how many rows it has; 0 of other files.
    shown:   bytes of report and contact sheet, in which there are no more pictures in a run of many images.
    tables:  seconds of the last stage that its tables take, which have a row for each image.
    """

    count: int
    seconds: dict[str, float]
    kept: dict[str, tuple[int, int]]
    shown: int
    tables: float = 0.0
    top: int = 0


def timed(source: Any, model: AnomalyModel, size: int, top: int) -> tuple[Timing, AnomalyModel]:
    """A run of so many images, and its model."""
    some = Some(source, spread(len(source), size))
    with tempfile.TemporaryDirectory(prefix="oddlens-") as folder:
        start = time.perf_counter()
        result = rank_into(some, Path(folder) / "run", clone(model), top=top)
        seconds = dict(result.summary["seconds"])
        seconds[LAST] = time.perf_counter() - start - sum(seconds.values())
        sizes = {name: size for path in Path(folder).rglob("*") if path.is_file() for name, size in _sizes(path)}
        start = time.perf_counter()
        result.ranking.to_csv(Path(folder) / "table.csv")
        result.ranking.to_parquet(Path(folder) / "table.parquet")
        tables = time.perf_counter() - start
    shown = sum(sizes.pop(FILES[name], (0, 0))[0] for name in ("report", "gallery"))
    return Timing(len(some), seconds, sizes, shown, tables, top), result.model


def _sizes(path: Path) -> Iterator[tuple[str, tuple[int, int]]]:
    """What a file is called, its bytes and 0; of a file of arrays what each is called, its bytes and its rows."""
    name = DIGEST.sub("", path.name)
    if path.suffix != ".safetensors":
        yield name, (path.stat().st_size, 0)
        return
    with path.open("rb") as file:
        head = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    for array, known in head.items():
        if array != "__metadata__":
            start, end = known["data_offsets"]
            yield f"{name}/{array}", (end - start, known["shape"][0] if known["shape"] else 0)


def steps_left(asked: AnomalyModel, fitted: AnomalyModel, stream: Stream, count: int) -> float:
    """Seconds of the steps that a run of ``count`` images learns in beyond those of a brief one.

    A learner that stops once its loss falls no more is taken to go on to the last step that it may take.
    """
    seconds = 0.0
    wanted = {name: encoder for name, encoder in asked.build().encoders.items() if name in fitted.encoders_}
    for name, encoder in wanted.items():
        if not isinstance(encoder, LEARNERS):
            continue
        steps = encoder.steps
        if isinstance(encoder, Alterations):
            known = fitted.encoders_[name]
            steps = encoder.steps_for(count, known.alignment_ if isinstance(known, Alterations) else 0.0)
        if steps > FEW_STEPS:
            seconds += (steps - FEW_STEPS) * _step(encoder, fitted.ensemble_, stream, count)
    return seconds


def _step(encoder: Encoder, ensemble: Ensemble, stream: Stream, count: int) -> float:
    """Seconds of one step of a learner."""
    pixels = ensemble.shown(encoder, stream.learned(), count)[:TIMED_IMAGES]
    taken = []
    for steps in TIMED_STEPS:
        learner = clone(encoder, safe=False).set_params(steps=steps)
        start = time.perf_counter()
        learner.fit(pixels)
        taken.append(time.perf_counter() - start)
    return max(0.0, taken[1] - taken[0]) / (TIMED_STEPS[1] - TIMED_STEPS[0])


def side_by_side(ensemble: Ensemble, images: Copies, blocks: int) -> float:
    """How long it takes to encode so many blocks at the same time, as a share of how long it takes one after the other.

    images:  those of a block to time it by.
    """
    def encoded(_: int) -> float:
        ensemble.encode(images)
        return time.perf_counter()

    with one_thread(), one_blas_thread():
        start = time.perf_counter()
        alone = encoded(0) - start
        start = time.perf_counter()
        together = max(in_order(encoded, blocks, blocks, ahead=2)) - start
    return min(1.0, together / (blocks * alone))


def map_seconds(embedding: NDArray[np.float32], sizes: Sequence[int]) -> list[float]:
    """Seconds of laying out maps of so many images each."""
    taken = []
    for size in sizes:
        rows = _like(embedding, size)
        start = time.perf_counter()
        lay_out(rows, np.arange(size))
        taken.append(time.perf_counter() - start)
    return taken


def scoring_seconds(
    ensemble: Ensemble, columns: Columns, sizes: Mapping[str, Sequence[int]], count: int, exact: int
) -> float:
    """Seconds of the detectors of ``count`` images, from those of fewer rows like those of a sample.

    sizes:  encoder -> three numbers of rows. A part is there anyway, one grows with the images and, where no maps are
            read, one with their pairs, of each image with up to ``exact``: maps are compared place by place, and are
            timed on so few rows that what is noise would count as pairs.
    """
    seconds = 0.0
    for name, timed_sizes in sizes.items():
        encoded = columns.encoded(name)
        taken = np.array([_judged(ensemble, name, encoded, size) for size in timed_sizes])
        rows = np.asarray(timed_sizes, float)
        terms = [np.ones_like(rows), rows, *([] if encoded.maps is not None else [rows**2])]
        found = nnls(np.stack(terms, 1) / taken[:, None], np.ones_like(rows))[0]  # each is to be met about as closely
        seconds += float(found @ [1, count, count * min(count, exact)][: len(terms)])
    return seconds


def _judged(ensemble: Ensemble, name: str, encoded: Encoded, size: int) -> float:
    """Seconds of the detectors of one encoder, of so many rows."""
    def tiled(array: NDArray[Any] | None) -> NDArray[Any] | None:
        return None if array is None else _like(array, size)

    given = replace(encoded, embedding=tiled(encoded.embedding), residual=tiled(encoded.residual),
                    surprise=tiled(encoded.surprise), maps=tiled(encoded.maps),
                    activations={layer: _like(array, size) for layer, array in encoded.activations.items()},
                    pathway={layer: _like(array, size) for layer, array in encoded.pathway.items()})
    own = ensemble.columns(name)
    part = replace(ensemble, encoders={name: ensemble.encoders[name]}, sees=dict.fromkeys(own, name),
                   detectors={column: ensemble.detectors[column] for column in own},
                   views={column: ensemble.views[column] for column in own if column in ensemble.views})
    start = time.perf_counter()
    part.judge(lambda _: given, lambda _, detector, features: detector.fit(features).score_own())
    return time.perf_counter() - start


def _like(array: NDArray[Any], size: int) -> NDArray[Any]:
    """So many rows that are like those of an array, no two alike: each of one with a part of another."""
    rng = np.random.default_rng(0)
    rows, others = (array[rng.integers(0, len(array), size)].astype(np.float32) for _ in range(2))
    rows += rng.uniform(0.1, 0.3, size).astype(np.float32).reshape(-1, *[1] * (array.ndim - 1)) * (others - rows)
    return np.asarray(rows.astype(array.dtype))


def spread(count: int, size: int) -> list[int]:
    """Places of at most ``size`` of ``count`` images, spread evenly."""
    return [int(place) for place in np.unique(np.linspace(0, count - 1, min(size, count)).astype(int))]
