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
from sklearn.exceptions import NotFittedError
from torch import Tensor, nn

from oddlens.errors import OptionError, SavedModelError
from oddlens.protocols import Encoded, Pixels, State
from oddlens.training import choose_device, in_batches, one_thread, seeded, train


class Network(nn.Module):
    """pixels -> hidden sigmoid nodes -> pixels."""

    def __init__(self, inputs: int, latent: int) -> None:
        super().__init__()
        self.encoder = nn.Linear(inputs, latent)
        self.decoder = nn.Linear(latent, inputs)

    def start_at(self, mean: Tensor) -> None:
        """Begin with nodes at one half and the reconstruction at the mean image, (inputs,) in 0..1.

        From zero biases the nodes first run to their ends to darken the whole picture, and stay there.
        """
        with torch.no_grad():
            self.encoder.bias.copy_(-self.encoder.weight @ mean)
            self.decoder.bias.copy_(torch.logit(mean, eps=0.01) - self.decoder.weight.sum(1) / 2)

    def hidden(self, batch: Tensor) -> Tensor:
        """(b, latent) the nodes' outputs, each in 0..1."""
        return torch.sigmoid(self.encoder(batch.flatten(1)))

    def reconstruct(self, hidden: Tensor) -> Tensor:
        """(b, inputs) the pixels as the nodes tell them."""
        return torch.sigmoid(self.decoder(hidden))

    def forward(self, batch: Tensor) -> Tensor:
        """The mean squared error of the reconstruction, summed over an image's pixels."""
        errors = self.reconstruct(self.hidden(batch)) - batch.flatten(1)
        return errors.square().sum(1).mean()


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

    gives = frozenset({"embedding", "residual", "activations"})

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
        device = self._build(pixels.shape[1:])
        # Plain division, not the mean over bytes, so that a mapped file is read in batches.
        batches = [batch.double().sum(0) for _, batch in in_batches(pixels, 1024, torch.device("cpu"))]
        mean = torch.stack(batches).sum(0).flatten() / len(pixels)
        self.network_.start_at(mean.float().to(device))
        with one_thread():
            self.losses_ = train(
                self.network_,
                pixels,
                steps=self.steps,
                batch_size=self.batch_size,
                learning_rate=self.learning_rate,
                random_state=self.random_state,
                device=device,
            )
        return self

    def encode(self, pixels: Pixels, needs: frozenset[str]) -> Encoded:
        """Embedding, residual and activations, as far as they are named in ``needs``."""
        if not hasattr(self, "network_"):
            raise NotFittedError("This Autoencoder has not learned anything yet: call fit first.")
        if pixels.shape[1:] != self.shape_:
            raise OptionError(f"The encoder learned images of {self.shape_}, got {pixels.shape[1:]}.")
        device = next(self.network_.parameters()).device
        embedding = np.empty((len(pixels), self.latent), np.float32)
        residual = np.empty(len(pixels))
        with torch.inference_mode(), one_thread():
            for rows, batch in in_batches(pixels, 1024, device, "encoding"):
                hidden = self.network_.hidden(batch)
                embedding[rows] = hidden.cpu().numpy()
                if "residual" in needs:
                    errors = self.network_.reconstruct(hidden) - batch.flatten(1)
                    residual[rows] = errors.square().mean(1).cpu().numpy()
        return Encoded(
            embedding=embedding if "embedding" in needs else None,
            residual=residual if "residual" in needs else None,
            activations={"hidden": embedding} if "activations" in needs else {},
        )

    def get_state(self) -> State:
        """The weights, the image shape and the training loss."""
        if not hasattr(self, "network_"):
            raise NotFittedError("This Autoencoder has not learned anything yet: call fit first.")
        weights = {f"network.{name}": value.cpu().numpy() for name, value in self.network_.state_dict().items()}
        return {**weights, "shape": np.array(self.shape_, np.int64), "losses": np.array(self.losses_)}

    def set_state(self, state: State) -> Self:
        """Take back what ``get_state`` gave."""
        try:
            shape = tuple(int(size) for size in state["shape"])
            # The stored weights say how large the network is before any memory is asked for.
            if state["network.encoder.weight"].shape != (self.latent, int(np.prod(shape))) or min(shape) < 1:
                raise ValueError(f"weights {state['network.encoder.weight'].shape} do not fit images of {shape}")
            self._build(shape)
            weights = {name.removeprefix("network."): torch.from_numpy(np.array(value))
                       for name, value in state.items() if name.startswith("network.")}
            self.network_.load_state_dict(weights)
            self.losses_ = [float(loss) for loss in state["losses"]]
            if not self.losses_ or not np.isfinite(self.losses_).all():
                raise ValueError("no training losses")
        except (KeyError, ValueError, TypeError, RuntimeError) as error:
            raise SavedModelError(f"The saved autoencoder does not fit its options: {error}") from error
        self.network_.eval()
        return self

    def _build(self, shape: tuple[int, ...]) -> torch.device:
        if not isinstance(self.latent, int | np.integer) or self.latent < 1:
            raise OptionError(f"latent must be a whole number of 1 or more, got {self.latent!r}.")
        device = choose_device(self.device)
        self.shape_ = tuple(shape)
        self.network_ = seeded(lambda: Network(int(np.prod(shape)), self.latent), self.random_state).to(device)
        return device
