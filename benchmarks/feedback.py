"""Ways to learn from labels, replayed side by side: odd images found after 20 / 50 / 100 / 200 looks.

    oddlens evaluate --review --out FOLDER          fits the sets and keeps what is known of each
    python benchmarks/feedback.py FOLDER            every design on the sets that it was chosen on
    python benchmarks/feedback.py FOLDER --confirm  on all other sets, named before any design was looked at there

CHOSEN was looked at while designs were weighed. Each design is shown the same evidence and is asked for the next five
images, told what they are, and asked again.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from scipy import sparse
from sklearn.ensemble import IsolationForest
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestNeighbors

from oddlens import feedback
from oddlens.evaluation.evaluate import blocks_of
from oddlens.evaluation.fingerprints import images_digest
from oddlens.evaluation.replays import EVERY, LOOKS
from oddlens.evaluation.review import FOLDER
from oddlens.feedback import Evidence, learn, likeness, prior_variance

CHOSEN = {("C5", "mnist", "4"), ("C5", "mnist", "8"), ("C5", "fashion", "5"), ("C5", "fashion", "2"),
          ("A", "mnist", "6"), ("A", "fashion", "6")}
FAINT = 2000  # unlabelled images that count as faintly normal in the logistic design
Labels = dict[int, bool]
Scores = np.ndarray[Any, np.dtype[np.float64]]


def split(labels: Labels) -> tuple[np.ndarray, np.ndarray]:
    """Rows and answers."""
    return np.fromiter(labels, np.intp, len(labels)), np.fromiter(labels.values(), bool, len(labels))


class Design:
    """One way of learning; ``next`` gives so many rows to look at."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence, self.anchor = evidence, evidence.placed.anchor

    def scores(self, labels: Labels) -> Scores:  # noqa: ARG002  what it is told does not matter to the unlabelled order
        """(n,) the larger, the sooner looked at."""
        return self.evidence.scores

    def next(self, labels: Labels, count: int) -> list[int]:
        """Rows without a label."""
        order = np.argsort(-self.scores(labels), kind="stable")
        return [int(row) for row in order[~np.isin(order, list(labels))][:count]]


class Process(Design):
    """The default: a Gaussian process around the unlabelled order."""

    constants: ClassVar[dict[str, float]] = {}

    def scores(self, labels: Labels) -> Scores:
        kept = {name: getattr(feedback, name) for name in self.constants}
        try:
            for name, value in self.constants.items():
                setattr(feedback, name, value)
            return learn(self.evidence, labels).scores
        finally:
            for name, value in kept.items():
                setattr(feedback, name, value)


class Linear(Process):
    """The same without what is alike in neighbours alone: logistic regression around the unlabelled order."""

    constants: ClassVar = {"LOCAL": 1e-3}


class Local(Process):
    """The same without what is linear."""

    constants: ClassVar = {"LINEAR": 1e-3}


class Half(Process):
    """The same with half the freedom."""

    constants: ClassVar = {"LINEAR": 1.5, "LOCAL": 3.0}


class Twice(Process):
    """The same with twice the freedom."""

    constants: ClassVar = {"LINEAR": 6.0, "LOCAL": 12.0}


class Teaching(Process):
    """The default, but one look in five is at the image that it is least sure of among the 200 strangest."""

    def next(self, labels: Labels, count: int) -> list[int]:
        rows = super().next(labels, 200)
        if not labels or len(rows) <= count:
            return rows[:count]
        placed, (said, _) = self.evidence.placed, split(labels)
        lesson = learn(self.evidence, labels)
        some = placed.of(np.array(rows))
        told = likeness(some, placed.of(said)) @ lesson.posterior.factor.T
        unsure = prior_variance(some) - (told**2).sum(1)
        least = rows[count - 1 + int(np.argmax(unsure[count - 1:]))]
        return [*rows[: count - 1], least]


class Logistic(Design):
    """The first trial: logistic regression on the views' surprisals and the components; no anchor."""

    def __init__(self, evidence: Evidence) -> None:
        super().__init__(evidence)
        columns = np.column_stack([evidence.members, evidence.features]).astype(np.float64)
        self.columns = (columns - columns.mean(0)) / np.maximum(columns.std(0), 1e-9)

    def scores(self, labels: Labels) -> Scores:
        rows, odd = split(labels)
        if not odd.any():
            return super().scores(labels)
        faint = np.random.default_rng(0).permutation(np.setdiff1d(np.arange(len(self.anchor)), rows))[:FAINT]
        model = LogisticRegression(C=0.1, max_iter=300)
        weights = np.r_[np.where(odd, 1.0, 1.0), np.full(len(faint), 0.02)]
        model.fit(self.columns[np.r_[rows, faint]], np.r_[odd, np.zeros(len(faint), bool)], weights)
        return np.asarray(model.decision_function(self.columns))


class Vote(Design):
    """A vote of the labelled neighbours beside the unlabelled order."""

    def scores(self, labels: Labels) -> Scores:
        rows, odd = split(labels)
        features = self.evidence.placed.features
        near = features[rows]
        distance = (features**2).sum(1)[:, None] + (near**2).sum(1) - 2 * features @ near.T
        weights = np.exp(-np.maximum(distance, 0) / (0.5 * max(features.shape[1], 1)))
        return np.asarray(self.anchor + 6 * (weights @ np.where(odd, 1.0, -1.0)) / (weights.sum(1) + 0.2))


