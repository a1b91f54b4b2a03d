"""The words that all else is written in: where images come from, what is learned, how strangeness is scored.

Nothing here inherits from anything: a class that has these methods is an image source, an encoder or a
detector. Pixels are always uint8 arrays of one size, ``(n, height, width, channels)`` with one channel
(grey) or three (RGB); they may be memory-mapped, so code slices them by rows and never copies them whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, Self, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Pixels: TypeAlias = NDArray[np.uint8]  # (n, height, width, channels)
Floats: TypeAlias = NDArray[np.floating[Any]]
Doubles: TypeAlias = NDArray[np.float64]
Bools: TypeAlias = NDArray[np.bool_]
State: TypeAlias = dict[str, NDArray[Any]]  # what is saved of a fitted encoder or detector: arrays only


@runtime_checkable
class ImageSource(Protocol):
    """Images by number, each with a name that stays the same from run to run."""

    def __len__(self) -> int:
        """How many images there are, readable or not."""

    def name(self, index: int) -> str:
        """The image's name: stable and unique, the key of every score and label."""

    def read(self, index: int) -> NDArray[np.uint8]:
        """The image as uint8 (height, width, channels); raises ``UnreadableImage``."""


@dataclass(frozen=True)
class Encoded:
    """What an encoder says of n images. All arrays share their first axis and may be memory-mapped.

    embedding:    (n, d) float32, the learned features.
    residual:     (n,) float64, the mean squared error of the reconstruction, in units of the pixel range.
    activations:  layer name -> (n, units) float32, the output of every hidden node.
    pathway:      layer name -> (n, units) float32, the activations of an image less those of its own
                  reconstruction.
    kinds:        layer name -> "sigmoid", "relu" or "linear": what its nodes are, and so when they are on.
    surprise:     (n,) float64, how badly the encoder did at the task that it taught itself, in nats.
    """

    embedding: NDArray[np.float32] | None = None
    residual: Doubles | None = None
    activations: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    pathway: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    kinds: Mapping[str, str] = field(default_factory=dict)
    surprise: Doubles | None = None

    def __len__(self) -> int:
        layers = (*self.activations.values(), *self.pathway.values())
        for array in (self.embedding, self.residual, self.surprise, *layers):
            if array is not None:
                return len(array)
        return 0


@dataclass(frozen=True)
class Reason:
    """One thing that made an image strange, in words, and fitted images that show what is meant."""

    text: str
    examples: tuple[int, ...] = ()  # rows of the fitted images


@runtime_checkable
class Encoder(Protocol):
    """Learns from images, without labels, what they look like, and says it in numbers."""

    gives: frozenset[str]  # names of the fields of Encoded that ``encode`` can fill

    def fit(self, pixels: Pixels) -> Self:
        """Learn from (n, height, width, channels) uint8."""

    def encode(self, pixels: Pixels, needs: frozenset[str]) -> Encoded:
        """Fill the fields of ``Encoded`` named in ``needs``, each row independent of the others.

        To the last digit, so that a new image has one score: products of matrices of other shapes end in other digits.
        """

    def get_state(self) -> State:
        """All that was learned, as arrays."""

    def set_state(self, state: State) -> Self:
        """Take back what ``get_state`` gave; raises ``SavedModelError`` where it does not fit."""


@runtime_checkable
class HeavyTailed(Protocol):
    """An encoder may say this: ordinary images lie far out by its features more often than by others'."""

    #: How heavy the tail of a detector's scores on them is, in degrees of freedom of Student's t; 8 is usual.
    tail_freedom: float


@runtime_checkable
class Detector(Protocol):
    """Scores how strange an image is among the images that it was fitted to. Larger is stranger."""

    needs: frozenset[str]  # names of the fields of Encoded that it reads

    def fit(self, encoded: Encoded) -> Self:
        """Learn what is ordinary."""

    def score_own(self) -> Doubles:
        """(n,) the fitted images' scores, each judged without itself as far as the method knows how.

        (A forest does not: a tree that never saw an image cannot isolate it.)
        """

    def score_new(self, encoded: Encoded) -> Doubles:
        """(m,) the scores of other images, each independent of the rest."""

    def get_state(self) -> State:
        """All that was fitted, as arrays."""

    def set_state(self, state: State) -> Self:
        """Take back what ``get_state`` gave; raises ``SavedModelError`` where it does not fit."""
