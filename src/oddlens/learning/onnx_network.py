"""A network in an ONNX file, run by onnxruntime on the CPU, as a source of features."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np
import torch
from torch import Tensor

from oddlens.errors import MissingExtra, OptionError
from oddlens.learning.torch_network import IMAGENET_MEAN, IMAGENET_STD, Layer, grid_of, whole, with_places
from oddlens.protocols import State

# What a tensor has in place of numbers where these lie in another file: a field of its own, then the name "location".
OUTSIDE = re.compile(rb"\x6a[\x0c-\xff]\x01?\x0a\x08location\x12")
MOST_AT_ONCE, LARGEST_SIDE = 256, 4096  # images in a batch of fixed size, pixels a side


class OnnxNetwork:
    """The outputs of an ONNX network by their names.

    content:  the file. It has one input, float32 (b, 3, height, width); b may be any or fixed, and so may the size.
    """

    mean, std = IMAGENET_MEAN, IMAGENET_STD

    def __init__(self, content: bytes) -> None:
        onnxruntime = onnx_runtime()
        if OUTSIDE.search(content):
            raise OptionError("The ONNX network keeps its weights in another file: save it with them inside "
                              "(torch.onnx.export(..., external_data=False)).")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1  # sums in one order: the same to the last digit
        options.use_deterministic_compute = True
        options.log_severity_level = 4
        try:
            self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's errors share no class
            raise OptionError(f"The ONNX network cannot be opened: {_first_line(error)}") from error
        self._content = content
        inputs = self._session.get_inputs()
        shape = list(inputs[0].shape) if inputs else []
        if len(inputs) != 1 or inputs[0].type != "tensor(float)" or len(shape) != 4 or not _is_usual(shape):
            found = ", ".join(f"{part.name} {part.type} {part.shape}" for part in inputs)
            raise OptionError("A backbone has one input, float32 (images, 3, height, width), of at most "
                              f"{MOST_AT_ONCE} images of {LARGEST_SIDE} pixels a side; the ONNX network has "
                              f"{found or 'none'}.")
        self._input = inputs[0].name
        self.batch = shape[0] if isinstance(shape[0], int) else 1
        self.size = (shape[2], shape[3]) if isinstance(shape[2], int) and isinstance(shape[3], int) else None
        self._outputs = [output.name for output in self._session.get_outputs()]

    def layers(self, image: Tensor) -> list[Layer]:
        """All outputs for one image, (1, 3, height, width)."""
        images = image.expand(self.batch, -1, -1, -1).contiguous()
        return [Layer(name, grid_of(value, image)) for name, value in self.run(images, self._outputs).items()]

    def usual(self, layers: Sequence[Layer], size: tuple[int, int]) -> tuple[str, ...]:  # noqa: ARG002  of any size
        """All outputs that have places."""
        return with_places(layers)

    def pooled(self, layers: Sequence[Layer]) -> str:
        """The output that tells what a picture shows."""
        return whole(layers)

    def run(self, images: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
        """The outputs of that name, for (b, 3, height, width)."""
        try:
            given = self._session.run(list(names), {self._input: images.numpy()})
        except Exception as error:  # of other sizes, say, each kind of node in its own way
            raise OptionError(f"The ONNX network does not take images of {tuple(images.shape[2:])} pixels: "
                              f"{_first_line(error)}") from error
        return {name: torch.from_numpy(value) for name, value in zip(names, given, strict=True)}

    def state(self) -> State:
        """The file itself."""
        return {"onnx": np.frombuffer(self._content, np.uint8)}


def _is_usual(shape: list[Any]) -> bool:
    """Whether an input of that shape, numbers where it is fixed and else names, takes colour pictures within bounds."""
    count, channels, *sides = shape
    if isinstance(count, int) and not 1 <= count <= MOST_AT_ONCE:
        return False
    if not all(1 <= side <= LARGEST_SIDE for side in sides if isinstance(side, int)):
        return False
    return channels == 3 if isinstance(channels, int) else sides[1] != 3


def onnx_runtime() -> Any:
    """The package, which is an extra."""
    try:
        return import_module("onnxruntime")
    except ImportError as error:
        raise MissingExtra.named("onnxruntime", "backbone", "A network in an ONNX file") from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