class Propagation(Design):
    """Labels spread over a graph of ten neighbours, beside the unlabelled order (Zhou and others, 2004)."""

    def __init__(self, evidence: Evidence) -> None:
        super().__init__(evidence)
        features = evidence.placed.features
        graph = NearestNeighbors(n_neighbors=min(10, len(features) - 1)).fit(features).kneighbors_graph()
        graph = graph.maximum(graph.T)
        scale = sparse.diags(1 / np.sqrt(np.maximum(np.asarray(graph.sum(1)).ravel(), 1)))
        self.graph = scale @ graph @ scale

    def scores(self, labels: Labels) -> Scores:
        rows, odd = split(labels)
        said = np.zeros(len(self.anchor))
        said[rows] = np.where(odd, 1.0, -1.0)
        spread = said
        for _ in range(20):
            spread = 0.95 * self.graph @ spread + 0.05 * said
        return np.asarray(self.anchor + 6 * np.tanh(40 * spread))


class Forest(Design):
    """A feedback-weighted Isolation Forest: each node's weight moves with what was said of images in it (AAD)."""

    def __init__(self, evidence: Evidence) -> None:
        super().__init__(evidence)
        columns = np.column_stack([evidence.members, evidence.features])
        forest = IsolationForest(n_estimators=100, random_state=0).fit(columns)
        self.nodes = sparse.hstack([tree.decision_path(columns.astype(np.float32))
                                    for tree in forest.estimators_]).tocsr().astype(np.float64)

    def scores(self, labels: Labels) -> Scores:
        rows, odd = split(labels)
        weights = -np.ones(self.nodes.shape[1]) + self.nodes[rows].T @ np.where(odd, 1.0, -1.0)
        return np.asarray(self.nodes @ weights)


class Bandit(Design):
    """Three experts, the unlabelled order, the linear and the local one: each look goes to one by what each found."""

    def __init__(self, evidence: Evidence) -> None:
        super().__init__(evidence)
        self.experts = [Design(evidence), Linear(evidence), Local(evidence)]
        self.shown: dict[int, int] = {}
        self.rng = np.random.default_rng(0)

    def next(self, labels: Labels, count: int) -> list[int]:
        found = np.ones((len(self.experts), 2))
        for row, expert in self.shown.items():
            found[expert, int(not labels[row])] += 1
        orders = [iter(expert.next(labels, 4 * count)) for expert in self.experts]
        rows: list[int] = []
        while len(rows) < count:
            expert = int(np.argmax([self.rng.beta(*pair) for pair in found]))
            row = next((row for row in orders[expert] if row not in rows), None)
            if row is None:
                break
            rows.append(row)
            self.shown[row] = expert
        return rows


DESIGNS: dict[str, tuple[Callable[[Evidence], Design], int]] = {
    "unlabelled order": (Design, EVERY), "default: Gaussian process": (Process, EVERY),
    "the same, learned every look": (Process, 1), "the same, every 10 looks": (Process, 10),
    "one look in five to learn": (Teaching, EVERY), "half the freedom": (Half, EVERY),
    "twice the freedom": (Twice, EVERY), "linear part alone": (Linear, EVERY), "local part alone": (Local, EVERY),
    "logistic, no anchor": (Logistic, EVERY), "vote of neighbours": (Vote, EVERY),
    "label propagation": (Propagation, EVERY), "feedback-weighted forest": (Forest, EVERY),
    "bandit of three": (Bandit, EVERY),
}


def replay(design: Design, odd: np.ndarray, every: int) -> list[int]:
    """How many are found after each of LOOKS."""
    labels: Labels = {}
    while len(labels) < min(LOOKS[-1], len(odd)):
        rows = design.next(labels, every)
        if not rows:
            break
        labels |= {row: bool(odd[row]) for row in rows}
    found = np.cumsum(list(labels.values()))
    return [int(found[min(looks, len(found)) - 1]) for looks in LOOKS]


def sets(folder: Path, confirm: bool) -> list[tuple[str, Evidence, np.ndarray]]:
    """The sets that are kept there and are of the wanted half: (protocol and data, evidence, truth)."""
    found = []
    for protocol, names, shares in (("A", ("mnist", "fashion"), (0.1,)), ("C5", ("mnist", "fashion"), (0.05,)),
                                    ("D", ("elpv", "emoji", "stamps", "foreign"), (0.05,))):
        for name in names:
            for draw in next(iter(blocks_of(protocol, name, shares, (0,)))).draws():
                kept = list((folder / FOLDER).glob(f"evidence-{images_digest(draw.fitted, draw.odd)}-0-*.npz"))
                if kept and ((protocol, name, draw.case) in CHOSEN) != confirm:
                    with np.load(kept[0]) as content:
                        known = Evidence(content["scores"], content["members"], content["features"].astype(np.float32))
                    found.append((f"{protocol} {name}" + ("" if confirm else f", {draw.case}"), known, draw.odd))
    return found


def main() -> None:
    """The mean over sets, as a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--confirm", action="store_true")
    parser.add_argument("--only", nargs="*", choices=list(DESIGNS), default=list(DESIGNS))
    asked = parser.parse_args()
    folder, confirm = asked.folder, asked.confirm
    chosen = sets(folder, confirm)
    heads = list(dict.fromkeys(head for head, _, _ in chosen))
    counts = [sum(one == head for one, _, _ in chosen) for head in heads]
    titles = [f"{head} ({n})" if confirm else head for head, n in zip(heads, counts, strict=True)]
    print("| design | " + " | ".join(titles) + " | s a set |\n| --- |" + " --- |" * (len(heads) + 1))
    for name in asked.only:
        make, every = DESIGNS[name]
        found, start = defaultdict(list), time.process_time()
        for head, known, odd in chosen:
            found[head].append(replay(make(known), odd, every))
        cells = [" / ".join(f"{mean:.0f}" for mean in np.mean(found[head], 0)) for head in heads]
        seconds = (time.process_time() - start) / len(chosen)
        print(f"| {name} | " + " | ".join(cells) + f" | {seconds:.1f} |", flush=True)


if __name__ == "__main__":
    main()
