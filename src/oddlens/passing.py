"""One pass over a collection: learn from a sample, turn each block of images into columns, score from the columns.

A block is a pure function of the model and its images, and its columns are all that it leaves: they are made in any
order, on any thread, today or once the work that was cut off is taken up again, and are the same to the bit. Each stage
has a key of all that it rests on; what is kept under another key counts as not there.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oddlens.arrays import give_back
from oddlens.blocks import Block, Blocks, StoredColumn, key_of
from oddlens.ensemble import Ensemble, Scored, whole
from oddlens.errors import SavedModelError
from oddlens.kernels import one_blas_thread, resolve_jobs
from oddlens.learning.training import one_thread
from oddlens.pixels import Collection
from oddlens.progress import advance, silent
from oddlens.protocols import Detector, Doubles, Encoded, ShowsPlaces, State, Unsavable
from oddlens.scoring.exact_copies import BYTES, digests
from oddlens.stream import BLOCK_IMAGES, LEARNED_IMAGES, Found, Stream
from oddlens.threads import in_order

GIVEN_BACK = 64  # blocks after which memory that was freed goes back to the system
ONCE = "for once"  # the key of stages that are kept until they are scored and no longer
#: Columns of every block, those without an image included.
ALWAYS = ("indices", "shapes", "digests")
#: What else is found of a block's images, beside what the encoders give: columns, a row an image.
Measure = Callable[[Collection], Block]


@dataclass
class Work:
    """Where the stages of a fit are kept, and what else is found on the way.

    folder:    of the stages; None: in memory, to be forgotten.
    key:       of the model's options: with others nothing is taken from the folder. Empty: nothing ever is.
    measures:  what is found of each block beside what the encoders give.
    kept:      images whose block was there already.
    columns:   what was found, once it is.
    """

    folder: Path | None = None
    key: str = ""
    measures: Sequence[Measure] = ()
    kept: int = field(default=0, init=False)
    columns: Columns = field(init=False)

    @property
    def goes_on(self) -> bool:
        """Whether later work may take up what is kept: else no key need tell it from other work."""
        return self.key not in ("", ONCE)

    def blocks(self, name: str) -> Blocks:
        """The blocks of one stage."""
        return Blocks(self.folder if self.key else None, name)


@contextmanager
def working(work: Work | None, stream: Stream) -> Iterator[Work]:
    """Where the stages are kept: as given; else those of a small collection in memory, of a large one on the disk."""
    work = work or Work()
    if work.folder is not None or stream.count <= LEARNED_IMAGES:
        yield work
        return
    with tempfile.TemporaryDirectory(prefix="oddlens-") as folder:
        work.folder, work.key = Path(folder), ONCE
        try:
            yield work
        finally:
            work.folder, work.key = None, ""


@dataclass(frozen=True, eq=False)
class Columns(Found):
    """What was found of all images that can be read, in the order of the source.

    blocks:   the columns, by block.
    numbers:  of the blocks.
    digests:  (n, 16) of their pixels.
    """

    blocks: Blocks
    numbers: range
    digests: NDArray[np.uint8]

    def joined(self, name: str) -> NDArray[Any]:
        """(n, ...) one column."""
        return self.blocks.joined(name, self.numbers)

    def rows(self, name: str, rows: NDArray[np.integer[Any]]) -> NDArray[Any] | None:
        """Some rows of one column; None where there is none of that name."""
        try:
            return self.blocks.rows(name, rows, self.numbers)
        except KeyError:
            return None

    def under(self, prefix: str, stored: str = "") -> dict[str, Any]:
        """The columns whose names begin so, by the rest of their names.

        stored:  the rest of the name of one whose rows are to be read when they are asked for, not now.
        """
        full = next((number for number in self.numbers if len(self.blocks.names(number)) > len(ALWAYS)), None)
        names = () if full is None else self.blocks.names(full)
        return {rest: StoredColumn(self.blocks, name, self.numbers) if rest == stored else self.joined(name)
                for name in names if name.startswith(prefix) and (rest := name.removeprefix(prefix))}

    def encoded(self, encoder: str) -> Encoded:
        """What an encoder gave of all images."""
        types = next(facts["node_types"] for number in self.numbers
                     if "node_types" in (facts := self.blocks.facts(number)))
        return whole(self.under(f"{encoder}/"), types[encoder])


def learn(ensemble: Ensemble, stream: Stream, work: Work, jobs: int | None) -> str:
    """Have the encoders learn from the sample, or take what they learned from it before; the key of what they know."""
    sample = stream.learned()
    ensemble.prepare(sample)
    if not work.goes_on:
        ensemble.learn(sample, resolve_jobs(jobs))
        return work.key
    seen = digests(*(copy for copy in (sample.pixels, sample.detail, sample.texture) if copy is not None))
    key = key_of("learned", work.key, stream.form, seen)
    kept = work.blocks("learned")
    keeping = not any(isinstance(encoder, Unsavable) for encoder in ensemble.encoders.values())
    if keeping and kept.holds(0, key):
        with suppress(SavedModelError):  # damaged since: learn again
            for number, encoder in enumerate(ensemble.encoders.values()):
                encoder.set_state(_state(kept, 0, f"{number}/"))
            return key
    ensemble.learn(sample, resolve_jobs(jobs))
    if keeping:
        kept.put(0, key, Block({f"{number}/{name}": np.asarray(array)
                                for number, encoder in enumerate(ensemble.encoders.values())
                                for name, array in encoder.get_state().items()}))
    return key


def encode(ensemble: Ensemble, stream: Stream, work: Work, key: str, jobs: int | None) -> Columns:
    """Turn each block into columns, those that are there already left as they are."""
    blocks, numbers = work.blocks("columns"), stream.blocks
    keys = [key_of(key, number, stream.stamps(number) if work.goes_on else ()) for number in numbers]
    missing = [number for number in numbers if not blocks.holds(number, keys[number])]

    def encoded(images: Collection) -> Block:
        return ensemble.encode(images.copies)

    def make(place: int) -> int:
        number = missing[place]
        with silent():
            images = stream.block(number)
            blocks.put(number, keys[number], _found(images, (encoded, *work.measures)))
        return number

    done = stream.count - sum(stream.size(number) for number in missing)
    work.kept = done
    # Small products gain nothing from a second thread; a second block does.
    give_back()
    with one_thread(), one_blas_thread():
        for place, number in enumerate(in_order(make, len(missing), resolve_jobs(jobs), ahead=1), start=1):
            done += stream.size(number)
            advance("encoding", done, stream.count)
            if not place % GIVEN_BACK:
                give_back()
    give_back()
    work.columns = _columns(stream, blocks)
    return work.columns


def score(ensemble: Ensemble, columns: Columns, work: Work, key: str) -> Scored:
    """Fit the detectors to the columns, or take what they found before."""
    kept = work.blocks("scores")
    numbers = {column: number for number, column in enumerate(ensemble.detectors)}
    key = key_of(key, columns.digests)

    def judged(column: str, detector: Detector, encoded: Encoded) -> Doubles:
        number = numbers[column]
        # The first would not know the places of fitted images again, the others have no state.
        if not work.goes_on or isinstance(detector, ShowsPlaces | Unsavable):
            return detector.fit(encoded).score_own()
        if kept.holds(number, key):
            with suppress(SavedModelError):
                detector.set_state(_state(kept, number, "state/"))
                own: Doubles | None = kept.column(number, "own")
                if own is not None:
                    return own
        own = np.asarray(detector.fit(encoded).score_own())
        kept.put(number, key, Block({"own": own, **{f"state/{name}": np.asarray(array)
                                                    for name, array in detector.get_state().items()}}))
        return own

    return ensemble.judge(columns.encoded, judged)


def score_new(ensemble: Ensemble, stream: Stream, work: Work) -> Scored:
    """Score other images block by block, each judged alone; ``work.columns`` is what else is found of them."""
    blocks = work.blocks("new")

    def scored(images: Collection) -> Block:
        found = ensemble.score(images.copies)
        return Block({"features": found.features,
                      **{f"score/{column}": scores for column, scores in found.members.items()}})

    # The next block is read while this one is scored.
    for number, images in enumerate(in_order(stream.block, len(stream.blocks), 2, ahead=1)):
        blocks.put(number, "", _found(images, (scored, *work.measures)))
        advance("scoring", min(stream.count, (number + 1) * BLOCK_IMAGES), stream.count)
    columns = work.columns = _columns(stream, blocks)
    if not len(columns.indices):
        none = np.empty((0, ensemble.components.axes.shape[1]), np.float16)
        return Scored({column: np.empty(0) for column in ensemble.detectors}, none)
    return Scored({column: columns.joined(f"score/{column}") for column in ensemble.detectors},
                  columns.joined("features"))


def _columns(stream: Stream, blocks: Blocks) -> Columns:
    """The columns of all blocks, once all are there."""
    numbers = stream.blocks
    indices = blocks.joined("indices", numbers) if numbers else np.empty(0, np.int64)
    unreadable = tuple((name, reason) for number in numbers for name, reason in blocks.facts(number)["unreadable"])
    shapes = blocks.joined("shapes", numbers) if numbers else np.empty((0, 2), np.int32)
    seen = blocks.joined("digests", numbers) if numbers else np.empty((0, BYTES), np.uint8)
    return Columns(stream.names(indices), unreadable, shapes, indices, blocks, numbers, seen)


def _found(images: Collection, measures: Sequence[Measure]) -> Block:
    """All that is to be found of a block's images."""
    facts: dict[str, Any] = {"unreadable": images.unreadable}
    columns: dict[str, NDArray[Any]] = {"indices": images.indices, "shapes": images.shapes,
                                        "digests": digests(*images.copies.parts)}
    if len(images):
        for found in (measure(images) for measure in measures):
            columns |= found.columns
            facts |= found.facts
    return Block(columns, facts)


def _state(kept: Blocks, number: int, prefix: str) -> State:
    found = {name.removeprefix(prefix): kept.column(number, name) for name in kept.names(number)
             if name.startswith(prefix)}
    return {name: array for name, array in found.items() if array is not None}
