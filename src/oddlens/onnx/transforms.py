"""The network that tells image transforms apart, as a part of a graph: it is shown every transform of an image."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from oddlens.encoders.transforms import CHANNELS
from oddlens.learning.image_transforms import Transform
from oddlens.onnx.graph import Graph
from oddlens.onnx.parts import as_nodes, averages, flat, weighed


def transforms(graph: Graph, encoder: Any) -> dict[str, str]:
    """The embedding, and the surprise: the loss at telling which transform was shown, averaged over them."""
    network, side, images = encoder.network_, encoder.side_, graph.images()
    parts, losses, half = [], [], -(-side // 2)
    sides = half, half, -(-half // 2), -(-half // 2)  # of what each layer makes, by its stride
    over = graph.constant([2, 3], np.int64)
    for number, transform in enumerate(network.transforms):
        value, layers = shown_as(graph, transform, images, side), []
        for block in network.blocks:
            value = as_nodes(graph, block, value)
            layers.append(value)
        for layer, length, channels in list(zip(layers, sides, CHANNELS, strict=True))[len(layers) - encoder.depths :]:
            grid = averages(length, encoder.grid)
            pooled = flat(graph, weighed(graph, layer, grid, grid), channels * encoder.grid**2)
            norm = graph.add("ReduceL2", pooled, graph.constant([1], np.int64), keepdims=1)
            parts.append(graph.add("Div", pooled, graph.add("Max", norm, graph.constant(1e-12))))
        answer = as_nodes(graph, network.answer, graph.add("ReduceMean", layers[-1], over, keepdims=0))
        logs = graph.add("LogSoftmax", answer, axis=1)
        losses.append(graph.add("Gather", logs, graph.constant([number], np.int64), axis=1))
    embedding = graph.add("Div", graph.add("Concat", *parts, axis=1), graph.constant(len(parts) ** 0.5))
    loss = graph.add("ReduceMean", graph.add("Concat", *losses, axis=1), graph.constant([1], np.int64), keepdims=0)
    return {"embedding": embedding, "surprise": graph.add("Neg", loss)}


def shown_as(graph: Graph, transform: Transform, images: str, side: int) -> str:
    """The images under a transform: each pixel from another place, or each axis weighed anew."""
    places = torch.arange(side * side, dtype=torch.float64).reshape(1, 1, side, side)
    moved = transform(places)
    came_from = moved.round().long().flatten()
    if torch.equal(moved.flatten(), places.flatten()[came_from.clamp(0, side * side - 1)]):
        channels = graph.shape[2]
        rows = graph.add("Reshape", images, graph.constant([-1, channels, side * side], np.int64))
        taken = graph.add("Gather", rows, graph.constant(came_from.numpy(), np.int64), axis=2)
        return graph.add("Reshape", taken, graph.constant([-1, channels, side, side], np.int64))
    lines = torch.eye(side)[:, None, :, None].expand(side, 1, side, side)
    axis = transform(lines)[:, 0, :, 0].numpy().T
    return weighed(graph, images, axis, axis)
