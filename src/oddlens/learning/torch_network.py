"""A torch network as a source of features: the outputs of its modules, taken by hooks, by the names of the modules."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from math import isqrt
from threading import Condition, Lock, local
from typing import Any, Self

import torch
from torch import Tensor, nn

from oddlens.errors import OptionError
from oddlens.learning.devices import computing_on
from oddlens.protocols import State

OUTPUT = "output"  # what a whole network gives
MOST_PREFIX = 8  # tokens of a transformer that stand for no place, at most: class, registers
STRIDES = ((6, 12), (12, 24))  # pixels a place: about 8, fine and with patterns seen, and about 16, with parts seen
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # what most networks were trained with

_turn = Condition()  # who changes what a module's hooks are
_heard = local()  # what the modules gave in this thread
_callables = Lock()  # a callable may not be made for several threads


@dataclass(frozen=True)
class Layer:
    """An output of a network for one image.

    name:   of the module, or of the output.
    grid:   (rows, columns) of its places; None where it describes the picture as a whole.
    inner:  it lies within a block that ends on another grid, so it is not what the block says.
    """

    name: str
    grid: tuple[int, int] | None
    inner: bool = False


class ModuleNetwork:
    """A ``torch.nn.Module``; its layers are called as in ``named_modules()``. It is asked, never trained or changed.

    Several threads may ask at once: the hooks are there while any of them does, and tell each thread its own outputs.

    mean, std:  what the images are normalised by, of each channel in 0..1.
    size:       the (height, width) of the only images that it takes; None: any.
    kept:       whether its weights are part of a saved state; not of a network that was given as an object.
    """

    batch = 1  # images at a time: each is computed alone, so its features are the same whatever comes with it

    def __init__(self, module: nn.Module, mean: Sequence[float] = IMAGENET_MEAN, std: Sequence[float] = IMAGENET_STD,
                 size: tuple[int, int] | None = None, kept: bool = False) -> None:
        self.module, self.size, self.kept = module, size, kept
        self.mean, self.std = tuple(mean), tuple(std)
        self._names: tuple[str, ...] = ()
        self._askers = 0  # threads that ask at the moment, for the layers of these names
        self._undone: list[Callable[[], object]] = []  # what is to be done when nobody asks any more

    def to(self, device: torch.device) -> Self:
        """Compute there."""
        self.module.to(device)
        return self

    def layers(self, image: Tensor) -> list[Layer]:
        """All that its modules give for one image, (1, 3, height, width), in the order in which they are done."""
        found = self.run(image, [name or OUTPUT for name, _ in self.module.named_modules()])
        grids = {name: grid_of(value, image) for name, value in found.items()}
        return [Layer(name, grid, self._is_inner(name, grids)) for name, grid in grids.items()]

    def usual(self, layers: Sequence[Layer], size: tuple[int, int]) -> tuple[str, ...]:
        """The layers for maps of images of that (height, width), where none are named.

        The last at a stride of about 8 and the last at about 16, of those that end a block; where there are none, the
        last that has places.
        """
        found = []
        for low, high in STRIDES:
            found += [layer.name for layer in layers
                      if layer.grid is not None and not layer.inner and low <= size[0] / layer.grid[0] < high][-1:]
        return tuple(found) or with_places(layers)[-1:]

    def pooled(self, layers: Sequence[Layer]) -> str:
        """The layer that tells what a picture shows: the last with places, before it is pooled for the classes."""
        return (with_places(layers) or (layers[-1].name,))[-1]

    def run(self, images: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
        """What the modules of that name give for (b, 3, height, width)."""
        first = next(self.module.parameters(), images)
        with self._listening(tuple(names)) as found, computing_on(first.device):
            self.module(images.to(first.device))
        return {name: value.cpu() for name, value in found.items()}

    def state(self) -> State:
        """The weights as arrays, where they are to be saved."""
        weights = self.module.state_dict() if self.kept else {}
        return {f"network.{name}": value.cpu().numpy() for name, value in weights.items()}

    def _is_inner(self, name: str, grids: Mapping[str, tuple[int, int] | None]) -> bool:
        """Whether a module lies in a block with another grid; one that only holds others in a row is no block."""
        parts = name.split(".")
        around = (".".join(parts[:end]) for end in range(1, len(parts)))
        return any(block in grids and grids[block] != grids[name] and type(self._module(block)) is not nn.Sequential
                   for block in around)

    def _module(self, name: str) -> nn.Module:
        return self.module if name == OUTPUT else self.module.get_submodule(name)

    @contextmanager
    def _listening(self, names: tuple[str, ...]) -> Iterator[dict[str, Tensor]]:
        """Within the block the network is asked, not trained, and what its modules give in this thread lands here."""
        with _turn:
            _turn.wait_for(lambda: self._askers == 0 or self._names == names)
            if self._askers == 0:
                self._attach(names)
            self._askers += 1
        found: dict[str, Tensor] = {}
        _heard.found = found
        try:
            yield found
        finally:
            del _heard.found
            with _turn:
                self._askers -= 1
                if self._askers == 0:
                    self._detach()
                    _turn.notify_all()

    def _attach(self, names: tuple[str, ...]) -> None:
        """Have the modules of that name tell, and none of them be in training."""

        def listen(name: str) -> Callable[..., None]:
            def keep(_: nn.Module, __: Any, output: Any) -> None:
                _heard.found.pop(name, None)  # of a module that is called more than once the last output counts
                if isinstance(output, Tensor):
                    _heard.found[name] = output
            return keep

        training = [module for module in self.module.modules() if module.training]
        hooks = [module.register_forward_hook(listen(name))
                 for name, module in [(name, self._module(name)) for name in names]]
        self._names = names
        self._undone = [*(hook.remove for hook in hooks), *(partial(setattr, module, "training", True)
                                                            for module in training)]
        self.module.eval()

    def _detach(self) -> None:
        """Leave the network as it was."""
        for undo in self._undone:
            undo()
        self._undone = []


class CallableNetwork:
    """Any callable of float32 (b, 3, height, width) that gives a tensor, or a sequence or a dict of tensors.

    Its layers are called by the keys, by the numbers, or "output".
    """

    mean, std = IMAGENET_MEAN, IMAGENET_STD
    size: tuple[int, int] | None = None
    batch = 1

    def __init__(self, function: Callable[[Tensor], Any]) -> None:
        self.function = function

    def layers(self, image: Tensor) -> list[Layer]:
        """All that it gives for one image, (1, 3, height, width)."""
        return [Layer(name, grid_of(value, image)) for name, value in self._given(image).items()]

    def usual(self, layers: Sequence[Layer], size: tuple[int, int]) -> tuple[str, ...]:  # noqa: ARG002  of any size
        """All that have places."""
        return with_places(layers)

    def pooled(self, layers: Sequence[Layer]) -> str:
        """The layer that tells what a picture shows."""
        return whole(layers)

    def run(self, images: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
        """The outputs of that name, for (b, 3, height, width)."""
        return {name: value for name, value in self._given(images).items() if name in names}

    def state(self) -> State:
        """Nothing: an object cannot be saved."""
        return {}

    def _given(self, images: Tensor) -> dict[str, Tensor]:
        with _callables:
            given = self.function(images)
        if isinstance(given, Tensor):
            given = {OUTPUT: given}
        pairs = given.items() if isinstance(given, Mapping) else enumerate(given) if isinstance(given, Sequence) else ()
        found = {str(name): value.cpu() for name, value in pairs if isinstance(value, Tensor) and len(value)}
        if not found or any(len(value) != len(images) for value in found.values()):
            raise OptionError("A backbone gives a float tensor, or a sequence or a dict of tensors, a row an image; "
                              f"for {len(images)} image it gave {type(given).__name__} "
                              f"{[tuple(value.shape) for value in found.values()]}.")
        return found


def whole(layers: Sequence[Layer]) -> str:
    """The first layer that describes a picture as a whole, or the last, to be averaged."""
    return next((layer.name for layer in layers if layer.grid is None), layers[-1].name)


def with_places(layers: Sequence[Layer]) -> tuple[str, ...]:
    """All layers that say something of each place."""
    return tuple(layer.name for layer in layers if layer.grid is not None)


def grid_of(output: Tensor, image: Tensor) -> tuple[int, int] | None:
    """The places of an output: of (b, c, rows, columns), or of tokens (b, t, c) of a square picture; None: none."""
    if output.ndim == 4 and output.shape[2] * output.shape[3] > 1:
        return output.shape[2], output.shape[3]
    if output.ndim == 3 and image.shape[2] == image.shape[3]:
        side = isqrt(output.shape[1])
        if side > 1 and output.shape[1] - side**2 <= MOST_PREFIX:
            return side, side
    return None


def as_map(output: Tensor, grid: tuple[int, int] | None) -> Tensor:
    """An output as (b, c, rows, columns); a whole picture is one place."""
    if grid is None:
        return output.flatten(1).float()[:, :, None, None]
    if output.ndim == 4:
        return output.float()
    places = output[:, -grid[0] * grid[1] :].float().transpose(1, 2)
    return places.reshape(len(output), -1, *grid)
