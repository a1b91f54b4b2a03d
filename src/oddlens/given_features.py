"""Features that were made elsewhere, in the place of an encoder: one row of numbers for each image.

The images are judged by the array; the pictures, where they are given, are for looking at. So images that the array has
no row for cannot be scored, and a model of this kind is not saved.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone

from oddlens import views
from oddlens.blocks import key_of
from oddlens.ensemble import Ensemble, Scored
from oddlens.errors import OptionError, UnreadableImage
from oddlens.learning.principal_components import Components
from oddlens.model import AnomalyModel
from oddlens.passing import Work, encode
from oddlens.pixels import Collection, require_enough
from oddlens.protocols import Encoded, Pixels, State
from oddlens.scoring.exact_copies import BYTES, Known, digests
from oddlens.scoring.features import all_finite
from oddlens.scoring.structure import unimodality
from oddlens.stream import Stream
from oddlens.views import View

NEW = ("These features were made elsewhere, so nothing is known of an image that they have no row for. Rank all images "
       "with their features at once, or let an encoder make the features: AnomalyModel(encoder=...).")


class GivenFeatures(BaseEstimator):
    """An encoder that knows the features of the fitted images, by their pixels, and of no others."""

    gives = frozenset({"embedding"})
    looks_at = "features made elsewhere"
    called = "embeddings"
    unsavable = "Features that were made elsewhere cannot be saved as a model: it could score no new image."
    knows_fitted_alone = True

    def take(self, rows: NDArray[np.float32], known: Known) -> Self:
        """Take (n, d) features, one row for each image, and what the images are known by."""
        self.rows_, self.known_ = rows, known
        return self

    def fit(self, pixels: Pixels) -> Self:  # noqa: ARG002  there is nothing to learn from them
        """Nothing: the features are there already."""
        return self

    def encode(self, pixels: Pixels, needs: frozenset[str]) -> Encoded:
        """The embedding of fitted images; raises ``OptionError`` for others."""
        found = self.known_.find(pixels)
        if (found < 0).any():
            raise OptionError(NEW)
        return Encoded(embedding=self.rows_[found] if "embedding" in needs else None)

    def get_state(self) -> State:
        """Nothing: there is no use for a state without the images."""
        raise OptionError(self.unsavable)

    def set_state(self, state: State) -> Self:  # noqa: ARG002  there is none
        """Nothing: there is no state."""
        raise OptionError(self.unsavable)


def for_features(model: AnomalyModel) -> AnomalyModel:
    """A model like one, to be fitted to features; raises ``OptionError`` where its options need images.

    Its detectors are those of ``model``, by default ``neighbors``.
    """
    fresh: AnomalyModel = clone(model)
    if not (model.views and all(isinstance(v, View) and isinstance(v.encoder, GivenFeatures) for v in model.views)):
        asked = [option for option in ("encoder", "views", "backbone") if getattr(model, option) is not None]
        if asked or model.effort != "default":
            raise OptionError(f"embeddings take the place of {' and '.join(asked) or 'the views of an effort'}: give "
                              "one or the other. What may be chosen beside them is the detector.")
        fresh.encoder = GivenFeatures()
    fresh.build()  # a detector that needs more than an embedding is refused here
    return fresh


def fit_features(
    model: AnomalyModel, embeddings: Any, images: Stream | None = None, work: Work | None = None,
    names: Sequence[str] | None = None,
) -> AnomalyModel:
    """Fit what ``for_features`` gave to (n, d) features, each row being an image.

    images:  the images, where they are there to look at; of those that cannot be read the rows are left out.
    work:    what is to be found of these on the way; see ``passing.Work``.
    names:   without images, n names; by default the numbers of the rows.
    """
    rows, start = require_features(embeddings), time.perf_counter()
    ensemble = model.build()
    if images is None:
        seen, pixels = _unseen(names_of(len(rows), names)), np.empty((0, BYTES), np.uint8)
    else:
        require_as_many(len(rows), images.count)
        columns = encode(Ensemble({}, {}, {}, {}), images, work or Work(), key_of("features"), model.n_jobs)
        seen, pixels, rows = images.collection(columns), columns.digests, rows[columns.indices]
    require_enough(seen)
    known = Known(digests(rows))  # what has the same features is the same
    for encoder in ensemble.encoders.values():
        cast(GivenFeatures, encoder).take(rows, Known(pixels))
    encoded = Encoded(embedding=rows)
    ensemble.unimodality = unimodality(rows)
    ensemble.compared_by, ensemble.components = next(iter(ensemble.encoders)), Components.found(rows)
    own = {column: np.asarray(detector.fit(encoded).score_own(), np.float64)
           for column, detector in ensemble.detectors.items()}
    first = known.first()
    scored = Scored({column: scores[first] for column, scores in own.items()},
                    ensemble.components.project(rows)[first])
    fusion = views.fusion(ensemble.views, 1, ensemble.unimodality)
    model.restore(ensemble, fusion, scored, known, seen, {"scoring": time.perf_counter() - start})
    return model


def require_features(embeddings: Any) -> NDArray[np.float32]:
    """(n, d) features in single precision; raises ``OptionError`` for what is no array of finite numbers."""
    try:
        with np.errstate(over="ignore"):
            rows = np.asarray(embeddings.numpy(force=True) if hasattr(embeddings, "detach") else embeddings, np.float32)
    except (TypeError, ValueError) as error:
        raise OptionError(f"embeddings takes an array of (n, d) numbers, got {type(embeddings).__name__}.") from error
    if rows.ndim != 2 or not rows.size:
        raise OptionError(f"embeddings takes an array of (n, d) numbers, a row for each image; got {rows.shape}.")
    if not all_finite(rows):
        raise OptionError("embeddings hold nan, infinity or numbers beyond 1e38.")
    return rows


def load_features(path: Path) -> tuple[NDArray[np.float32], list[str] | None]:
    """(n, d) features of an ``.npy`` or Parquet file, and the names that a Parquet file has beside them.

    There the features are the one column of lists, or all columns of numbers, and the names a column ``name``. Raises
    ``OptionError`` for a file that holds none.
    """
    if path.suffix.lower() in (".parquet", ".pq"):
        return _of_parquet(path)
    try:
        rows = np.load(path, mmap_mode="r", allow_pickle=False)
    except OSError as error:
        raise OptionError(f"{path} cannot be opened: {error.strerror or error}.") from error
    except (ValueError, EOFError) as error:
        raise OptionError(f"{path} is no .npy file of numbers: write one with numpy.save(path, embeddings).") from error
    return require_features(rows), None


def _of_parquet(path: Path) -> tuple[NDArray[np.float32], list[str] | None]:
    import pyarrow
    from pyarrow import parquet, types

    try:
        table = parquet.read_table(path)
    except (OSError, pyarrow.ArrowException) as error:
        raise OptionError(f"{path} cannot be read as a Parquet file: {error}") from error
    names = table.column("name").cast(pyarrow.string()).to_pylist() if "name" in table.column_names else None
    columns = {field.name: field.type for field in table.schema if field.name != "name"}
    lists = [name for name, kind in columns.items()
             if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)]
    numbers = [name for name, kind in columns.items() if types.is_floating(kind) or types.is_integer(kind)]
    if len(lists) > 1 or not (lists or numbers):
        raise OptionError(f"{path} has {len(lists)} columns of lists and {len(numbers)} of numbers: the features are "
                          "the one column of lists, or all columns of numbers.")
    try:
        rows = (np.array(table.column(lists[0]).to_pylist(), np.float32) if lists else
                np.column_stack([table.column(name).to_numpy() for name in numbers]))
    except (ValueError, TypeError) as error:
        raise OptionError(f"{path} has rows of different lengths, or cells without a number, in "
                          f"{lists[0] if lists else 'its columns'}.") from error
    return require_features(rows), names


class Unseen:
    """Images of which there are features alone: they have names, and none can be read."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names

    def __len__(self) -> int:
        return len(self.names)

    def name(self, index: int) -> str:
        """The name of one."""
        return self.names[index]

    def read(self, index: int) -> NDArray[np.uint8]:
        """Nothing: raises ``UnreadableImage``."""
        raise UnreadableImage(self.names[index], "only its features were given")


def require_as_many(rows: int, images: int) -> None:
    """Raise ``OptionError`` where there are not as many rows of features as images."""
    if rows != images:
        raise OptionError(f"There are {rows:,} rows of embeddings for {images:,} images: give one for each, in the "
                          "order in which the images are opened (a folder's by their paths).")


def names_of(count: int, names: Sequence[str] | None) -> tuple[str, ...]:
    """The names of so many rows: those that are given, or else their numbers; ``OptionError`` where they do not fit."""
    if names is None:
        return tuple(f"{number:0{len(str(count - 1))}}" for number in range(count))
    given = tuple(map(str, names))
    require_as_many(count, len(given))
    if len(set(given)) < count:
        raise OptionError("Two images have one name: names are what images are found again by.")
    return given


def _unseen(names: tuple[str, ...]) -> Collection:
    """Images of which nothing is known but their names."""
    shapes, nothing = np.zeros((len(names), 2), np.int32), np.empty((0, 1, 1, 1), np.uint8)
    return Collection(nothing, names, (), shapes, np.arange(len(names)))
