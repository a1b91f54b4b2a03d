"""The subset of nodes that is jointly most unusual: subset scanning.

Each node's value gets an empirical p-value among the collection, both tails. If nothing is odd, a share alpha of an
image's p-values lies below alpha; the scan statistic says how far more do, and is maximised over all subsets of
nodes. The best subset is always the k smallest p-values for some k (linear-time subset scanning), so sorting them
finds it exactly. It also says *which* nodes: they are the reason.

McFowland, Speakman, Neill, *Fast generalized subset scan*, 2013; Cintas, Speakman, Akinwande, Ogallo,
Weldemariam, Sridharan, McFowland, *Detecting adversarial attacks via subset scanning of autoencoder activations and
reconstruction error*, 2020. Statistics: Berk, Jones 1979; Donoho, Jin 2004 (higher criticism).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numba import prange
from numpy.typing import NDArray

from oddlens.errors import OptionError, SavedModelError
from oddlens.kernels import kernel
from oddlens.protocols import Bools, Doubles, State
from oddlens.scoring.activity import Layers, blocks, reference, tail_shares

STATISTICS = ("berk_jones", "higher_criticism")
LARGEST_ALPHA = 0.5


class Scan:
    """The largest scan statistic over all subsets of nodes."""

    def __init__(self, statistic: str) -> None:
        self.statistic = statistic

    def fit(self, layers: Layers, node_types: Mapping[str, str]) -> Doubles:  # noqa: ARG002  values, not bits
        """Keep a reference of the nodes' values; give (n,) own scores, each image left out of its own reference."""
        if self.statistic not in STATISTICS:
            raise OptionError.unknown("statistic of the scan", self.statistic, STATISTICS)
        rows, values = reference(layers)
        self._take(np.sort(np.ascontiguousarray(values.T), axis=1))
        inside = np.zeros(len(next(iter(layers.values()))), np.bool_)
        inside[rows] = True
        return self._over(layers, inside)

    def score(self, layers: Layers) -> Doubles:
        """(m,) other images' statistics."""
        return self._over(layers, np.zeros(len(next(iter(layers.values()))), np.bool_))

    def evidence(self, block: NDArray[np.float32], inside: Bools) -> tuple[Doubles, Doubles, Bools]:
        """(b, nodes) minus log p within the best subset and 0 outside, the p-values, whether the value is high."""
        p = tail_shares(block, self.sorted_, inside)
        _, alpha = best_subsets(np.sort(p, 1), self.statistic == "berk_jones", LARGEST_ALPHA)
        return np.where(p <= alpha[:, None], -np.log(p), 0), p, block > self.middle_

    def get_state(self) -> State:
        """The reference."""
        return {"sorted": self.sorted_}

    def set_state(self, state: State) -> Self:
        """Take back what ``get_state`` gave."""
        values = state["sorted"]
        if values.dtype != np.float32 or values.ndim != 2 or 0 in values.shape:
            raise SavedModelError("The saved reference of the scan is not one row of numbers a node.")
        if not np.isfinite(values).all() or (np.diff(values, axis=1) < 0).any():
            raise SavedModelError("The saved reference of the scan is not in order.")
        self._take(np.ascontiguousarray(values))
        return self

    def _take(self, values: NDArray[np.float32]) -> None:
        self.sorted_, self.middle_ = values, values[:, values.shape[1] // 2]

    def _over(self, layers: Layers, inside: Bools) -> Doubles:
        scores = np.empty(len(inside))
        for rows, block in blocks(layers):
            p = tail_shares(block, self.sorted_, inside[rows])
            scores[rows] = best_subsets(np.sort(p, 1), self.statistic == "berk_jones", LARGEST_ALPHA)[0]
        return scores


@kernel
def best_subsets(sorted_p: Any, berk_jones: Any, largest: Any) -> Any:
    """(n,) the largest statistic over the k smallest p-values, and (n,) the largest p-value of that subset."""
    n, nodes = sorted_p.shape
    best, alpha = np.zeros(n), np.zeros(n)
    for i in prange(n):
        for k in range(1, nodes + 1):
            a = np.float64(sorted_p[i, k - 1])
            if a > largest:
                break
            if k < nodes and sorted_p[i, k] == sorted_p[i, k - 1]:
                continue  # equal p-values are taken together or not at all
            share = k / nodes
            if share <= a:
                continue
            if berk_jones:
                value = share * np.log(share / a)
                if share < 1:
                    value += (1 - share) * np.log((1 - share) / (1 - a))
                value *= nodes
            else:
                value = np.sqrt(nodes) * (share - a) / np.sqrt(a * (1 - a))
            if value > best[i]:
                best[i], alpha[i] = value, a
    return best, alpha
