"""Flags before and after labels, by whole models: realised false-discovery rate / power over all images at rate 0.1.

python benchmarks/labelled_flags.py

Protocol A, seed 0, each class in turn. The strangest are labelled five at a time by the truth, as in a review, and
``AnomalyModel.give_feedback`` takes them in.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from draws import load
from oddlens import AnomalyModel
from oddlens.evaluation import draws

LOOKS = (0, 5, 20, 50, 100)


def main() -> None:
    """A table as Markdown; the last column is the worst realised rate after any number of looks."""
    print(f"| sets | {' | '.join(f'{looks} looks' for looks in LOOKS)} | worst |\n| --- |"
          + " --- |" * (len(LOOKS) + 1))
    for name in ("mnist", "fashion"):
        for share in (0.01, 0.1):
            found = defaultdict(list)
            for draw in draws.one_class(*load(name), share, 0):
                model = AnomalyModel(n_jobs=1).fit(draw.fitted)
                while len(model.labels_) <= LOOKS[-1]:
                    if len(model.labels_) in LOOKS:
                        flagged = model.rank().flagged
                        found[len(model.labels_)].append(((flagged & ~draw.odd).sum() / max(flagged.sum(), 1),
                                                          (flagged & draw.odd).sum() / draw.odd.sum()))
                    rows = model.lesson_.unseen[:5]
                    model.give_feedback({model.names_[row]: "odd" if draw.odd[row] else "normal" for row in rows})
            cells = [" / ".join(f"{mean:.2f}" for mean in np.mean(found[looks], 0)) for looks in LOOKS]
            worst = max(rate for looks in LOOKS[1:] for rate, _ in found[looks])
            print(f"| A {name}, {100 * share:g} % | {' | '.join(cells)} | {worst:.2f} |", flush=True)


if __name__ == "__main__":
    main()
