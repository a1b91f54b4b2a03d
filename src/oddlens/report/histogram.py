"""The distribution of the scores in bars, with a line at the last of the strangest images shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from oddlens.protocols import Doubles

BARS = 48


@dataclass(frozen=True)
class Histogram:
    """How many images score how high. The bars are placed so that one of their edges is the threshold.

    edges:      (bars + 1) from low to high.
    counts:     (bars) how many images score from an edge up to the next.
    threshold:  the score of the last of the strangest images shown; bars from here up hold only those, and images
                that score the same.
    spread:     (in words, score) from low to high.
    """

    edges: Sequence[float]
    counts: Sequence[int]
    threshold: float
    spread: Sequence[tuple[str, float]]

    @property
    def low(self) -> float:
        """The lowest score."""
        return self.spread[0][1]

    @property
    def high(self) -> float:
        """The highest score."""
        return self.spread[-1][1]

    @cached_property
    def heights(self) -> list[float]:
        """Each bar's height in 0..1, on a square-root scale: single images stay visible beside thousands."""
        most = max(self.counts) or 1
        return [(count / most) ** 0.5 for count in self.counts]

    def place(self, score: float) -> float:
        """Where a score lies between the first edge and the last, in 0..1."""
        return (score - self.edges[0]) / (self.edges[-1] - self.edges[0])


def histogram(scores: Doubles, top: int) -> Histogram | None:
    """The scores in bars of equal width, one edge at the score of the last of the ``top`` strangest.

    None if there is nothing to tell apart: no images shown, all of them shown, or no scores that differ.
    """
    scores = np.sort(scores[np.isfinite(scores)])
    if not 0 < top < len(scores):
        return None
    low, high = float(scores[0]), float(scores[-1])
    width = (high - low) / BARS
    if not 0 < width < np.inf:
        return None
    threshold = float(scores[-top])
    place = np.floor((scores - threshold) / width)
    first, last = int(place[0]), int(place[-1])
    counts = np.bincount((place - first).astype(np.int64), minlength=last - first + 1)
    edges = [threshold + bar * width for bar in range(first, last + 2)]
    edges[0], edges[-1] = min(edges[0], low), max(edges[-1], high)  # they may miss by a rounding
    half, most, nearly = (float(q) for q in np.quantile(scores, (0.5, 0.9, 0.99)))
    spread = [("The most ordinary image", low), ("Half of all images score below", half),
              ("90 % score below", most), ("99 % score below", nearly), ("The strangest image", high)]
    return Histogram(edges, counts.tolist(), threshold, spread)
