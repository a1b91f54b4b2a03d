"""A network as arrays, and back."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from oddlens.protocols import State


def network_state(network: nn.Module, shape: tuple[int, ...], losses: list[float]) -> State:
    """The weights, the images' shape and the training loss, as arrays."""
    weights = {f"network.{name}": value.cpu().numpy() for name, value in network.state_dict().items()}
    return {**weights, "shape": np.array(shape, np.int64), "losses": np.array(losses)}


def load_weights(network: nn.Module, state: State, trained: bool = True) -> list[float]:
    """Put saved weights into a network of the same make; give the training loss, empty where it was not ``trained``."""
    weights = {name.removeprefix("network."): torch.from_numpy(np.array(value))
               for name, value in state.items() if name.startswith("network.")}
    if state["losses"].ndim != 1:
        raise ValueError(f"training losses of shape {state['losses'].shape}")
    losses = [float(loss) for loss in state["losses"]]
    if not all(torch.isfinite(value).all() for value in weights.values()) or not np.isfinite(losses).all():
        raise ValueError("numbers that are not finite")
    if trained and not losses:
        raise ValueError("no training losses")
    if any((value < 0).any() for name, value in weights.items() if name.endswith("running_var")):
        raise ValueError("variances below 0")
    network.load_state_dict(weights)
    network.eval()
    return losses
