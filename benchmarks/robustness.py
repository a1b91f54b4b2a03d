"""Protocols F and H: what may not hide, and whether the stated rate holds, on collections of many kinds (``sets.py``).

python benchmarks/robustness.py                 measures what is missing, keeps it, prints the tables
python benchmarks/robustness.py --only choose   or confirm, fresh, or classes (protocol A): these sets alone
python benchmarks/robustness.py --part 0/2      every second set, so that two processes share the work
python benchmarks/robustness.py --table         prints what is kept

Every set is fitted and scored as it is, unlabelled, beside its simple rivals. A run that was stopped goes on where it
was; rows are kept in benchmarks/results/robustness.json, one file a process where there are several. Delete a row to
measure it anew. Needs Fashion-MNIST, the emoji, Tux Paint's stamps, elpv-dataset and scikit-image (see sets.py).
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from draws import one_class
from oddlens import AnomalyModel
from oddlens.evaluation.peers import FEATURES, PEERS
from oddlens.files import write_atomically
from sets import CHOOSE, CONFIRM, FRESH, RATES, make

RESULTS = Path(__file__).parent / "results"
RIVALS = ("hog-knn5", "hog-knn50", "pixels-knn5", "pixels-knn50", "sklearn-iforest")
LEVELS = (0.05, 0.1, 0.2)
CLASSES = [f"class/{data}:{label}/others/{share}/0" for data in ("mnist", "fashion") for share in RATES
           for label in range(10)]
SEED_ONE = [name.removesuffix("0") + "1" for name in CLASSES if "/0.0/" not in name]
STATED = ("class", "clipart", "emoji", "stamps", "solar", "texture", "digits", "clothes")
Row = dict[str, Any]


def drawn(name: str) -> tuple[Any, Any]:
    """The images of a set and which of them are odd; class/... are protocol A's own draws."""
    family, source, _, share, seed = name.split("/")
    if family != "class":
        made = make(name)
        return made.images, made.odd
    data, label = source.split(":")
    draw = next(draw for draw in one_class(data, float(share), int(seed)) if draw.case == label)
    kept = ~draw.odd if share == "0.0" else np.ones(len(draw.odd), bool)
    return draw.fitted[kept], draw.odd[kept]


def measured(name: str) -> Row:
    """The accuracy of the default, its views and its rivals, and what is flagged at each rate."""
    images, odd = drawn(name)
    start = time.process_time()
    model = AnomalyModel(n_jobs=1).fit(images)
    seconds = time.process_time() - start
    scores = {"default": model.rank().scores, **model.own_}
    if odd.any():
        pixels = model.read(images).pixels
        for rival in RIVALS:
            peer = PEERS[rival]
            scores[rival] = peer.score(FEATURES[peer.features](pixels), None, 0, 1)
    rates = {}
    for level in LEVELS:
        flagged = model.decide(level).flagged
        found = int(flagged.sum())
        rates[str(level)] = [float((flagged & ~odd).sum() / max(found, 1)),
                             float((flagged & odd).sum() / max(odd.sum(), 1)), found]
    share = model.decision_.share
    return {"n": len(odd), "odd": float(odd.mean()), "rates": rates, "share": [share.value, share.low, share.high],
            "seconds": seconds, "scores": {
                method: [float(roc_auc_score(odd, s)), float(average_precision_score(odd, s))]
                for method, s in scores.items()} if odd.any() else {}}


def families(rows: dict[str, Row], names: list[str]) -> Iterator[tuple[str, list[Row]]]:
    """The rows by what they are of: cliffs, textures and small folders by source, the rest by share."""
    groups: dict[str, list[Row]] = defaultdict(list)
    for name in names:
        if name in rows:
            family, source, _, share, n = name.split("/")
            data = source.split(":")[0]
            key = {"cliff": f"{family} {data}, {share}", "texture": f"{family} {data}",
                   "small": f"{family} {data}, {n}"}
            groups[key.get(family, f"{family} {data}, {share}")].append(rows[name])
    yield from sorted(groups.items())


