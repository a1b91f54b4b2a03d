"""A deep autoencoder: several fully connected layers in and the same back.

Layer by layer the image is told in fewer numbers, down to a narrow embedding, and rebuilt through the mirror image
of the same layers. Every layer on the way has nodes of its own, which the pattern of active nodes and the projection
pathway are read from.

Hinton, Salakhutdinov, *Reducing the dimensionality of data with neural networks*, 2006; batch normalisation and
leaky ReLU as in RaPP (Kim et al. 2020).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from oddlens.errors import OptionError
from oddlens.learning.autoencoding import GIVES, AutoencoderNetwork, check_latent, encode
from oddlens.learning.devices import choose_device
from oddlens.learning.network_state import load_weights, network_state
from oddlens.learning.saved_state import check_images, refusing, saved_shape
from oddlens.learning.training import one_thread, seeded, train
from oddlens.options import require_numbers
from oddlens.protocols import Encoded, Pixels, State

SLOPE = 0.2


class Network(AutoencoderNetwork):
    """pixels -> sizes[0] -> ... -> latent -> ... -> sizes[0] -> pixels."""

    def __init__(self, shape: tuple[int, ...], latent: int, sizes: Sequence[int]) -> None:
        super().__init__()
        height, width, channels = shape
        widths = [height * width * channels, *sizes]
        stages: dict[str, nn.Module] = {"flat": nn.Flatten()}
        for number, (wide, narrow) in enumerate(pairwise(widths), start=1):
            stages[f"layer{number}"] = nn.Sequential(
                nn.Linear(wide, narrow), nn.BatchNorm1d(narrow), nn.LeakyReLU(SLOPE))
        stages["latent"] = nn.Linear(widths[-1], latent)
        self.stages = nn.ModuleDict(stages)
        back: list[nn.Module] = []
        for narrow, wide in pairwise([latent, *sizes[::-1]]):
            back += [nn.Linear(narrow, wide), nn.BatchNorm1d(wide), nn.LeakyReLU(SLOPE)]
        self.back = nn.Sequential(*back, nn.Linear(widths[1] if sizes else latent, widths[0]), nn.Sigmoid(),
                                  nn.Unflatten(1, (channels, height, width)))
        self.node_types = {name: "linear" if name == "latent" else "relu" for name in stages if name != "flat"}

    def hidden(self, batch: Tensor) -> dict[str, Tensor]:
        """The output of every layer on the way in."""
        outputs: dict[str, Tensor] = {}
        for name, stage in self.stages.items():
            batch = stage(batch)
            outputs[name] = batch
        del outputs["flat"]
        return outputs

    def decode(self, embedding: Tensor) -> Tensor:
        """The way back."""
        return self.back(embedding)  # type: ignore[no-any-return]


class DeepAutoencoder(BaseEstimator):
    """Learns a narrow embedding by reconstructing the images through several layers.

    latent:         how many numbers the embedding has.
    sizes:          the widths of the layers on the way in, from the widest.
    steps:          the most mini-batches to train for; training stops earlier where its loss is flat.
    batch_size:     images in a mini-batch.
    learning_rate:  Adam's step size.
    device:         "auto" (a GPU if there is one), "cpu", "cuda", "cuda:1", "mps".
    random_state:   fixes the first weights and the order of the images.

    Fitted: ``losses_``, the mean training loss of each 100 steps; ``shape_``, (height, width, channels).

    >>> images = np.random.default_rng(0).integers(0, 256, (32, 8, 8, 1), dtype=np.uint8)
    >>> encoder = DeepAutoencoder(sizes=(32, 16), steps=20).fit(images)
    >>> {name: layer.shape for name, layer in encoder.encode(images, frozenset({"pathway"})).pathway.items()}
    {'layer1': (32, 32), 'layer2': (32, 16), 'latent': (32, 8)}
    """

    gives = GIVES
    looks_at = "what a network of several layers learned"

    def __init__(
        self,
        latent: int = 8,
        sizes: Sequence[int] = (256, 128, 64),
        steps: int = 2000,
        batch_size: int = 128,
        learning_rate: float = 0.003,
        device: str = "auto",
        random_state: int = 0,
    ) -> None:
        self.latent = latent
        self.sizes = sizes
        self.steps = steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.device = device
        self.random_state = random_state

    def fit(self, pixels: Pixels) -> Self:
        """Learn from (n, height, width, channels) uint8."""
        require_numbers(self)
        self._check()
        device = choose_device(self.device)
        self._build(pixels.shape[1:])
        with one_thread():
            self.losses_ = train(
                self.network_.to(device), pixels, steps=self.steps, batch_size=self.batch_size,
                learning_rate=self.learning_rate, random_state=self.random_state, device=device)
        return self

    def encode(self, pixels: Pixels, needs: frozenset[str]) -> Encoded:
        """Embedding, residual, activations and pathway, as far as they are named in ``needs``."""
        check_is_fitted(self, "losses_")
        check_images(pixels, self.shape_)
        with one_thread():
            return encode(self.network_, pixels, needs)

    def get_state(self) -> State:
        """The weights, the image shape and the training loss."""
        check_is_fitted(self, "losses_")
        return network_state(self.network_, self.shape_, self.losses_)

    def set_state(self, state: State) -> Self:
        """Take back what ``get_state`` gave."""
        with refusing("deep autoencoder"):
            self._check()
            shape = saved_shape(state)
            first, latent = state["network.stages.layer1.0.weight"], state["network.stages.latent.weight"]
            if first.shape != (self.sizes[0], int(np.prod(shape))) or latent.shape != (self.latent, self.sizes[-1]):
                raise ValueError(f"weights {first.shape} and {latent.shape} do not fit images of {shape}")
            self._build(shape)
            self.losses_ = load_weights(self.network_, state)
            self.network_.to(choose_device(self.device))
        return self

    def _check(self) -> None:
        check_latent(self.latent)
        if not self.sizes or not all(isinstance(size, int) and 1 <= size <= 2**16 for size in self.sizes):
            raise OptionError(f"sizes must be one or more widths from 1 to 65536, got {self.sizes!r}.")

    def _build(self, shape: tuple[int, ...]) -> None:
        self.shape_ = tuple(shape)
        self.network_ = seeded(lambda: Network(self.shape_, self.latent, tuple(self.sizes)), self.random_state)
