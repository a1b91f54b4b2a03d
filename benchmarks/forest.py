"""How fast the forest fits a collection and scores it, beside its peers in the same run.

    python benchmarks/forest.py [--rows 60000] [--columns 50] [--trees 2000] [--repeats 5] [--jobs 2]

Every repeat runs all of them in turn, so whatever else the machine does falls on each alike; read the ratios,
not the seconds. Where other programs want the cores, the ratio of processor time says more than that of the wall
clock. Writes benchmarks/results/forest.json.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score

from oddlens.detectors.forest import Forest
from oddlens.protocols import Encoded

RESULTS = Path(__file__).parent / "results" / "forest.json"
OURS = "oddlens"


def collection(rows: int, columns: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Ten clusters of unequal spread in rotated axes and 1 % of rows from a wider one; and which are those."""
    rng = np.random.default_rng(0)
    centers = rng.normal(0, 2, (10, columns))
    turn = np.linalg.qr(rng.normal(size=(columns, columns)))[0]
    features = rng.normal(size=(rows, columns)) * np.linspace(0.2, 1.5, columns)
    odd = rng.random(rows) < 0.01
    features[odd] *= 2.5
    return ((features + centers[rng.integers(0, 10, rows)]) @ turn).astype(np.float32), odd


def contestants(trees: int, jobs: int) -> dict[str, Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]]:
    """Name -> a function that fits the rows, scores them and gives the scores, larger stranger."""

    def ours(rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return Forest(trees, n_jobs=jobs).fit(Encoded(embedding=rows)).score_own()

    def sklearn(rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        forest = IsolationForest(n_estimators=trees, max_samples=256, n_jobs=jobs, random_state=0)
        return np.asarray(-forest.fit(rows).score_samples(rows))

    found: dict[str, Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]] = {OURS: ours, "scikit-learn": sklearn}
    try:
        Coniferest = import_module("coniferest.isoforest").IsolationForest
    except ImportError:
        print("coniferest is not installed: pip install coniferest, and it runs too.")
        return found

    def coniferest(rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        forest = Coniferest(n_trees=trees, n_subsamples=256, n_jobs=jobs, random_seed=0)
        return np.asarray(-forest.fit(rows).score_samples(rows))

    return {**found, "coniferest": coniferest}


def versions(*packages: str) -> dict[str, str]:
    """Package -> version, of those that are installed."""
    installed = {}
    for package in packages:
        try:
            installed[package] = version(package)
        except PackageNotFoundError:
            continue
    return installed


def ratio(taken: list[float], ours: list[float]) -> float:
    """The median over the repeats of how many times as long as ours it took."""
    return round(median(t / o for t, o in zip(taken, ours, strict=True)), 2)


def main() -> None:
    """Run, print the table and write the file."""
    parser = argparse.ArgumentParser(description="The forest beside its peers.")
    for name, default in (("rows", 60_000), ("columns", 50), ("trees", 2000), ("repeats", 5), ("jobs", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    rows, odd = collection(options.rows, options.columns)
    entries = contestants(options.trees, options.jobs)
    start = time.perf_counter()
    entries[OURS](rows[:1000])
    first_call = time.perf_counter() - start  # compiles, or loads what an earlier process compiled
    wall: dict[str, list[float]] = {name: [] for name in entries}
    cpu: dict[str, list[float]] = {name: [] for name in entries}
    scores = {}
    for repeat in range(options.repeats):
        for name in list(entries)[:: 1 if repeat % 2 else -1]:
            start, start_cpu = time.perf_counter(), time.process_time()
            scores[name] = entries[name](rows)
            wall[name].append(time.perf_counter() - start)
            cpu[name].append(time.process_time() - start_cpu)
    result = {
        "options": vars(options),
        "versions": versions("numpy", "numba", "scikit-learn", "coniferest"),
        "first_call_seconds": round(first_call, 2),
        "contestants": {
            name: {
                "wall_seconds": [round(value, 2) for value in wall[name]],
                "cpu_seconds": [round(value, 2) for value in cpu[name]],
                "times_as_long_wall": ratio(wall[name], wall[OURS]),
                "times_as_long_cpu": ratio(cpu[name], cpu[OURS]),
                "auroc": round(float(roc_auc_score(odd, scores[name])), 4),
                "rank_correlation": round(float(np.corrcoef(
                    scores[name].argsort().argsort(), scores[OURS].argsort().argsort())[0, 1]), 4),
            }
            for name in entries
        },
    }
    print(f"{options.trees} trees, {options.rows} x {options.columns}, fit + score, {options.jobs} threads")
    print(f"{'':14}{'wall s':>8}{'x ours':>8}{'cpu s':>8}{'x ours':>8}{'AUROC':>8}{'rank corr.':>12}")
    for name, entry in result["contestants"].items():  # type: ignore[attr-defined]
        print(f"{name:14}{median(entry['wall_seconds']):8.2f}{entry['times_as_long_wall']:8.2f}"
              f"{median(entry['cpu_seconds']):8.2f}{entry['times_as_long_cpu']:8.2f}"
              f"{entry['auroc']:8.4f}{entry['rank_correlation']:12.4f}")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
