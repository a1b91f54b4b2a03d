"""The labelled sets that the benchmarks measure on: the package's own draws of the data sets that they use."""

from __future__ import annotations

from collections.abc import Iterator

from oddlens.evaluation import draws
from oddlens.evaluation.datasets import load
from oddlens.evaluation.draws import Draw

__all__ = ["Draw", "leave_one_out", "leave_one_out_contaminated", "load", "one_class"]


def one_class(name: str, c: float, seed: int) -> Iterator[Draw]:
    """Protocol A: one class in turn is nominal, with c outliers per inlier from the others; fitted and scored alike."""
    return draws.one_class(*load(name), c, seed)


def leave_one_out(name: str, seed: int, most: int = 1000) -> Iterator[Draw]:
    """Protocol C, clean: nine classes are fitted, the tenth is odd among other images of the nine.

    MNIST has 10,000 images here: half of each class is fitted, the rest scored. Fashion-MNIST fits ``most`` images a
    class of its train split and scores its whole test split.
    """
    if name == "mnist":
        return draws.leave_one_out(*draws.halved(*load("mnist"), seed))
    return draws.leave_one_out(draws.some_of_each(*load("fashion-train"), most, seed), load("fashion"))


def leave_one_out_contaminated(name: str, seed: int, c: float = 0.05) -> Iterator[Draw]:
    """Protocol C, contaminated: nine classes and c of their number from the tenth, fitted and scored alike."""
    return draws.leave_one_out_contaminated(*load(name), c, seed)
