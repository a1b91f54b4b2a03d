"""Neighbours of a large collection: time, memory, and whether the strangest hundredth is the right one.

    python benchmarks/neighbours_at_scale.py [--rows 60000 200000] [--columns 300 50] [--kinds ten one]
        [--detectors burnout self_training neighbors] [--right 200000] [--encoded 200000] [--quick]

The features are Fashion-MNIST's (apt install dataset-fashion-mnist), encoded by ``dictionary``: the 60,000 training
images, and beyond these slightly turned, shifted, scaled, mirrored and noisy copies of them. "ten" kinds are all, "one"
is coats with 4 in a hundred others. 50 columns are the first principal components. They lie in a file that is mapped.

Up to ``--right`` rows the scores are compared with the right ones: every row beside every other up to 60,000; of more,
the strangest 5 % beside every other. "overlap" is the share of the right strangest hundredth that is among ours, and
what ``decisions.decide`` makes of both stands beside it. Memory is the peak of what the process itself holds, less
what it held before; the mapped features do not count. Rows beyond ``--encoded`` are no images but features, each plus a
quarter of the difference of two others: enough to measure time and memory. ``--quick``: 30,000 x 50 in under two
minutes of processor time. Writes benchmarks/results/neighbours_at_scale.json.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch.nn import functional

from oddlens.decisions import decide
from oddlens.detectors import neighbors
from oddlens.detectors.burnout import Burnout
from oddlens.detectors.neighbors import Neighbors
from oddlens.detectors.self_training import SelfTraining
from oddlens.encoders.dictionary import Dictionary
from oddlens.evaluation.datasets import load
from oddlens.protocols import Encoded
from oddlens.scoring import large_neighborhood

RESULTS = Path(__file__).parent / "results" / "neighbours_at_scale.json"
FOLDER = Path(tempfile.gettempdir()) / "oddlens-neighbours-at-scale"
DETECTORS = {
    "burnout": Burnout, "self_training": SelfTraining, "neighbors": lambda: Neighbors(k=50),
    "neighbors 5": lambda: Neighbors(k=5),
}
COAT, OTHERS = 4, 0.04  # the label of coats, and the share of others among them
ALL_PAIRS = 60_000  # rows up to which all are compared with all
LOOKED_AT = 0.05  # share of the rows of a larger collection that is


def images_of(kinds: str) -> np.ndarray[Any, Any]:
    """(n, 28, 28, 1) the images that the collection is made of."""
    images, labels = load("fashion-train")
    if kinds == "ten":
        return images
    rng = np.random.default_rng(0)
    own, others = np.flatnonzero(labels == COAT), np.flatnonzero(labels != COAT)
    return images[rng.permutation(np.r_[own, rng.choice(others, int(OTHERS * len(own)), replace=False)])]


def moved(images: np.ndarray[Any, Any], rng: np.random.Generator) -> np.ndarray[Any, Any]:
    """Each image slightly turned, scaled, shifted, mirrored or not, lighter or darker, with noise."""
    n = len(images)
    angle, scale = rng.normal(0, np.radians(6), n), np.exp(rng.normal(0, 0.06, n))
    affine = np.empty((n, 2, 3), np.float32)
    affine[:, 0, 0], affine[:, 0, 1] = rng.choice([-1, 1], n) * np.cos(angle) * scale, -np.sin(angle) * scale
    affine[:, 1, 0], affine[:, 1, 1] = np.sin(angle) * scale, np.cos(angle) * scale
    affine[:, :, 2] = rng.normal(0, 0.06, (n, 2))
    values = torch.from_numpy(images[..., 0].astype(np.float32))[:, None]
    grid = functional.affine_grid(torch.from_numpy(affine), [n, 1, 28, 28], align_corners=False)
    found = functional.grid_sample(values, grid, align_corners=False, padding_mode="border")[:, 0].numpy()
    found = found * np.exp(rng.normal(0, 0.1, n))[:, None, None] + rng.normal(0, 2, found.shape)
    return np.clip(np.rint(found), 0, 255).astype(np.uint8)[..., None]


def features(kinds: str, rows: int, columns: int, encoded: int = 10**9) -> np.ndarray[Any, Any]:
    """(rows, columns) float32, mapped, made once for each number of rows; those beyond ``encoded`` mixed of others."""
    FOLDER.mkdir(exist_ok=True)
    place = FOLDER / f"{kinds}-{rows}-{columns}-{min(rows, encoded)}.npy"
    if not place.exists():
        images, rng, part = images_of(kinds), np.random.default_rng(0), 10_000
        encoder = Dictionary().fit(images)
        written = place.with_suffix(".part")
        found: Any = None
        for start in range(0, rows, part):
            numbers = np.arange(start, min(start + part, rows))
            if start >= encoded:
                one, two, three = (found[rng.integers(0, encoded, len(numbers))] for _ in range(3))
                found[numbers] = one + (two - three) / 4
                continue
            some = images[numbers % len(images)]
            some = np.where((numbers < len(images))[:, None, None, None], some, moved(some, rng))
            values = encoder.encode(some, frozenset({"embedding"})).embedding
            assert values is not None
            if found is None:
                mean, axes = values.mean(0), np.linalg.svd(values - values.mean(0), full_matrices=False)[2][:columns]
                width = min(columns, values.shape[1])
                found = np.lib.format.open_memmap(written, "w+", np.float32, (rows, width))
            found[numbers] = values if width == values.shape[1] else (values - mean) @ axes.T
        found.flush()
        written.rename(place)
    return np.load(place, mmap_mode="r")


@contextmanager
def peak_of_memory(found: dict[str, Any]) -> Iterator[None]:
    """Puts under "mib" by how much the process's own memory rose within the block."""
    def held() -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("RssAnon"))

    over, before, peak = threading.Event(), held(), [0]

    def watch() -> None:
        while not over.wait(0.02):
            peak[0] = max(peak[0], held())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
        found["mib"] = peak[0] - before


