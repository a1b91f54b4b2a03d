"""The pattern of the active nodes measured: every rule on every autoencoder, beside the usual detectors.

    python benchmarks/activations.py mnist A        one set of rows; mnist or fashion; A, C or C5 (5 % contaminated)
    python benchmarks/activations.py --table        the table of all that was measured so far

Results are kept in benchmarks/results/activations-*.json, one entry a class, so that a run that was cut off goes on.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from draws import Draw, leave_one_out, leave_one_out_contaminated, one_class
from oddlens.detectors.activations import Activations
from oddlens.detectors.forest import Forest
from oddlens.detectors.neighbors import Neighbors
from oddlens.detectors.reconstruction import Reconstruction
from oddlens.encoders.autoencoder import Autoencoder
from oddlens.encoders.conv_autoencoder import ConvAutoencoder
from oddlens.encoders.deep_autoencoder import DeepAutoencoder
from oddlens.files import write_atomically
from oddlens.protocols import Detector, Encoder

RESULTS = Path(__file__).parent / "results"
SEED = 0


def detectors() -> dict[str, Detector]:
    """All that is compared, with default settings but for what their names say."""
    return {
        "reconstruction error": Reconstruction(),
        "neighbors": Neighbors(),
        "forest": Forest(n_estimators=500),
        "hamming": Activations("hamming"),
        "likelihood": Activations("likelihood"),
        "likelihood, 8 components": Activations("likelihood", components=8),
        "scan, Berk-Jones": Activations("scan"),
        "scan, higher criticism": Activations("scan", statistic="higher_criticism"),
        "pathway, NAP": Activations("pathway"),
        "pathway, SAP": Activations("pathway", whiten=False),
    }


def encoders() -> dict[str, Encoder]:
    """The paper's autoencoder and two deep ones, with default settings."""
    return {"autoencoder": Autoencoder(), "deep_autoencoder": DeepAutoencoder(), "conv_autoencoder": ConvAutoencoder()}


def measure(draw: Draw, encoder: Encoder) -> dict[str, Any]:
    """AUROC and average precision of every detector on one encoder and one set, and seconds."""
    start = time.perf_counter()
    encoder.fit(draw.fitted)
    rows: dict[str, Any] = {"seconds, learning": round(time.perf_counter() - start, 1)}
    fitted = encoder.encode(draw.fitted, encoder.gives)
    scored = None if draw.scored is None else encoder.encode(draw.scored, encoder.gives)
    for name, detector in detectors().items():
        start = time.perf_counter()
        detector.fit(fitted)
        scores = detector.score_own() if scored is None else detector.score_new(scored)
        rows[name] = [float(roc_auc_score(draw.odd, scores)), float(average_precision_score(draw.odd, scores)),
                      round(time.perf_counter() - start, 2)]
    return rows


def run(data: str, protocol: str) -> None:
    """All ten classes on all encoders, kept as they come."""
    draws = {"A": lambda: one_class(data, 0.1, SEED), "C": lambda: leave_one_out(data, SEED),
             "C5": lambda: leave_one_out_contaminated(data, SEED)}[protocol]()
    for number, draw in enumerate(draws):
        for name, encoder in encoders().items():
            key = f"{protocol} {data} {name} {number}"
            path = RESULTS / f"activations-{data}-{protocol}.json"
            found = json.loads(path.read_text()) if path.exists() else {}
            if key not in found:
                rows = measure(draw, encoder)
                write_atomically(path, json.dumps({**found, key: rows}, indent=0, sort_keys=True).encode())
                print(key, rows["seconds, learning"], flush=True)


def kept() -> dict[str, Any]:
    """What was measured so far."""
    files = sorted(RESULTS.glob("activations-*.json"))
    return {key: rows for path in files for key, rows in json.loads(path.read_text()).items()}


def table() -> str:
    """Mean AUROC / average precision over classes, a column for each protocol and data set."""
    results = kept()
    columns = sorted({tuple(key.split()[:2]) for key in results})
    lines = []
    for encoder in encoders():
        heads = []
        for protocol, data in columns:
            classes = sum(f"{protocol} {data} {encoder} {number}" in results for number in range(10))
            heads.append(f"{protocol} {data} ({classes})")
        lines += ["", f"| {encoder} | " + " | ".join(heads) + " |", "| --- |" + " --- |" * len(columns)]
        for name in detectors():
            cells = []
            for protocol, data in columns:
                found = [results[key][name][:2] for key in (f"{protocol} {data} {encoder} {i}" for i in range(10))
                         if key in results]
                cells.append("{:.3f} / {:.3f}".format(*np.mean(found, 0)) if found else "")
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    if sys.argv[1:] == ["--table"]:
        print(table())
    else:
        run(*sys.argv[1:])
