"""What each part of the default is worth: every view alone, every view left out, other ways to put them together.

    python benchmarks/ablation.py            measures what is not kept yet, and prints the table
    python benchmarks/ablation.py --cost     CPU-seconds of each view on 1,100 digits

A set is fitted once; what is compared are ways to make a score of the same views, so the differences are theirs
alone. Results are kept in benchmarks/results/ablation.json, one entry a set.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from draws import Draw, load, one_class
from oddlens import AnomalyModel, registry
from oddlens.calibration import Fusion, fit_tail, fuse
from oddlens.evaluation.corruptions import damage
from oddlens.evaluation.draws import corrupted, foreign
from oddlens.files import write_atomically
from oddlens.protocols import Doubles
from oddlens.views import DEFAULT

RESULTS = Path(__file__).parent / "results" / "ablation.json"


def sets() -> Iterator[tuple[str, str, Callable[[], Draw]]]:
    """(column, key, draw): protocol A at three shares of odd images, and D's foreign, blurred and noisy digits."""
    for data in ("mnist", "fashion"):
        for c in (0.01, 0.1, 0.5):
            for number, draw in enumerate(one_class(data, c, 0)):
                yield f"A {data} {c}", f"A {data} {c} {number}", lambda draw=draw: draw
    digits, clothes = load("mnist")[0], load("fashion")[0]
    yield "foreign", "foreign", lambda: foreign(digits, clothes, 0.02, 0)
    for kind in ("blur", "noise"):
        yield kind, kind, lambda kind=kind: corrupted(digits, damage(kind), 0.02, 0)


def variants(model: AnomalyModel) -> dict[str, Doubles]:
    """The scores of every way to put the fitted views together."""
    own, fusion = model.own_, model.fusion_
    surprises = {view: fit_tail(scores).surprisal(scores) for view, scores in own.items()}
    found = {"the default": fuse(fusion, own, own)}
    for view in own:
        found[f"{view} alone"] = own[view]
    for view in own:
        leads = {key: share for key, share in fusion.leads.items() if key != view}
        if leads:
            total = sum(leads.values())
            without = Fusion({key: share / total for key, share in leads.items()},
                             {key: weight for key, weight in fusion.tails.items() if key != view})
            found[f"without {view}"] = fuse(without, own, own)
    found["the lead alone"] = fuse(Fusion(fusion.leads, {}), own, own)
    found["tails twice as loud"] = fuse(Fusion(fusion.leads, {k: 2 * w for k, w in fusion.tails.items()}), own, own)
    found["mean of surprises"] = np.mean(list(surprises.values()), axis=0)
    found["largest surprise"] = np.max(list(surprises.values()), axis=0)
    found["mean of ranks"] = np.mean([scores.argsort().argsort() for scores in own.values()], axis=0)
    return found


def measure() -> dict[str, Any]:
    """Every variant on every set: key -> column, and name -> AUROC and average precision."""
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for column, key, draw in sets():
        if key not in kept:
            drawn = draw()
            scores = variants(AnomalyModel().fit(drawn.fitted))
            kept[key] = {"column": column, "found": {
                name: [float(roc_auc_score(drawn.odd, s)), float(average_precision_score(drawn.odd, s))]
                for name, s in scores.items()}}
            write_atomically(RESULTS, json.dumps(kept, indent=0).encode())
    return kept


def table(kept: dict[str, Any]) -> str:
    """Mean AUROC / average precision, a column for each protocol and data set."""
    columns = list(dict.fromkeys(entry["column"] for entry in kept.values()))
    names = list(dict.fromkeys(name for entry in kept.values() for name in entry["found"]))
    lines = ["| | " + " | ".join(columns) + " |", "| --- |" + " --- |" * len(columns)]
    for name in names:
        cells = []
        for column in columns:
            found = [entry["found"][name] for entry in kept.values()
                     if entry["column"] == column and name in entry["found"]]
            cells.append("{:.3f} / {:.3f}".format(*np.mean(found, 0)) if found else "")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def cost() -> None:
    """CPU-seconds of each encoder and each detector of the default, on about 1,100 digits of one class."""
    images = next(iter(one_class("mnist", 0.1, 0))).fitted
    for view in DEFAULT:
        start = time.process_time()
        encoder = registry.create("encoder", str(view.encoder), **view.encoder_options).fit(images)
        encoded = encoder.encode(images, frozenset({"embedding"}))
        middle = time.process_time()
        registry.create("detector", str(view.detector), **view.options).fit(encoded)
        print(f"{view.encoder}: {middle - start:.2f}    {view.detector}: {time.process_time() - middle:.2f}")


if __name__ == "__main__":
    cost() if sys.argv[1:] == ["--cost"] else print(table(measure()))
