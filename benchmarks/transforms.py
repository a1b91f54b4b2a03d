"""The network that tells rotations apart: trained and not, with and without presumed outliers, beside HOG, pixels.

python benchmarks/transforms.py            prints the tables and writes benchmarks/results/transforms.json

Protocol A at c = .1, seed 0; three sets; each training takes a quarter of a minute of one core, 27 of them.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from draws import Draw, one_class
from oddlens.detectors.neighbors import Neighbors
from oddlens.encoders.hog import Hog
from oddlens.encoders.pixels import Pixels
from oddlens.encoders.transforms import Transforms
from oddlens.evaluation.metrics import measure
from oddlens.files import write_atomically
from oddlens.protocols import Doubles, Encoded

RESULTS = Path(__file__).parent / "results" / "transforms.json"
NEEDS = frozenset({"embedding", "surprise"})
SETS = (("mnist", "2"), ("mnist", "8"), ("fashion", "8"))


class DoubtingByPixels(Transforms):
    """Takes for outliers what lies far from the rest by its pixels, not by the directions of its edges."""

    def _edges(self, pixels: Any) -> Any:
        return pixels_of(pixels)


def pixels_of(images: Any) -> Any:
    """The pixels, averaged to 14 x 14."""
    return Pixels(side=14).fit(images).encode(images, NEEDS).embedding


def scores(images: Any) -> tuple[dict[str, Doubles], float]:
    """Every row's own scores of one set, and the CPU seconds of the default encoder."""
    far = lambda features: Neighbors(k=50, n_jobs=1).fit(Encoded(embedding=features)).score_own()  # noqa: E731
    found = {"pixels, 14 x 14: 50th neighbour": far(pixels_of(images)),
             "HOG: 50th neighbour": far(Hog().fit(images).encode(images, NEEDS).embedding)}
    seconds = 0.0
    for name, encoder in {
        "untrained (steps = 0)": Transforms(steps=0, device="cpu"),
        "trained, no presumed outliers (outlier_share = 0)": Transforms(outlier_share=0, device="cpu"),
        "trained, doubting by pixels": DoubtingByPixels(device="cpu"),
        "ways: turns and shifts": Transforms(augmentations="rotations,translations", device="cpu"),
        "ways: all 18 (rotations, translations, scales, permutations)": Transforms(
            augmentations="rotations,translations,scales,permutations", device="cpu"),
        "the last two layers (depths = 2)": Transforms(depths=2, device="cpu"),
        "all four layers (depths = 4)": Transforms(depths=4, device="cpu"),
        "four parts (grid = 2)": Transforms(grid=2, device="cpu"),
        "trained, doubting by edges (the default)": Transforms(device="cpu"),
    }.items():
        start = time.process_time()
        encoded = encoder.fit(images).encode(images, NEEDS)
        seconds = time.process_time() - start
        found[f"{name}: 50th neighbour"] = far(encoded.embedding)
        if encoder.steps and encoder.depths == encoder.grid == 1:  # else it is the default's
            found[f"{name}: surprise"] = encoded.surprise
    return found, seconds


def own_and_new(draw: Draw) -> dict[str, float]:
    """The median surprise at ordinary images that were fitted, and at such that were not, of one half fitted."""
    half = np.arange(len(draw.odd)) % 2 == 0
    encoder = Transforms(device="cpu").fit(draw.fitted[half])
    surprise = encoder.encode(draw.fitted, NEEDS).surprise
    parts = {"own": surprise[half & ~draw.odd], "new": surprise[~half & ~draw.odd]}
    return {f"{name} {share}": float(np.quantile(part, share)) for name, part in parts.items() for share in (0.5, 0.9)}


def main() -> None:
    """Measure all sets and print the tables."""
    results: dict[str, Any] = {"protocol": "A, c = .1, seed 0", "sets": []}
    for name, nominal in SETS:
        draw = next(each for each in one_class(name, 0.1, 0) if each.case == nominal)
        found, seconds = scores(draw.fitted)
        results["sets"].append({
            "set": f"{name} {nominal}", "images": len(draw.odd), "seconds": round(seconds, 1),
            "measured": {row: measure(draw.odd, values) for row, values in found.items()},
            "surprise": own_and_new(draw)})
        print(json.dumps(results["sets"][-1]), flush=True)
    write_atomically(RESULTS, (json.dumps(results, indent=1) + "\n").encode())
    print("| AUROC / average precision | " + " | ".join(each["set"] for each in results["sets"]) + " |")
    print("| --- |" + " --- |" * len(SETS))
    for row in results["sets"][0]["measured"]:
        cells = [each["measured"][row] for each in results["sets"]]
        print(f"| {row} | " + " | ".join(f"{c['auroc']:.3f} / {c['average_precision']:.3f}" for c in cells) + " |")
    print("| CPU seconds of the default | " + " | ".join(f"{each['seconds']}" for each in results["sets"]) + " |\n")
    print("| surprise, fitted on one half | " + " | ".join(each["set"] for each in results["sets"]) + " |")
    print("| --- |" + " --- |" * len(SETS))
    for row in results["sets"][0]["surprise"]:
        print(f"| {row} | " + " | ".join(f"{each['surprise'][row]:.3f}" for each in results["sets"]) + " |")


if __name__ == "__main__":
    main()
