"""The map of a collection as a way to pick images: those alike lie together, each in the colour of its label."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from oddlens.protocols import Doubles
from oddlens.review.opened_run import OpenedRun
from oddlens.review.queue import CODES, Queue

PICTURED = 60  # images that are drawn as pictures
MOST_IMAGES = 700  # on the map
APART = 0.045  # how far pictures are from each other at least, in shares of the map


@dataclass(frozen=True)
class Point:
    """One image on the map; x and y in per cent."""

    row: int
    name: str
    rank: int
    label: str
    x: float
    y: float
    pictured: bool


class Overview:
    """The map of a run, laid out once, in a thread of its own, when it is first asked for."""

    def __init__(self, run: OpenedRun) -> None:
        self.run = run
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._laid: tuple[NDArray[np.int64], Doubles, NDArray[np.bool_]] | None = None

    def points(self, queue: Queue) -> list[Point] | None:
        """All points with their labels as they are now; None while the map is still being laid out."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._lay_out, daemon=True, name="oddlens-map")
                self._thread.start()
        self._thread.join(0.5)
        if self._laid is None:
            return None
        labels = {code: label for label, code in CODES.items()}
        ranks = self.run.ranking.ranks()
        return [Point(int(row), self.run.ranking.names[row], int(ranks[row]), labels[int(queue.codes[row])],
                      round(4 + 92 * float(x), 2), round(4 + 92 * float(y), 2), bool(pictured))
                for row, (x, y), pictured in zip(*self._laid, strict=True)]

    def _lay_out(self) -> None:
        from oddlens.report.map import choose, lay_out

        rows = choose(self.run.ranking, MOST_IMAGES)
        features = self.run.likeness.features
        if not features.shape[1]:  # without features images are laid out by what the views say
            features = self.run.evidence.members
        places = lay_out(features, rows) if len(rows) else np.zeros((0, 2))
        self._laid = rows, places, _spread(places)


def _spread(places: Doubles) -> NDArray[np.bool_]:
    """(m,) which of the points, the first first, have room for a picture."""
    shown = np.zeros(len(places), np.bool_)
    for number, place in enumerate(places):
        taken = places[shown]
        if len(taken) < PICTURED and (not len(taken) or np.abs(taken - place).max(1).min() > APART):
            shown[number] = True
    return shown
