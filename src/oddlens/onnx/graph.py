"""An ONNX graph as it grows: nodes by the names of what they give, constants beside them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from oddlens.errors import MissingExtra

OPSET = 18
IR_VERSION = 9  # that onnxruntime 1.20 reads


class Graph:
    """A graph of uint8 images, (n, height, width, channels), that nodes are added to.

    shape:  (height, width, channels).

    Raises ``MissingExtra`` without ``oddlens[onnx]``.
    """

    def __init__(self, shape: Sequence[int]) -> None:
        try:
            import onnx
        except ImportError as error:
            raise MissingExtra.named("onnx", "onnx", "The export of a model to ONNX") from error
        self._onnx = onnx
        self.shape = tuple(int(side) for side in shape)
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._outputs: list[Any] = []

    def add(self, kind: str, *given: str, **attributes: Any) -> str:
        """A node of one output; its name."""
        name = f"{kind.lower()}_{len(self._nodes)}"
        self._nodes.append(self._onnx.helper.make_node(kind, list(given), [name], **attributes))
        return name

    def constant(self, values: ArrayLike, kind: type = np.float32) -> str:
        """Numbers that stay the same; their name."""
        name = f"constant_{len(self._constants)}"
        self._constants.append(self._onnx.numpy_helper.from_array(np.ascontiguousarray(values, kind), name))
        return name

    def images(self) -> str:
        """The images as (n, channels, height, width) in 0..1."""
        cast = self.add("Cast", "images", to=self._onnx.TensorProto.FLOAT)
        return self.add("Div", self.add("Transpose", cast, perm=[0, 3, 1, 2]), self.constant(255.0))

    def put(self, name: str, value: str, *sides: int) -> None:
        """Make a value an output by a name, of shape (n, *sides)."""
        self._nodes.append(self._onnx.helper.make_node("Identity", [value], [name]))
        self._outputs.append(self._onnx.helper.make_tensor_value_info(
            name, self._onnx.TensorProto.FLOAT, ["n", *sides]))

    def content(self, says: str) -> bytes:
        """The whole as an ONNX file, checked; ``says`` what it is."""
        helper = self._onnx.helper
        taken = helper.make_tensor_value_info("images", self._onnx.TensorProto.UINT8, ["n", *self.shape])
        made = helper.make_model(
            helper.make_graph(self._nodes, "oddlens", [taken], self._outputs, self._constants),
            opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="oddlens",
            doc_string=says)
        self._onnx.checker.check_model(made, full_check=True)
        return bytes(made.SerializeToString())
