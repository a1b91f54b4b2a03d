"""What each encoder and each view of the default costs, in processor seconds of one thread.

python benchmarks/costs.py                  prints the tables; nothing is kept, for seconds are of one machine
python benchmarks/costs.py dictionary hog   prints the rows of these encoders alone

1,100 digits, enlarged to 28, 64, 128 and 224 pixels a side; and 10,000 of 28 x 28 for the views.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from PIL import Image

from oddlens import AnomalyModel, registry
from oddlens.demo import DIGITS
from oddlens.reading.array_files import read_idx

SIDES = (28, 64, 128, 224)
COUNT = 1100


def digits(count: int, side: int) -> Any:
    """(count, side, side, 1) digits."""
    small = read_idx(DIGITS)[:count]
    if side == small.shape[1]:
        return small[..., None]
    return np.stack([np.asarray(Image.fromarray(image).resize((side, side))) for image in small])[..., None]


def cpu(run: Callable[[], Any]) -> tuple[float, Any]:
    """The processor seconds of a call, and what it gave."""
    start = time.process_time()
    found = run()
    return time.process_time() - start, found


def encoders(names: list[str]) -> None:
    """Learning and encoding, encoder by encoder."""
    print("| learn + encode 1,100 images | " + " | ".join(f"{side} x {side}" for side in SIDES) + " |")
    print("| --- |" + " --- |" * len(SIDES))
    sets = {side: digits(COUNT, side) for side in SIDES}
    for name in names:
        device = {"device": "cpu"} if "device" in registry.options("encoder", name) else {}
        cells = []
        for images in sets.values():
            made = registry.create("encoder", name, **device)
            needs = frozenset({"embedding"})
            learned = cpu(lambda made=made, images=images: made.fit(images))[0]
            encoded = cpu(lambda made=made, images=images, needs=needs: made.encode(images, needs))[0]
            cells.append(f"{learned:.1f} + {encoded:.1f}")
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def views() -> None:
    """The default's parts: each encoder once, each detector on what it needs."""
    print("\n| the default | 1,100 of 28 x 28 | 10,000 of 28 x 28 | 1,100 of 128 x 128 |\n| --- | --- | --- | --- |")
    rows: dict[str, list[str]] = {}
    for images in (digits(COUNT, 28), digits(10_000, 28), digits(COUNT, 128)):
        seen = AnomalyModel(n_jobs=1).build()
        total = 0.0
        for name, encoder in seen.encoders.items():
            seconds, encoded = cpu(lambda encoder=encoder, images=images, name=name, seen=seen: (
                encoder.fit(images).encode(images, seen.needs(name))))
            rows.setdefault(f"encoder {name}", []).append(f"{seconds:.1f}")
            total += seconds
            for column in seen.columns(name):
                seconds, _ = cpu(lambda encoded=encoded, column=column, seen=seen: (
                    seen.detectors[column].fit(encoded).score_own()))
                rows.setdefault(f"view {column}", []).append(f"{seconds:.1f}")
                total += seconds
        rows.setdefault("all", []).append(f"{total:.1f}")
    for row, cells in rows.items():
        print(f"| {row} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    torch.set_num_threads(1)
    AnomalyModel(n_jobs=1).fit(digits(60, 28))  # loads and compiles
    if not sys.argv[1:]:
        views()
    encoders(sys.argv[1:] or registry.names("encoder"))
