"""What a run will take, from a timed sample: how long, how much memory and disk."""

from __future__ import annotations

import math
import resource
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from oddlens import arrays
from oddlens.budget import bytes_of, within
from oddlens.explaining.orientation import FEWEST_LEARNED
from oddlens.explaining.reference_images import kept_at_most
from oddlens.kernels import resolve_jobs
from oddlens.model import AnomalyModel
from oddlens.passing import Columns, Work, encode
from oddlens.progress import silent
from oddlens.report.contents import MOST_SHOWN
from oddlens.report.map import MOST_IMAGES
from oddlens.run import CAUSES, STORED, causes_of
from oddlens.run_folder import REASONS
from oddlens.sample_runs import (
    LAST,
    TIMED_IMAGES,
    Timing,
    brief,
    map_seconds,
    scoring_seconds,
    side_by_side,
    spread,
    steps_left,
    timed,
)
from oddlens.sources import open_source
from oddlens.stream import BLOCK_IMAGES, LEARNED_IMAGES, Some, Stream

LOADED, LOADED_SIDE = 24, 64  # images of the run that has everything loaded and compiled; how large it sees them
SIZES = (100, 450)  # images of the two timed runs, from whose difference it follows what one image costs,
LARGE, QUICK = (60, 160), 0.003  # fewer where an image of the first run took longer to encode, in seconds
PARTS, LARGE_PARTS = (15, 4), (4, 2)  # at most one in so many of the images each, but
SMALL = (20, 40)  # so many in any case
SMALLEST = 40  # so few are run as a whole
TOPS, TOP = (1, 6), 20  # of the strangest images that are shown: in the timed runs; in a run
SCORED = 4500  # rows that the scoring is timed on, at most, and at most a third of the images;
SCORED_BYTES = 2**25  # fewer where the maps of so many would be larger
LEARNED_WHOLE = 700  # images up to which learning takes the longer the more there are, about (docs/scale.md)
TOGETHER = 16  # images of the blocks that are encoded side by side, to see how much longer that takes
EXACT = 20_000  # images up to which all pairs are compared; beyond, time grows with the number of images
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
                f"Memory:   about {_room(self.memory)}\n"
                f"Disk:     about {_room(self.working)} while it runs, {_room(self.kept)} when it is finished\n"
                "Timed on a sample, as busy as this machine is now.")


