"""The rules of activations on wide layers: seconds and peak memory at 60,000 images of 4,096 nodes.

    python benchmarks/wide_layers.py hamming        (or likelihood, scan, pathway)

The values are random and lie in a temporary file; one rule a process, so that the peak is its own.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time

import numpy as np

from oddlens.detectors.activations import Activations
from oddlens.protocols import Encoded

IMAGES, NODES = 60_000, 4_096


def main(rule: str) -> None:
    """Fit one rule and print what it took."""
    rng = np.random.default_rng(0)
    with tempfile.TemporaryFile() as file:
        values = np.memmap(file, np.float32, "w+", shape=(IMAGES, NODES))
        for start in range(0, IMAGES, 1000):
            values[start : start + 1000] = rng.normal(size=(1000, NODES))
        start_time = time.perf_counter()
        layers = {"layer": values}
        Activations(rule).fit(Encoded(activations=layers, pathway=layers, kinds={"layer": "relu"}))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(f"{rule}: {time.perf_counter() - start_time:.0f} s, peak {peak:.2f} GiB, the mapped file included")


if __name__ == "__main__":
    main(*sys.argv[1:])
