"""How fast exact nearest-neighbour scores come, beside the peers in the same run.

    python benchmarks/neighbors.py [--rows 60000] [--columns 50] [--k 50] [--repeats 3] [--jobs 2]

Every repeat runs all of them in turn, so whatever else the machine does falls on each alike; read the ratios,
not the seconds. Besides plain rows there are *tight* ones: clusters that lie much farther apart than they are
wide, where the squares that fast searches work with lose the digits that matter. "wrong" is the share of 200 rows
whose k-th distance differs from that in double precision by more than a millionth. Writes
benchmarks/results/neighbors.json.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any, TypeAlias

import faiss
import numpy as np
from sklearn.neighbors import NearestNeighbors

from oddlens.detectors.neighbors import Neighbors
from oddlens.protocols import Encoded

RESULTS = Path(__file__).parent / "results" / "neighbors.json"
OURS = "oddlens"
Array: TypeAlias = np.ndarray[Any, Any]


def collections(rows: int, columns: int) -> dict[str, Array]:
    """Name -> (rows, columns) float32."""
    rng = np.random.default_rng(0)
    plain = rng.normal(size=(rows, columns))
    tight = rng.normal(0, 0.01, (rows, columns)) + 10 * rng.choice([-1, 1], (rows, 1))
    return {"plain": plain.astype(np.float32), "tight": tight.astype(np.float32)}


def contestants(k: int, jobs: int) -> dict[str, Callable[[Array], Array]]:
    """Name -> a function that gives each row's distance to its k-th nearest other row."""

    def ours(rows: Array) -> Array:
        return Neighbors(k, n_jobs=jobs).fit(Encoded(embedding=rows)).score_own()

    def faiss_flat(rows: Array) -> Array:
        faiss.omp_set_num_threads(jobs)
        index = faiss.IndexFlatL2(rows.shape[1])
        index.add(rows)
        return np.asarray(np.sqrt(np.maximum(index.search(rows, k + 1)[0][:, -1], 0)))

    def sklearn_brute(rows: Array) -> Array:
        search = NearestNeighbors(n_neighbors=k, algorithm="brute", n_jobs=jobs).fit(rows)
        return np.asarray(search.kneighbors()[0][:, -1])

    return {OURS: ours, "faiss flat": faiss_flat, "scikit-learn brute": sklearn_brute}


def wrong(rows: Array, distances: Array, k: int) -> float:
    """The share of rows whose distance is more than a millionth off."""
    some = np.linspace(0, len(rows) - 1, 200).astype(int)
    doubles = rows.astype(np.float64)
    true = np.array([np.partition(np.sqrt(((doubles - doubles[i]) ** 2).sum(1)), k)[k] for i in some])
    return float(np.mean(np.abs(distances[some] - true) > 1e-6 * true))


def compared(rows: Array, k: int, jobs: int, repeats: int) -> dict[str, dict[str, Any]]:
    """Contestant -> its times, their ratios to ours, and the share of wrong distances."""
    entries = contestants(k, jobs)
    wall: dict[str, list[float]] = {name: [] for name in entries}
    cpu: dict[str, list[float]] = {name: [] for name in entries}
    distances = {}
    for repeat in range(repeats):
        for name in list(entries)[:: 1 if repeat % 2 else -1]:
            start, start_cpu = time.perf_counter(), time.process_time()
            distances[name] = entries[name](rows)
            wall[name].append(time.perf_counter() - start)
            cpu[name].append(time.process_time() - start_cpu)
    return {
        name: {
            "wall_seconds": [round(value, 2) for value in wall[name]],
            "cpu_seconds": [round(value, 2) for value in cpu[name]],
            "times_as_long_wall": round(median(t / o for t, o in zip(wall[name], wall[OURS], strict=True)), 2),
            "times_as_long_cpu": round(median(t / o for t, o in zip(cpu[name], cpu[OURS], strict=True)), 2),
            "wrong": wrong(rows, distances[name], k),
        }
        for name in entries
    }


def main() -> None:
    """Run, print the tables and write the file."""
    parser = argparse.ArgumentParser(description="Neighbors beside its peers.")
    for name, default in (("rows", 60_000), ("columns", 50), ("k", 50), ("repeats", 3), ("jobs", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    for rows in collections(500, options.columns).values():
        Neighbors(options.k).fit(Encoded(embedding=rows))  # compiles, or loads what an earlier process compiled
    results = {}
    print(f"{options.rows} x {options.columns}, k = {options.k}, fit + score, {options.jobs} threads")
    for kind, rows in collections(options.rows, options.columns).items():
        results[kind] = compared(rows, options.k, options.jobs, options.repeats)
        print(f"{kind:20}{'wall s':>8}{'x ours':>8}{'cpu s':>8}{'x ours':>8}{'wrong':>8}")
        for name, entry in results[kind].items():
            print(f"  {name:18}{median(entry['wall_seconds']):8.2f}{entry['times_as_long_wall']:8.2f}"
                  f"{median(entry['cpu_seconds']):8.2f}{entry['times_as_long_cpu']:8.2f}{entry['wrong']:8.2f}")
    versions = {package: version(package) for package in ("numpy", "numba", "faiss-cpu", "scikit-learn")}
    RESULTS.parent.mkdir(exist_ok=True)
    content = {"options": vars(options), "versions": versions, "results": results}
    RESULTS.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    main()