def estimate(images: Any, model: AnomalyModel, *, memory: int | str | None = None) -> Estimate:
    """Time runs of some of the images and reckon what one of all will take; nothing is kept.

    images, model, memory:  as in ``run.rank_into``. Of a collection of a few images the sample is the whole.
    """
    source = open_source(images)
    count = len(source)
    with silent(), within(bytes_of(memory) if isinstance(memory, str) else memory):
        form = model.stream(Some(source, spread(count, LOADED))).form
        sample = brief(model)
        # All runs bring the images to the size of the first: other samples might find another.
        sample.image_size, sample.channels = (form.height, form.width), form.channels
        if form.detail:  # of so few images as were read it may be larger than of all
            sample.detail = model.detail or min(max(form.detail), model.build().detail_side(count))
        elif form.texture is None:
            sample.detail = 0
        small = clone(sample).set_params(detail=min(LOADED_SIDE, sample.detail) if sample.detail else sample.detail)
        loaded, _ = timed(source, small, LOADED, 1)
        few, many, fitted = _timings(source, sample, count, loaded.seconds["encoding"] / loaded.count < QUICK)
        # A model of the larger sample has as many features as one of all will have; a few images show how many.
        work, stream = Work(measures=(causes_of,)), fitted.stream(Some(source, spread(count, TIMED_IMAGES)))
        encode(fitted.ensemble_, stream, work, "", fitted.n_jobs)
        rows = _Rows.of(stream, work.columns)
        memory_needed = _memory(rows, count)  # before the scoring is timed on larger columns
        stages = {stage: _grown(stage, few, many, count) for stage in many.seconds}
        # A timed run encodes one block, a run of many images several at the same time.
        if (blocks := min(resolve_jobs(fitted.n_jobs), -(-count // BLOCK_IMAGES))) > 1:
            stages["encoding"] *= side_by_side(fitted.ensemble_, stream.hand.copies[:TOGETHER], blocks)
        stages["learning"] += steps_left(model, fitted, stream, count)
        if count > many.count:
            stages["scoring"] = scoring_seconds(fitted.ensemble_, work.columns, {
                name: _scored(rows, name, count) for name in fitted.encoders_}, count, EXACT)
            stages[LAST] = _last(few, many, map_seconds(_embedding(stream, work.columns, fitted), [
                min(run, MOST_IMAGES) for run in (few.count, many.count, count)]), count)
        kept = _kept(few, many, count, (form.height, form.width, form.channels))
        return Estimate(count, (form.height, form.width, form.channels), stages, memory_needed,
                        _disk(rows, count) + kept, kept)


def _timings(source: Any, sample: AnomalyModel, count: int, quick: bool) -> tuple[Timing, Timing, AnomalyModel]:
    """Two timed runs, and the model of the larger; of few images one run of all, from which nothing is reckoned."""
    if count <= SMALLEST:
        whole, fitted = timed(source, sample, count, TOP)
        return whole, whole, fitted
    few, _ = timed(source, sample, _size(count, quick, 0), TOPS[0])
    many, fitted = timed(source, sample, _size(count, quick, 1), TOPS[1])
    return few, many, fitted


def _size(count: int, quick: bool, which: int) -> int:
    """How many of the images the smaller (0) or the larger (1) timed run has."""
    if not quick:
        return min(LARGE[which], max(SMALL[which], count // LARGE_PARTS[which]))
    return min(SIZES[which], max(SMALL[which], count // PARTS[which]))


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


def _grown(stage: str, few: Timing, many: Timing, count: int) -> float:
    """Seconds of a stage: what is there anyway, and so much an image; of learning up to some hundred images."""
    if many.count == count or (stage == "causes" and few.count < FEWEST_LEARNED <= many.count):
        return many.seconds[stage]  # which way is up is not learned from so few
    each = max(0.0, (many.seconds[stage] - few.seconds.get(stage, 0.0)) / (many.count - few.count))
    grows = {"learning": max(many.count, min(count, LEARNED_WHOLE)), "reading": min(count, LEARNED_IMAGES)}.get(
        stage, count)
    seconds = many.seconds[stage] + each * (grows - many.count)
    if stage == "encoding" and count > LEARNED_IMAGES:  # in which the others are read
        seconds += many.seconds["reading"] / many.count * (count - LEARNED_IMAGES)
    return seconds


def _last(few: Timing, many: Timing, maps: list[float], count: int) -> float:
    """Seconds of pictures and tables: more images are shown than in the timed runs, the map is larger, tables longer.

    maps:  seconds of the maps of the two runs and of one of all.
    """
    each = max(0.0, (many.seconds[LAST] - maps[1]) - (few.seconds[LAST] - maps[0])) / (many.top - few.top)
    return (many.seconds[LAST] + each * (TOP - many.top) + max(0.0, maps[2] - maps[1])
            + many.tables / many.count * (count - many.count))


def _scored(row: _Rows, encoder: str, count: int) -> list[int]:
    """Three numbers of rows that the scoring of what an encoder gave is timed on."""
    largest = max(size for name, size in row.columns.items() if name.startswith(f"{encoder}/"))
    most = max(8, min(SCORED, count // 3, int(SCORED_BYTES / largest)))
    return [most // 4, most // 2, most]


def _embedding(stream: Stream, columns: Columns, fitted: AnomalyModel) -> NDArray[np.float32]:
    """By what a map lays images out: what the first encoder gave, or else their pixels."""
    found = columns.encoded(next(iter(fitted.encoders_))).embedding
    pixels = stream.hand.pixels
    return np.asarray(pixels.reshape(len(pixels), -1) if found is None else found, np.float32)


def _kept(few: Timing, many: Timing, count: int, shape: tuple[int, int, int]) -> float:
    """Bytes of a finished run, of images of (height, width, channels).

    An array grows with the images if it has as many rows for each in both runs, and then by an image's part of the
    larger: fewer images have fewer features. Of ordinary images some hundred are kept. Other files grow by what they
    grew between the two runs.
    """
    kept = float(many.shown) * min(count, MOST_SHOWN) / min(many.count, MOST_SHOWN)
    for name, (size, rows) in many.kept.items():
        if name == f"{REASONS}/pixels":
            kept += min(kept_at_most(shape), count // 2) * math.prod(shape)
            continue
        before, rows_before = few.kept.get(name, (0, 0))
        each = size / many.count
        if not rows:
            each = max(0.0, min(each, (size - before) / max(1, many.count - few.count)))
        elif rows * few.count != rows_before * many.count:
            each = 0.0
        kept += size + each * (count - many.count)
    return kept


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


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"


def _room(count: float) -> str:
    return f"{count / 2**20:,.0f} MiB" if count < 2**30 else f"{count / 2**30:.1f} GiB"
