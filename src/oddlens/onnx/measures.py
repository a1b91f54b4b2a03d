"""What is measured of a picture, as parts of a graph: the directions of its edges, and statistics of the whole."""

from __future__ import annotations

from typing import Any

import numpy as np

from oddlens.encoders.statistics import (
    BRIGHTNESS_QUANTILES,
    DETAIL_QUANTILES,
    FAINT_DETAIL,
    LARGEST_SIDE,
    OCTAVES,
)
from oddlens.learning.edges import BLOCK_CELLS, LEAST_LENGTH, MOST_OF_BLOCK
from oddlens.onnx.graph import Graph
from oddlens.onnx.parts import LAST, flat, padded, resized, window_mean

CLEAR = 1e-5  # degrees by which a bound is moved off a diagonal; between whole numbers up to 255 there are 4e-4


def hog(graph: Graph, encoder: Any) -> dict[str, str]:
    """Histograms of the directions of the edges, as ``learning.edges.histograms``."""
    height, width, _ = graph.shape
    down, across, square = _gradients(graph)
    # Half a turn: an edge and its opposite are one.
    zero, one = graph.constant(0.0), graph.constant(1.0)
    level = graph.add("And", graph.add("Equal", down, zero), graph.add("Less", across, zero))
    sign = graph.add("Where", graph.add("Or", graph.add("Less", down, zero), level), graph.constant(-1.0), one)
    down, across = (graph.add("Mul", part, sign) for part in (down, across))
    # Beyond a bound, as the side of a line: in float32 sure for whole numbers, which an angle is not.
    bounds = np.deg2rad(_bounds(encoder.orientations))[:, None, None]
    line = graph.add("Sub", graph.add("Mul", down, graph.constant(np.cos(bounds).round(12))),
                     graph.add("Mul", across, graph.constant(np.sin(bounds).round(12))))
    beyond = graph.single(graph.add("GreaterOrEqual", line, zero))
    up_to = none = graph.add("Mul", square, zero)
    from_on = every = graph.add("Add", none, one)
    if encoder.orientations > 1:
        from_on, up_to = graph.add("Concat", every, beyond, axis=1), graph.add("Concat", beyond, none, axis=1)
    votes = graph.add("Mul", graph.add("Sub", from_on, up_to), graph.add("Sqrt", square))
    cell = encoder.cell_
    cells = graph.add("AveragePool", votes, kernel_shape=[cell, cell], strides=[cell, cell])
    rows, columns = height // cell - BLOCK_CELLS + 1, width // cell - BLOCK_CELLS + 1
    axes = graph.constant([2, 3], np.int64)
    corners = [graph.add("Slice", cells, graph.constant([row, column], np.int64),
                         graph.constant([row + rows, column + columns], np.int64), axes)
               for row in range(BLOCK_CELLS) for column in range(BLOCK_CELLS)]
    blocks = _of_length_1(graph, graph.add("Concat", *corners, axis=1))
    blocks = _of_length_1(graph, graph.add("Min", blocks, graph.constant(MOST_OF_BLOCK)))
    size = rows * columns * BLOCK_CELLS**2 * encoder.orientations
    return {"embedding": flat(graph, graph.add("Transpose", blocks, perm=[0, 2, 3, 1]), size)}


