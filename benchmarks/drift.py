"""How often images of the same kind are said to have drifted, and how often others are noticed.

python benchmarks/drift.py     prints the table; about ten minutes of a core

Models are fitted to some images of the bundled digits, and of Fashion-MNIST where it is installed; of the others many
small sets are drawn as what came later, as they are or with some of the other kind among them.
"""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np

from oddlens import AnomalyModel
from oddlens.demo import DIGITS
from oddlens.drift import drift
from oddlens.reading.array_files import read_idx

FASHION = Path("/usr/share/datasets/fashion-mnist/t10k-images-idx3-ubyte.gz")
FITTED, LATER, FITS, DRAWS = (500, 2000), (50, 200, 1000), 4, 100
FOREIGN = 0.1  # share of the later images that are of the other kind


def main() -> None:
    """Fit, draw, count."""
    sets = {"digits": read_idx(DIGITS)}
    if FASHION.exists():
        with gzip.open(FASHION) as file:
            sets["clothes"] = np.frombuffer(file.read()[16:], np.uint8).reshape(-1, 28, 28)
    print("| fitted to | later | said to have drifted, nothing changed | with a tenth of the other kind |")
    print("| --- | --- | --- | --- |")
    for name, images in sets.items():
        others = next((other for title, other in sets.items() if title != name), 255 - images)
        for count in FITTED:
            wrong: dict[int, list[bool]] = {size: [] for size in LATER}
            right: dict[int, list[bool]] = {size: [] for size in LATER}
            for fit in range(FITS):
                rng = np.random.default_rng(fit)
                order = rng.permutation(len(images))
                model = AnomalyModel(random_state=fit).fit(images[order[:count]])
                own, later = model.rank().scores, model.rank(images[order[count : count + 2500]]).scores
                foreign = model.rank(others[:200]).scores
                for size in LATER:
                    for _ in range(DRAWS):
                        drawn = rng.choice(later, size, replace=False)
                        wrong[size].append(drift(own, drawn).drifted)
                        mixed = np.concatenate([drawn[int(size * FOREIGN) :],
                                                rng.choice(foreign, int(size * FOREIGN))])
                        right[size].append(drift(own, mixed).drifted)
            for size in LATER:
                print(f"| {count:,} {name} | {size:,} | {np.mean(wrong[size]):.1%} | {np.mean(right[size]):.0%} |",
                      flush=True)


if __name__ == "__main__":
    main()
