"""A fitted model, as far as ONNX can say it, written as a file: ``oddlens export RUN --format onnx``.

Encoders that are sums, products and softmaxes become nodes, and so do the detectors that are linear or need no more.
The others search neighbours, grow trees or count edges, which is our own compiled code; they are refused by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from oddlens.detectors.reconstruction import Reconstruction
from oddlens.detectors.subspace import Subspace
from oddlens.errors import OptionError
from oddlens.files import write_atomically
from oddlens.model import AnomalyModel
from oddlens.onnx.encoders import ENCODERS, Given
from oddlens.onnx.graph import Graph
from oddlens.pixels import sees_detail, sees_texture


@dataclass(frozen=True)
class Written:
    """What was written: the file, and the names of its outputs."""

    path: Path
    outputs: tuple[str, ...]


def export(model: AnomalyModel, path: str | Path, encoders: Sequence[str] | None = None) -> Written:
    """Write the encoders of a fitted model, and the scores of those detectors that can be said so, as an ONNX file.

    encoders:  the names of those that are wanted, of ``model.encoders_``; all by default.

    The file takes ``images``, uint8 (n, height, width, channels) at the size of ``model.format_``, and gives
    ``NAME.embedding`` and ``NAME.residual`` of each encoder, as far as it has them, and ``COLUMN.score`` of the
    detectors subspace and reconstruction. Raises ``OptionError`` that names each encoder that cannot be exported, with
    the reason.

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
        given = ENCODERS[type(model.encoders_[name])](graph, model.encoders_[name])
        if "embedding" in given:
            outputs.append(f"{name}.embedding")
            graph.put(outputs[-1], given["embedding"], _width(model, name))
        if "residual" in given:
            outputs.append(f"{name}.residual")
            graph.put(outputs[-1], given["residual"])
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
    encoder = model.encoders_[name]
    if type(encoder) not in ENCODERS:
        return f"{type(encoder).__name__} computes with code that has no nodes in ONNX"
    if sees_texture(encoder) or (sees_detail(encoder) and model.format_.detail):
        return "it looks at the images in more detail than the graph is given them"
    return None


def _score(graph: Graph, detector: Any, given: Given) -> str | None:
    """(n,) the scores of a detector as of new images; None where it has no nodes."""
    if type(detector) is Reconstruction and "residual" in given:
        return given["residual"]
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


def _width(model: AnomalyModel, name: str) -> int:
    """How many numbers an embedding has."""
    form = model.format_
    blank = np.zeros((1, form.height, form.width, form.channels), np.uint8)
    found = model.encoders_[name].encode(blank, frozenset({"embedding"})).embedding
    return 0 if found is None else int(found.shape[1])
