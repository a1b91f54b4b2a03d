"""The core types: where images come from, what is learned, how strangeness is scored.

Nothing here inherits from anything: a class that has these methods is an image source, an encoder or a
detector. Pixels are always uint8 arrays of one size, ``(n, height, width, channels)`` with one channel
(grey) or three (RGB); they may be memory-mapped, so code slices them by rows and never copies them whole.

This file is all that oddlens asks of them. Required:

    ImageSource   ``__len__``, ``name``, ``read``
    Encoder       ``gives``, ``fit``, ``encode``, ``get_state``, ``set_state``
    Detector      ``needs``, ``fit``, ``score_own``, ``score_new``, ``get_state``, ``set_state``

Optional, and used where it is there:

    HasOptions    an encoder or detector that reports its options
    LooksAt       an encoder that says in words what it looks at
    Called        an encoder or detector that stands for another and says what that is called
    Unsavable     an encoder or detector that cannot be saved and says why
    Judges        a detector that says in words how it judges an image
    Seeks         a detector that says in words what it looks for
    SeesDetail    an encoder that takes the larger copy of the images
    WantsDetail   an encoder that says how large a copy it makes use of
    LimitsDetail  an encoder that wants it of so many images at most
    KnowsFitted   an encoder that knows the fitted images and can tell nothing of others
    SeesTexture   an encoder that takes what was measured of the images' texture
    TellsPlaces   an encoder that says itself where in the picture an image is strange
    Explains      a detector that says what made an image strange
    ShowsPlaces   a detector that says where in the picture an image is strange
    ReadsNear     a source that can read an image reduced
    InFolder      a source that knows the folder of its images
    InFolders     a source that knows all folders that its images come from
    Skips         a source that counts the files that it passed over
    PassesOver    a source that says in words what it passed over
    HoldsPixels   a source whose images are an array already
    Stamped       a source that says by what a change of an image is noticed

The options of an encoder or detector are the parameters of its constructor, each with a default. The constructor only
stores them; ``fit`` checks them and raises ``OptionError``, which is a ``ValueError``. Asked for anything fitted
before ``fit``, both raise scikit-learn's ``NotFittedError``. ``oddlens.testing`` checks all this for any class.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Pixels: TypeAlias = NDArray[np.uint8]  # (n, height, width, channels)
Floats: TypeAlias = NDArray[np.floating[Any]]
Doubles: TypeAlias = NDArray[np.float64]
Bools: TypeAlias = NDArray[np.bool_]
State: TypeAlias = dict[str, NDArray[Any]]  # what is saved of a fitted encoder or detector: arrays only

LARGEST_SCORE = 1e100  # of an image, either sign: squares and sums of what is larger would leave the range of floats


@runtime_checkable
class ImageSource(Protocol):
    """Images by number, each with a name that stays the same from run to run."""

    def __len__(self) -> int:
        """How many images there are, readable or not."""

    def name(self, index: int) -> str:
        """The image's name: stable and unique, the key of every score and label."""

    def read(self, index: int) -> NDArray[np.uint8]:
        """The image as uint8 (height, width, channels); raises ``UnreadableImage``."""


@runtime_checkable
class ReadsNear(Protocol):
    """Optional, of a source: it reads a large image reduced, which is faster."""

    def read_near(self, index: int, side: int) -> tuple[NDArray[np.uint8], tuple[int, int]]:
        """The image with ``side`` pixels or more left on its shorter side, and the (height, width) of the whole."""


@runtime_checkable
class InFolder(Protocol):
    """Optional, of a source: the folder that its images lie in, which nothing is ever written to; None: in none."""

    root: Path | None


@runtime_checkable
class InFolders(Protocol):
    """Optional, of a source: every folder that one of its images lies in. Nothing is ever written into one or below."""

    @property
    def folders(self) -> Iterable[Path]:
        """The folders, in any order."""


@runtime_checkable
class Skips(Protocol):
    """Optional, of a source: how many files it passed over because they are no images. The report says it."""

    skipped: int


@runtime_checkable
class PassesOver(Protocol):
    """Optional, of a source: what it passed over, in words, and how often. The terminal and ``run.json`` say it."""

    passed_over: Mapping[str, int]


@runtime_checkable
class Stamped(Protocol):
    """Optional, of a source: by what it is noticed that an image changed, without reading it.

    A run that was cut off goes on with the images of such a source; of others it begins again.
    """

    def stamp(self, index: int) -> tuple[str | int, ...]:
        """Of a file its size and the time of its last change; other than before once the image is another."""


@runtime_checkable
class HoldsPixels(Protocol):
    """Optional, of a source: its images as (n, height, width, 1 or 3) uint8, equal to what ``read`` gives; or None."""

    @property
    def pixels(self) -> NDArray[np.uint8] | None:
        """All images at once."""


