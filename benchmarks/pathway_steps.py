"""Does the pathway gain from more steps or more images? NAP, SAP and reconstruction error on protocol C, clean.

    python benchmarks/pathway_steps.py mnist 1000 8000        or fashion 6000 8000: data, images a class, steps

Prints a line a class, with the mean so far.
"""

from __future__ import annotations

import sys

import numpy as np
from sklearn.metrics import roc_auc_score

from draws import leave_one_out
from oddlens.detectors.activations import Activations
from oddlens.encoders.deep_autoencoder import DeepAutoencoder


def main(data: str, most: str, steps: str) -> None:
    """Measure all ten classes."""
    found = []
    for left_out, draw in enumerate(leave_one_out(data, 0, int(most))):
        assert draw.scored is not None
        encoder = DeepAutoencoder(steps=int(steps)).fit(draw.fitted)
        fitted, scored = (encoder.encode(images, encoder.gives) for images in (draw.fitted, draw.scored))
        nap, sap = (Activations("pathway", whiten=whiten).fit(fitted).score_new(scored) for whiten in (True, False))
        found.append([roc_auc_score(draw.odd, scores) for scores in (nap, sap, scored.residual)])
        print(data, left_out, np.round(found[-1], 3), "mean", np.round(np.mean(found, 0), 4), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
