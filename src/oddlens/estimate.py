"""What a run will take, from a timed sample: how long, how much memory and disk."""

from __future__ import annotations

import math
import re
import resource
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from oddlens import arrays
from oddlens.budget import bytes_of, within
from oddlens.encoders.alterations import STEPS_AN_IMAGE, Alterations
from oddlens.explaining.reference_images import kept_at_most
from oddlens.model import AnomalyModel
from oddlens.passing import Columns, Work, encode
from oddlens.progress import silent
from oddlens.protocols import Encoded
from oddlens.report.contents import MOST_SHOWN
from oddlens.report.map import MOST_IMAGES
from oddlens.run import CAUSES, STORED, causes_of, rank_into
from oddlens.run_folder import FILES, REASONS
from oddlens.sources import open_source
from oddlens.stream import LEARNED_IMAGES, Some, Stream

FIRST = 60  # images of the run that has everything loaded and compiled
SIZES = (150, 450)  # images of the two timed runs, from whose difference it follows what one image costs
LARGEST = 0.15  # seconds; where an image takes more, fewer are timed:
FEW = (60, 180)
TILED = (1500, 4500)  # rows that the scoring is timed on, made from those of the sample; fewer
TILED_BYTES = 2**28  # where the maps of so many would be larger
LEARNED_WHOLE = 1000  # images up to which learning takes the longer the more there are, about (docs/scale.md)
EXACT = 20_000  # images up to which all pairs are compared; beyond, time grows with the number of images
LAST = "pictures and tables"  # the last stage; of pictures there are no more in a run of many images
DIGEST = re.compile(r"-[0-9a-f]{16}(?=\.)")  # in the names of a model's files
PAGE = 1024 if sys.platform != "darwin" else 1  # bytes of a unit of ``ru_maxrss``


@dataclass(frozen=True)
class Estimate:
    """What a run of ``count`` images will take.

    form:     the size that they are brought to, (height, width, channels).
    stages:   stage -> seconds by the clock.
    memory:   bytes at the most.
    working:  bytes on the disk while it runs.
    kept:     bytes of the finished run.
    """

    count: int
    form: tuple[int, int, int]
    stages: Mapping[str, float]
    memory: float
    working: float
    kept: float

    @property
    def seconds(self) -> float:
        """By the clock, all stages together."""
        return sum(self.stages.values())

    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        return {"images": self.count, "size": list(self.form), "seconds": round(self.seconds, 1),
                "stages": {stage: round(seconds, 1) for stage, seconds in self.stages.items()},
                "memory": int(self.memory), "disk_while_it_runs": int(self.working), "disk": int(self.kept)}

    def text(self) -> str:
        """In words."""
        height, width, channels = self.form
        stages = ", ".join(f"{stage} {_time(seconds)}" for stage, seconds in self.stages.items())
        return (f"{self.count:,} images, looked at as {width} x {height} pixels in "
                f"{'colour' if channels == 3 else 'grey'}.\n"
                f"Time:     about {_time(self.seconds)} ({stages})\n"
                f"Memory:   about {_size(self.memory)}\n"
                f"Disk:     about {_size(self.working)} while it runs, {_size(self.kept)} when it is finished\n"
                "Timed on a sample, as busy as this machine is now.")


def estimate(images: Any, model: AnomalyModel, *, memory: int | str | None = None) -> Estimate:
    """Time runs of some of the images and reckon what one of all will take; nothing is kept.

    images, model, memory:  as in ``run.rank_into``. Of a collection of a few hundred the sample is the whole.
    """
    source = open_source(images)
    count = len(source)
    with silent(), within(bytes_of(memory) if isinstance(memory, str) else memory):
        form = model.stream(Some(source, _spread(count, FIRST))).form
        model = clone(model)
        # All runs bring the images to the size of the first: other samples might find another.
        model.image_size, model.channels = (form.height, form.width), form.channels
        if form.detail:  # of so few images as were read it may be larger than of all
            model.detail = model.detail or min(max(form.detail), model.build().detail_side(count))
        elif form.texture is None:
            model.detail = 0
        loaded, _ = _timed(source, model, FIRST)
        sizes = FEW if loaded.seconds["encoding"] / min(count, FIRST) > LARGEST else SIZES
        many, fitted = _timed(source, model, sizes[1])
        few = many if many.count == count else _timed(source, model, sizes[0])[0]  # of the whole nothing is reckoned
        # A model of the larger sample has as many features as one of all will have; a few images show how many.
        work, stream = Work(measures=(causes_of,)), fitted.stream(Some(source, _spread(count, FIRST)))
        encode(fitted.ensemble_, stream, work, "", fitted.n_jobs)
        rows = _Rows.of(stream, work.columns)
        learned, memory_needed = _learned(fitted), _memory(rows, count)  # before the scoring is timed on larger columns
        stages = {stage: _grown(stage, few, many, count, learned) for stage in many.seconds if stage != "scoring"}
        stages["scoring"] = _scoring(fitted, work.columns, rows, many, count)
        kept = _kept(few, many, count, (form.height, form.width, form.channels))
        return Estimate(count, (form.height, form.width, form.channels), stages, memory_needed,
                        _disk(rows, count) + kept, kept)


