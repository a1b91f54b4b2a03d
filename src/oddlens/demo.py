"""The paper's experiment on 10,000 real digits that come with the package.

An autoencoder with one hidden layer of 50 sigmoid nodes learns the digits without labels; four galleries show
what reconstruction error, isolation depth and neighbour distance make of them, and a fifth the paper's other idea,
the pattern of the active nodes, which it proposes and never built. The labels that come with the
digits are opened once all is ranked and saved, and only to say how it did.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from oddlens.ranking import Ranking
from oddlens.reading.array_files import read_idx
from oddlens.report.contact_sheet import Panel
from oddlens.report.contents import Look, pictured, strangest
from oddlens.report.page import Note
from oddlens.run import RunResult, rank_into
from oddlens.settings import build_model
from oddlens.thumbnails import Reader

DATA = Path(__file__).parent / "data"
DIGITS = DATA / "mnist-10k-images-idx3-ubyte.gz"
LABELS = DATA / "mnist-10k-labels-idx1-ubyte.gz"
DETECTORS = ("reconstruction", "forest", "neighbors", "activations")
SHOWN_IMAGES = 20


def run_demo(
    out: str | Path, *, random_state: int = 0, n_jobs: int | None = None, command: str = "oddlens demo",
    overwrite: bool = False,
) -> RunResult:
    """Rank the bundled digits with the paper's methods and write the run, its figure as ``gallery.png``."""
    model = build_model("autoencoder", DETECTORS, {"forest.score": "depth"}, random_state=random_state, n_jobs=n_jobs)
    return rank_into(DIGITS, out, model, top=SHOWN_IMAGES, command=command, overwrite=overwrite,
                     title="The strangest of 10,000 digits",
                     what="the handwritten digits of MNIST that come with oddlens",
                     look=Look(panels=figure, notes=how_did_it_do))


def figure(ranking: Ranking, read: Reader) -> list[Panel]:
    """The paper's figure, 20 digits each of four orders, and a fifth by the pattern of the active nodes."""
    lowest = [(image, image.members["reconstruction"]) for image in ranking.bottom(SHOWN_IMAGES, "reconstruction")]
    # The forest's score is minus the depth; the figure shows the depth itself, as the paper does.
    shallow = [(image, -image.members["forest"]) for image in ranking.top(SHOWN_IMAGES, "forest")]
    return [
        Panel("Lowest reconstruction error", "the most ordinary, for comparison", *pictured(read, lowest)),
        Panel("Highest reconstruction error", "mean squared error",
              *strangest(ranking, read, "reconstruction", SHOWN_IMAGES)),
        Panel("Smallest isolation depth", "average over 2,000 trees", *pictured(read, shallow)),
        Panel("Highest kNN distance", "to the 50th neighbour, 50 features",
              *strangest(ranking, read, "neighbors", SHOWN_IMAGES)),
        Panel("Rarest pattern of active nodes", "share of nodes that differ from the 50th",
              *strangest(ranking, read, "activations", SHOWN_IMAGES)),
    ]


def how_did_it_do(ranking: Ranking) -> list[Note]:
    """With the labels, which nothing has seen until here: which digits each method picked."""
    labels: NDArray[np.uint8] = read_idx(LABELS, dimensions=(1,))
    picked = [("10,000 digits", labels)]
    picked += [(column, _labels(ranking, column, labels)) for column in ranking.members]
    rows = [[title, *(str(int((chosen == digit).sum())) for digit in range(10))] for title, chosen in picked]
    text = (f"The labels were opened only now, after all was ranked. How often each digit is among the {SHOWN_IMAGES} "
            "strangest of each method; a method that picks one digit again and again has found a rare shape of "
            "digit rather than odd digits.")
    return [Note("How did it do?", text, ["", *map(str, range(10))], rows)]


def _labels(ranking: Ranking, column: str, labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    chosen: Sequence[int] = [image.index for image in ranking.top(SHOWN_IMAGES, column)]
    return np.asarray(labels[np.array(chosen)])
