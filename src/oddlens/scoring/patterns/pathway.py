"""How differently an image and its own reconstruction travel through the network.

An ordinary image and its reconstruction switch on the same nodes in every layer; a strange one and its
reconstruction part ways. The differences of the hidden activations, d(x), are scored by their squared length (SAP)
or, whitened by their covariance over the collection, by their Mahalanobis length (NAP), in which directions that
always differ count little: NAP(x) = (d - m)' (S + ridge)^-1 (d - m).

Kim, Shim, Lim, Jeon, Choi, Kim, Yoon, *RaPP: Novelty detection with reconstruction along projection pathway*, 2020.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cholesky, solve_triangular

from oddlens.errors import SavedModelError
from oddlens.kernels import one_blas_thread
from oddlens.protocols import Bools, Doubles, State
from oddlens.scoring.activity import Layers, blocks, reference, tail_shares

RIDGE = 0.01  # of the mean variance; from .0001 to .1 it makes no difference (docs/lab/activations.md)


class Pathway:
    """NAP, or with ``whiten`` False SAP, of the hidden layers."""

    def __init__(self, whiten: bool) -> None:
        self.whiten = whiten

    @one_blas_thread()
    def fit(self, layers: Layers, node_types: Mapping[str, str]) -> Doubles:  # noqa: ARG002  differences, not bits
        """Find the differences' mean and scatter; give (n,) own scores, each image left out of both, exactly."""
        n, width = len(next(iter(layers.values()))), sum(layer.shape[1] for layer in layers.values())
        self.count_ = n
        self.mean_ = np.zeros(width)
        for _, block in blocks(layers):
            self.mean_ += block.sum(0, dtype=np.float64)
        self.mean_ /= n
        scatter = np.zeros((width, width))
        for _, block in blocks(layers):
            centred = block - self.mean_
            scatter += centred.T @ centred
        scatter[np.diag_indices(width)] += RIDGE * max(float(np.trace(scatter)) / width, 1e-12)
        self.root_ = cholesky(scatter, lower=True, overwrite_a=True) if self.whiten else np.eye(1)
        self.sorted_ = np.sort(np.ascontiguousarray(reference(layers)[1].T), axis=1)
        return self._over(layers, own=True)

    @one_blas_thread()
    def score(self, layers: Layers) -> Doubles:
        """(m,) other images' lengths."""
        return self._over(layers, own=False)

    @one_blas_thread()
    def evidence(self, block: NDArray[np.float32], inside: Bools) -> tuple[Doubles, Doubles, Bools]:
        """(b, nodes) each node's part in the length, the share of images as far out there, and whether above."""
        if self.whiten:
            centred = (block - self.mean_).T
            half = solve_triangular(self.root_, centred, lower=True, check_finite=False)
            parts = (centred * solve_triangular(self.root_.T, half, lower=False, check_finite=False)).T
        else:
            parts = block.astype(np.float64) ** 2
        return parts, tail_shares(block, self.sorted_, inside), block > 0

    def get_state(self) -> State:
        """The mean, the root of the scatter and the reference."""
        return {"mean": self.mean_, "root": self.root_, "sorted": self.sorted_, "count": np.array([self.count_])}

    def set_state(self, state: State) -> Self:
        """Take back what ``get_state`` gave."""
        mean, root, values, count = (state[key] for key in ("mean", "root", "sorted", "count"))
        width = len(mean) if self.whiten else 1
        if [a.dtype.str for a in (mean, root, values, count)] != ["<f8", "<f8", "<f4", "<i8"] or mean.ndim != 1:
            raise SavedModelError("The saved pathway is not made of numbers as they are saved.")
        if root.shape != (width, width) or values.ndim != 2 or len(values) != len(mean) or 0 in values.shape:
            raise SavedModelError(f"A saved scatter of {root.shape} does not fit {len(mean)} nodes.")
        if not all(np.isfinite(a).all() for a in (mean, root, values)) or count.shape != (1,) or count[0] < 2:
            raise SavedModelError("The saved pathway holds numbers that are not finite.")
        if (np.diag(root) <= 0).any() or (np.diff(values, axis=1) < 0).any():
            raise SavedModelError("The saved pathway's scatter is none.")
        self.mean_, self.root_, self.sorted_, self.count_ = mean, root, np.ascontiguousarray(values), int(count[0])
        return self

    def _over(self, layers: Layers, own: bool) -> Doubles:
        n = self.count_
        scores = np.empty(len(next(iter(layers.values()))))
        for rows, block in blocks(layers):
            if not self.whiten:
                scores[rows] = np.einsum("bj,bj->b", block, block, dtype=np.float64)
                continue
            half = solve_triangular(self.root_, (block - self.mean_).T, lower=True, check_finite=False)
            length = (half**2).sum(0)
            if own:  # mean and scatter without the image itself (Sherman, Morrison 1950)
                part = np.maximum(1 - length * n / (n - 1), 1e-12)
                scores[rows] = (n / (n - 1)) ** 2 * length / part * (n - 1)
            else:
                scores[rows] = length * n
        return scores
