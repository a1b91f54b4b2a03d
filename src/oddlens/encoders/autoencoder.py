"""The paper's autoencoder: one hidden layer of sigmoid nodes that must carry the whole image.

The image goes through ``latent`` nodes and back to its pixels, and the weights are learned by making the way
back lossless (least mean squared error), without labels. Fewer nodes than pixels force the network to learn
what the images have in common; the nodes' outputs are the learned features, and what an image loses on the
way is its residual.

Rumelhart, Hinton, Williams, *Learning internal representations by error propagation*, 1986; as a detector of
anomalies: Hawkins, He, Williams, Baxter, *Outlier detection using replicator neural networks*, 2002.
"""

from __future__ import annotations

from typing import Self

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from oddlens.learning.autoencoding import GIVES, AutoencoderNetwork, check_latent, encode
from oddlens.learning.devices import choose_device
from oddlens.learning.network_state import load_weights, network_state
from oddlens.learning.saved_state import check_images, refusing, saved_shape
from oddlens.learning.training import in_batches, one_thread, seeded, train
from oddlens.options import require_numbers
from oddlens.protocols import Encoded, Pixels, State


class Network(AutoencoderNetwork):
    """pixels -> hidden sigmoid nodes -> pixels."""

    def __init__(self, shape: tuple[int, ...], latent: int) -> None:
        super().__init__()
        height, width, channels = shape
        inputs = height * width * channels
        self.encoder = nn.Linear(inputs, latent)
        self.decoder = nn.Linear(latent, inputs)
        self.shape = (channels, height, width)
        self.node_types = {"hidden": "sigmoid"}

    def start_at(self, mean: Tensor) -> None:
        """Begin with nodes at one half and the reconstruction at the mean image, (inputs,) in 0..1.

        From zero biases the nodes first run to their ends to darken the whole picture, and stay there.
        """
        with torch.no_grad():
            self.encoder.bias.copy_(-self.encoder.weight @ mean)
            self.decoder.bias.copy_(torch.logit(mean, eps=0.01) - self.decoder.weight.sum(1) / 2)

    def hidden(self, batch: Tensor) -> dict[str, Tensor]:
        """The nodes' outputs, each in 0..1."""
        return {"hidden": torch.sigmoid(self.encoder(batch.flatten(1)))}

    def decode(self, embedding: Tensor) -> Tensor:
        """The pixels as the nodes tell them."""
        return torch.sigmoid(self.decoder(embedding)).view(-1, *self.shape)


class Autoencoder(BaseEstimator):
    """Learns ``latent`` features by reconstructing the images through them.

    latent:         how many hidden nodes; 50 as in the paper.
    steps:          the most mini-batches to train for; training stops earlier where its loss is flat.
    batch_size:     images in a mini-batch.
    learning_rate:  Adam's step size.
    device:         "auto" (a GPU if there is one), "cpu", "cuda", "cuda:1", "mps".
    random_state:   fixes the first weights and the order of the images.

    Fitted: ``losses_``, the mean training loss of each 100 steps; ``shape_``, (height, width, channels).

    >>> images = np.random.default_rng(0).integers(0, 256, (32, 8, 8, 1), dtype=np.uint8)
    >>> encoder = Autoencoder(latent=4, steps=20).fit(images)
    >>> encoder.encode(images, frozenset({"embedding"})).embedding.shape
    (32, 4)
    """

    gives = GIVES
    looks_at = "what a network of one layer learned"

    def __init__(
        self,
        latent: int = 50,
        steps: int = 1500,
        batch_size: int = 128,
        learning_rate: float = 0.003,
        device: str = "auto",
        random_state: int = 0,
    ) -> None:
        self.latent = latent
        self.steps = steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.device = device
        self.random_state = random_state

    def fit(self, pixels: Pixels) -> Self:
        """Learn from (n, height, width, channels) uint8."""
        require_numbers(self)
        check_latent(self.latent)
        device = choose_device(self.device)
        self._build(pixels.shape[1:])
        sums = [batch.double().sum(0) for _, batch in in_batches(pixels, 1024, torch.device("cpu"))]
        self.network_.start_at((torch.stack(sums).sum(0).flatten() / len(pixels)).float())
        with one_thread():
            self.losses_ = train(
                self.network_.to(device),
                pixels,
                steps=self.steps,
                batch_size=self.batch_size,
                learning_rate=self.learning_rate,
                random_state=self.random_state,
                device=device,
            )
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
        with refusing("autoencoder"):
            check_latent(self.latent)
            shape = saved_shape(state)
            # The stored weights say how large the network is before any memory is asked for.
            if state["network.encoder.weight"].shape != (self.latent, int(np.prod(shape))):
                raise ValueError(f"weights {state['network.encoder.weight'].shape} do not fit images of {shape}")
            self._build(shape)
            self.losses_ = load_weights(self.network_, state)
            self.network_.to(choose_device(self.device))
        return self

    def _build(self, shape: tuple[int, ...]) -> None:
        self.shape_ = tuple(shape)
        self.network_ = seeded(lambda: Network(self.shape_, self.latent), self.random_state)
