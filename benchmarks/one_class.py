"""Protocol A at c = .1: the leading view and the paper's methods beside HOG and raw pixels, in one run.

python benchmarks/one_class.py            prints the table and writes benchmarks/results/one_class.json
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from draws import one_class
from oddlens.detectors.forest import Forest
from oddlens.detectors.neighbors import Neighbors
from oddlens.detectors.reconstruction import Reconstruction
from oddlens.encoders.autoencoder import Autoencoder
from oddlens.encoders.dictionary import Dictionary
from oddlens.files import write_atomically
from oddlens.protocols import Encoded

RESULTS = Path(__file__).parent / "results" / "one_class.json"
NEEDS = frozenset({"embedding", "residual"})


def hog(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Histograms of oriented gradients: 9 orientations, 7x7 cells, 2x2 blocks (scikit-image)."""
    from skimage.feature import hog as histograms

    rows = [histograms(image[..., 0], 9, (7, 7), (2, 2)) for image in images]
    return np.array(rows, np.float32)


def scores(images: NDArray[np.uint8]) -> dict[str, Any]:
    """Every method's own scores of one set, with default settings but for what their names say."""
    pixels = Encoded(embedding=images.reshape(len(images), -1) / np.float32(255))
    oriented = Encoded(embedding=hog(images))
    start = time.process_time()
    learned = Dictionary().fit(images).encode(images, NEEDS)
    found = {"dictionary + neighbors (--fast)": Neighbors().fit(learned).score_own()}
    seconds = time.process_time() - start
    paper = Autoencoder().fit(images).encode(images, NEEDS)
    found |= {
        "HOG + 50 neighbours": Neighbors(k=50).fit(oriented).score_own(),
        "HOG + 5 neighbours": Neighbors(k=5).fit(oriented).score_own(),
        "pixels + 50 neighbours": Neighbors(k=50).fit(pixels).score_own(),
        "pixels + 5 neighbours": Neighbors(k=5).fit(pixels).score_own(),
        "the paper's autoencoder: reconstruction error": Reconstruction().fit(paper).score_own(),
        "the paper's autoencoder: neighbors": Neighbors().fit(paper).score_own(),
        "the paper's autoencoder: forest": Forest().fit(paper).score_own(),
    }
    return {"scores": found, "seconds": seconds}


def main() -> None:
    """Measure both sets and print the table."""
    table: dict[str, dict[str, list[list[float]]]] = {}
    seconds = []
    for data in ("mnist", "fashion"):
        for draw in one_class(data, 0.1, 0):
            result = scores(draw.fitted)
            seconds.append(result["seconds"])
            for name, values in result["scores"].items():
                pair = [float(roc_auc_score(draw.odd, values)), float(average_precision_score(draw.odd, values))]
                table.setdefault(name, {}).setdefault(data, []).append(pair)
    write_atomically(RESULTS, json.dumps(table, indent=0).encode())
    print("| | MNIST-10k | Fashion-MNIST test split |\n| --- | --- | --- |")
    for name, columns in table.items():
        cells = ["{:.3f} / {:.3f}".format(*np.mean(columns[data], 0)) for data in ("mnist", "fashion")]
        print(f"| {name} | {cells[0]} | {cells[1]} |")
    print(f"\nLearning the dictionary and its distances takes {np.median(seconds):.1f} CPU-seconds for 1,100 images.")


if __name__ == "__main__":
    main()
