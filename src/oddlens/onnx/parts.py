"""What several encoders are put together from, as nodes of a graph."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import nn
from torch.nn import functional

from oddlens.learning.patches import CONTRAST_POWER, POOLING_POWER, ROUNDING, SHARPNESS, tents
from oddlens.onnx.graph import Graph

LAST = np.iinfo(np.int64).max  # the end of an axis, to a Slice


def as_nodes(graph: Graph, module: nn.Module, value: str) -> str:
    """A torch module, of the kinds that our networks are made of, as nodes."""
    if isinstance(module, nn.Sequential):
        for part in module:
            value = as_nodes(graph, part, value)
        return value
    if isinstance(module, nn.Flatten):
        return graph.add("Flatten", value, axis=1)
    if isinstance(module, nn.Unflatten):
        return graph.add("Reshape", value, graph.constant([0, *(int(side) for side in module.unflattened_size)],
                                                          np.int64))
    if isinstance(module, nn.Sigmoid):
        return graph.add("Sigmoid", value)
    if isinstance(module, nn.ReLU):
        return graph.add("Relu", value)
    if isinstance(module, nn.LeakyReLU):
        return graph.add("LeakyRelu", value, alpha=float(module.negative_slope))
    if isinstance(module, nn.Linear):
        return graph.add("Gemm", value, *_weights(graph, module), transB=1)
    if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
        numbers = [graph.constant(_numbers(part)) for part in (module.weight, module.bias, module.running_mean,
                                                               module.running_var)]
        return graph.add("BatchNormalization", value, *numbers, epsilon=float(module.eps))
    if isinstance(module, nn.ConvTranspose2d):
        return graph.add("ConvTranspose", value, *_weights(graph, module), strides=list(module.stride),
                         pads=[int(side) for side in module.padding] * 2,
                         output_padding=[int(side) for side in module.output_padding])
    if isinstance(module, nn.Conv2d):
        return graph.add("Conv", value, *_weights(graph, module), strides=list(module.stride),
                         pads=[int(side) for side in module.padding] * 2, dilations=list(module.dilation))
    raise TypeError(f"a layer of kind {type(module).__name__} has no nodes")


def _weights(graph: Graph, module: Any) -> list[str]:
    return [graph.constant(_numbers(part)) for part in (module.weight, module.bias) if part is not None]


def _numbers(tensor: Any) -> NDArray[np.float32]:
    return np.asarray(tensor.detach().cpu().numpy(), np.float32)


def flat(graph: Graph, value: str, width: int) -> str:
    """(n, width) all numbers of an image in a row."""
    return graph.add("Reshape", value, graph.constant([-1, width], np.int64))


def scaled(graph: Graph, value: str, middle: ArrayLike, scale: ArrayLike) -> str:
    """How far each number is from its middle, in units of its scale."""
    return graph.add("Div", graph.add("Sub", value, graph.constant(middle)), graph.constant(scale))


def residual(graph: Graph, before: str, after: str) -> str:
    """(n,) the mean squared difference."""
    apart = graph.add("Sub", after, before)
    return graph.add("ReduceMean", graph.add("Mul", apart, apart), graph.constant([1], np.int64), keepdims=0)


def weighed(
    graph: Graph, maps: str, rows: NDArray[np.floating[Any]], columns: NDArray[np.floating[Any]], *,
    kind: type = np.float32,
) -> str:
    """Maps of numbers of a kind whose axes are weighed: ``rows @ maps @ columns.T``."""
    across = graph.add("MatMul", maps, graph.constant(columns.T, kind))
    return graph.add("MatMul", graph.constant(rows, kind), across)


def averages(size: int, to: int) -> NDArray[np.float32]:
    """(to, size) the weights by which torch averages an axis down to parts."""
    return functional.adaptive_avg_pool2d(torch.eye(size)[None, :, :, None], (to, 1))[0, :, :, 0].numpy().T


def resized(graph: Graph, images: str, size: tuple[int, int]) -> str:
    """Pictures brought to a size by averaging, each axis by the weights that torch goes by."""
    if size == graph.shape[:2]:
        return images
    rows, columns = (functional.interpolate(torch.eye(side, dtype=torch.float64)[None, None], size=(to, side),
                                            mode="bilinear", antialias=True, align_corners=False)[0, 0].numpy()
                     for side, to in zip(graph.shape[:2], size, strict=True))
    # In double precision, so that what is flat remains flat.
    return graph.single(weighed(graph, graph.double(images), rows, columns, kind=np.float64))


def grounds(graph: Graph, maps: str, height: int, width: int, channels: int) -> str:
    """(n, 1, 1, 1) as ``learning.patches.grounds``: the median of every second value each way."""
    some = graph.add("Slice", maps, graph.constant([0, 0], np.int64), graph.constant([LAST, LAST], np.int64),
                     graph.constant([2, 3], np.int64), graph.constant([2, 2], np.int64))
    count = channels * -(-height // 2) * -(-width // 2)
    upper, _ = graph.add_two("TopK", flat(graph, some, count), graph.constant([count // 2 + 1], np.int64), axis=1)
    median = graph.add("Gather", upper, graph.constant([count // 2], np.int64), axis=1)
    return graph.add("Reshape", median, graph.constant([-1, 1, 1, 1], np.int64))


def answers(
    graph: Graph, maps: str, atoms: NDArray[np.float32], side: int, channels: int, step: int = 1, ground: str = ""
) -> str:
    """As ``learning.patches.answers``: a softmax of the atoms' cosines, weighed by the root of the contrast.

    ground:  the value from which the maps are seen; empty: 0.
    """
    half = side // 2
    exact = graph.double(maps)
    over = graph.add("ReduceMean", exact, graph.constant([1], np.int64), keepdims=1)
    squares = graph.add("ReduceMean", graph.add("Mul", exact, exact), graph.constant([1], np.int64), keepdims=1)
    mean, square = (window_mean(graph, padded(graph, values, half), side, step, np.float64)
                    for values in (over, squares))
    variance, least = graph.add("Sub", square, graph.add("Mul", mean, mean)), graph.constant(ROUNDING, np.float64)
    there = graph.add("Where", graph.add("Greater", variance, least), variance, graph.constant(0, np.float64))
    contrast = graph.single(graph.add("Sqrt", there))
    length = graph.add("Mul", contrast, graph.constant((channels * side**2) ** 0.5))
    kernels = graph.constant(atoms.reshape(len(atoms), channels, side, side))
    if ground:
        seen = graph.add("Sub", padded(graph, maps, half), ground)
        of_ground = graph.constant(atoms.sum(1, dtype=np.float64).reshape(1, -1, 1, 1))
        products = graph.add("Add", graph.add("Conv", seen, kernels, strides=[step] * 2),
                             graph.add("Mul", ground, of_ground))
    else:
        products = graph.add("Conv", maps, kernels, pads=[half] * 4, strides=[step] * 2)
    cosine = graph.add("Div", products, graph.add("Add", length, graph.constant(1e-4)))
    chosen = graph.add("Softmax", graph.add("Mul", cosine, graph.constant(SHARPNESS)), axis=1)
    return graph.add("Mul", chosen, graph.add("Pow", contrast, graph.constant(CONTRAST_POWER)))


def padded(graph: Graph, maps: str, rim: int, mode: str = "constant") -> str:
    """Maps with a rim around them: of nothing, or with ``mode`` "edge" of their own last rows and columns."""
    return graph.add("Pad", maps, graph.constant([0, 0, rim, rim] * 2, np.int64), mode=mode)


def window_mean(graph: Graph, maps: str, side: int, step: int = 1, kind: type = np.float32) -> str:
    """(n, channels, rows, columns) the mean over a square at every step, as far as whole squares go.

    Added up in torch's order: in single precision the contrast of a flat place is what rounding left, and has to be the
    same.
    """
    axes, steps, total = graph.constant([2, 3], np.int64), graph.constant([step, step], np.int64), ""
    for row in range(side):
        for column in range(side):
            last = [end or LAST for end in (row + 1 - side, column + 1 - side)]
            part = graph.add("Slice", maps, graph.constant([row, column], np.int64), graph.constant(last, np.int64),
                             axes, steps)
            total = graph.add("Add", total, part) if total else part
    return graph.add("Div", total, graph.constant(side**2, kind))


def pooled(graph: Graph, maps: str, height: int, width: int, encoder: Any) -> str:
    """As ``learning.patches.pooled``: roots of averages over overlapping parts, of length 1."""
    averages = weighed(graph, maps, tents(height, encoder.grid).numpy(), tents(width, encoder.grid).numpy())
    roots = graph.add("Pow", flat(graph, averages, encoder.atoms * encoder.grid**2), graph.constant(POOLING_POWER))
    length = graph.add("ReduceL2", roots, graph.constant([1], np.int64), keepdims=1)
    return graph.add("Div", roots, graph.add("Max", length, graph.constant(1e-9)))
