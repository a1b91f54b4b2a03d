"""The whole job in one call: ``oddlens.rank``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from oddlens.errors import OptionError
from oddlens.given_features import fit_features, for_features, require_as_many, require_features
from oddlens.model import AnomalyModel
from oddlens.protocols import ImageSource
from oddlens.ranking import Ranking
from oddlens.sources import FileSource, open_source
from oddlens.thumbnails import thumbnails_of

if TYPE_CHECKING:
    from oddlens.learning.pretrained import Given


class Options(TypedDict, total=False):
    """The options of ``AnomalyModel``, which says what each is, for a type checker to hold a call to."""

    encoder: Any
    detector: Any
    views: Sequence[Any] | None
    backbone: Given | None
    effort: str
    image_size: int | tuple[int, int] | None
    channels: int | None
    detail: int | None
    resize: str
    fdr: float
    contamination: float | None
    device: str
    n_jobs: int | None
    random_state: int


def rank(images: Any = None, *, embeddings: Any = None, **options: Unpack[Options]) -> Ranking:
    """How strange each image of a collection is among the others.

    images:      what ``AnomalyModel.fit`` takes; with embeddings only to give names and pictures, or left out.
    embeddings:  (n, d) features that were made elsewhere, a row for each image, to judge by in the place of images.
    options:     those of ``AnomalyModel``; with embeddings the detector, by default ``neighbors``.

    Raises ``OptionError`` for an option that there is not, or that cannot work.

    >>> images = np.random.default_rng(0).integers(0, 256, (40, 8, 8), dtype=np.uint8)
    >>> len(rank(images, detector="forest"))
    40
    >>> features = np.random.default_rng(0).normal(size=(40, 8))
    >>> features[7] += 9
    >>> rank(embeddings=features).top(1)[0].name
    '07'
    """
    model = AnomalyModel()
    known = model.get_params(deep=False)
    for option in options:
        if option not in known:
            raise OptionError.unknown("option", option, {**known, "embeddings": None})
    model.set_params(**options)
    if embeddings is None:
        if images is None:
            raise OptionError("There is nothing to rank: give images, embeddings, or both.")
        model.build()  # an option that cannot work is said before a folder is walked
        source = open_source(images)
        return _with_paths(model.fit(source).rank(), source)
    rows, model = require_features(embeddings), for_features(model)
    if images is None:
        return fit_features(model, rows).rank()
    source = open_source(images)
    require_as_many(len(rows), len(source))
    names = [source.name(place) for place in range(len(source))]
    ranking = fit_features(model, rows, names=names).rank()
    return _with_paths(replace(ranking, thumbnails=thumbnails_of(source, names, range(len(names)), ranking.scores)),
                       source)


def _with_paths(ranking: Ranking, source: ImageSource) -> Ranking:
    """A ranking with the paths of images that lie in files of their own."""
    if not isinstance(source, FileSource):
        return ranking
    path_of = {source.name(place): str(path) for place, path in enumerate(source.paths)}
    return replace(ranking, paths=tuple(path_of[name] for name in ranking.names))
