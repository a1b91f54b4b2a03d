"""How improbable an image's pattern is under the collection's own statistics of its nodes.

With one component the nodes are independent: -log p(b) = -sum_j log p_j^b_j (1 - p_j)^(1 - b_j). With several the
pattern comes from a mixture of such products, fitted by expectation maximisation, so that nodes that are on
together count: p(b) = sum_c w_c prod_j p_cj^b_j (1 - p_cj)^(1 - b_j).

McLachlan, Peel, *Finite mixture models*, 2000 (Bernoulli mixtures).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from oddlens.errors import OptionError, SavedModelError
from oddlens.kernels import one_blas_thread
from oddlens.protocols import Bools, Doubles, State
from oddlens.scoring.activity import Layers, pack, rarity, shares_on, thresholds, unpack

# Images added to either state of each node, so that nothing is impossible (Krichevsky, Trofimov 1981).
PSEUDO_COUNT = 0.5
MOST_ROUNDS = 30  # rounds of expectation maximisation
BATCH = 4096


class Likelihood:
    """-log p(pattern) under ``components`` products of Bernoullis."""

    def __init__(self, components: int, active: str | float, random_state: int) -> None:
        self.components = components
        self.active = active
        self.random_state = random_state

    def fit(self, layers: Layers, node_types: Mapping[str, str]) -> Doubles:
        """Fit the mixture; give (n,) own scores, each image's share taken out of the statistics."""
        n = len(next(iter(layers.values())))
        if not isinstance(self.components, int | np.integer) or not 1 <= self.components <= n:
            raise OptionError(f"components must be a whole number from 1 to {n}, got {self.components!r}.")
        self.cuts_ = thresholds(layers, node_types, self.active)
        bits = pack(layers, self.cuts_)
        self.on_ = shares_on(bits, len(self.cuts_))
        self.ones_, self.counts_ = self._mixture(bits)
        return self._over(bits, own=True)

    def score(self, layers: Layers) -> Doubles:
        """(m,) other images' -log p."""
        return self._over(pack(layers, self.cuts_), own=False)

    def evidence(self, block: NDArray[np.float32], inside: Bools) -> tuple[Doubles, Doubles, Bools]:  # noqa: ARG002
        """(b, nodes) how telling each node's state is, how common that state is, and whether it is on."""
        return rarity(block > self.cuts_, self.on_, int(self.counts_.sum()))

    def get_state(self) -> State:
        """The components' counts and what counts as on."""
        return {"ones": self.ones_, "counts": self.counts_, "cuts": self.cuts_, "on": self.on_}

    def set_state(self, state: State) -> Self:
        """Take back what ``get_state`` gave."""
        ones, counts, cuts, on = (state[key] for key in ("ones", "counts", "cuts", "on"))
        if counts.shape != (self.components,) or ones.shape != (self.components, len(cuts)) or on.shape != cuts.shape:
            raise SavedModelError(f"A saved mixture of {ones.shape} does not fit {self.components} components.")
        if [a.dtype.str for a in (ones, counts, cuts, on)] != ["<f8", "<f8", "<f4", "<f8"] or not len(cuts):
            raise SavedModelError("The saved mixture is not made of numbers as they are saved.")
        if not all(np.isfinite(a).all() and (a >= 0).all() for a in (ones, counts, on)) or np.isnan(cuts).any():
            raise SavedModelError("The saved mixture holds counts that are no counts.")
        self.ones_, self.counts_, self.cuts_, self.on_ = ones, counts, cuts, on
        return self

    @one_blas_thread()
    def _mixture(self, bits: NDArray[np.uint8]) -> tuple[Doubles, Doubles]:
        """(components, nodes) how many images of each component have each node on, and how many it has."""
        n, nodes = len(bits), len(self.cuts_)
        if self.components == 1:
            return (self.on_ * n)[None], np.array([float(n)])
        rng = np.random.default_rng(self.random_state)
        # Begin half-way between the mean pattern and images far from each other.
        ones = (unpack(bits[_spread(bits, self.components, rng)], nodes) + self.on_) / 2 * n / self.components
        counts = np.full(self.components, n / self.components)
        last = -np.inf
        for _ in range(MOST_ROUNDS):
            new_ones, new_counts, total = np.zeros_like(ones), np.zeros_like(counts), 0.0
            for start in range(0, n, BATCH):
                x = unpack(bits[start : start + BATCH], nodes).astype(np.float64)
                share, log_p = _responsible(_joint(x, ones, counts))
                new_ones, new_counts, total = new_ones + share.T @ x, new_counts + share.sum(0), total + log_p.sum()
            ones, counts = new_ones, new_counts
            if total - last < 1e-4 * abs(total):
                break
            last = total
        return ones, counts

    def _over(self, bits: NDArray[np.uint8], own: bool) -> Doubles:
        scores = np.empty(len(bits))
        for start in range(0, len(bits), BATCH):
            x = unpack(bits[start : start + BATCH], len(self.cuts_)).astype(np.float64)
            joint = _joint(x, self.ones_, self.counts_)
            if own:  # each component is judged as if the image's share in it had never been there
                share, _ = _responsible(joint)
                joint = (1 - share) * joint + share * _joint(x, self.ones_, self.counts_, without=1.0)
            scores[start : start + BATCH] = -_responsible(joint)[1]
        return scores


def _joint(x: Doubles, ones: Doubles, counts: Doubles, without: float = 0.0) -> Doubles:
    """(b, components) log w_c p_c(x); ``without`` 1 takes one such image out of each component."""
    on = np.log(np.maximum(ones - without, 0) + PSEUDO_COUNT)
    off = np.log(np.maximum(counts[:, None] - ones - without, 0) + PSEUDO_COUNT)
    size = np.maximum(counts - without, 0)
    weight = np.log(size + PSEUDO_COUNT) - np.log(counts.sum() - without + PSEUDO_COUNT * len(counts))
    # einsum keeps each row's sum apart from the others in the batch
    bits = np.einsum("bj,cj->bc", x, on - off)
    return np.asarray(bits + off.sum(1) - on.shape[1] * np.log(size + 2 * PSEUDO_COUNT) + weight)


def _responsible(joint: Doubles) -> tuple[Doubles, Doubles]:
    """(b, components) each component's share in each image, and (b,) log p."""
    most = joint.max(1, keepdims=True)
    parts = np.exp(joint - most)
    total = parts.sum(1, keepdims=True)
    return parts / total, (most + np.log(total))[:, 0]


def _spread(bits: NDArray[np.uint8], count: int, rng: np.random.Generator) -> list[int]:
    """Images far from each other (k-means++; Arthur, Vassilvitskii 2007), by Hamming distance."""
    picks = [int(rng.integers(len(bits)))]
    nearest = _differences(bits, bits[picks[0]])
    while len(picks) < count:
        weights = nearest.astype(np.float64) ** 2
        chosen = rng.choice(len(bits), p=weights / weights.sum()) if weights.sum() else rng.integers(len(bits))
        picks.append(int(chosen))
        nearest = np.minimum(nearest, _differences(bits, bits[picks[-1]]))
    return picks


def _differences(bits: NDArray[np.uint8], one: NDArray[np.uint8]) -> NDArray[Any]:
    return np.asarray(np.bitwise_count(bits ^ one).sum(1, dtype=np.int64))
