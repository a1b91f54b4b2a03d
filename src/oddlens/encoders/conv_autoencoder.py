"""A convolutional autoencoder: the same small filters all over the picture, halving it layer by layer, and back.

Strided convolutions bring the picture down to about 4 x 4 parts, a linear layer to the embedding, and transposed
convolutions rebuild it. Filters are shared across the picture, so there is far less to learn than in fully connected
layers, and pictures of any size will do.

Masci, Meier, Ciresan, Schmidhuber, *Stacked convolutional auto-encoders for hierarchical feature extraction*, 2011.
"""

from __future__ import annotations

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
from oddlens.learning.training import seeded, train
from oddlens.options import require_numbers
from oddlens.protocols import Encoded, Pixels, State

SLOPE = 0.1
SMALLEST_MAP = 4  # parts of the picture a side, below which it is not halved again
MOST_LAYERS = 5
MOST_CHANNELS = 64


class Network(AutoencoderNetwork):
    """Stride-2 convolutions in, transposed ones back."""

    def __init__(self, shape: tuple[int, ...], latent: int, channels: int) -> None:
        super().__init__()
        sizes = [(shape[2], shape[0], shape[1])]  # (channels, height, width) after each layer
        while min(sizes[-1][1:]) > SMALLEST_MAP and len(sizes) <= MOST_LAYERS:
            wide = min(channels * 2 ** (len(sizes) - 1), max(MOST_CHANNELS, channels))
            sizes.append((wide, (sizes[-1][1] + 1) // 2, (sizes[-1][2] + 1) // 2))
        stages: dict[str, nn.Module] = {}
        for number, (before, after) in enumerate(pairwise(sizes), start=1):
            stages[f"conv{number}"] = nn.Sequential(
                nn.Conv2d(before[0], after[0], 3, 2, 1, bias=False), nn.BatchNorm2d(after[0]), nn.LeakyReLU(SLOPE))
        inner = int(np.prod(sizes[-1]))
        stages["latent"] = nn.Sequential(nn.Flatten(), nn.Linear(inner, latent))
        self.stages = nn.ModuleDict(stages)
        back: list[nn.Module] = [
            nn.Linear(latent, inner), nn.BatchNorm1d(inner), nn.LeakyReLU(SLOPE), nn.Unflatten(1, sizes[-1])]
        for number in range(len(sizes) - 1, 0, -1):
            after, before = sizes[number], sizes[number - 1]
            # An even side was halved exactly and needs the pixel that a transposed convolution leaves out.
            missing = ((before[1] + 1) % 2, (before[2] + 1) % 2)
            back.append(nn.ConvTranspose2d(after[0], before[0], 3, 2, 1, output_padding=missing, bias=number == 1))
            if number > 1:
                back += [nn.BatchNorm2d(before[0]), nn.LeakyReLU(SLOPE)]
        self.back = nn.Sequential(*back, nn.Sigmoid())
        self.node_types = {name: "linear" if name == "latent" else "relu" for name in stages}

    def hidden(self, batch: Tensor) -> dict[str, Tensor]:
        """The output of every layer on the way in."""
        outputs = {}
        for name, stage in self.stages.items():
            batch = stage(batch)
            outputs[name] = batch
        return outputs

    def decode(self, embedding: Tensor) -> Tensor:
        """The way back."""
        return self.back(embedding)  # type: ignore[no-any-return]


class ConvAutoencoder(BaseEstimator):
    """Learns an embedding by reconstructing the images through convolutions.

    latent:         how many numbers the embedding has.
    channels:       filters of the first layer; each further layer has twice as many, up to 64.
    steps:          the most mini-batches to train for; training stops earlier where its loss is flat.
    batch_size:     images in a mini-batch.
    learning_rate:  Adam's step size.
    device:         "auto" (a GPU if there is one), "cpu", "cuda", "cuda:1", "mps".
    random_state:   fixes the first weights and the order of the images.

    A node, in the activations and the pathway, is a channel's mean in one of 4 x 4 parts of the picture, so that their
    number does not grow with the picture. Images need 8 pixels a side. On a CPU torch's threads are used; with
    another number of them the weights come out a little different.

    Fitted: ``losses_``, the mean training loss of each 100 steps; ``shape_``, (height, width, channels).

    >>> images = np.random.default_rng(0).integers(0, 256, (32, 8, 8, 1), dtype=np.uint8)
    >>> encoder = ConvAutoencoder(latent=5, channels=4, steps=10).fit(images)
    >>> {name: layer.shape for name, layer in encoder.encode(images, frozenset({"activations"})).activations.items()}
    {'conv1': (32, 64), 'latent': (32, 5)}
    """

    gives = GIVES
    looks_at = "what a network of small filters learned"

    def __init__(
        self,
        latent: int = 16,
        channels: int = 16,
        steps: int = 600,
        batch_size: int = 128,
        learning_rate: float = 0.003,
        device: str = "auto",
        random_state: int = 0,
    ) -> None:
        self.latent = latent
        self.channels = channels
        self.steps = steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.device = device
        self.random_state = random_state

    def fit(self, pixels: Pixels) -> Self:
        """Learn from (n, height, width, channels) uint8."""
        require_numbers(self)
        self._check(pixels.shape[1:])
        device = choose_device(self.device)
        self._build(pixels.shape[1:])
        self.losses_ = train(
            self.network_.to(device), pixels, steps=self.steps, batch_size=self.batch_size,
            learning_rate=self.learning_rate, random_state=self.random_state, device=device)
        return self

    def encode(self, pixels: Pixels, needs: frozenset[str]) -> Encoded:
        """Embedding, residual, activations and pathway, as far as they are named in ``needs``."""
        check_is_fitted(self, "losses_")
        check_images(pixels, self.shape_)
        return encode(self.network_, pixels, needs)

    def get_state(self) -> State:
        """The weights, the image shape and the training loss."""
        check_is_fitted(self, "losses_")
        return network_state(self.network_, self.shape_, self.losses_)

    def set_state(self, state: State) -> Self:
        """Take back what ``get_state`` gave."""
        with refusing("convolutional autoencoder"):
            shape = saved_shape(state)
            self._check(shape)
            first, inner = state["network.stages.conv1.0.weight"], state["network.stages.latent.1.weight"]
            if first.shape != (self.channels, shape[2], 3, 3) or len(inner) != self.latent:
                raise ValueError(f"weights {first.shape} and {inner.shape} do not fit images of {shape}")
            self._build(shape)
            self.losses_ = load_weights(self.network_, state)
            self.network_.to(choose_device(self.device))
        return self

    def _check(self, shape: tuple[int, ...]) -> None:
        check_latent(self.latent)
        if not isinstance(self.channels, int) or not 1 <= self.channels <= 1024:
            raise OptionError(f"channels must be a whole number from 1 to 1024, got {self.channels!r}.")
        if min(shape[:2]) < 8:
            raise OptionError(f"Convolutions need images of 8 x 8 pixels or more, got {shape[:2]}: set image_size.")

    def _build(self, shape: tuple[int, ...]) -> None:
        self.shape_ = tuple(shape)
        self.network_ = seeded(lambda: Network(self.shape_, self.latent, self.channels), self.random_state)