def statistics(graph: Graph, encoder: Any) -> dict[str, str]:
    """Statistics of brightness, detail and colour, whitened, as ``encoders.statistics.measure``."""
    height, width, channels = graph.shape
    short, size, images = min(height, width), (height, width), graph.images()
    if short > LARGEST_SIDE:
        size = max(1, round(height * LARGEST_SIDE / short)), max(1, round(width * LARGEST_SIDE / short))
        images = resized(graph, images, size)
    over = graph.constant([1], np.int64)
    octave = grey = graph.add("ReduceMean", images, over, keepdims=1)
    whole, found = size, []
    for _ in range(OCTAVES):
        smooth = window_mean(graph, padded(graph, octave, 1, "edge"), 3)
        detail = flat(graph, graph.add("Abs", graph.add("Sub", octave, smooth)), size[0] * size[1])
        found += [_mean(graph, detail), _quantiles(graph, detail, size, DETAIL_QUANTILES),
                  *(_steps(graph, octave, size, axis) for axis in (1, 0))]
        octave = smooth
        if min(size) > 1:
            octave = graph.add("AveragePool", smooth, kernel_shape=[2, 2], strides=[2, 2])
            size = size[0] // 2, size[1] // 2
    logs = graph.add("Log", graph.add("Add", graph.add("Concat", *found, axis=1), graph.constant(FAINT_DETAIL)))
    brightness = flat(graph, grey, whole[0] * whole[1])
    rest = [_quantiles(graph, brightness, whole, BRIGHTNESS_QUANTILES), *_mean_and_spread(graph, brightness)]
    if channels == 3:
        most, least = (graph.add(kind, images, over, keepdims=1) for kind in ("ReduceMax", "ReduceMin"))
        colours = [graph.add("Sub", most, least), *graph.split(images, channels)]
        for colour in colours:
            rest += _mean_and_spread(graph, flat(graph, colour, whole[0] * whole[1]))
    measured = graph.add("Concat", logs, *rest, axis=1)
    away = graph.add("Sub", measured, graph.constant(encoder.middle_))
    return {"embedding": graph.add("MatMul", away, graph.constant(encoder.whitening_ / encoder.scale_[:, None]))}


def _bounds(orientations: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Degrees from which on the next direction begins, moved off a diagonal where rounding put them just beyond it."""
    bounds = 180 / orientations * np.arange(1, orientations)
    diagonal = 45 * np.rint(bounds / 45)
    return np.where((bounds > diagonal) & (bounds < diagonal + CLEAR), bounds + CLEAR, bounds)


def _gradients(graph: Graph) -> tuple[str, str, str]:
    """(n, 1, height, width) the differences down and across and their squares' sum, of the channel where it is most."""
    values, found = graph.values(), []
    for axis in (2, 3):
        there, back = (graph.add("Slice", values, graph.constant([first], np.int64), graph.constant([last], np.int64),
                                 graph.constant([axis], np.int64)) for first, last in ((2, LAST), (0, -2)))
        rim = [0] * 4
        rim[axis] = 1
        found.append(graph.add("Pad", graph.add("Sub", there, back), graph.constant(rim * 2, np.int64)))
    down, across = found
    square = graph.add("Add", graph.add("Mul", down, down), graph.add("Mul", across, across))
    if graph.shape[2] == 1:
        return down, across, square
    strongest = graph.add("ArgMax", square, axis=1, keepdims=1)
    down, across, square = (graph.add("GatherElements", part, strongest, axis=1) for part in (down, across, square))
    return down, across, square


def _of_length_1(graph: Graph, blocks: str) -> str:
    over = graph.add("ReduceSumSquare", blocks, graph.constant([1], np.int64), keepdims=1)
    return graph.add("Div", blocks, graph.add("Sqrt", graph.add("Add", over, graph.constant(LEAST_LENGTH**2))))


def _mean(graph: Graph, values: str) -> str:
    return graph.add("ReduceMean", values, graph.constant([1], np.int64), keepdims=1)


def _mean_and_spread(graph: Graph, values: str) -> list[str]:
    mean = _mean(graph, values)
    away = graph.add("Sub", values, mean)
    return [mean, graph.add("Sqrt", _mean(graph, graph.add("Mul", away, away)))]


def _quantiles(graph: Graph, values: str, size: tuple[int, int], shares: tuple[float, ...]) -> str:
    count = size[0] * size[1]
    ordered, _ = graph.add_two("TopK", values, graph.constant([count], np.int64), axis=1, largest=0)
    places = [min(count - 1, int(share * count)) for share in shares]
    return graph.add("Gather", ordered, graph.constant(places, np.int64), axis=1)


def _steps(graph: Graph, images: str, size: tuple[int, int], axis: int) -> str:
    """(n, 1) the mean absolute difference of neighbouring pixels along an axis; 0 where there is but one."""
    if size[axis] < 2:
        return graph.add("Mul", _mean(graph, flat(graph, images, size[0] * size[1])), graph.constant(0.0))
    there, back = (graph.add("Slice", images, graph.constant([first], np.int64), graph.constant([last], np.int64),
                             graph.constant([axis + 2], np.int64)) for first, last in ((1, LAST), (0, -1)))
    count = (size[0] - (axis == 0)) * (size[1] - (axis == 1))
    return _mean(graph, flat(graph, graph.add("Abs", graph.add("Sub", there, back)), count))
