"""Which nodes of a network are on, for layers of any width: the bits are packed, real values go by in blocks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np
from numba import prange
from numpy.typing import NDArray

from oddlens.errors import OptionError
from oddlens.kernels import kernel
from oddlens.protocols import Bools, Doubles

Layers: TypeAlias = Mapping[str, NDArray[np.float32]]  # layer name -> (n, units)

BLOCK_VALUES = 2**23  # values handled at a time: 32 MiB of single precision
REFERENCE_IMAGES = 4096  # images that stand for the collection where all of them would be too many


def node_names(layers: Layers) -> list[str]:
    """The name of every node in the order of the columns: its layer and its number there."""
    return [f"{name} {unit}" for name, layer in layers.items() for unit in range(layer.shape[1])]


def blocks(layers: Layers) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """All layers side by side, a block of rows at a time: the rows and their (b, nodes)."""
    arrays = list(layers.values())
    n, width = len(arrays[0]), sum(array.shape[1] for array in arrays)
    step = max(1, BLOCK_VALUES // max(1, width))
    for start in range(0, n, step):
        rows = slice(start, min(start + step, n))
        block = np.concatenate([np.asarray(array[rows], np.float32) for array in arrays], 1)
        if not np.isfinite(block).all():
            raise OptionError("The activations hold nan or infinity; train the encoder with a lower learning_rate.")
        yield rows, block


def reference(layers: Layers) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Rows spread evenly over the collection, at most 4,096, and their (r, nodes)."""
    arrays = list(layers.values())
    rows = np.unique(np.linspace(0, len(arrays[0]) - 1, min(REFERENCE_IMAGES, len(arrays[0]))).astype(np.intp))
    return rows, np.concatenate([np.asarray(array[rows], np.float32) for array in arrays], 1)


def thresholds(layers: Layers, node_types: Mapping[str, str], active: str | float) -> NDArray[np.float32]:
    """(nodes,) the value above which each node counts as on.

    active:  "auto", one half for sigmoid nodes and zero for ReLU and linear ones; or a number between 0 and 1, the
             share of images in which each node is off (its own quantile).
    """
    if active == "auto":
        return np.concatenate([np.full(layer.shape[1], 0.5 if node_types.get(name) == "sigmoid" else 0.0, np.float32)
                               for name, layer in layers.items()])
    if isinstance(active, str) or not 0 < active < 1:
        raise OptionError(f"active must be 'auto' or a share between 0 and 1, got {active!r}.")
    return np.quantile(reference(layers)[1], active, axis=0).astype(np.float32)


def pack(layers: Layers, cuts: NDArray[np.float32]) -> NDArray[np.uint8]:
    """(n, nodes / 8) the nodes that are on, eight to a byte."""
    n = len(next(iter(layers.values())))
    bits = np.empty((n, -(-len(cuts) // 8)), np.uint8)
    for rows, block in blocks(layers):
        bits[rows] = np.packbits(block > cuts, axis=1)
    return bits


def unpack(bits: NDArray[np.uint8], nodes: int) -> NDArray[np.uint8]:
    """(n, nodes) 1 for a node that is on and 0 for one that is off."""
    return np.unpackbits(bits, axis=1, count=nodes)


def shares_on(bits: NDArray[np.uint8], nodes: int) -> NDArray[np.float64]:
    """(nodes,) the share of images in which each node is on."""
    total = np.zeros(nodes)
    for start in range(0, len(bits), 4096):
        total += unpack(bits[start : start + 4096], nodes).sum(0, dtype=np.int64)
    return total / len(bits)


def rarity(on: Bools, shares: Doubles, images: int) -> tuple[Doubles, Doubles, Bools]:
    """(b, nodes) minus the log of how common each node's state is, how common it is, and the state."""
    common = np.where(on, shares, 1 - shares)
    return -np.log(np.maximum(common, 0.5 / images)), common, on


@kernel
def tail_shares(block: Any, sorted_reference: Any, inside: Any) -> Any:
    """(b, nodes) the share of the reference at least as far out as each value, on its own side, both sides counted.

    sorted_reference is (nodes, r), each row in order. A row that is part of it (inside) is left out of its own
    reference. Two-sided empirical p-values: never 0, at most 1.
    """
    n, nodes = block.shape
    count = sorted_reference.shape[1]
    shares = np.empty((n, nodes), np.float32)
    for node in prange(nodes):
        values = sorted_reference[node]
        for i in range(n):
            own = 1 if inside[i] else 0
            above = count - np.searchsorted(values, block[i, node], side="left") + 1 - own
            below = np.searchsorted(values, block[i, node], side="right") + 1 - own
            shares[i, node] = min(1.0, 2.0 * min(above, below) / (count + 1 - own))
    return shares
