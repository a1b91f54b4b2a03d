"""Flags and probabilities once images are labelled: how often they are right.

    oddlens evaluate --review --out FOLDER        fits the sets and keeps what is known of each
    python benchmarks/labelled_decisions.py FOLDER

On each set the review is replayed for 20, 50, 100 and 200 looks, and what is then said of the images that were not
looked at is compared with the truth: the share of ordinary images among the flagged at a rate of 0.1, the mean over
sets (where none is flagged it is 0); the share of the odd ones left that is flagged; and the share of odd images
among those given about the same probability.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

import numpy as np

from oddlens.evaluation.evaluate import blocks_of
from oddlens.evaluation.fingerprints import images_digest
from oddlens.evaluation.replays import EVERY, LOOKS
from oddlens.evaluation.review import FOLDER
from oddlens.feedback import Evidence, learn
from oddlens.labelled_decisions import decide_labelled

RATE = 0.1
BINS = (0.0, 0.01, 0.05, 0.2, 0.5, 0.8, 0.95, 1.0)  # of the probability


def main() -> None:
    """Two tables, as Markdown."""
    flags, bins = defaultdict(list), defaultdict(list)
    for protocol, name, shares in (("A", "mnist", (0.01, 0.1)), ("A", "fashion", (0.01, 0.1)), ("C5", "mnist", (0.05,)),
                                   ("C5", "fashion", (0.05,)), ("D", "elpv", (0.05,)), ("D", "emoji", (0.05,)),
                                   ("D", "stamps", (0.05,)), ("D", "foreign", (0.02,))):
        for block in blocks_of(protocol, name, shares, (0,)):
            for draw in block.draws():
                kept = list((Path(sys.argv[1]) / FOLDER).glob(f"evidence-{images_digest(draw.fitted, draw.odd)}-0-*"))
                if not kept:
                    continue
                with np.load(kept[0]) as content:
                    known = Evidence(content["scores"], content["members"], content["features"].astype(np.float32))
                labels: dict[int, bool] = {}
                while len(labels) < min(LOOKS[-1], len(known) - EVERY):
                    lesson = learn(known, labels)
                    labels |= {int(row): bool(draw.odd[row]) for row in lesson.unseen[:EVERY]}
                    if len(labels) in LOOKS:
                        lesson = learn(known, labels)
                        unseen = lesson.unseen
                        odd, flagged = draw.odd[unseen], decide_labelled(lesson, RATE).flagged[unseen]
                        false = (flagged & ~odd).sum() / max(flagged.sum(), 1)
                        power = (flagged & odd).sum() / odd.sum() if odd.any() else np.nan
                        flags[f"{protocol} {name}, {100 * block.c:g} %", len(labels)].append(
                            (false, power, flagged.sum()))
                        place = np.digitize(lesson.probability[unseen], BINS[1:-1])
                        for number in range(len(BINS) - 1):
                            inside = place == number
                            bins[number].append((inside.sum(), lesson.probability[unseen][inside].sum(),
                                                 odd[inside].sum()))
    print(f"| sets | {' | '.join(f'after {looks} looks' for looks in LOOKS)} |\n| --- |" + " --- |" * len(LOOKS))
    for title in dict.fromkeys(title for title, _ in flags):
        cells = []
        for looks in LOOKS:
            values = np.array(flags[title, looks], np.float64).reshape(-1, 3)
            powers = values[:, 1][~np.isnan(values[:, 1])]
            cells.append(f"{values[:, 0].mean():.2f} / {powers.mean():.2f}" if len(powers) else "")
        print(f"| {title} | {' | '.join(cells)} |")
    print("\n| probability | images | mean probability | share odd |\n| --- | --- | --- | --- |")
    for number in range(len(BINS) - 1):
        count, said, odd = np.sum(bins[number], 0)
        if count:
            print(f"| {BINS[number]} to {BINS[number + 1]} | {count:,.0f} | {said / count:.3f} | {odd / count:.3f} |")


if __name__ == "__main__":
    main()
