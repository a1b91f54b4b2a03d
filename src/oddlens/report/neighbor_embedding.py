"""t-SNE: places in the plane for some hundred rows of features, those near each other staying near.

Each row's neighbours have weights that fall with their distance, as fast as makes ``perplexity`` of them count. The
places attract each other by these weights and all push each other apart; the pushes are summed over all pairs, which
for a thousand places costs less than approximating them. One thread and sums in a fixed order: the same each time.

Van der Maaten, Hinton, *Visualizing data using t-SNE*, 2008; Belkina et al., *Automated optimized parameters for
t-distributed stochastic neighbor embedding improve visualization and analysis of large datasets*, 2019 (the pace).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from oddlens.kernels import vector_kernel
from oddlens.protocols import Doubles, Floats

EXAGGERATION, EXAGGERATED_STEPS = 12.0, 250  # how much stronger the attraction is at first, and for how many steps
NEIGHBORS_FACTOR = 3  # neighbours that have a weight, in multiples of the perplexity
MOMENTA = (0.5, 0.8)  # while exaggerated, and after it
SLOWEST = 50.0  # the pace, at the least
HALVINGS = 50  # steps of the search for the width of a row's neighbourhood


def embedded(features: Floats, start: Floats, perplexity: float, steps: int) -> Doubles:
    """(m, 2) places of (m, d) features, in any unit, from the (m, 2) places ``start``; perplexity below m - 1."""
    weights = _weights(np.asarray(features, np.float64), perplexity)
    places = np.array(start.T, np.float32, order="C")  # a copy: they are moved in place
    pace = max(len(features) / EXAGGERATION / 4, SLOWEST)
    _descend(places, weights.indptr.astype(np.int64), weights.indices.astype(np.int64), weights.data.astype(np.float32),
             steps, np.float32(pace))
    return places.T.astype(np.float64)


def _weights(features: Doubles, perplexity: float) -> csr_array:
    """(m, m) how much each two rows attract each other, 1 in all."""
    m = len(features)
    count = min(m - 1, int(NEIGHBORS_FACTOR * perplexity + 1))
    square = np.square(features).sum(1)
    apart = np.maximum(square[:, None] + square - 2 * features @ features.T, 0)
    np.fill_diagonal(apart, np.inf)
    nearest = np.sort(np.argpartition(apart, count - 1, axis=1)[:, :count], axis=1)
    apart = np.take_along_axis(apart, nearest, 1)
    apart -= apart.min(1, keepdims=True)
    scale = apart.mean(1, keepdims=True)
    apart /= np.where(scale > 0, scale, 1)
    low, high = np.zeros((m, 1)), np.full((m, 1), np.inf)
    sharpness = np.ones((m, 1))
    for _ in range(HALVINGS):
        shares = np.exp(-sharpness * apart)
        total = shares.sum(1, keepdims=True)
        entropy = np.log(total) + sharpness * (apart * shares).sum(1, keepdims=True) / total
        wide = entropy > np.log(perplexity)
        low, high = np.where(wide, sharpness, low), np.where(wide, high, sharpness)
        sharpness = np.where(np.isinf(high), 2 * sharpness, (low + np.where(np.isinf(high), 0, high)) / 2)
    one_way = csr_array(((shares / total).ravel(), (np.repeat(np.arange(m), count), nearest.ravel())), (m, m))
    both = (one_way + one_way.T).tocsr()
    both.sort_indices()
    return both / both.sum()


@vector_kernel
def _descend(
    places: NDArray[np.float32], starts: NDArray[np.int64], others: NDArray[np.int64], weights: NDArray[np.float32],
    steps: int, pace: np.float32,
) -> None:
    """Move (2, m) places down the gradient, in place, each coordinate at a pace of its own."""
    m = places.shape[1]
    x, y = places[0], places[1]
    one = np.float32(1)
    total, across, up = np.empty(m, np.float32), np.empty(m, np.float32), np.empty(m, np.float32)
    moves, gains = np.zeros((2, m), np.float32), np.ones((2, m), np.float32)
    gradient = np.empty((2, m), np.float32)
    for step in range(steps):
        total[:], across[:], up[:] = 0, 0, 0
        for other in range(m):
            x_there, y_there = x[other], y[other]
            for i in range(m):
                right, above = x[i] - x_there, y[i] - y_there
                near = one / (one + right * right + above * above)
                total[i] += near
                push = near * near
                across[i] += push * right
                up[i] += push * above
        every = 0.0
        for i in range(m):
            every += total[i] - one  # without itself
        share = np.float32(1 / max(every, 1e-12))
        early = step < EXAGGERATED_STEPS
        stronger = np.float32(EXAGGERATION) if early else one
        momentum = np.float32(MOMENTA[0]) if early else np.float32(MOMENTA[1])
        for i in range(m):
            pulled_across, pulled_up = np.float32(0), np.float32(0)
            for at in range(starts[i], starts[i + 1]):
                right, above = x[i] - x[others[at]], y[i] - y[others[at]]
                pull = weights[at] / (one + right * right + above * above)
                pulled_across += pull * right
                pulled_up += pull * above
            gradient[0, i] = 4 * (stronger * pulled_across - share * across[i])
            gradient[1, i] = 4 * (stronger * pulled_up - share * up[i])
        for axis in range(2):
            for i in range(m):
                turned = gradient[axis, i] * moves[axis, i] < 0
                gain = gains[axis, i] + np.float32(0.2) if turned else gains[axis, i] * np.float32(0.8)
                gains[axis, i] = max(gain, np.float32(0.01))
                moves[axis, i] = momentum * moves[axis, i] - pace * gains[axis, i] * gradient[axis, i]
                places[axis, i] += moves[axis, i]
