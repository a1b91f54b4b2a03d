"""What share of a run's processor time goes to causes, reasons and the map: at most a fifth is the aim; and to pages.

python benchmarks/shares.py             1,000 and 4,000 digits and, where EMOJI_DIR is set, 1,000 pictures in colour,
                                        each with --fast and by default
python benchmarks/shares.py digits fast 4000    one row: the images, the effort, how many

Each run is a process of its own on one thread, from its start to its report, loading of libraries included; compiled
loops are kept on the disk by a first small run. EMOJI_DIR: the folder of the npm package emoji-datasource-google.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROWS = (("digits", "fast", 1000), ("digits", "default", 1000), ("digits", "fast", 4000), ("colour", "fast", 1000),
        ("colour", "default", 1000))
#: Part -> the functions whose processor time it is.
PARTS = {
    "measures of causes": ["oddlens.run:causes_of"],
    "which way is up": ["oddlens.explaining.causes:learn"],
    "other causes": ["oddlens.explaining.explainer:Explainer._causes"],
    "groups, tables": ["oddlens.explaining.explainer:Explainer.explained",
                       "oddlens.explaining.explainer:Explainer.memory"],
    "heat maps": ["oddlens.explaining.explainer:Explainer.heat"],
    "other reasons": ["oddlens.explaining.explainer:Explainer.why"],
    "map": ["oddlens.report.map:lay_out", "oddlens.report.map:map_fragment"],
    "other pages": ["oddlens.run:write"],
}


class Clock:
    """Processor seconds by part, those of a part within another counted once, in the inner one."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(PARTS, 0.0)
        self.inner = [0.0]

    def watch(self, part: str, target: str) -> None:
        """Count the time of a function, wherever it is called by this name."""
        module, _, name = target.partition(":")
        owner: Any = __import__(module, fromlist=["_"])
        *outer, name = name.split(".")
        for step in outer:
            owner = getattr(owner, step)
        function = getattr(owner, name)

        @functools.wraps(function)
        def timed(*given: Any, **named: Any) -> Any:
            start = time.process_time()
            self.inner.append(0.0)
            try:
                return function(*given, **named)
            finally:
                took = time.process_time() - start
                self.seconds[part] += took - self.inner.pop()
                self.inner[-1] += took

        setattr(owner, name, timed)


def images(kind: str, count: int) -> Any:
    """The images of one row."""
    if kind == "colour":
        from scale import Augmented, emoji

        return Augmented(emoji(), count)
    from oddlens.demo import DIGITS
    from oddlens.reading.array_files import read_idx

    return read_idx(DIGITS)[:count]


def run(kind: str, effort: str, count: int) -> dict[str, Any]:
    """One run in this process."""
    import torch

    from oddlens import AnomalyModel
    from oddlens.run import rank_into

    torch.set_num_threads(1)
    clock, source = Clock(), images(kind, count)
    for part, targets in PARTS.items():
        for target in targets:
            clock.watch(part, target)
    made = time.process_time()  # what making the images took is no part of the run, nor what loading did before
    with tempfile.TemporaryDirectory() as out:
        rank_into(source, Path(out) / "run", AnomalyModel(effort=effort, n_jobs=1))
    ran = time.process_time() - made
    return {"parts": clock.seconds, "run": ran, "loading": loading()}


@functools.cache
def loading() -> float:
    """Processor seconds until a process has loaded all."""
    code = "import time, oddlens.run, oddlens.model, torch; print(time.process_time())"
    return float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)


def fresh(kind: str, effort: str, count: int) -> dict[str, Any]:
    """One run in a process of its own."""
    command = [sys.executable, __file__, "--child", kind, effort, str(count)]
    environment = os.environ | dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
    found: dict[str, Any] = json.loads(subprocess.run(
        command, capture_output=True, text=True, check=True, env=environment).stdout.splitlines()[-1])
    return found


def table(rows: list[tuple[str, str, int]]) -> None:
    """Seconds by part and what share of the whole they are together."""
    print("| part, processor seconds | " + " | ".join(f"{count:,} {kind}, {effort}" for kind, effort, count in rows)
          + " |\n| --- |" + " --- |" * len(rows))
    for kind, effort in dict.fromkeys(row[:2] for row in rows):
        fresh(kind, effort, 60)
    found = [fresh(*row) for row in rows]
    for part in PARTS:
        print(f"| {part} | " + " | ".join(f"{one['parts'][part]:.2f}" for one in found) + " |")
    whole = [one["run"] + one["loading"] for one in found]
    print("| the run, loading of libraries included | " + " | ".join(f"{seconds:.2f}" for seconds in whole) + " |")
    for what, without in (("causes and reasons", ("map", "other pages")), ("the same and the map", ("other pages",)),
                          ("the same and all pages", ())):
        together = [sum(seconds for part, seconds in one["parts"].items() if part not in without) for one in found]
        print(f"| **{what}** | " + " | ".join(f"{a / b:.0%}" for a, b in zip(together, whole, strict=True)) + " |")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        print(json.dumps(run(sys.argv[2], sys.argv[3], int(sys.argv[4]))))
    elif len(sys.argv) == 4:
        table([(sys.argv[1], sys.argv[2], int(sys.argv[3]))])
    elif len(sys.argv) == 1:
        table([row for row in ROWS if row[0] != "colour" or "EMOJI_DIR" in os.environ])
    else:
        sys.exit(__doc__)
