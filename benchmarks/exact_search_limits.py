"""What an exact search of all pairs costs at least: FAISS, and the steps that a faster one would be made of.

    python benchmarks/exact_search_limits.py [--rows 60000] [--columns 50] [--k 50]

On one thread, in nanoseconds of processor time a pair, the best of several in turn: FAISS's flat search with its
choice of the k nearest; the product alone, in single precision by numpy and torch and in bfloat16 by torch; and a sieve
that reads the products and puts down those within a bound, k in the whole search, by a compiled loop.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import faiss
import numba
import numpy as np
import torch
from threadpoolctl import threadpool_limits

ROWS, COLUMNS, CHUNK = 256, 2048, 16  # of a product; and products looked at at a time
REPEATS = 7


@numba.njit(nogil=True, fastmath=True)
def sieved(products: Any, half: Any, bounds: Any, halved: Any) -> Any:
    """How many of (m, c) products, single or the bits of bfloat16, leave half the square within a row's bound."""
    raw = np.empty(products.shape[1], np.uint32)
    values = raw.view(np.float32)
    found = 0
    for i in range(len(products)):
        row, bound = products[i], bounds[i]
        if halved:
            for j in range(len(row)):
                raw[j] = np.uint32(row[j]) << np.uint32(16)
            for j in range(len(row)):
                values[j] = half[j] - values[j]
        else:
            for j in range(len(row)):
                values[j] = half[j] - row[j]
        for start in range(0, len(row), CHUNK):
            least = np.float32(3e38)
            for j in range(CHUNK):
                least = min(least, values[start + j])
            if least <= bound:
                for j in range(start, start + CHUNK):
                    found += values[j] <= bound
    return found


def main() -> None:
    """Measure all in turn and print a line each."""
    parser = argparse.ArgumentParser(description="The limits of an exact search.")
    for name, default in (("rows", 60_000), ("columns", 50), ("k", 50)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    torch.set_num_threads(1)
    faiss.omp_set_num_threads(1)
    rows = np.random.default_rng(0).normal(size=(options.rows, options.columns)).astype(np.float32)
    index = faiss.IndexFlatL2(options.columns)
    index.add(rows)
    one, two = torch.from_numpy(rows[:ROWS]), torch.from_numpy(rows[ROWS : ROWS + COLUMNS])
    short, other = one.bfloat16(), two.bfloat16().T
    single, half_ = torch.empty(ROWS, COLUMNS), torch.empty(ROWS, COLUMNS, dtype=torch.bfloat16)
    torch.mm(one, two.T, out=single)
    torch.mm(short, other, out=half_)
    half = (two.numpy() ** 2).sum(1) / 2
    within = max(1, round(options.k * COLUMNS / options.rows))
    bounds = np.partition(half - single.numpy(), within, axis=1)[:, within]
    bits, products = half_.view(torch.uint16).numpy(), np.empty((ROWS, COLUMNS), np.float32)
    small, all_ = ROWS * COLUMNS, 4096 * options.rows
    steps: dict[str, tuple[int, Callable[[], object]]] = {
        "FAISS flat": (all_, lambda: index.search(rows[:4096], options.k + 1)),
        "product, numpy, single": (small, lambda: np.matmul(one.numpy(), two.numpy().T, out=products)),
        "product, torch, single": (small, lambda: torch.mm(one, two.T, out=single)),
        "product, torch, bfloat16": (small, lambda: torch.mm(short, other, out=half_)),
        "sieve, single": (small, lambda: sieved(single.numpy(), half, bounds, False)),
        "sieve, bfloat16": (small, lambda: sieved(bits, half, bounds, True)),
    }
    times: dict[str, list[float]] = {name: [] for name in steps}
    with threadpool_limits(1):
        for repeat in range(REPEATS + 1):
            for name, (pairs, step) in steps.items():
                start = time.process_time()
                step()
                if repeat:  # the first compiles
                    times[name].append((time.process_time() - start) / pairs * 1e9)
    print(f"{options.rows} x {options.columns}, k = {options.k}: nanoseconds of processor time a pair, one thread")
    for name, found in times.items():
        print(f"  {name:28}{min(found):8.3f}")


if __name__ == "__main__":
    main()
