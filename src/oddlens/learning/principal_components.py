"""The principal components of an embedding: a few numbers an image, by which images are compared to learn from labels.

They are found from a few thousand rows, spread evenly over the collection, so that neither the number of images nor
that of features costs more than seconds; and kept in half precision, so that 60,000 images take 7 MB.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from oddlens.kernels import one_blas_thread
from oddlens.protocols import Floats, State

MOST = 60  # components
FITTED_ROWS = 4000  # rows that they are found from, at most
BATCH = 4096  # rows that are projected at once
LARGEST = 60_000.0  # half precision ends at 65,504


@dataclass(frozen=True, eq=False)
class Components:
    """Where features are projected to.

    mean:  (d,) float32, subtracted first.
    axes:  (d, k) float32, the widest component first, all in one unit: the root mean square of the fitted projections.
    """

    mean: NDArray[np.float32]
    axes: NDArray[np.float32]

    @classmethod
    def none(cls) -> Self:
        """Of no features: what there is where no view has an embedding."""
        return cls(np.zeros(0, np.float32), np.zeros((0, 0), np.float32))

    @classmethod
    def found(cls, embedding: NDArray[np.float32]) -> Self:
        """Of (n, d) features."""
        rows = embedding[:: -(-len(embedding) // FITTED_ROWS) or 1].astype(np.float64)
        if not np.isfinite(rows).all() or not len(rows):
            return cls.none()
        mean = rows.mean(0)
        rows = rows - mean
        n, d = rows.shape
        with one_blas_thread():
            if d <= n:
                values, axes = np.linalg.eigh(rows.T @ rows / n)
            else:
                values, sides = np.linalg.eigh(rows @ rows.T / n)
                axes = rows.T @ sides / np.sqrt(np.maximum(values, 1e-300) * n)
        keep = np.flatnonzero(values > 1e-10 * max(float(values[-1]), 1e-300))[::-1][:MOST]
        unit = np.sqrt(values[keep].mean()) if len(keep) else 1.0
        return cls(mean.astype(np.float32), (axes[:, keep] / unit).astype(np.float32))

    def project(self, embedding: NDArray[np.float32]) -> NDArray[np.float16]:
        """(m, k) of fitted rows, in the order of the matrix product: the last digits of a row may depend on others."""
        found = np.empty((len(embedding), self.axes.shape[1]), np.float16)
        if found.size:
            with one_blas_thread():
                for start in range(0, len(embedding), BATCH):
                    rows = embedding[start : start + BATCH] - self.mean
                    found[start : start + BATCH] = _halved(rows @ self.axes)
        return found

    def project_each(self, embedding: NDArray[np.float32]) -> NDArray[np.float16]:
        """(m, k) of other rows, each by itself: the same to the last digit whatever comes with it; slower."""
        if not self.axes.size:
            return np.empty((len(embedding), 0), np.float16)
        axes = np.ascontiguousarray(self.axes.T)
        return _halved(np.einsum("nd,kd->nk", np.ascontiguousarray(embedding - self.mean), axes))

    def get_state(self) -> State:
        """All of it, as arrays."""
        return {"mean": self.mean, "axes": self.axes}

    @classmethod
    def of_state(cls, state: State) -> Self:
        """What ``get_state`` gave; raises ``ValueError`` where it cannot be."""
        mean, axes = state["mean"], state["axes"]
        if mean.dtype != np.float32 or axes.dtype != np.float32 or mean.ndim != 1 or axes.ndim != 2:
            raise ValueError(f"components of {mean.dtype} {mean.shape} and {axes.dtype} {axes.shape}")
        if len(mean) != len(axes) or axes.shape[1] > MOST or not (np.isfinite(mean).all() and np.isfinite(axes).all()):
            raise ValueError(f"components {axes.shape} of {len(mean)} features")
        return cls(mean, axes)


def _halved(values: Floats) -> NDArray[np.float16]:
    return np.nan_to_num(np.clip(values, -LARGEST, LARGEST)).astype(np.float16)
