"""Distances at many ranks at once, of many rows to very many, without ever holding or sorting them all.

Squared distances come from matrix products, block by block, and are counted where they fall: 256 bins for each factor
of two. The distance at a rank is read from the counts, to a few hundredths of a per cent. The ten nearest are kept as
they come. So it takes one pass over the rows compared with, and memory for the rows asked about alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oddlens.kernels import kernel_of_one_thread
from oddlens.protocols import Doubles

FRACTION_BITS = 8  # bits of a single-precision number's fraction that tell bins apart
DROPPED_BITS = 23 - FRACTION_BITS
BINS = 8 << FRACTION_BITS  # eight factors of two below the largest squared distance that is counted
NEAREST = 10  # rows that are named


@dataclass
class Ranked:
    """Where the squared distances of (q,) rows to others fall.

    limits:  (q,) int32, the bin of the largest squared distance that is counted: the first bits of that number.
    counts:  (q, bins) int32, how many fall where, the largest first. In the last bin is what is nearer still.
    squares: (q, 10) the smallest, in order.
    nearest: (q, 10) whose they are; -1 where there are fewer.
    """

    limits: NDArray[np.int32]
    counts: NDArray[np.int32]
    squares: NDArray[np.float32]
    nearest: NDArray[np.int32]

    @classmethod
    def within(cls, largest: NDArray[np.floating[Any]]) -> Ranked:
        """Nothing counted yet; ``largest`` holds the (q,) squared distances beyond which none matters."""
        q = len(largest)
        limits = (np.asarray(largest, np.float32).view(np.int32) >> DROPPED_BITS).astype(np.int32)
        return cls(limits, np.zeros((q, BINS), np.int32), np.full((q, NEAREST), np.inf, np.float32),
                   np.full((q, NEAREST), -1, np.int32))

    def distances(self, ranks: NDArray[np.int64]) -> Doubles:
        """(q, r) the distances at the ranks, which count from 1 and ascend; inf where not so many were counted."""
        return np.asarray(np.sqrt(read_ranks(self.counts, self.limits, ranks)))

    def means(self, k: int, power: int = 1) -> Doubles:
        """(q,) the mean of the k smallest distances, or the root of the mean square for 2; inf where they are fewer."""
        return np.asarray(read_means(self.counts, self.limits, k, power) ** (1 / power))


@kernel_of_one_thread
def count_squares(
    products: Any, lengths: Any, others: Any, names: Any, weights: Any, own: Any, which: Any, limits: Any, counts: Any,
    squares: Any, nearest: Any,
) -> None:
    """Count the distances of some rows to some others, from their products.

    products:  (q, m) or larger, of rows with the (q,) squared lengths and others with the (m,) squared lengths.
    names:     (m,) the others' numbers; weights: (m,) how often each counts.
    own:       (q,) the number of the one that is the row itself, which is not counted.
    which:     (q,) where in limits, counts, squares and nearest each row stands.
    """
    m = len(names)
    block = np.empty(m, np.float32)
    bits = block.view(np.int32)
    for q in range(len(which)):
        i = which[q]
        length, limit, itself = lengths[q], limits[i], own[q]
        for j in range(m):
            block[j] = max(length + others[j] - np.float32(2) * products[q, j], np.float32(0))
        for j in range(m):
            below = limit - (bits[j] >> DROPPED_BITS)
            if below >= 0 and names[j] != itself:
                counts[i, min(below, BINS - 1)] += weights[j]
                if block[j] < squares[i, NEAREST - 1]:
                    at = NEAREST - 1
                    while at > 0 and block[j] < squares[i, at - 1]:
                        squares[i, at], nearest[i, at] = squares[i, at - 1], nearest[i, at - 1]
                        at -= 1
                    squares[i, at], nearest[i, at] = block[j], names[j]


@kernel_of_one_thread
def read_ranks(counts: Any, limits: Any, ranks: Any) -> Any:
    """(q, r) the squared distances at the ranks, as if those in a bin were evenly spread there."""
    found = np.full((len(counts), len(ranks)), np.inf)
    edges = np.empty(2, np.int32)
    ends = edges.view(np.float32)
    for i in range(len(counts)):
        below, r = 0, 0
        for at in range(BINS - 1, -1, -1):
            here = counts[i, at]
            if below + here >= ranks[r]:
                edges[0] = max(limits[i] - at, 0) << DROPPED_BITS if at < BINS - 1 else 0
                edges[1] = max(limits[i] - at + 1, 0) << DROPPED_BITS
                low, high = np.float64(ends[0]), np.float64(ends[1])
                while r < len(ranks) and below + here >= ranks[r]:
                    found[i, r] = low + (high - low) * (ranks[r] - below - 0.5) / here
                    r += 1
                if r == len(ranks):
                    break
            below += here
    return found


@kernel_of_one_thread
def read_means(counts: Any, limits: Any, k: Any, power: Any) -> Any:
    """(q,) the mean of a power of the k smallest distances, as if those in a bin were all in its middle."""
    found = np.full(len(counts), np.inf)
    edges = np.empty(2, np.int32)
    ends = edges.view(np.float32)
    for i in range(len(counts)):
        total, taken = 0.0, 0
        for at in range(BINS - 1, -1, -1):
            edges[0] = max(limits[i] - at, 0) << DROPPED_BITS if at < BINS - 1 else 0
            edges[1] = max(limits[i] - at + 1, 0) << DROPPED_BITS
            here = min(counts[i, at], k - taken)
            total += here * ((np.float64(ends[0]) + np.float64(ends[1])) / 2) ** (power / 2)
            taken += here
            if taken == k:
                found[i] = total / k
                break
    return found
