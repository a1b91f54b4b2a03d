"""What all autoencoders share: what is learned from one, how its weights are saved.

An autoencoder here is a network with ``hidden`` (the outputs of every layer on the way in, the last of them the
embedding) and ``decode`` (back to pixels). How many layers of which kind is each encoder's own affair.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from oddlens.arrays import allocate
from oddlens.errors import OptionError
from oddlens.learning.devices import computing_on
from oddlens.learning.training import filled
from oddlens.progress import advance
from oddlens.protocols import Encoded, Pixels

GIVES = frozenset({"embedding", "residual", "activations", "pathway"})
GRID = 4  # parts of the picture a side that a feature map is averaged over: a node is a channel in a part
BATCH = 64


class AutoencoderNetwork(nn.Module):
    """Learns by rebuilding its input; a kind of autoencoder says how in ``hidden`` and ``decode``."""

    node_types: dict[str, str]  # layer name -> "sigmoid", "relu" or "linear"

    def hidden(self, batch: Tensor) -> dict[str, Tensor]:
        """Layer name -> (b, units) or (b, channels, height, width); the last is the embedding, (b, latent)."""
        raise NotImplementedError

    def decode(self, embedding: Tensor) -> Tensor:
        """(b, channels, height, width) the pixels as the embedding tells them, in 0..1."""
        raise NotImplementedError

    def forward(self, batch: Tensor) -> Tensor:
        """The squared error of the reconstruction, summed over an image's pixels."""
        rebuilt = self.decode(last(self.hidden(batch)))
        return (rebuilt - batch).square().flatten(1).sum(1).mean()


def encode(network: AutoencoderNetwork, pixels: Pixels, needs: frozenset[str]) -> Encoded:
    """What a trained network gives for (n, height, width, channels) uint8, as far as it is needed."""
    device = next(network.parameters()).device
    n = len(pixels)
    arrays: dict[str, Any] = {}

    def put(key: str, rows: slice, values: Tensor) -> None:
        if key not in arrays:
            arrays[key] = allocate((n, *values.shape[1:]), np.float32)
        arrays[key][rows] = values[: rows.stop - rows.start].cpu().numpy()

    with torch.inference_mode(), computing_on(device):
        for start in range(0, n, BATCH):
            rows = slice(start, min(start + BATCH, n))
            batch = filled(pixels[rows], BATCH, device)
            hidden = network.hidden(batch)
            if "embedding" in needs:
                put("embedding", rows, last(hidden))
            if needs & {"residual", "pathway"}:
                rebuilt = network.decode(last(hidden))
                put("residual", rows, (rebuilt - batch).square().flatten(1).mean(1))
            if "pathway" in needs:
                for name, again in network.hidden(rebuilt).items():
                    put(f"pathway.{name}", rows, as_nodes(hidden[name] - again))
            if "activations" in needs:
                for name, values in hidden.items():
                    put(f"activations.{name}", rows, as_nodes(values))
            advance("encoding", rows.stop, n)
    layers = {field: {key.removeprefix(f"{field}."): value for key, value in arrays.items() if key.startswith(field)}
              for field in ("activations", "pathway")}
    return Encoded(
        embedding=arrays.get("embedding"),
        residual=arrays["residual"].astype(np.float64) if "residual" in needs else None,
        activations=layers["activations"], pathway=layers["pathway"],
        node_types=dict(network.node_types) if needs & {"activations", "pathway"} else {},
    )


def last(hidden: dict[str, Tensor]) -> Tensor:
    """The innermost layer: the embedding."""
    return list(hidden.values())[-1]


def as_nodes(values: Tensor) -> Tensor:
    """(b, nodes): a layer's units; of a feature map each channel's mean in each of at most 4 x 4 parts."""
    if values.ndim == 4:
        grid = (min(GRID, values.shape[2]), min(GRID, values.shape[3]))
        values = nn.functional.adaptive_avg_pool2d(values, grid)
    return values.flatten(1)


def check_latent(latent: object) -> None:
    """Raise ``OptionError`` for a number of hidden nodes that is none."""
    if not isinstance(latent, int | np.integer) or not 1 <= latent <= 2**20:
        raise OptionError(f"latent must be a whole number of 1 or more, got {latent!r}.")
