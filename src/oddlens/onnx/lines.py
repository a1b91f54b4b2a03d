"""Long lines and edges, as a part of a graph.

As in ``learning.lines`` everything up to the slopes and curvatures is a sum of whole numbers that float32 holds: a flat
place stays flat in any runtime, in whatever order it adds up.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from oddlens.learning.lines import (
    AROUND,
    BINOMIAL,
    DIRECTIONS,
    FAINTEST,
    KINDS,
    REACH,
    cells_of,
    grid_of,
    shifts_of,
    starts_of,
    turned,
)
from oddlens.onnx.graph import Graph
from oddlens.onnx.parts import scaled, weighed

CURVED, SLOPING = [1, -2, 1], [-1, 0, 1]
DIFFERENCES = np.zeros((5, 1, 3, 3), np.float32)  # as ``learning.lines``: curvature across, slanting, down, then slopes
DIFFERENCES[0, 0, 1] = DIFFERENCES[2, 0, :, 1] = CURVED
DIFFERENCES[1, 0] = np.outer(SLOPING, SLOPING)
DIFFERENCES[3, 0, 1] = DIFFERENCES[4, 0, :, 1] = SLOPING


def lines(graph: Graph, encoder: Any) -> dict[str, str]:
    """The strongest line and edge in each direction at each place, and at the strongest places of the picture."""
    measures, grid = _measures(graph), grid_of(*graph.shape[:2])
    count = grid[0] * grid[1]
    places = graph.add("Reshape", measures, graph.constant([-1, count, KINDS * DIRECTIONS], np.int64))
    strongest, _ = graph.add_two("TopK", places, graph.constant([max(1, round(encoder.extreme_share * count))],
                                                                np.int64), axis=1)
    summed = graph.add("ReduceMean", strongest, graph.constant([1], np.int64), keepdims=0)
    return {"embedding": scaled(graph, summed, encoder.embedding_middle_, encoder.embedding_scale_),
            "maps": scaled(graph, measures, encoder.middle_, encoder.scale_)}


def _measures(graph: Graph) -> str:
    """(n, rows, columns, KINDS x DIRECTIONS) as ``learning.lines.lines_of``."""
    height, width, channels = graph.shape
    shifts = shifts_of(height, width).reshape(DIRECTIONS, -1, 2, 2)  # doublings, means, axes
    rims = np.abs(shifts).max(2)[:, ::-1].cumsum(1)[:, ::-1]  # how far each doubling and those after it look beyond
    margins = rims[:, 0].max(0)
    slopes, weights = _derivatives(graph, margins + REACH), _weights(channels)
    around = _around(graph, slopes, weights, margins)
    strongest = []
    for direction in range(DIRECTIONS):
        halved = weights[:, direction] / 2 ** len(shifts[direction])  # by all doublings at once
        across = graph.add("Conv", slopes, graph.constant(halved[:, :, None, None]))
        along = _summed(graph, across, margins, shifts[direction], rims[direction])
        strongest.append(_strongest(graph, graph.add("Abs", along)))
    rows, columns = cells_of(height, width)
    cells = graph.add("Reshape", graph.add("Concat", *strongest, axis=1),
                      graph.constant([-1, DIRECTIONS, KINDS, rows, columns], np.int64))
    against = graph.add("Div", cells, graph.add("Unsqueeze", around, graph.constant([1], np.int64)))
    measures = graph.add("Reshape", graph.add("Transpose", against, perm=[0, 3, 4, 2, 1]),
                         graph.constant([-1, rows, columns, KINDS * DIRECTIONS], np.int64))
    for axis, count in ((1, rows), (2, columns)):
        if count > 1:
            measures = graph.add("Max", *(_part(graph, measures, {axis: (first, count - 1)}) for first in (0, 1)))
    return measures


def _derivatives(graph: Graph, margins: NDArray[np.int64]) -> str:
    """(n, 5, ...) curvatures and slopes of the smoothed pictures and of what mirrors them beyond their rims."""
    light = graph.add("ReduceSum", graph.values(), graph.constant([1], np.int64), keepdims=1)
    for axis, (side, margin) in enumerate(zip(graph.shape, margins, strict=False)):
        mirrored = np.pad(np.arange(side), int(margin), mode="symmetric")
        light = graph.add("Gather", light, graph.constant(mirrored, np.int64), axis=axis + 2)
    for shape in ((1, 1, -1, 1), (1, 1, 1, -1)):
        light = graph.add("Conv", light, graph.constant(BINOMIAL.reshape(shape)))
    return graph.add("Conv", light, graph.constant(DIFFERENCES))


def _weights(channels: int) -> NDArray[np.float64]:
    """(KINDS, DIRECTIONS, 5) what makes curvatures and slopes those in a direction."""
    three, found = turned(channels), np.zeros((KINDS, DIRECTIONS, len(DIFFERENCES)))
    found[0, :, :3], found[1, :, 3:] = three[0], three[1, :, :2]
    return found


def _around(graph: Graph, slopes: str, weights: NDArray[np.float64], margins: NDArray[np.int64]) -> str:
    """(n, KINDS, rows, columns) how strong lines and edges are in the cells around, at a pixel and in any direction."""
    height, width, _ = graph.shape
    inner = _part(graph, slopes, {axis + 2: (int(margins[axis]), graph.shape[axis]) for axis in (0, 1)})
    # A square in one direction is a sum of products of two derivatives; so is the mean over all directions.
    pairs = np.einsum("kda,kdb->ab", weights, weights) / DIRECTIONS
    products = graph.add("Mul", inner, graph.add("Conv", inner, graph.constant(pairs[:, :, None, None])))
    used = np.abs(weights).max(1) > 0  # by kind
    square = graph.add("Conv", products, graph.constant(used[:, :, None, None]))
    means = (_means(side, cells) for side, cells in zip((height, width), cells_of(height, width), strict=True))
    nearby = graph.add("AveragePool", weighed(graph, square, *means), kernel_shape=[2 * AROUND + 1] * 2,
                       pads=[AROUND] * 4, count_include_pad=0)
    return graph.add("Add", graph.add("Sqrt", nearby), graph.constant(FAINTEST))


def _summed(graph: Graph, value: str, margins: NDArray[np.int64], shifts: NDArray[np.int64],
            rims: NDArray[np.int64]) -> str:
    """Sums along a direction, of twice as many pixels at each doubling; at last of the picture without its margins."""
    margin = margins
    for means, rim in zip(shifts, [*rims[1:], np.zeros(2, np.int64)], strict=True):
        value = graph.add("Add", *(
            _part(graph, value, {axis + 2: (int(margin[axis] - rim[axis] + mean[axis]),
                                            int(graph.shape[axis] + 2 * rim[axis])) for axis in (0, 1)})
            for mean in means))
        margin = rim
    return value


def _strongest(graph: Graph, value: str) -> str:
    """(n, KINDS, rows, columns) the largest of each cell."""
    longest = []
    for axis, (side, cells) in enumerate(zip(graph.shape, cells_of(*graph.shape[:2]), strict=False)):
        start = starts_of(side, cells)
        counts = np.diff(start)
        longest.append(int(counts.max()))
        if counts.min() < counts.max():  # its last pixel once more
            within = np.minimum(np.arange(longest[-1]), counts[:, None] - 1)
            value = graph.add("Gather", value, graph.constant((start[:-1, None] + within).ravel(), np.int64),
                              axis=axis + 2)
    return graph.add("MaxPool", value, kernel_shape=longest, strides=longest)


def _means(side: int, cells: int) -> NDArray[np.float32]:
    """(cells, side) the weights that average an axis over each cell."""
    start = starts_of(side, cells)
    places = np.arange(side)
    within = (start[:-1, None] <= places) & (places < start[1:, None])
    return (within / np.diff(start)[:, None]).astype(np.float32)


def _part(graph: Graph, value: str, sides: dict[int, tuple[int, int]]) -> str:
    """So many along each axis from the first on: (first, count) by axis."""
    firsts, lasts = [first for first, _ in sides.values()], [first + count for first, count in sides.values()]
    return graph.add("Slice", value, *(graph.constant(given, np.int64) for given in (firsts, lasts, list(sides))))