def accuracy(rows: dict[str, Row], names: list[str]) -> None:
    """Protocol H: AUROC / average precision, beside the rival that is best in each group."""
    print("| sets | number | default | best baseline | which | HOG 5 / 50 | pixels 5 / 50 | Isolation Forest |\n"
          "| --- | --- | --- | --- | --- | --- | --- | --- |")
    for group, some in families(rows, names):
        if not some[0]["scores"]:
            continue
        mean = {m: np.mean([row["scores"][m] for row in some], 0) for m in ("default", *RIVALS)}
        best = max(RIVALS, key=lambda rival: mean[rival][0])
        def two(one: str, other: str, mean: Any = mean) -> str:
            return f"{mean[one][0]:.3f} / {mean[other][0]:.3f}"
        print(f"| {group} | {len(some)} | {_pair(mean['default'])} | {_pair(mean[best])} | {best} | "
              f"{two('hog-knn5', 'hog-knn50')} | {two('pixels-knn5', 'pixels-knn50')} | "
              f"{mean['sklearn-iforest'][0]:.3f} |")


def decisions(rows: dict[str, Row], names: list[str]) -> None:
    """Protocol F: realised rate / power; where nothing is odd the share of sets in which anything is flagged."""
    print(f"| sets | number | {' | '.join(f'rate {level}' for level in LEVELS)} | estimated share | true |\n"
          f"| --- | --- | {' | '.join('---' for _ in LEVELS)} | --- | --- |")
    for group, some in families(rows, [name for name in names if name.split("/")[0] in STATED]):
        cells = []
        for level in map(str, LEVELS):
            false, power, _ = np.mean([row["rates"][level] for row in some], 0)
            clean = np.mean([row["rates"][level][2] > 0 for row in some])
            cells.append(f"{false:.3f} / {power:.2f}" if some[0]["odd"] else f"flagged {clean:.2f}")
        value, low, high = np.mean([row["share"] for row in some], 0)
        print(f"| {group} | {len(some)} | {' | '.join(cells)} | {value:.3f} ({low:.3f} to {high:.3f}) | "
              f"{np.mean([row['odd'] for row in some]):.3f} |")


def _pair(mean: Any) -> str:
    return f"{mean[0]:.3f} / {mean[1]:.3f}"


def kept() -> dict[str, Row]:
    """All rows that were measured."""
    rows: dict[str, Row] = {}
    for path in sorted(RESULTS.glob("robustness*.json")):
        rows |= json.loads(path.read_bytes())
    return rows


def keep(rows: dict[str, Row], path: Path) -> None:
    """Write what there is so far, one set a line."""
    def rounded(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: rounded(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [rounded(inner) for inner in value]
        return round(value, 4) if isinstance(value, float) else value
    lines = (f"{json.dumps(name)}: {json.dumps(rounded(rows[name]))}" for name in sorted(rows))
    write_atomically(path, ("{\n" + ",\n".join(lines) + "\n}\n").encode())


def main() -> None:
    """Measure what is missing and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    lists: dict[str, list[str]] = {"classes": CLASSES, "choose": CHOOSE, "confirm": CONFIRM,
                                   "fresh": FRESH + SEED_ONE}
    parser.add_argument("--only", choices=lists)
    parser.add_argument("--part", default="0/1")
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    part, parts = map(int, options.part.split("/"))
    chosen = lists if options.only is None else {options.only: lists[options.only]}
    if not options.table:
        path = RESULTS / ("robustness.json" if parts == 1 else f"robustness-{part}.json")
        mine = json.loads(path.read_bytes()) if path.exists() else {}
        for name in [name for names in chosen.values() for name in names][part::parts]:
            if name not in kept():
                mine[name] = measured(name)
                keep(mine, path)
    rows = kept()
    for title, names in chosen.items():
        print(f"\n{title}\n")
        tables: tuple[Callable[[dict[str, Row], list[str]], None], ...] = (accuracy, decisions)
        for table in tables:
            table(rows, names)
            print()


if __name__ == "__main__":
    main()
