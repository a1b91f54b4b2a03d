"""A fitted model, as far as ONNX can say it, written as a file: ``oddlens export RUN --format onnx``.

Encoders become nodes, and so do the detectors that are linear or need no more: what they compute is sums, products,
sorting and softmaxes. Detectors that search neighbours or grow trees are left out: that is our own compiled code, and
what it searches is the whole collection. An encoder that cannot be said so is refused by its name, with the reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from oddlens.detectors.places import Places
from oddlens.detectors.reconstruction import Reconstruction
from oddlens.detectors.subspace import Subspace
from oddlens.detectors.surprise import Surprise
from oddlens.encoders.backbone import Backbone
from oddlens.encoders.texture import Texture
from oddlens.encoders.transforms import Transforms
from oddlens.errors import OptionError
from oddlens.files import write_atomically
from oddlens.model import AnomalyModel
from oddlens.onnx.encoders import ENCODERS, Given
from oddlens.onnx.graph import Graph
from oddlens.onnx.places import places_score
from oddlens.pixels import sees_detail, sees_texture
from oddlens.reading.texture import measures

SIDES = {"residual": 0, "surprise": 0, "embedding": 1, "maps": 3}  # what an encoder gives -> its axes after the first


@dataclass(frozen=True)
class Written:
    """What was written: the file, and the names of its outputs."""

    path: Path
    outputs: tuple[str, ...]


def export(model: AnomalyModel, path: str | Path, encoders: Sequence[str] | None = None) -> Written:
    """Write the encoders of a fitted model, and the scores of those detectors that can be said so, as an ONNX file.

    encoders:  the names of those that are wanted, of ``model.encoders_``; all by default.

    The file takes ``images``, uint8 (n, height, width, channels) at the size of ``model.format_``, and where an encoder
    sees more, ``detail`` and ``texture``, as ``model.read_new`` gives them. It gives ``NAME.embedding``, ``NAME.maps``,
    ``NAME.residual`` and ``NAME.surprise`` of each encoder, as far as it has them, and ``COLUMN.score`` of the
    detectors subspace, places, reconstruction and surprise. Raises ``OptionError`` that names each encoder that cannot
    be exported, with the reason.

    >>> from tempfile import mkdtemp
    >>> images = np.random.default_rng(0).integers(0, 256, (40, 12, 12, 1), dtype=np.uint8)
    >>> model = AnomalyModel(encoder="pixels", detector="subspace").fit(images)
    >>> export(model, Path(mkdtemp()) / "model.onnx").outputs
    ('pixels.embedding', 'subspace.score')
    """
    model.rank()  # one that is not fitted says so
    wanted = list(model.encoders_) if encoders is None else list(encoders)
    for name in wanted:
        if name not in model.encoders_:
            raise OptionError.unknown("encoder of this model", name, model.encoders_)
    _require_possible(model, wanted)
    form = model.format_
    graph = Graph((form.height, form.width, form.channels))
    outputs: list[str] = []
    for name in wanted:
        encoder = model.encoders_[name]
        graph.look_at(*_seen(model, encoder))
        given = ENCODERS[type(encoder)](graph, encoder)
        for what, axes in SIDES.items():
            if what in given:
                outputs.append(f"{name}.{what}")
                graph.put(outputs[-1], given[what], *_sides(encoder, graph.shape, what)[:axes])
        for column, detector in model.detectors_.items():
            score = _score(graph, detector, given) if model.sees_[column] == name else None
            if score is not None:
                outputs.append(f"{column}.score")
                graph.put(outputs[-1], score)
    path = Path(path)
    write_atomically(path, graph.content(f"Features of images, learned by oddlens from {len(model.names_)} of them."))
    return Written(path, tuple(outputs))


def _require_possible(model: AnomalyModel, wanted: Sequence[str]) -> None:
    """Refuse what cannot be exported, with the views that it concerns and the reason."""
    refused = []
    for name in wanted:
        if (reason := _reason(model, name)) is not None:
            views = ", ".join(column for column, encoder in model.sees_.items() if encoder == name)
            refused.append(f"{name} (of the view {views}): {reason}")
    if refused:
        able = [name for name in model.encoders_ if _reason(model, name) is None]
        way = f"Export the others alone: {', '.join(able)}." if able else "None of its encoders can."
        raise OptionError(f"Not all of this model can be said in ONNX. {'; '.join(refused)}. {way}")


def _reason(model: AnomalyModel, name: str) -> str | None:
    """Why an encoder cannot be exported; None where it can."""
    encoder, form = model.encoders_[name], model.format_
    if isinstance(encoder, Backbone):
        return "its network is in a file already, which can be taken along as it is"
    if type(encoder) not in ENCODERS:
        return f"{type(encoder).__name__} computes with code of its own, that has no nodes in ONNX"
    if isinstance(encoder, Texture) and form.texture is None:
        return "it measures the pixels itself, in compiled code; of images above 96 pixels it is given the measures"
    if isinstance(encoder, Transforms) and (form.height, form.width) != (encoder.side_, encoder.side_):
        return (f"it makes squares of {encoder.side_} pixels of the images and rounds on the way, as no other runtime "
                f"does: read them at that size, with image_size {encoder.side_}")
    return None


def _seen(model: AnomalyModel, encoder: Any) -> tuple[str, tuple[int, int, int]]:
    """The input that an encoder sees, and its shape; as ``pixels.Copies.seen_by``."""
    form = model.format_
    if sees_texture(encoder) and form.texture is not None:
        return "texture", measures(*form.texture, form.channels)
    if sees_detail(encoder) and form.detail is not None:
        return "detail", (*form.detail, form.channels)
    return "images", (form.height, form.width, form.channels)


def _score(graph: Graph, detector: Any, given: Given) -> str | None:
    """(n,) the scores of a detector as of new images; None where it has no nodes."""
    if type(detector) is Reconstruction and "residual" in given:
        return given["residual"]
    if type(detector) is Surprise and "surprise" in given:
        return given["surprise"]
    if type(detector) is Places and "maps" in given:
        return places_score(graph, detector, given["maps"])
    if type(detector) is not Subspace or "embedding" not in given:
        return None
    parts = []
    for mean, axes in zip(detector.means_, detector.axes_, strict=True):
        beyond = centred = graph.add("Sub", given["embedding"], graph.constant(mean))
        if axes.shape[1]:
            kept = graph.add("MatMul", centred, graph.constant(axes))
            beyond = graph.add("Sub", centred, graph.add("MatMul", kept, graph.constant(axes.T)))
        parts.append(graph.add("ReduceL2", beyond, graph.constant([1], np.int64), keepdims=0))
    return graph.add("Mean", *parts)


def _sides(encoder: Any, shape: tuple[int, ...], what: str) -> tuple[int, ...]:
    """How many numbers an encoder gives of an image."""
    found = getattr(encoder.encode(np.zeros((1, *shape), np.uint8), frozenset({what})), what)
    return tuple(int(side) for side in found.shape[1:])
