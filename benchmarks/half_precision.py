"""What it would change to keep columns in half precision: scores, the strangest hundredth, size, writing and reading.

python benchmarks/half_precision.py 3000        so many of the digits that come with the package, the default's views

The same fitted encoders' columns are judged twice, as they are and rounded to float16 and back.
"""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from oddlens import AnomalyModel
from oddlens.calibration import fuse
from oddlens.demo import DIGITS
from oddlens.passing import Work
from oddlens.protocols import Encoded
from oddlens.reading.array_files import read_idx


def rounded(encoded: Encoded) -> Encoded:
    """The same with every array as float16 holds it."""
    def half(array: NDArray[np.float32] | None) -> NDArray[np.float32] | None:
        return None if array is None else array.astype(np.float16).astype(np.float32)

    return replace(encoded, embedding=half(encoded.embedding), maps=half(encoded.maps), residual=half(encoded.residual))


def row(name: str, full: NDArray[np.float64], half: NDArray[np.float64]) -> str:
    """How far the scores of one view moved."""
    most = max(1, len(full) // 100)
    both = set(np.argsort(-full)[:most]) & set(np.argsort(-half)[:most])
    apart = (half - full) / full.std()
    return f"| {name} | {np.abs(apart).max():.2g} | {np.sqrt(np.square(apart).mean()):.2g} | {len(both) / most:.3f} |"


def main(count: int) -> None:
    """Measure and print."""
    torch.set_num_threads(1)
    model, work = AnomalyModel(n_jobs=1), Work()
    model.fit(read_idx(DIGITS)[:count, ..., None], work=work)
    columns = work.columns

    def judged(change: bool) -> dict[str, NDArray[np.float64]]:
        return model.ensemble_.judge(
            lambda name: rounded(columns.encoded(name)) if change else columns.encoded(name),
            lambda _, detector, encoded: detector.fit(encoded).score_own()).members

    full, half = judged(False), judged(True)
    print("| scores | most moved, in standard deviations | root mean square | strangest hundredth in common |\n"
          "| --- | --- | --- | --- |")
    for name in full:
        print(row(name, full[name], half[name]))
    print(row("the score", fuse(model.fusion_, full, full), fuse(model.fusion_, half, half)))
    embedding = columns.encoded("dictionary").embedding
    assert embedding is not None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "columns"
        for kind in (np.float32, np.float16):
            start = time.process_time()
            save_file({"x": np.ascontiguousarray(embedding.astype(kind))}, path)
            written = time.process_time()
            load_file(path)["x"].astype(np.float32)
            print(f"{kind.__name__}: {path.stat().st_size / len(embedding):,.0f} bytes an image, written in "
                  f"{(written - start) / len(embedding) * 1e6:.2f}, read in "
                  f"{(time.process_time() - written) / len(embedding) * 1e6:.2f} microseconds an image")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(int(sys.argv[1]))
