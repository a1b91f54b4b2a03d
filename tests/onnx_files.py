"""Small ONNX files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def write_onnx(path: Path, shape: tuple[int | str, ...] = ("n", 3, "h", "w"), outputs: tuple[str, ...] = (
        "fine", "coarse", "vector")) -> Path:
    """Three convolutions that end at strides of 4, 8 and 16, and the mean over the picture of the last."""
    rng = np.random.default_rng(0)
    nodes, weights, last, channels = [], [], "images", 3
    for name, wide, stride in (("first", 6, 4), ("fine", 8, 2), ("coarse", 12, 2)):
        values = rng.normal(0, 0.3, (wide, channels, 3, 3)).astype(np.float32)
        weights.append(numpy_helper.from_array(values, f"{name}_w"))
        nodes += [helper.make_node("Conv", [last, f"{name}_w"], [f"{name}_c"], strides=[stride] * 2, pads=[1] * 4),
                  helper.make_node("Relu", [f"{name}_c"], [name])]
        last, channels = name, wide
    nodes += [helper.make_node("GlobalAveragePool", ["coarse"], ["pool"]),
              helper.make_node("Flatten", ["pool"], ["vector"])]
    axes = {"fine": ["n", 8, "r", "c"], "coarse": ["n", 12, "rr", "cc"], "vector": ["n", 12]}
    given = [helper.make_tensor_value_info(name, TensorProto.FLOAT, axes[name]) for name in outputs]
    graph = helper.make_graph(nodes, "network", [helper.make_tensor_value_info("images", TensorProto.FLOAT, shape)],
                              given, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path
