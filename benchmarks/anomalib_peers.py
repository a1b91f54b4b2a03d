"""Protocol I for anomalib's PatchCore and PaDiM: the same network and folders as ``photographs.py --lite0``.

    python benchmarks/anomalib_peers.py NAMES      measure sets of photographs.py whose names hold one of these texts
    python benchmarks/anomalib_peers.py --table    print the kept results beside ours

``pip install --group peers -c constraints.txt``. As a user with an unlabelled folder would do it, both are fitted to
the folder as it is, odd pictures among the others, and score the same folder. EfficientNet-Lite0 as in oddlens, the
same two layers, pictures at 256 pixels, anomalib's settings otherwise: 9 neighbours, PaDiM with 100 of the channels.
But PatchCore's bank is 1 % of the places drawn at random: choosing them greedily, one after the other from 300,000,
takes a second each on a processor, so 50 minutes for 300 pictures.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from oddlens.files import write_atomically
from oddlens.learning.pretrained import LITE0_MEAN, LITE0_STD
from photographs import RESULTS as OURS
from photographs import Images, figures, make, mean, names

RESULTS = Path(__file__).parent / "results" / "anomalib.json"
SIDE, BANK, CHANNELS, BATCH = 256, 0.01, 100, 16
LAYERS = ["_blocks.4", "_blocks.10"]  # the layers that Backbone finds by itself


def declare_operators() -> None:
    """So that torchvision, which anomalib imports, can be imported beside a torch for processors."""
    for name in ("nms", "qnms"):
        torch.library.define(f"torchvision::{name}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


def network() -> torch.nn.Module:
    """EfficientNet-Lite0 with its weights, as oddlens opens it."""
    from oddlens.learning.pretrained import opened

    return opened("efficientnet-lite0", torch.device("cpu")).module.eval()


def prepared(images: Images) -> torch.Tensor:
    """(n, 3, 256, 256), normalised as the network was trained."""
    tensor = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2))).float() / 255
    tensor = torch.cat([functional.interpolate(part, (SIDE, SIDE), mode="bilinear", antialias=True)
                        for part in tensor.expand(-1, 3, -1, -1).split(BATCH)])
    return (tensor - torch.tensor(LITE0_MEAN).view(3, 1, 1)) / torch.tensor(LITE0_STD).view(3, 1, 1)


def scores(model: Any, images: torch.Tensor) -> np.ndarray:
    """Fit to all, score all."""
    with torch.no_grad():
        model.train()
        model.feature_extractor.eval()
        for batch in images.split(BATCH):
            model(batch)
        if hasattr(model, "embedding_store"):
            places = torch.vstack(model.embedding_store)
            model.memory_bank = places[torch.randperm(len(places))[: round(BANK * len(places))]]
            model.embedding_store.clear()
        else:
            model.fit()
        model.eval()
        return np.concatenate([model(batch).pred_score.flatten().numpy() for batch in images.split(BATCH)])


def measured(name: str) -> dict[str, Any]:
    from anomalib.models.image.padim.torch_model import PadimModel
    from anomalib.models.image.patchcore.torch_model import PatchcoreModel

    images, odd, _ = make(name)
    tensor = prepared(images)
    row: dict[str, Any] = {}
    for title, build in (("padim", lambda: PadimModel(network(), LAYERS, n_features=CHANNELS)),
                         ("patchcore", lambda: PatchcoreModel(LAYERS, network()))):
        torch.manual_seed(0)
        start = time.process_time()
        row[title] = figures(odd, scores(build(), tensor).astype(float))
        row[f"{title}_cpu_seconds"] = round(time.process_time() - start, 1)
    return row


def table(results: dict[str, Any]) -> None:
    """A line for each set, beside ours with and without the network, and one for all cells of a kind."""
    ours = json.loads(OURS.read_text())
    columns = ("patchcore", "padim", "backbone-knn5", "oddlens+lite0", "oddlens")
    print(f"| set | {' | '.join(columns)} | CPU-s of PatchCore, PaDiM |\n|{' --- |' * (len(columns) + 2)}")
    both = {name: {**ours.get(name, {}), **row} for name, row in results.items()}
    lines = {name: [row] for name, row in sorted(both.items())}
    for kind in ("mono", "poly"):
        cells = [row for name, row in both.items() if name.startswith(f"cells/{kind}/") and name.endswith("/0.05")]
        lines |= {f"{kind}, mean": cells} if cells else {}
    for title, rows in lines.items():
        found = [mean([row[key] for row in rows if key in row], len(rows)) for key in columns]
        seconds = [np.mean([row[f"{key}_cpu_seconds"] for row in rows]) for key in columns[:2]]
        print(f"| {title} | {' | '.join(found)} | {seconds[0]:.0f}, {seconds[1]:.0f} |")


if __name__ == "__main__":
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    if "--table" in sys.argv:
        table(kept)
        sys.exit()
    declare_operators()
    torch.set_num_threads(1)
    for name in names():
        if name not in kept and any(part in name for part in sys.argv[1:]):
            kept[name] = measured(name)
            print(name, kept[name], flush=True)
            write_atomically(RESULTS, json.dumps(kept, indent=1).encode())
