"""The views of one model as an ensemble: each encoder learns and encodes once, each detector fits and scores."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import clone

from oddlens.arrays import give_back
from oddlens.blocks import Block
from oddlens.errors import OptionError
from oddlens.kernels import limited, one_blas_thread
from oddlens.learning.principal_components import Components
from oddlens.pixels import DETAIL_SIDE, Copies, reduced, sees_detail, sees_texture
from oddlens.progress import advance
from oddlens.protocols import (
    LARGEST_SCORE,
    Detector,
    Doubles,
    Encoded,
    Encoder,
    LimitsDetail,
    Pixels,
    ShowsPlaces,
    WantsDetail,
)
from oddlens.scoring.structure import alignment, unimodality
from oddlens.threads import from_both_ends
from oddlens.views import View

ARRAYS = ("embedding", "residual", "maps", "surprise")  # what an encoder gives as one array; else by layer
_others = Lock()  # what encoders of others compute may not be made for several threads


@dataclass(frozen=True, eq=False)
class Scored:
    """What an ensemble says of m images.

    members:   column -> (m,) scores.
    features:  (m, k) float16, the principal components by which images are compared once some are labelled.
    """

    members: dict[str, Doubles]
    features: NDArray[np.float16]


@dataclass
class Ensemble:
    """The views of one model, fitted or to be fitted.

    encoders:   name -> encoder.
    detectors:  column -> detector.
    sees:       column -> the name of the encoder whose features its detector reads.
    views:      column -> what was asked for.
    unimodality: 0 (the collection holds many kinds of image) to 1 (one), by the first view's embedding.
    alignment:  0 to 1 (all show the same thing in the same frame), by the maps that are compared place by place and
                say least of it: at the rim features often differ, whatever the pictures show.
    detail:     the size of the larger copy as asked for: all that see it see it whole; None: as each makes use of it.
    compared_by: the name of the encoder whose embedding's principal components say which images are alike, for learning
                 from labels: the first that has an embedding; empty where none has.
    components:  these.
    """

    encoders: dict[str, Encoder]
    detectors: dict[str, Detector]
    sees: dict[str, str]
    views: dict[str, View]
    unimodality: float = 0.0
    alignment: float = 0.0
    detail: int | None = None
    compared_by: str = ""
    components: Components = field(default_factory=Components.none)

    def learn(self, images: Copies, jobs: int = 1) -> None:
        """Have every encoder learn. Of images without detail the views that are for detail alone go.

        jobs:  with two or more another thread learns beside this one; encoders of others learn alone.
        """
        threads = torch.get_num_threads()  # this thread's own: weights of some networks depend on it

        def fit(encoder: Encoder) -> None:
            with limited(threads, torch.get_num_threads, torch.set_num_threads):
                encoder.fit(self.shown(encoder, images, len(images)))

        self.prepare(images)
        for encoder in self.encoders.values():
            if not _is_ours(encoder):
                fit(encoder)
        with one_blas_thread():  # for all of them: what one sets holds for the other thread too
            from_both_ends(fit, filter(_is_ours, self.encoders.values()), jobs)

    def prepare(self, images: Copies) -> None:
        """Leave out what images without detail have no use for."""
        if images.detail is None and images.texture is None:
            self._forget_detail()

    def encode(self, images: Copies) -> Block:
        """What each encoder gives its detectors of some images, each independent of the rest, as columns."""
        columns: dict[str, NDArray[Any]] = {}
        types: dict[str, Mapping[str, str]] = {}
        for name, encoder in self.encoders.items():
            needs = self.needs(name)
            with nullcontext() if _is_ours(encoder) else _others:
                encoded = encoder.encode(self.shown(encoder, images), needs)
            _require_encoded(name, encoded, needs, len(images))
            columns |= {f"{name}/{part}": array for part, array in _parts(encoded, needs).items()}
            types[name] = encoded.node_types
        return Block(columns, {"node_types": types})

    def judge(
        self, encoded: Callable[[str], Encoded], judged: Callable[[str, Detector, Encoded], Doubles]
    ) -> Scored:
        """Fit every detector to what its encoder gave: the images' own scores, and their components.

        encoded:  what an encoder gave of all images, by its name.
        judged:   fits a detector and has it score, by its column.
        """
        own: dict[str, Doubles] = {}
        aligned, by_place = [], {self.sees[column] for column, view in self.views.items() if view.by_place}
        features: NDArray[np.float16] | None = None
        self.compared_by, self.components = "", Components.none()
        for number, name in enumerate(self.encoders):
            given = encoded(name)
            if number == 0 and given.embedding is not None:
                self.unimodality = unimodality(given.embedding)
            if given.maps is not None and (name in by_place or not by_place):
                aligned.append(alignment(given.maps))
            if features is None and given.embedding is not None:
                self.compared_by, self.components = name, Components.found(given.embedding)
                features = self.components.project(given.embedding)
            for column in self.columns(name):
                own[column] = _as_scores(column, judged(column, self.detectors[column], given), len(given))
                advance("scoring", len(own), len(self.detectors))
            del given  # before the next encoder's take as much room
            give_back()
        self.alignment = min(aligned, default=0.0)
        members = {column: own[column] for column in self.detectors}
        if features is None:
            features = np.empty((len(next(iter(members.values()))), 0), np.float16)
        return Scored(members, features)

    def score(self, images: Copies, without: Collection[str] = ()) -> Scored:
        """The scores and components of other images, each independent of the rest.

        without:  encoders whose views are left out.
        """
        members: dict[str, Doubles] = {}
        features = np.empty((len(images), self.components.axes.shape[1]), np.float16)
        for name, encoder in self.encoders.items():
            if name in without:
                continue
            encoded: Encoded = encoder.encode(self.shown(encoder, images), self.needs(name))
            _require_encoded(name, encoded, self.needs(name), len(images))
            members |= {column: _as_scores(column, self.detectors[column].score_new(encoded), len(images))
                        for column in self.columns(name)}
            if name == self.compared_by and encoded.embedding is not None:
                features = self.components.project_each(encoded.embedding)
        return Scored({column: members[column] for column in self.detectors if column in members}, features)

    def forget_places(self) -> None:
        """Have the detectors that know where fitted images are strange know it as of new ones: their rows change."""
        for column, detector in self.detectors.items():
            if isinstance(detector, ShowsPlaces):
                self.detectors[column] = clone(detector, safe=False).set_state(detector.get_state())

    @property
    def detailed(self) -> tuple[str, ...]:
        """The encoders that see the images in more detail than the others: larger, or their texture."""
        return tuple(name for name, encoder in self.encoders.items() if sees_detail(encoder) or sees_texture(encoder))

    def detail_side(self, count: int) -> int:
        """The longer side of the larger copy, in pixels, that the encoders make use of, of so many images."""
        return max((_wanted(encoder, count) for encoder in self.encoders.values()), default=DETAIL_SIDE)

    def shown(self, encoder: Encoder, images: Copies, count: int = 0) -> Pixels:
        """What an encoder sees of images; the larger copy may be larger than it is used to, for the sake of another.

        count:  of how many images it is to learn; 0: it has learned.
        """
        seen = images.seen_by(encoder)
        return reduced(seen, _wanted(encoder, count)) if seen is images.detail and not self.detail else seen

    def _forget_detail(self) -> None:
        """Take out the views that are for images in more detail alone."""
        kept = [column for column in self.detectors if column not in self.views or not self.views[column].detail]
        self.detectors = {column: self.detectors[column] for column in kept}
        self.sees = {column: self.sees[column] for column in kept}
        self.views = {column: self.views[column] for column in kept if column in self.views}
        self.encoders = {name: encoder for name, encoder in self.encoders.items() if name in self.sees.values()}

    def columns(self, encoder: str) -> list[str]:
        """The columns whose detectors read an encoder's features."""
        return [column for column, name in self.sees.items() if name == encoder]

    def needs(self, encoder: str) -> frozenset[str]:
        """All that the detectors of an encoder read of it."""
        return frozenset().union(*(self.detectors[column].needs for column in self.columns(encoder)))