@dataclass(frozen=True)
class _Timing:
    """A run of some images: how many, seconds by stage, bytes of the run by kind of file.

    kept is without the pictures, of which there are no more in a run of many images; shown is these. tables is the
    seconds of the last stage that its tables take, which have a row for each image.
    """

    count: int
    seconds: dict[str, float]
    kept: dict[str, int]
    shown: int
    tables: float = 0.0


@dataclass(frozen=True)
class _Rows:
    """Bytes of one image in each column, and of its pixels."""

    columns: dict[str, int]
    pixels: int

    @classmethod
    def of(cls, stream: Stream, columns: Columns) -> _Rows:
        copies = (stream.hand.pixels, stream.hand.detail, stream.hand.texture)
        return cls({name: columns.joined(name)[:1].nbytes for name in columns.blocks.names(0)},
                   sum(copy[:1].nbytes for copy in copies if copy is not None))


def _timed(source: Any, model: AnomalyModel, size: int) -> tuple[_Timing, AnomalyModel]:
    """A run of so many images, and its model."""
    some = Some(source, _spread(len(source), size))
    with tempfile.TemporaryDirectory(prefix="oddlens-") as folder:
        start = time.perf_counter()
        result = rank_into(some, Path(folder) / "run", clone(model))
        seconds = dict(result.summary["seconds"])
        seconds[LAST] = time.perf_counter() - start - sum(seconds.values())
        sizes = {DIGEST.sub("", path.name): path.stat().st_size for path in Path(folder).rglob("*") if path.is_file()}
        start = time.perf_counter()
        result.ranking.to_csv(Path(folder) / "table.csv")
        result.ranking.to_parquet(Path(folder) / "table.parquet")
        tables = time.perf_counter() - start
    shown = sum(sizes.pop(FILES[name], 0) for name in ("report", "gallery"))
    return _Timing(len(some), seconds, sizes, shown, tables), result.model


def _learned(fitted: AnomalyModel) -> int:
    """Images up to which learning takes the longer the more there are."""
    for encoder in fitted.encoders_.values():
        if isinstance(encoder, Alterations):  # most of the time is its
            return encoder.most_steps_ // STEPS_AN_IMAGE
    return LEARNED_WHOLE


def _grown(stage: str, few: _Timing, many: _Timing, count: int, learned: int = LEARNED_WHOLE) -> float:
    """Seconds of a stage: what is there anyway, and so much an image; of learning up to ``learned`` images."""
    if many.count == few.count:
        return many.seconds[stage]
    each = max(0.0, (many.seconds[stage] - few.seconds.get(stage, 0.0)) / (many.count - few.count))
    grows = {"learning": max(many.count, min(count, learned)), "reading": min(count, LEARNED_IMAGES),
             LAST: min(count, MOST_IMAGES)}.get(stage, count)
    seconds = many.seconds[stage] + each * (grows - many.count)
    if stage == LAST:
        seconds += many.tables / many.count * (count - grows)
    if stage == "encoding" and count > LEARNED_IMAGES:  # in which the others are read
        seconds += many.seconds["reading"] / many.count * (count - LEARNED_IMAGES)
    return seconds


