"""Encoders as parts of a graph: the same numbers as ``encode`` gives, but for the last digits.

What an encoder measures without learning is in ``measures.py``, what it says of each place in ``places.py`` and
``lines.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from oddlens.encoders.alterations import Alterations
from oddlens.encoders.autoencoder import Autoencoder
from oddlens.encoders.conv_autoencoder import ConvAutoencoder
from oddlens.encoders.deep_autoencoder import DeepAutoencoder
from oddlens.encoders.dictionary import SECOND_PATCH, Dictionary, scales
from oddlens.encoders.hog import Hog
from oddlens.encoders.lines import Lines
from oddlens.encoders.patch_maps import PatchMaps
from oddlens.encoders.pixels import Pixels
from oddlens.encoders.statistics import Statistics
from oddlens.encoders.texture import Texture
from oddlens.encoders.transforms import Transforms
from oddlens.onnx.graph import Graph
from oddlens.onnx.lines import lines
from oddlens.onnx.measures import hog, statistics
from oddlens.onnx.parts import answers, as_nodes, averages, flat, grounds, pooled, residual, resized, weighed
from oddlens.onnx.places import alterations, patch_maps, texture
from oddlens.onnx.transforms import transforms

Given = dict[str, str]  # "embedding", "maps", "residual", "surprise" -> the value's name, as far as they are given


def pixels(graph: Graph, encoder: Any) -> Given:
    """The pixels, averaged down."""
    height, width, channels = graph.shape
    shrink = max(1.0, max(height, width) / encoder.side)
    size = max(1, round(height / shrink)), max(1, round(width / shrink))
    small = weighed(graph, graph.images(), *(averages(side, to) for side, to in zip((height, width), size,
                                                                                     strict=True)))
    return {"embedding": flat(graph, small, channels * size[0] * size[1])}


def dictionary(graph: Graph, encoder: Any) -> Given:
    """The answers of the atoms, pooled and whitened."""
    images, parts, atoms = graph.images(), [], iter(encoder.dictionaries_)
    sides = tuple(encoder.patch) if isinstance(encoder.patch, tuple | list) else (encoder.patch,)
    for size in scales(graph.shape):
        for first in sides:
            maps, (height, width), channels = resized(graph, images, size), size, graph.shape[2]
            for layer, side in enumerate([first, SECOND_PATCH][: encoder.layers]):
                ground = grounds(graph, maps, height, width, channels)
                found = answers(graph, maps, next(atoms).numpy(), side, channels, ground=ground)
                parts.append(pooled(graph, found, height, width, encoder))
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
    row = flat(graph, images, height * width * channels)
    hidden = graph.add("Sigmoid", as_nodes(graph, network.encoder, row))
    back = graph.add("Sigmoid", as_nodes(graph, network.decoder, hidden))
    return {"embedding": hidden, "residual": residual(graph, row, back)}


def stacked_autoencoder(graph: Graph, encoder: Any) -> Given:
    """Layers in, the last of them the embedding, and layers back."""
    images = hidden = graph.images()
    for stage in encoder.network_.stages.values():
        hidden = as_nodes(graph, stage, hidden)
    width = int(np.prod(graph.shape))
    back = flat(graph, as_nodes(graph, encoder.network_.back, hidden), width)
    return {"embedding": hidden, "residual": residual(graph, flat(graph, images, width), back)}


ENCODERS: dict[type, Callable[[Graph, Any], Given]] = {
    Pixels: pixels, Dictionary: dictionary, Autoencoder: autoencoder, DeepAutoencoder: stacked_autoencoder,
    ConvAutoencoder: stacked_autoencoder, Hog: hog, Statistics: statistics, PatchMaps: patch_maps, Texture: texture,
    Alterations: alterations, Transforms: transforms, Lines: lines,
}
