"""The views of one model as an ensemble: each encoder learns and encodes once, each detector fits and scores."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from oddlens.errors import OptionError
from oddlens.pixels import DETAIL_SIDE, reduced
from oddlens.progress import advance
from oddlens.protocols import LARGEST_SCORE, Detector, Doubles, Encoded, Encoder, Pixels, SeesDetail, WantsDetail
from oddlens.scoring.structure import unimodality
from oddlens.views import View


@dataclass
class Ensemble:
    """The views of one model, fitted or to be fitted.

    encoders:   name -> encoder.
    detectors:  column -> detector.
    sees:       column -> the name of the encoder whose features its detector reads.
    views:      column -> what was asked for.
    unimodality: 0 (the collection holds many kinds of image) to 1 (one), by the first view's embedding.
    detail:     the size of the larger copy as asked for: all that see it see it whole; None: as each makes use of it.
    """

    encoders: dict[str, Encoder]
    detectors: dict[str, Detector]
    sees: dict[str, str]
    views: dict[str, View]
    unimodality: float = 0.0
    detail: int | None = None

    def fit(self, pixels: Pixels, timings: dict[str, float], detail: Pixels | None = None) -> dict[str, Doubles]:
        """Learn, encode and score, one encoder after the other: column -> (n,) the images' own scores.

        detail:  the images in more detail, for encoders that see it; without it views that are for detail alone go.
        """
        if detail is None:
            self._forget_detail()
        own: dict[str, Doubles] = {}
        for number, (name, encoder) in enumerate(self.encoders.items()):
            shown = self.shown(encoder, pixels, detail)
            with _timed("learning", timings):
                encoder.fit(shown)
            with _timed("encoding", timings):
                encoded = encoder.encode(shown, self.needs(name))
                _require_encoded(name, encoded, self.needs(name), len(pixels))
            with _timed("scoring", timings):
                if number == 0 and encoded.embedding is not None:
                    self.unimodality = unimodality(encoded.embedding)
                for column in self.columns(name):
                    self.detectors[column].fit(encoded)
                    own[column] = _as_scores(column, self.detectors[column].score_own(), len(pixels))
                    advance("scoring", len(own), len(self.detectors))
        return {column: own[column] for column in self.detectors}

    def score(self, pixels: Pixels, detail: Pixels | None = None, without: Collection[str] = ()) -> dict[str, Doubles]:
        """Column -> (m,) the scores of other images, each independent of the rest.

        without:  encoders whose views are left out.
        """
        members: dict[str, Doubles] = {}
        for name, encoder in self.encoders.items():
            if name in without:
                continue
            encoded: Encoded = encoder.encode(self.shown(encoder, pixels, detail), self.needs(name))
            _require_encoded(name, encoded, self.needs(name), len(pixels))
            members |= {column: _as_scores(column, self.detectors[column].score_new(encoded), len(pixels))
                        for column in self.columns(name)}
        return {column: members[column] for column in self.detectors if column in members}

    def shown(self, encoder: Encoder, pixels: Pixels, detail: Pixels | None) -> Pixels:
        """What an encoder sees of images and of their larger copy, which may be larger for the sake of another."""
        if detail is None or not _sees_detail(encoder):
            return pixels
        return detail if self.detail else reduced(detail, _wanted(encoder))

    @property
    def detailed(self) -> tuple[str, ...]:
        """The encoders that see the images in more detail."""
        return tuple(name for name, encoder in self.encoders.items() if _sees_detail(encoder))

    @property
    def detail_side(self) -> int:
        """The longer side of the larger copy, in pixels, that the encoders make use of."""
        return max((_wanted(encoder) for encoder in self.encoders.values()), default=DETAIL_SIDE)

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


def _wanted(encoder: Encoder) -> int:
    return max(DETAIL_SIDE, encoder.detail_side) if isinstance(encoder, WantsDetail) else DETAIL_SIDE


def _sees_detail(encoder: Encoder) -> bool:
    return isinstance(encoder, SeesDetail) and encoder.sees_detail


def _require_encoded(name: str, encoded: Encoded, needs: frozenset[str], n: int) -> None:
    """Raise ``OptionError`` where an encoder did not give what it was asked for, a row an image."""
    for need in sorted(needs):
        given = getattr(encoded, need)
        arrays = [given] if need in ("embedding", "residual", "maps", "surprise") else [*given.values()] or [None]
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
def _timed(stage: str, timings: dict[str, float]) -> Iterator[None]:
    start = time.perf_counter()
    yield
    timings[stage] = timings.get(stage, 0.0) + time.perf_counter() - start

