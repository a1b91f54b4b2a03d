"""The whole way from images to scores: read, learn, encode, score, rank.

``AnomalyModel`` puts one encoder and one or several detectors together. The encoder learns once, the
collection is encoded once, and every detector's score is a column of the ranking.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, OutlierMixin, clone
from sklearn.exceptions import NotFittedError

from oddlens import registry
from oddlens.calibration import fuse
from oddlens.errors import OptionError
from oddlens.pixels import Collection, PixelFormat, look, read_pixels, require_enough
from oddlens.progress import advance
from oddlens.protocols import Detector, Doubles, Encoded, Encoder
from oddlens.ranking import Ranking
from oddlens.sources import open_source


class AnomalyModel(OutlierMixin, BaseEstimator):
    """Learns what the images of a collection look like and scores how strange each one is.

    encoder:        the name of an encoder (``oddlens list`` shows them) or an encoder object.
    detector:       the name of a detector or a detector object, or a list of several. With several, the score
                    is the mean of their calibrated log tails, and each one's own score is a column.
    image_size:     the size that all images are brought to, one number for a square or (height, width), in
                    pixels; by default found out by looking, at most 64.
    channels:       1 for grey, 3 for colour; by default found out by looking.
    resize:         "squash", "pad" or "crop": how other shapes meet that size.
    contamination:  the share of the fitted images that ``predict`` calls odd, above 0 and at most 0.5.
    device:         where networks are trained: "auto", "cpu", "cuda", "mps"; for encoders given by name.
    n_jobs:         threads for reading and scoring; by default one for each core.
    random_state:   fixes all that is random; for encoders and detectors given by name.

    Inside oddlens a larger score is stranger. ``score_samples``, ``decision_function`` and ``predict`` have
    scikit-learn's signs, where a lower value is stranger and odd images are -1.

    Fitted: ``encoder_``, ``detectors_`` (column name -> detector), ``format_`` (the size that images are brought
    to), ``names_``, ``unreadable_``, ``timings_`` (stage -> seconds), ``offset_``.

    >>> images = np.random.default_rng(0).integers(0, 30, (40, 8, 8), dtype=np.uint8)
    >>> images[7, 2:6, 2:6] = 255
    >>> model = AnomalyModel(detector=["neighbors", "forest"]).fit(images)
    >>> model.rank().top(1)[0].name
    '07'
    """

    def __init__(
        self,
        encoder: str | Encoder = "dictionary",
        detector: str | Detector | Sequence[str | Detector] = "neighbors",
        *,
        image_size: int | tuple[int, int] | None = None,
        channels: int | None = None,
        resize: str = "squash",
        contamination: float = 0.1,
        device: str = "auto",
        n_jobs: int | None = None,
        random_state: int = 0,
    ) -> None:
        self.encoder = encoder
        self.detector = detector
        self.image_size = image_size
        self.channels = channels
        self.resize = resize
        self.contamination = contamination
        self.device = device
        self.n_jobs = n_jobs
        self.random_state = random_state

    def fit(self, images: Any, y: None = None) -> Self:  # noqa: ARG002  scikit-learn passes y to everything
        """Learn from a folder, files, an array or any ``ImageSource`` what is ordinary.

        Raises ``OptionError`` for an option that cannot work, before any image is read; ``SourceError`` for
        images that cannot be opened; ``TooFewImages`` when too few of them can be read.
        """
        encoder, detectors = self._build()
        timings: dict[str, float] = {}
        with _timed("reading", timings):
            source = open_source(images)
            form = look(source, self.image_size, self.channels, self.resize, jobs=self.n_jobs)
            collection = read_pixels(source, form, jobs=self.n_jobs)
            require_enough(collection)
        with _timed("learning", timings):
            encoder.fit(collection.pixels)
        with _timed("encoding", timings):
            encoded = encoder.encode(collection.pixels, needs_of(detectors))
        with _timed("scoring", timings):
            own = {}
            for done, (column, detector) in enumerate(detectors.items(), start=1):
                own[column] = detector.fit(encoded).score_own()
                advance("scoring", done, len(detectors))
        self._take(encoder, detectors, form, collection.names, collection.unreadable, own)
        self.shapes_, self.indices_, self.timings_ = collection.shapes, collection.indices, timings
        return self

    def rank(self, images: Any = None) -> Ranking:
        """The fitted images, each judged without itself; or other images, each judged on its own."""
        self._require_fit()
        if images is None:
            return self._ranking(self.names_, self.unreadable_, self.own_)
        collection, members = self._score(images)
        return self._ranking(collection.names, collection.unreadable, members)

    def score_samples(self, images: Any) -> Doubles:
        """(n,) minus the score of each image, nan for one that cannot be read: lower is stranger."""
        self._require_fit()
        collection, members = self._score(images)
        scores = np.full(len(collection.names) + len(collection.unreadable), np.nan)
        scores[collection.indices] = -self._fuse(members)
        return scores

    def decision_function(self, images: Any) -> Doubles:
        """(n,) ``score_samples`` less the threshold ``offset_``: negative is odd."""
        return self.score_samples(images) - self.offset_

    def predict(self, images: Any) -> NDArray[np.int64]:
        """(n,) 1 for ordinary images; -1 for odd ones and for those that cannot be read."""
        return np.where(self.decision_function(images) >= 0, 1, -1)

    def fit_predict(self, images: Any, y: None = None) -> NDArray[np.int64]:
        """(n,) as ``predict``, for the fitted images themselves, each judged without itself."""
        self.fit(images, y)
        labels = np.full(len(self.names_) + len(self.unreadable_), -1)
        labels[self.indices_] = np.where(-self._fuse(self.own_) >= self.offset_, 1, -1)
        return labels

    def _build(self) -> tuple[Encoder, dict[str, Detector]]:
        """The encoder and the detectors by column name, checked against each other."""
        if not 0 < self.contamination <= 0.5:
            raise OptionError(f"contamination must be above 0 and at most 0.5, got {self.contamination!r}.")
        encoder = self._make("encoder", self.encoder)
        several = isinstance(self.detector, Sequence) and not isinstance(self.detector, str)
        detectors: dict[str, Detector] = {}
        for spec in self.detector if several else [self.detector]:  # type: ignore[union-attr]
            detector = self._make("detector", spec)
            column = registry.name_of("detector", detector) or type(detector).__name__.lower()
            if column in detectors:
                raise OptionError(f"Detector {column} is given twice; give each one once.")
            missing = detector.needs - encoder.gives
            if missing:
                raise OptionError(
                    f"Detector {column} needs {', '.join(sorted(missing))}, which the encoder "
                    f"{type(encoder).__name__} does not give (it gives {', '.join(sorted(encoder.gives))})."
                )
            detectors[column] = detector
        if not detectors:
            raise OptionError(f"No detector is given; known: {', '.join(registry.names('detector'))}.")
        return encoder, detectors

    def _make(self, kind: registry.Kind, spec: Any) -> Any:
        if isinstance(spec, str):
            shared = {"device": self.device, "n_jobs": self.n_jobs, "random_state": self.random_state}
            known = registry.options(kind, spec)
            return registry.create(kind, spec, **{key: value for key, value in shared.items() if key in known})
        if not isinstance(spec, {"encoder": Encoder, "detector": Detector}[kind]):
            raise OptionError(f"{spec!r} is not an {kind}: give a name of {registry.names(kind)} or an object "
                              f"with the methods of oddlens.{kind.capitalize()}.")
        return clone(spec) if isinstance(spec, BaseEstimator) else spec

    def _take(
        self,
        encoder: Encoder,
        detectors: dict[str, Detector],
        form: PixelFormat,
        names: tuple[str, ...],
        unreadable: tuple[tuple[str, str], ...],
        own: dict[str, Doubles],
    ) -> None:
        """Become fitted; loading a saved model ends here too."""
        self.encoder_, self.detectors_, self.format_ = encoder, detectors, form
        self.names_, self.unreadable_, self.own_ = names, unreadable, own
        self.offset_ = float(np.quantile(-self._fuse(own), self.contamination))

    def _score(self, images: Any) -> tuple[Collection, dict[str, Doubles]]:
        collection = read_pixels(open_source(images), self.format_, jobs=self.n_jobs)
        if len(collection.names) == 0:
            return collection, {column: np.empty(0) for column in self.detectors_}
        encoded: Encoded = self.encoder_.encode(collection.pixels, needs_of(self.detectors_))
        return collection, {column: detector.score_new(encoded) for column, detector in self.detectors_.items()}

    def _ranking(
        self, names: tuple[str, ...], unreadable: tuple[tuple[str, str], ...], members: dict[str, Doubles]
    ) -> Ranking:
        return Ranking(names, self._fuse(members), members, unreadable)

    def _fuse(self, members: dict[str, Doubles]) -> Doubles:
        if len(members) == 1:
            return next(iter(members.values()))
        return fuse(list(self.own_.values()), [members[column] for column in self.own_])

    def _require_fit(self) -> None:
        if not hasattr(self, "encoder_"):
            raise NotFittedError("This AnomalyModel has not seen any images yet: call fit first.")


def rank(images: Any, **options: Any) -> Ranking:
    """The whole job: how strange each image of a collection is among the others.

    images is what ``AnomalyModel.fit`` takes and the options are those of ``AnomalyModel``.

    >>> images = np.random.default_rng(0).integers(0, 256, (40, 8, 8), dtype=np.uint8)
    >>> len(rank(images, detector="forest"))
    40
    """
    return AnomalyModel(**options).fit(images).rank()


def needs_of(detectors: dict[str, Detector]) -> frozenset[str]:
    """All that several detectors read of an encoder."""
    return frozenset().union(*(detector.needs for detector in detectors.values()))


@contextmanager
def _timed(stage: str, timings: dict[str, float]) -> Iterator[None]:
    start = time.perf_counter()
    yield
    timings[stage] = time.perf_counter() - start