def _is_ours(encoder: Encoder) -> bool:
    return type(encoder).__module__.startswith("oddlens.encoders.")


def _parts(encoded: Encoded, needs: frozenset[str]) -> dict[str, NDArray[Any]]:
    """The arrays that an encoder gave, by names of their own."""
    found: dict[str, NDArray[Any]] = {}
    for need in sorted(needs):
        given = getattr(encoded, need)
        found |= {need: given} if need in ARRAYS else {f"{need}/{layer}": array for layer, array in given.items()}
    return found


def whole(parts: Mapping[str, NDArray[Any]], node_types: Mapping[str, str]) -> Encoded:
    """The same put together again."""
    found: dict[str, Any] = {"node_types": node_types}
    for name, array in parts.items():
        need, slash, layer = name.partition("/")
        if slash:
            found.setdefault(need, {})[layer] = array
        else:
            found[need] = array
    return Encoded(**found)


def _wanted(encoder: Encoder, count: int) -> int:
    if not isinstance(encoder, WantsDetail) or (isinstance(encoder, LimitsDetail) and count > encoder.detail_images):
        return DETAIL_SIDE
    return max(DETAIL_SIDE, encoder.detail_side)


def _require_encoded(name: str, encoded: Encoded, needs: frozenset[str], n: int) -> None:
    """Raise ``OptionError`` where an encoder did not give what it was asked for, a row an image."""
    for need in sorted(needs):
        given = getattr(encoded, need)
        arrays = [given] if need in ARRAYS else [*given.values()] or [None]
        for array in arrays:
            if array is None or len(array) != n:
                got = "none" if array is None else f"an array of {np.shape(array)}"
                raise OptionError(f"Encoder {name} was asked for {need} of {n} images and gave {got}: "
                                  "oddlens.testing.check_encoder says what it has to give.")


def _as_scores(column: str, scores: Any, n: int) -> Doubles:
    """(n,) a detector's scores as float64; raises ``OptionError`` where they are not n numbers within bounds."""
    try:
        found = np.asarray(scores, np.float64)
    except (TypeError, ValueError):
        found = np.full(0, np.nan)
    within = np.abs(found) <= LARGEST_SCORE  # which nan is not
    if found.shape != (n,) or not within.all():
        got = f"{np.shape(scores)} with {np.size(found) - within.sum()} that are nan or beyond {LARGEST_SCORE:g}"
        raise OptionError(f"Detector {column} was asked for the scores of {n} images and gave {got}: "
                          "oddlens.testing.check_detector says what it has to give.")
    return found


@contextmanager
def timed(stage: str, timings: dict[str, float]) -> Iterator[None]:
    start = time.perf_counter()
    yield
    timings[stage] = timings.get(stage, 0.0) + time.perf_counter() - start