@dataclass(frozen=True)
class Encoded:
    """What an encoder gives for n images. All arrays share their first axis and may be memory-mapped.

    embedding:    (n, d) float32, the learned features.
    residual:     (n,) float64, the mean squared error of the reconstruction, in units of the pixel range.
    activations:  layer name -> (n, units) float32, the output of every hidden node.
    pathway:      layer name -> (n, units) float32, the activations of an image less those of its own
                  reconstruction.
    node_types:   layer name -> "sigmoid", "relu" or "linear": the kind of its nodes, which says when one is on. It
                  comes with the activations.
    surprise:     (n,) float64, the loss at the encoder's pretext task, in nats.
    maps:         (n, rows, columns, d) float16, what is to be said of each place of the picture, d numbers a place.
    """

    embedding: NDArray[np.float32] | None = None
    residual: Doubles | None = None
    activations: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    pathway: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    node_types: Mapping[str, str] = field(default_factory=dict)
    surprise: Doubles | None = None
    maps: NDArray[np.float16] | None = None

    def __len__(self) -> int:
        layers = (*self.activations.values(), *self.pathway.values())
        for array in (self.embedding, self.residual, self.maps, self.surprise, *layers):
            if array is not None:
                return len(array)
        return 0


@dataclass(frozen=True)
class Reason:
    """One thing that made an image strange, in words, and fitted images that show what is meant."""

    text: str
    examples: tuple[int, ...] = ()  # rows of the fitted images


@dataclass(frozen=True, eq=False)
class Why:
    """Why one image is strange.

    reasons:    in words, the plainest first, with fitted images that show what is meant.
    alike:      that it is one of a group, with others of it: rows of the ranking; None if it is alone.
    nearest:    rows of the ordinary fitted images that are most like it.
    heat:       where it is strange, (height, width) in the frame of the whole picture; None where nothing is to see.
    where:      what the image has there, in words.
    agreement:  column -> the share of ordinary images that would score as high by that view.
    """

    reasons: tuple[Reason, ...] = ()
    alike: Reason | None = None
    nearest: tuple[int, ...] = ()
    heat: Doubles | None = None
    where: str = "where it is strange"
    agreement: Mapping[str, float] | None = None


@runtime_checkable
class Encoder(Protocol):
    """Learns from images, without labels, what they look like, and describes each in numbers."""

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
class SeesDetail(Protocol):
    """An encoder that takes the larger copy of the images, where there is one (``AnomalyModel``'s ``detail``)."""

    sees_detail: bool


@runtime_checkable
class WantsDetail(Protocol):
    """Optional, of an encoder that sees detail: it makes use of a copy larger than usual, ``pixels.DETAIL_SIDE``."""

    @property
    def detail_side(self) -> int:
        """The longer side in pixels; once it is fitted, that of the images that it was fitted to, where they differ."""


@runtime_checkable
class LimitsDetail(Protocol):
    """Optional, of an encoder that wants detail: of more images than so many the usual copy is enough for it."""

    detail_images: int


@runtime_checkable
class SeesTexture(Protocol):
    """An encoder that takes the texture of images larger than 96 pixels, as ``reading.texture`` measured it.

    (n, rows, columns, measures) uint8; of smaller images it is shown the pixels.
    """

    sees_texture: bool


@runtime_checkable
class KnowsFitted(Protocol):
    """Optional, of an encoder whose features were made elsewhere: it can tell nothing of pixels beside the fitted."""

    knows_fitted_alone: bool


@runtime_checkable
class HeavyTailed(Protocol):
    """Optional, of an encoder: ordinary images lie far out by its features more often than by others'."""

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


@runtime_checkable
class HasOptions(Protocol):
    """Optional, of an encoder or detector: it reports its options, as every scikit-learn ``BaseEstimator`` does.

    A class without these two methods keeps each parameter of its constructor as an attribute of the same name: a
    saved model and the report read the options there.
    """

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Name -> value of every parameter of the constructor."""

    def set_params(self, **values: Any) -> Self:
        """Change options, as if they had been given to the constructor; ``ValueError`` for one that there is not."""


@runtime_checkable
class Called(Protocol):
    """Optional, of an encoder or detector that is not registered: what a model's columns call it."""

    @property
    def called(self) -> str:
        """One word, in small letters."""


@runtime_checkable
class Unsavable(Protocol):
    """Optional, of an encoder or detector whose state is no arrays: a model with it is refused before it is fitted."""

    @property
    def unsavable(self) -> str:
        """Why it cannot be saved, in sentences."""


@runtime_checkable
class LooksAt(Protocol):
    """Optional, of an encoder: what it looks at, in a few words: "small details". The report heads its views by it."""

    looks_at: str


@runtime_checkable
class Judges(Protocol):
    """Optional, of a detector: how it judges an image, in a few words that go on after what the encoder looks at.

    "Small details, " may be followed by "compared with its nearest neighbours". Where either says nothing, the report
    names a view by its column.
    """

    judges: str


@runtime_checkable
class Seeks(Protocol):
    """Optional, of a detector: what it looks for, to be read after "it looks for": "images whose ..."."""

    seeks: str


@runtime_checkable
class ShowsPlaces(Protocol):
    """A detector on maps that says where in the picture an image is strange."""

    def places_own(self, index: int) -> Doubles | None:
        """(rows, columns) how strange each place of a fitted image is; None where that is not known any more."""

    def places_new(self, encoded: Encoded) -> NDArray[np.float32]:
        """(m, rows, columns) the same of other images."""


@runtime_checkable
class TellsPlaces(Protocol):
    """Optional, of an encoder that gives maps: it says itself where in the picture an image is strange."""

    def tell_places(self, pixels: Pixels) -> NDArray[np.float32]:
        """(m, rows, columns) how strange each place of images is."""


@runtime_checkable
class Explains(Protocol):
    """Optional, of a detector: it says what made a fitted image strange."""

    def explain_own(self, index: int) -> list[Reason]:
        """What made the fitted image of that row strange, the most telling first."""
