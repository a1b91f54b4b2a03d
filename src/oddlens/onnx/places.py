"""What is said of each place of a picture, as parts of a graph, and how strange its places are."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from oddlens.encoders.alterations import SEEN
from oddlens.encoders.patch_maps import LEAST_CONTRAST, STEP
from oddlens.onnx.graph import Graph
from oddlens.onnx.parts import answers, as_nodes, scaled, weighed, window_mean


def patch_maps(graph: Graph, encoder: Any) -> dict[str, str]:
    """How much of each atom is at each place, how light it is and how strong its contrast."""
    height, width, channels = graph.shape
    images = graph.images()
    side, stride = encoder.window()
    found = answers(graph, images, encoder.dictionary_.numpy(), encoder.patch, channels, STEP)
    size = -(-height // STEP), -(-width // STEP)
    square = graph.add("ReduceMean", graph.add("Mul", images, images), graph.constant([1], np.int64), keepdims=1)
    light, square = (_reduced(graph, values, size) for values in (images, square))
    pooled = graph.add("AveragePool", found, kernel_shape=[side, side], strides=[stride, stride])
    light, square = (window_mean(graph, values, side, stride) for values in (light, square))
    mean = graph.add("ReduceMean", light, graph.constant([1], np.int64), keepdims=1)
    contrast = graph.add("Sqrt", graph.add("Relu", graph.add("Sub", square, graph.add("Mul", mean, mean))))
    faint = graph.add("Log", graph.add("Add", contrast, graph.constant(LEAST_CONTRAST)))
    places = graph.add("Transpose", graph.add("Concat", pooled, light, faint, axis=1), perm=[0, 2, 3, 1])
    centred = graph.add("Sub", places, graph.constant(encoder.mean_.numpy()))
    return {"maps": graph.add("MatMul", centred, graph.constant(encoder.axes_.numpy()))}


def alterations(graph: Graph, encoder: Any) -> dict[str, str]:
    """What the network that finds altered places sees at each."""
    images, layers = graph.images(), []
    if encoder.side() > 1:
        images = weighed(graph, images, *(_parts(size, encoder.side()) for size in graph.shape[:2]))
    shown = graph.add("Mul", graph.add("Sub", images, graph.constant(0.5)), graph.constant(4.0))
    for block in encoder.network_.blocks:
        shown = as_nodes(graph, block, shown)
        layers.append(shown)
    seen = graph.add("Concat", *(layers[layer] for layer in SEEN), axis=1)
    places = graph.add("Transpose", seen, perm=[0, 2, 3, 1])
    return {"maps": scaled(graph, places, encoder.middle_.numpy(), encoder.scale_.numpy())}


def texture(graph: Graph, encoder: Any) -> dict[str, str]:
    """What was measured of the texture, each measure brought to one scale; over all places, and place by place."""
    rows, columns, d = graph.shape
    places = graph.add("Reshape", graph.add("Transpose", graph.values(), perm=[0, 2, 3, 1]),
                       graph.constant([-1, rows * columns, d], np.int64))
    over, count = graph.constant([1], np.int64), max(1, round(encoder.extreme_share * rows * columns))
    mean = graph.add("ReduceMean", places, over, keepdims=1)
    away = graph.add("Sub", places, mean)
    spread = graph.add("Sqrt", graph.add("ReduceMean", graph.add("Mul", away, away), over, keepdims=1))
    ends = [graph.add("ReduceMean", graph.add_two("TopK", places, graph.constant([count], np.int64), axis=1,
                                                  largest=largest)[0], over, keepdims=1) for largest in (1, 0)]
    summed = graph.add("Reshape", graph.add("Concat", mean, spread, *ends, axis=2),
                       graph.constant([-1, 4 * d], np.int64))
    maps = scaled(graph, places, encoder.middle_, encoder.scale_)
    return {"embedding": scaled(graph, summed, encoder.embedding_middle_, encoder.embedding_scale_),
            "maps": graph.add("Reshape", maps, graph.constant([-1, rows, columns, d], np.int64))}


def places_score(graph: Graph, detector: Any, maps: str) -> str:
    """(n,) the mean Mahalanobis distance of the strangest places, of maps in half precision as the detector reads."""
    count, d = detector.means_.shape
    rows = graph.add("Reshape", graph.halved(maps), graph.constant([-1, count, 1, d], np.int64))
    away = graph.add("Sub", rows, graph.constant(detector.means_.numpy()[:, None]))
    turned = graph.add("MatMul", away, graph.constant(detector.inverses_.numpy().transpose(0, 2, 1)))
    square = graph.add("ReduceSum", graph.add("Mul", turned, away), graph.constant([2, 3], np.int64), keepdims=0)
    apart = graph.add("Sqrt", graph.add("Relu", square))
    strangest, _ = graph.add_two("TopK", apart, graph.constant([max(1, round(detector.share * count))], np.int64),
                                 axis=1)
    return graph.add("ReduceMean", strangest, graph.constant([1], np.int64), keepdims=0)


def _reduced(graph: Graph, values: str, size: tuple[int, int]) -> str:
    """Pictures averaged down to the places of the answers, added up in torch's order, as ``window_mean`` is."""
    axes = [_windows(side, to) for side, to in zip(graph.shape[:2], size, strict=True)]
    total = ""
    for row in range(int(axes[0][1].max())):
        line = _taken(graph, values, axes[0], row, 2)
        for column in range(int(axes[1][1].max())):
            part = _taken(graph, line, axes[1], column, 3)
            total = graph.add("Add", total, part) if total else part
    for (_, count), shape in zip(axes, ((-1, 1), (1, -1)), strict=True):
        total = graph.add("Div", total, graph.constant(count.reshape(shape)))
    return total


def _windows(size: int, to: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where each part of an axis begins and how many pixels it has, as torch averages an axis down."""
    places = np.arange(to)
    start = places * size // to
    return start, -(-(places + 1) * size // to) - start


def _taken(graph: Graph, values: str, axis: tuple[NDArray[np.int64], NDArray[np.int64]], number: int, at: int) -> str:
    """The pixels of that number in every part of an axis, nothing where a part has fewer."""
    start, count = axis
    there = number < count
    found = graph.add("Gather", values, graph.constant(np.where(there, start + number, 0), np.int64), axis=at)
    return found if there.all() else graph.add("Mul", found, graph.constant(there.reshape((-1, 1) if at == 2 else -1)))


def _parts(size: int, side: int) -> Any:
    """(parts, size) weights that average an axis over so many at a time, the last over what is left."""
    return functional.avg_pool2d(torch.eye(size)[None, :, :, None], (side, 1), ceil_mode=True)[0, :, :, 0].numpy().T