def _scoring(fitted: AnomalyModel, columns: Columns, row: _Rows, many: _Timing, count: int) -> float:
    """Seconds of the detectors, timed on rows like those of the sample: a part grows with the pairs of images."""
    if count <= many.count:
        return many.seconds["scoring"]
    part = min(1.0, TILED_BYTES / max(row.columns.values()) / TILED[1])
    low, high = (max(2, round(part * size)) for size in TILED)
    times = [_judged(fitted, columns, size) for size in (low, high)]
    pairs = max(0.0, (times[1] / high - times[0] / low) / (high - low))
    each = max(0.0, times[0] / low - pairs * low)
    return count * (each + pairs * min(count, EXACT))


def _judged(model: AnomalyModel, columns: Columns, size: int) -> float:
    rng = np.random.default_rng(0)

    def tiled(array: NDArray[Any] | None) -> NDArray[Any] | None:
        if array is None:
            return None
        rows = array[rng.integers(0, len(array), size)].astype(np.float32)
        noise = rng.standard_normal(rows.shape, np.float32)
        noise *= array.std(0, dtype=np.float32) * 0.3
        rows += noise
        return rows.astype(array.dtype)

    def encoded(name: str) -> Encoded:
        found = columns.encoded(name)
        return replace(found, embedding=tiled(found.embedding), residual=tiled(found.residual),
                       surprise=tiled(found.surprise), maps=tiled(found.maps),
                       activations={layer: np.asarray(tiled(array)) for layer, array in found.activations.items()},
                       pathway={layer: np.asarray(tiled(array)) for layer, array in found.pathway.items()})

    given = {name: encoded(name) for name in model.encoders_}
    start = time.perf_counter()
    model.ensemble_.judge(given.__getitem__, lambda _, detector, features: detector.fit(features).score_own())
    return time.perf_counter() - start


def _kept(few: _Timing, many: _Timing, count: int, shape: tuple[int, int, int]) -> float:
    """Bytes of a finished run, of images of (height, width, channels).

    Of the reasons the pixels of ordinary images, half of all up to some hundred, are counted by themselves. An encoder
    learns as much of many images as of some hundred. The other files grow by what they grew between the two runs, and
    by no more than an image's part of the larger: where so few images had fewer features than many have, each image's
    room grew too, and would be counted as more images.
    """
    kept = float(many.shown) * min(count, MOST_SHOWN) / min(many.count, MOST_SHOWN) + _pictures(count, shape)
    for name in many.kept:
        size, before = (run.kept.get(name, 0) - (_pictures(run.count, shape) if name == REASONS else 0)
                        for run in (many, few))
        each = (size - before) / max(1, many.count - few.count)
        grows = 0.0 if name.startswith("encoder-") else max(0.0, min(each, size / many.count))
        kept += size + grows * (count - many.count)
    return kept


def _pictures(count: int, shape: tuple[int, int, int]) -> int:
    """Bytes of the ordinary images of which a run keeps the pixels."""
    return min(kept_at_most(shape), count // 2) * math.prod(shape)


def _memory(row: _Rows, count: int) -> float:
    """Bytes: what there is now, the sample, and the longest columns, as far as they lie in memory."""
    most = arrays.MOST_IN_MEMORY
    encoders: dict[str, float] = {}
    for name, size in row.columns.items():
        if name == CAUSES + STORED:
            continue
        room = name.partition("/")[0]
        encoders[room] = encoders.get(room, 0.0) + min(most, float(size) * count)
    causes = encoders.pop("causes", 0.0)
    known = 400.0 * count  # names, digests and tables
    now = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * PAGE
    return now + min(most, row.pixels * min(count, LEARNED_IMAGES)) + max(max(encoders.values()), causes) + known


def _disk(row: _Rows, count: int) -> float:
    """Bytes of the stages, and of the longest columns that lie in a temporary file."""
    columns = float(sum(row.columns.values())) * count
    files = [float(size) * count for size in row.columns.values() if size * count > arrays.MOST_IN_MEMORY]
    return columns + row.pixels * min(count, LEARNED_IMAGES) + max(files, default=0.0)


def _spread(count: int, size: int) -> list[int]:
    """Places of at most ``size`` of ``count`` images, spread evenly."""
    return [int(place) for place in np.unique(np.linspace(0, count - 1, min(size, count)).astype(int))]


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"


def _size(count: float) -> str:
    return f"{count / 2**20:,.0f} MiB" if count < 2**30 else f"{count / 2**30:.1f} GiB"
