"""Encoders as parts of a graph: the same numbers as ``encode`` gives, but for the last digits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from oddlens.encoders.autoencoder import Autoencoder
from oddlens.encoders.conv_autoencoder import ConvAutoencoder
from oddlens.encoders.deep_autoencoder import DeepAutoencoder
from oddlens.encoders.dictionary import SECOND_PATCH, Dictionary, scales
from oddlens.encoders.pixels import Pixels
from oddlens.learning.patches import CONTRAST_POWER, POOLING_POWER, SHARPNESS, tents
from oddlens.onnx.graph import Graph

Given = dict[str, str]  # "embedding" and "residual" -> the value's name, as far as the encoder gives them


def pixels(graph: Graph, encoder: Any) -> Given:
    """The pixels, averaged down."""
    height, width, channels = graph.shape
    shrink = max(1.0, max(height, width) / encoder.side)
    size = max(1, round(height / shrink)), max(1, round(width / shrink))
    small = _weighed(graph, graph.images(), *(_averages(side, to) for side, to in zip((height, width), size,
                                                                                     strict=True)))
    return {"embedding": _flat(graph, small, channels * size[0] * size[1])}


def dictionary(graph: Graph, encoder: Any) -> Given:
    """The answers of the atoms, pooled and whitened."""
    images, parts, atoms = graph.images(), [], iter(encoder.dictionaries_)
    sides = tuple(encoder.patch) if isinstance(encoder.patch, tuple | list) else (encoder.patch,)
    for size in scales(graph.shape):
        for first in sides:
            maps, (height, width), channels = _resized(graph, images, size), size, graph.shape[2]
            for layer, side in enumerate([first, SECOND_PATCH][: encoder.layers]):
                found = _answers(graph, maps, next(atoms).numpy(), side, channels)
                parts.append(_pooled(graph, found, height, width, encoder))
                if layer + 1 < encoder.layers:
                    maps = graph.add("AveragePool", found, kernel_shape=[2, 2], strides=[2, 2])
                    height, width, channels = height // 2, width // 2, encoder.atoms
    features = graph.add("Concat", *parts, axis=1)
    centred = graph.add("Sub", features, graph.constant(encoder.mean_.numpy()))
    return {"embedding": graph.add("MatMul", centred, graph.constant(encoder.whitening_.numpy()))}


def autoencoder(graph: Graph, encoder: Any) -> Given:
    """One layer of sigmoid nodes and back."""
    network, images = encoder.network_, graph.images()
    height, width, channels = graph.shape
    flat = _flat(graph, images, height * width * channels)
    hidden = graph.add("Sigmoid", _module(graph, network.encoder, flat))
    back = graph.add("Sigmoid", _module(graph, network.decoder, hidden))
    return {"embedding": hidden, "residual": _residual(graph, flat, back)}


def stacked_autoencoder(graph: Graph, encoder: Any) -> Given:
    """Layers in, the last of them the embedding, and layers back."""
    images = hidden = graph.images()
    for stage in encoder.network_.stages.values():
        hidden = _module(graph, stage, hidden)
    width = int(np.prod(graph.shape))
    back = _flat(graph, _module(graph, encoder.network_.back, hidden), width)
    return {"embedding": hidden, "residual": _residual(graph, _flat(graph, images, width), back)}


ENCODERS: dict[type, Callable[[Graph, Any], Given]] = {
    Pixels: pixels, Dictionary: dictionary, Autoencoder: autoencoder, DeepAutoencoder: stacked_autoencoder,
    ConvAutoencoder: stacked_autoencoder,
}


def _module(graph: Graph, module: nn.Module, value: str) -> str:
    """A torch module, of the kinds that our networks are made of, as nodes."""
    if isinstance(module, nn.Sequential):
        for part in module:
            value = _module(graph, part, value)
        return value
    if isinstance(module, nn.Flatten):
        return graph.add("Flatten", value, axis=1)
    if isinstance(module, nn.Unflatten):
        return graph.add("Reshape", value, graph.constant([0, *(int(side) for side in module.unflattened_size)],
                                                          np.int64))
    if isinstance(module, nn.Sigmoid):
        return graph.add("Sigmoid", value)
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
                         pads=[int(side) for side in module.padding] * 2)
    raise TypeError(f"a layer of kind {type(module).__name__} has no nodes")


def _weights(graph: Graph, module: Any) -> list[str]:
    return [graph.constant(_numbers(part)) for part in (module.weight, module.bias) if part is not None]


def _numbers(tensor: Any) -> NDArray[np.float32]:
    return np.asarray(tensor.detach().cpu().numpy(), np.float32)


def _flat(graph: Graph, value: str, width: int) -> str:
    return graph.add("Reshape", value, graph.constant([-1, width], np.int64))


def _residual(graph: Graph, before: str, after: str) -> str:
    """(n,) the mean squared difference."""
    apart = graph.add("Sub", after, before)
    return graph.add("ReduceMean", graph.add("Mul", apart, apart), graph.constant([1], np.int64), keepdims=0)


def _weighed(graph: Graph, maps: str, rows: NDArray[np.float32], columns: NDArray[np.float32]) -> str:
    """Maps whose axes are weighed: ``rows @ maps @ columns.T``."""
    return graph.add("MatMul", graph.constant(rows), graph.add("MatMul", maps, graph.constant(columns.T)))


def _averages(size: int, to: int) -> NDArray[np.float32]:
    """(to, size) the weights by which torch averages an axis down to parts."""
    return functional.adaptive_avg_pool2d(torch.eye(size)[None, :, :, None], (to, 1))[0, :, :, 0].numpy().T


def _resized(graph: Graph, images: str, size: tuple[int, int]) -> str:
    """Pictures brought to a size by averaging, each axis by the weights that torch goes by."""
    if size == graph.shape[:2]:
        return images
    matrices = [functional.interpolate(torch.eye(side)[None, None], size=(to, side), mode="bilinear", antialias=True,
                                       align_corners=False)[0, 0].numpy()
                for side, to in zip(graph.shape[:2], size, strict=True)]
    return _weighed(graph, images, matrices[0], matrices[1])


def _answers(graph: Graph, maps: str, atoms: NDArray[np.float32], side: int, channels: int) -> str:
    """As ``learning.patches.answers``: a softmax of the atoms' cosines, weighed by the root of the contrast."""
    half = side // 2
    mean = _local_mean(graph, maps, side)
    square = _local_mean(graph, graph.add("Mul", maps, maps), side)
    variance = graph.add("Relu", graph.add("Sub", square, graph.add("Mul", mean, mean)))
    contrast = graph.add("Sqrt", variance)
    length = graph.add("Mul", contrast, graph.constant((channels * side**2) ** 0.5))
    products = graph.add("Conv", maps, graph.constant(atoms.reshape(len(atoms), channels, side, side)),
                         pads=[half] * 4)
    cosine = graph.add("Div", products, graph.add("Add", length, graph.constant(1e-4)))
    chosen = graph.add("Softmax", graph.add("Mul", cosine, graph.constant(SHARPNESS)), axis=1)
    return graph.add("Mul", chosen, graph.add("Pow", contrast, graph.constant(CONTRAST_POWER)))


