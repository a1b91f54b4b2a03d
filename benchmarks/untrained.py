"""Every learned encoder beside itself with the weights that it was drawn with, and beside raw pixels.

python benchmarks/untrained.py            prints the table and writes benchmarks/results/untrained.json

Protocol A at c = .1, seed 0, all ten classes of both sets; the score is ``neighbors`` by default.
About twenty minutes of one core.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

from draws import one_class
from oddlens.detectors.neighbors import Neighbors
from oddlens.encoders.autoencoder import Autoencoder
from oddlens.encoders.conv_autoencoder import ConvAutoencoder
from oddlens.encoders.deep_autoencoder import DeepAutoencoder
from oddlens.encoders.dictionary import Dictionary
from oddlens.encoders.transforms import Transforms
from oddlens.evaluation.metrics import measure
from oddlens.files import write_atomically
from oddlens.protocols import Doubles, Encoded

RESULTS = Path(__file__).parent / "results" / "untrained.json"
NEEDS = frozenset({"embedding"})
STILL = {"steps": 1, "learning_rate": 1e-12}  # one step that goes nowhere
PIXELS = "raw pixels"


def drawn(patches: Any, count: int, rng: Any) -> Any:
    """Atoms drawn at random in place of the means that k-means finds."""
    atoms = torch.from_numpy(rng.standard_normal((count, patches.shape[1]), np.float32))
    return atoms / atoms.norm(dim=1, keepdim=True)


def features(images: Any) -> dict[str, tuple[Any, Any]]:
    """Encoder -> its features, learned and as drawn."""
    pairs = {
        "autoencoder": (Autoencoder(), Autoencoder(**STILL)),
        "deep_autoencoder": (DeepAutoencoder(), DeepAutoencoder(**STILL)),
        "conv_autoencoder": (ConvAutoencoder(device="cpu"), ConvAutoencoder(device="cpu", **STILL)),
        "transforms": (Transforms(device="cpu"), Transforms(device="cpu", steps=0)),
    }
    found = {name: tuple(part.fit(images).encode(images, NEEDS).embedding for part in pair)
             for name, pair in pairs.items()}
    learned = Dictionary().fit(images).encode(images, NEEDS).embedding
    with patch("oddlens.encoders.dictionary.spherical_means", drawn):
        found["dictionary"] = (learned, Dictionary().fit(images).encode(images, NEEDS).embedding)
    return found


def far(embedding: Any) -> Doubles:
    """The images' own scores."""
    return Neighbors(n_jobs=1).fit(Encoded(embedding=embedding)).score_own()


def main() -> None:
    """Measure both sets and print the table."""
    rows: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for name in ("mnist", "fashion"):
        for draw in one_class(name, 0.1, 0):
            start = time.process_time()
            pixels = draw.fitted.reshape(len(draw.fitted), -1) / np.float32(255)
            scored = {f"{encoder}, {how}": far(embedding) for encoder, pair in features(draw.fitted).items()
                      for how, embedding in zip(("learned", "as drawn"), pair, strict=True)}
            for row, values in {**scored, PIXELS: far(pixels)}.items():
                found = measure(draw.odd, values)
                rows.setdefault(row, {}).setdefault(name, []).append((found["auroc"], found["average_precision"]))
            print(f"{name} {draw.case}: {time.process_time() - start:.0f} CPU-seconds", flush=True)
    content = json.dumps({"protocol": "A, c = .1, seed 0", "rows": rows}, indent=1) + "\n"
    write_atomically(RESULTS, content.encode())
    print("| AUROC / average precision | MNIST-10k | Fashion-MNIST |\n| --- | --- | --- |")
    for row, sets in rows.items():
        means = [np.mean(values, axis=0) for values in sets.values()]
        print(f"| {row} | " + " | ".join(f"{auroc:.3f} / {precision:.3f}" for auroc, precision in means) + " |")


if __name__ == "__main__":
    main()
