"""An ONNX graph as it grows: nodes by the names of what they give, constants beside them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from oddlens.errors import MissingExtra

OPSET = 18
IR_VERSION = 9  # that onnxruntime 1.20 reads


class Graph:
    """A graph of uint8 images, (n, height, width, channels), that nodes are added to.

    shape:  (height, width, channels) of the input that is looked at: ``images`` until ``look_at`` names another.

    Raises ``MissingExtra`` without ``oddlens[onnx]``.
    """

    def __init__(self, shape: Sequence[int]) -> None:
        try:
            import onnx
        except ImportError as error:
            raise MissingExtra.named("onnx", "onnx", "The export of a model to ONNX") from error
        self._onnx = onnx
        self._inputs: dict[str, tuple[int, ...]] = {}
        self.look_at("images", shape)
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._known: dict[tuple[str, tuple[int, ...], bytes], str] = {}  # a network's weights stand there once
        self._outputs: list[Any] = []

    def add(self, kind: str, *given: str, **attributes: Any) -> str:
        """A node of one output; its name."""
        name = f"{kind.lower()}_{len(self._nodes)}"
        self._nodes.append(self._onnx.helper.make_node(kind, list(given), [name], **attributes))
        return name

    def add_two(self, kind: str, *given: str, **attributes: Any) -> tuple[str, str]:
        """A node of two outputs; their names."""
        name = f"{kind.lower()}_{len(self._nodes)}"
        self._nodes.append(self._onnx.helper.make_node(kind, list(given), [name, f"{name}_2"], **attributes))
        return name, f"{name}_2"

    def split(self, value: str, count: int) -> list[str]:
        """The channels of maps, each by itself."""
        name = f"split_{len(self._nodes)}"
        names = [f"{name}_{number}" for number in range(count)]
        self._nodes.append(self._onnx.helper.make_node("Split", [value], names, axis=1, num_outputs=count))
        return names

    def constant(self, values: ArrayLike, kind: type = np.float32) -> str:
        """Numbers that stay the same, each once; their name."""
        array: NDArray[Any] = np.ascontiguousarray(values, kind)
        name = self._known.setdefault((array.dtype.str, array.shape, array.tobytes()), f"constant_{len(self._known)}")
        if len(self._known) > len(self._constants):
            self._constants.append(self._onnx.numpy_helper.from_array(array, name))
        return name

    def look_at(self, name: str, shape: Sequence[int]) -> None:
        """Go on with the images of the input of that name."""
        self._seen, self.shape = name, tuple(int(side) for side in shape)

    def values(self) -> str:
        """The images as (n, channels, height, width) in 0..255."""
        self._inputs[self._seen] = self.shape
        cast = self.add("Cast", self._seen, to=self._onnx.TensorProto.FLOAT)
        return self.add("Transpose", cast, perm=[0, 3, 1, 2])

    def images(self) -> str:
        """The images as (n, channels, height, width) in 0..1."""
        return self.add("Div", self.values(), self.constant(255.0))

    def halved(self, value: str) -> str:
        """Numbers rounded to half precision."""
        half = self.add("Cast", value, to=self._onnx.TensorProto.FLOAT16)
        return self.add("Cast", half, to=self._onnx.TensorProto.FLOAT)

    def double(self, value: str) -> str:
        """Numbers in double precision."""
        return self.add("Cast", value, to=self._onnx.TensorProto.DOUBLE)

    def single(self, value: str) -> str:
        """Numbers in single precision; yes and no as 1 and 0."""
        return self.add("Cast", value, to=self._onnx.TensorProto.FLOAT)

    def put(self, name: str, value: str, *sides: int) -> None:
        """Make a value an output by a name, of shape (n, *sides)."""
        self._nodes.append(self._onnx.helper.make_node("Identity", [value], [name]))
        self._outputs.append(self._onnx.helper.make_tensor_value_info(
            name, self._onnx.TensorProto.FLOAT, ["n", *sides]))

    def content(self, says: str) -> bytes:
        """The whole as an ONNX file, checked; ``says`` what it is."""
        helper = self._onnx.helper
        taken = [helper.make_tensor_value_info(name, self._onnx.TensorProto.UINT8, ["n", *shape])
                 for name, shape in self._inputs.items()]
        made = helper.make_model(
            helper.make_graph(self._nodes, "oddlens", taken, self._outputs, self._constants),
            opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="oddlens",
            doc_string=says)
        self._onnx.checker.check_model(made, full_check=True)
        return bytes(made.SerializeToString())