def _local_mean(graph: Graph, maps: str, side: int) -> str:
    """(n, 1, height, width) the mean over channels and a square, beyond the rim being nothing.

    Added up in torch's order: where a place is flat its contrast is what rounding left, and has to be the same.
    """
    over = graph.add("ReduceMean", maps, graph.constant([1], np.int64), keepdims=1)
    half = side // 2
    padded = graph.add("Pad", over, graph.constant([0, 0, half, half, 0, 0, half, half], np.int64))
    axes, total = graph.constant([2, 3], np.int64), ""
    for row in range(side):
        for column in range(side):
            last = [end if end < 0 else np.iinfo(np.int64).max for end in (row + 1 - side, column + 1 - side)]
            part = graph.add("Slice", padded, graph.constant([row, column], np.int64), graph.constant(last, np.int64),
                             axes)
            total = graph.add("Add", total, part) if total else part
    return graph.add("Div", total, graph.constant(float(side**2)))


def _pooled(graph: Graph, maps: str, height: int, width: int, encoder: Any) -> str:
    """As ``learning.patches.pooled``: roots of averages over overlapping parts, of length 1."""
    averages = _weighed(graph, maps, tents(height, encoder.grid).numpy(), tents(width, encoder.grid).numpy())
    roots = graph.add("Pow", _flat(graph, averages, encoder.atoms * encoder.grid**2), graph.constant(POOLING_POWER))
    length = graph.add("ReduceL2", roots, graph.constant([1], np.int64), keepdims=1)
    return graph.add("Div", roots, graph.add("Max", length, graph.constant(1e-9)))
