"""How long it takes to learn from labels: 60,000 images, 9 views, 60 components, on one thread.

python benchmarks/feedback_cost.py
"""

from __future__ import annotations

import time

import numpy as np

from oddlens.feedback import Evidence, learn


def main() -> None:
    """Seconds by the wall and of the processor: the first time, and the least of five more."""
    rng = np.random.default_rng(0)
    n = 60_000
    known = Evidence(rng.exponential(size=n), rng.normal(size=(n, 9)).astype(np.float32),
                     rng.normal(size=(n, 60)).astype(np.float32))
    for count in (20, 100, 300):
        labels = {int(row): bool(rng.random() < 0.3) for row in rng.choice(n, count, replace=False)}
        spent = []
        for _ in range(6):
            wall, cpu = time.perf_counter(), time.process_time()
            learn(known, labels)
            spent.append((time.perf_counter() - wall, time.process_time() - cpu))
        least = np.min(spent[1:], 0)
        print(f"{count} labels: first {spent[0][0]:.2f} s ({spent[0][1]:.2f} CPU-s), then {least[0]:.2f} s "
              f"({least[1]:.2f} CPU-s)")


if __name__ == "__main__":
    main()
