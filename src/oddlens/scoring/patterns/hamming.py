"""How far an image's pattern is from the nearest others: the paper's idea, literally.

The nodes that are on and off make a pattern of bits. The score is the Hamming distance to the k-th nearest other
image's pattern, as a share of the nodes: score(x) = |b(x) xor b(x_k)| / nodes. Found exactly among packed bits. Whole
numbers of nodes make many ties, so images at the same distance are told apart by the mean of their k distances.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import faiss
import numpy as np
from numpy.typing import NDArray

from oddlens.errors import OptionError, SavedModelError
from oddlens.protocols import Bools, Doubles, State
from oddlens.scoring.activity import Layers, pack, rarity, shares_on, thresholds


class Hamming:
    """Distance to the k-th nearest other pattern; ``k`` None is 50, and a twentieth of the images where fewer."""

    def __init__(self, k: int | None, active: str | float) -> None:
        self.k = k
        self.active = active

    def fit(self, layers: Layers, node_types: Mapping[str, str]) -> Doubles:
        """Keep the patterns; give (n,) own scores, each pattern's own image left out but not its equals."""
        n = len(next(iter(layers.values())))
        if self.k is not None and not (isinstance(self.k, int | np.integer) and 1 <= self.k < n):
            raise OptionError(f"k must be a whole number from 1 to {n - 1} for {n} images, got {self.k!r}.")
        self.k_ = min(50, max(1, n // 20)) if self.k is None else int(self.k)
        self.cuts_ = thresholds(layers, node_types, self.active)
        self.bits_ = pack(layers, self.cuts_)
        self.on_ = shares_on(self.bits_, len(self.cuts_))
        # The image itself is at distance 0, the first of the k + 1 nearest: without it the k nearest others are left.
        return self._distance(self.bits_, skip=1)

    def score(self, layers: Layers) -> Doubles:
        """(m,) other images' distances."""
        return self._distance(pack(layers, self.cuts_), skip=0)

    def evidence(self, block: NDArray[np.float32], inside: Bools) -> tuple[Doubles, Doubles, Bools]:  # noqa: ARG002
        """(b, nodes) how telling each node's state is, how common that state is, and whether it is on."""
        return rarity(block > self.cuts_, self.on_, len(self.bits_))

    def get_state(self) -> State:
        """The patterns and what counts as on."""
        return {"bits": self.bits_, "cuts": self.cuts_, "k": np.array([self.k_])}

    def set_state(self, state: State) -> Self:
        """Take back what ``get_state`` gave."""
        bits, cuts, k = (state[key] for key in ("bits", "cuts", "k"))
        if [bits.dtype.str, cuts.dtype.str] != ["|u1", "<f4"] or bits.ndim != 2 or cuts.ndim != 1 or k.shape != (1,):
            raise SavedModelError("The saved patterns are not packed bits.")
        if bits.shape[1] != -(-len(cuts) // 8) or not len(cuts) or not 1 <= k[0] < len(bits) or np.isnan(cuts).any():
            raise SavedModelError(f"Saved patterns of {bits.shape} do not fit {len(cuts)} nodes and k = {k[0]}.")
        self.bits_, self.cuts_, self.k_ = np.ascontiguousarray(bits), cuts, int(k[0])
        self.on_ = shares_on(self.bits_, len(cuts))
        return self

    def _distance(self, bits: NDArray[np.uint8], skip: int) -> Doubles:
        nodes = len(self.cuts_)
        index = faiss.IndexBinaryFlat(8 * self.bits_.shape[1])
        index.add(self.bits_)
        nearest = index.search(np.ascontiguousarray(bits), self.k_ + skip)[0][:, skip:]
        # The mean is at most the number of nodes: over nodes + 1 it never outweighs a whole step of 1 / nodes.
        return np.asarray((nearest[:, -1] + nearest.mean(1) / (nodes + 1)) / nodes, np.float64)