def fitted(name: str, rows: np.ndarray[Any, Any]) -> tuple[dict[str, Any], np.ndarray[Any, Any]]:
    """What fitting cost, and the own scores."""
    entry: dict[str, Any] = {}
    detector = DETECTORS[name]()
    with peak_of_memory(entry):
        start, start_cpu = time.perf_counter(), time.process_time()
        detector.fit(Encoded(embedding=rows))
        entry |= {"wall": round(time.perf_counter() - start, 1), "cpu": round(time.process_time() - start_cpu, 1)}
    entry["saved_mib"] = round(sum(array.nbytes for array in detector.get_state().values()) / 2**20, 1)
    return entry, detector.score_own()


def right_scores(name: str, rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The scores when all, or the strangest of very many, are compared with all."""
    everything = {"PROBED_SHARE": 1.0, "FAR_RANK": 10**9,
                  "STRANGE_SHARE": 1.0 if len(rows) <= ALL_PAIRS else LOOKED_AT}
    with patch.multiple(large_neighborhood, **everything), patch.object(neighbors, "MOST_EXACT", ALL_PAIRS):
        return np.asarray(DETECTORS[name]().fit(Encoded(embedding=rows)).score_own())


def beside(own: np.ndarray[Any, Any], right: np.ndarray[Any, Any]) -> dict[str, Any]:
    """How the scores and what is decided by them compare."""
    count = len(own) // 100
    entry: dict[str, Any] = {
        "overlap": round(len(np.intersect1d(np.argsort(-own)[:count], np.argsort(-right)[:count])) / count, 4)}
    for what, scores in (("ours", own), ("right", right)):
        made = decide(scores)
        entry[what] = {"location": round(made.null.location, 4), "scale": round(made.null.scale, 4),  # type: ignore[attr-defined]
                       "flagged": int(made.flagged.sum()), "share": round(made.share.value, 4),
                       "share_high": round(made.share.high, 4)}
    return entry


def main() -> None:
    """Run, print a line each and write the file."""
    parser = argparse.ArgumentParser(description="Neighbours of a large collection.")
    parser.add_argument("--rows", type=int, nargs="+", default=[60_000, 200_000])
    parser.add_argument("--columns", type=int, nargs="+", default=[300, 50])
    parser.add_argument("--kinds", nargs="+", default=["ten", "one"], choices=("ten", "one"))
    parser.add_argument("--detectors", nargs="+", default=list(DETECTORS), choices=list(DETECTORS))
    parser.add_argument("--encoded", type=int, default=10**9)
    parser.add_argument("--right", type=int, default=200_000)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    if options.quick:
        options.rows, options.columns, options.kinds, options.right = [30_000], [50], ["ten"], 30_000
    small = features("ten", 21_000, 50)
    for name in options.detectors:
        fitted(name, small)  # compiles, or loads what an earlier process compiled
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    print(f"{'':44}{'wall s':>8}{'cpu s':>8}{'MiB':>6}{'saved':>7}  overlap, then ours / right")
    for kinds in options.kinds:
        for columns in options.columns:
            for n in sorted(options.rows):
                rows = features(kinds, n, columns, options.encoded)
                for name in options.detectors:
                    entry, own = fitted(name, rows)
                    if n <= options.right:
                        entry |= beside(own, right_scores(name, rows))
                    key = f"{name}, {kinds}, {n} x {rows.shape[1]}"
                    results[key] = entry
                    said = ""
                    if "overlap" in entry:
                        said = f"{entry['overlap']:.4f}  " + ", ".join(
                            f"{what} {entry['ours'][what]} / {entry['right'][what]}" for what in entry["ours"])
                    print(f"{key:44}{entry['wall']:8.1f}{entry['cpu']:8.1f}{entry['mib']:6}{entry['saved_mib']:7.1f}  "
                          f"{said}", flush=True)
                    RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
