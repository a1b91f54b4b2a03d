"""The check without labels, on collections whose contents are known: what it says a run can and cannot see.

    python benchmarks/checks.py                       checks every collection and writes benchmarks/results/checks.json
    python benchmarks/checks.py "mnist 3, fast" ...   only these, in the same file
    python benchmarks/checks.py --table               the table of what was measured

"on top" is above all but 5 % of the images that nothing was done to.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from draws import load
from oddlens.evaluation.self_check import check
from oddlens.files import write_atomically
from oddlens.model import AnomalyModel

RESULTS = Path(__file__).parent / "results" / "checks.json"
RUNS = [f"{data}, {effort}" for effort in ("fast", "default")
        for data in ("mnist all", "fashion all", "mnist 3", "fashion 8")]


def measure(run: str) -> dict[str, Any]:
    """One check of all images of a data set or those of one label, with its CPU-seconds."""
    collection, effort = run.split(", ")
    data, label = collection.split(" ")
    images, labels = load(data)
    if label != "all":
        images = images[labels.astype(str) == label]
    start = time.process_time()
    found = check(images, lambda seed: AnomalyModel(effort=effort, n_jobs=1, random_state=seed))
    return {**found.to_dict(), "cpu_seconds": time.process_time() - start}


def table(results: dict[str, Any]) -> str:
    """One row a collection: of each kind how many came out on top and the AUROC; how far rankings agree; the cost."""
    kinds = [sight["kind"] for sight in next(iter(results.values()))["sights"]]
    lines = ["| collection | planted | " + " | ".join(kinds) + " | another seed | halves | CPU-s |",
             "| --- " * (len(kinds) + 5) + "|"]
    for run, found in results.items():
        cells = [f"{sight['on_top']} / {sight['auroc']:.2f}" for sight in found["sights"]]
        agreed = [f"{part['same']} of {part['strangest']}, {part['correlation']:.2f}"
                  for part in (found["seeds"], found["halves"])]
        lines.append(f"| {run} | {found['sights'][0]['planted']} of {found['images']} | " + " | ".join(cells + agreed)
                     + f" | {found['cpu_seconds']:.0f} |")
    return "\n".join(lines)


def main(runs: list[str]) -> None:
    """Check the collections named, or all, each kept as it comes."""
    for run in runs or RUNS:
        found = measure(run)
        results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        results[run] = found
        write_atomically(RESULTS, (json.dumps(results, indent=1) + "\n").encode())
        print(run, *found["sentences"], sep="\n  ", flush=True)
    print(table(json.loads(RESULTS.read_text())))


if __name__ == "__main__":
    if sys.argv[1:] == ["--table"]:
        print(table(json.loads(RESULTS.read_text())))
    else:
        main(sys.argv[1:])
