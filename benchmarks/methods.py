"""Every encoder and every detector by itself, on the same four collections: what the page of each method says.

    python benchmarks/methods.py              measure what is not in the kept results yet
    python benchmarks/methods.py NAMES        measure these methods anew
    python benchmarks/methods.py --table      print the kept results

Unlabelled, 10 % odd: the threes of MNIST-10k and the shirts of Fashion-MNIST with others (protocol A, seed 0); parts of
brick of which some are smoother, and some have a scratch (``photographs.py``). An encoder is measured with the
detector that its features are made for (``WITH``), a detector on ``dictionary``'s features where it takes such. These
sets are small and few: they show what a method is for and what it costs, not which is best. Seconds are of one core, of
learning, encoding and scoring, reading left out.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

import photographs
from draws import one_class
from oddlens import AnomalyModel, registry
from oddlens.errors import OddlensError
from oddlens.files import write_atomically

RESULTS = Path(__file__).parent / "results" / "methods.json"
#: Encoder -> its detector, and detector -> its encoder, where these are not neighbors and dictionary.
WITH = {
    "autoencoder": "reconstruction", "deep_autoencoder": "reconstruction", "conv_autoencoder": "reconstruction",
    "transforms": "surprise", "patch_maps": "places", "backbone": "places", "statistics": "burnout",
    "texture": "burnout", "activations": "autoencoder", "reconstruction": "autoencoder", "surprise": "transforms",
    "alterations": "places", "lines": "burnout", "places": "patch_maps", "patch_bank": "patch_maps",
}


def collections() -> dict[str, Any]:
    """Title -> images, which are odd."""
    found: dict[str, Any] = {}
    for title, data, label in (("threes", "mnist", 3), ("shirts", "fashion", 6)):
        draw = list(one_class(data, 0.1, 0))[label]
        found[title] = draw.fitted, draw.odd
    for title, name in (("brick, smoother", "global/brick/smoother/0.1"),
                        ("brick, scratched", "local/brick/scratch/0.1")):
        found[title] = photographs.make(name)[:2]
    return found


def with_other(role: registry.Role, name: str) -> str:
    """The method that one is measured with."""
    return WITH.get(name, "neighbors" if role == "encoder" else "dictionary")


def measured(role: registry.Role, name: str, images: Any, odd: Any) -> list[float] | None:
    """What a method finds in a collection, and the seconds; None where it cannot see it."""
    other = with_other(role, name)
    encoder, detector = (name, other) if role == "encoder" else (other, name)
    model = AnomalyModel(encoder=encoder, detector=detector, random_state=0)
    try:
        collection = model.read(images)
        start = time.process_time()
        scores = model.fit(collection).rank().scores
    except OddlensError:
        return None  # small images have no detail
    return [*photographs.figures(odd, np.asarray(scores)), round(time.process_time() - start, 1)]


def table(kept: dict[str, Any]) -> None:
    """A row a method."""
    titles = list(dict.fromkeys(title for row in kept.values() for title in row["sets"]))
    print("| method | with | " + " | ".join(titles) + " | seconds |\n|" + " --- |" * (len(titles) + 3))
    for key, row in kept.items():
        cells = ["{:.3f} / {:.3f}".format(*row["sets"][title]) if title in row["sets"] else "" for title in titles]
        seconds = ", ".join(f"{row['sets'][title][2]:.1f}" for title in titles if title in row["sets"])
        print(f"| {key} | {row['with']} | {' | '.join(cells)} | {seconds} |")


def main(wanted: list[str]) -> None:
    """Measure, and keep each as it comes."""
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    sets = collections()
    roles: tuple[registry.Role, ...] = ("encoder", "detector")
    for role in roles:
        for name in registry.names(role):
            if name in wanted:
                kept.pop(name, None)
            elif wanted:
                continue
            row = kept.setdefault(name, {"with": with_other(role, name), "sets": {}})
            lacking = row.get("lacking", [title for title in sets if not row["sets"]])
            for title in lacking:  # kept one by one: some methods take many minutes for one
                if (found := measured(role, name, *sets[title])) is not None:
                    row["sets"][title] = found
                row["lacking"] = lacking[lacking.index(title) + 1 :]
                print(name, title, found, flush=True)
                write_atomically(RESULTS, json.dumps(kept, indent=1).encode())


if __name__ == "__main__":
    if "--table" in sys.argv:
        table(json.loads(RESULTS.read_text()))
    else:
        main(sys.argv[1:])
