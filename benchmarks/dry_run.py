"""What a dry run says beside what the run then takes, by collection: seconds by the clock, memory, disk.

python benchmarks/dry_run.py                measures what is not in results/dry_run.json yet, and prints the table
python benchmarks/dry_run.py digits-fast    the collections named
python benchmarks/dry_run.py --said NAME    the dry run anew, beside the run that is kept
python benchmarks/dry_run.py --clock        by the clock, on a machine that does nothing else
python benchmarks/dry_run.py --table        what is kept

Both are processes of their own, one right after the other. A dry run reckons in seconds of the clock, on a machine as
busy as it is then; where others come and go that is no measure of it, so here it reads the processor's seconds in place
of the clock's, and is compared with those of the run, unless --clock is given. The colour collections need EMOJI_DIR:
the folder of the npm package emoji-datasource-google.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from oddlens.files import write_atomically

RESULTS = Path(__file__).parent / "results" / "dry_run.json"


def digits(count: int) -> Any:
    """Of the package."""
    from oddlens.demo import DIGITS
    from oddlens.reading.array_files import read_idx

    return read_idx(DIGITS)[:count]


def clothes(count: int) -> Any:
    """Of Fashion-MNIST."""
    from oddlens.evaluation.datasets import load

    return load("fashion")[0][:count]


def grass() -> Any:
    """300 crops of 128 x 128 of one photograph, some of them damaged."""
    import photographs

    return photographs.make("local/grass/patch/0.05")[0]


def cells(count: int) -> Any:
    """Of the solar cells of 300 x 300 of elpv-dataset, sound and defective, of both kinds."""
    from elpv_dataset.utils import load_dataset

    return load_dataset()[0][:count, ..., None]


def retina() -> Any:
    """80 pictures of 1024 x 1024, cut from a photograph of the retina."""
    import photographs

    return photographs.make("objects/retina/coin/0.05")[0]


def emoji(count: int) -> Any:
    """64 x 64 in colour, changed at random as they are read."""
    import scale

    return scale.Augmented(scale.emoji(), count)


def files(count: int) -> Any:
    """A folder of JPEG files of 160 x 120, made first."""
    import scale

    return scale.files(count, Path(os.environ.get("SCALE_DIR", tempfile.gettempdir())))


def photographs(count: int) -> Any:
    """A folder of JPEG files of 1600 x 1200, noise with a spectrum like that of photographs, cut from a few."""
    from reading import photograph

    folder = Path(os.environ.get("SCALE_DIR", tempfile.gettempdir())) / f"photographs-{count}"
    folder.mkdir(parents=True, exist_ok=True)
    few = [np.asarray(photograph(seed, 1.5)) for seed in range(8)]
    for number in range(count):
        path = folder / f"{number:05d}.jpg"
        if not path.exists():
            rng = np.random.default_rng(number)
            shifted = np.roll(few[number % len(few)], rng.integers(0, 1000, 2), (0, 1))
            Image.fromarray(shifted[:, ::-1] if rng.random() < 0.5 else shifted).save(path, quality=85)
    return folder


#: Name -> the images, the effort.
COLLECTIONS: dict[str, tuple[Callable[[], Any], str]] = {
    "digits-1000": (lambda: digits(1000), "default"),
    "digits-2000": (lambda: digits(2000), "default"),
    "digits-2000-fast": (lambda: digits(2000), "fast"),
    "digits-10000-fast": (lambda: digits(10_000), "fast"),
    "clothes-5000": (lambda: clothes(5000), "default"),
    "grass-128x128-300": (grass, "default"),
    "emoji-2000": (lambda: emoji(2000), "default"),
    "emoji-20000-fast": (lambda: emoji(20_000), "fast"),
    "jpeg-160x120-2000": (lambda: files(2000), "default"),
    "cells-300x300-2000": (lambda: cells(2000), "default"),
    "retina-1024x1024-80": (retina, "default"),
    "photographs-1600x1200-500": (lambda: photographs(500), "default"),
}


def child(name: str, dry: bool, clock: bool) -> dict[str, float]:
    """A dry run, or a run."""
    if not clock:
        time.perf_counter = time.process_time
    from oddlens import AnomalyModel
    from oddlens.estimate import estimate
    from oddlens.run import rank_into

    made, effort = COLLECTIONS[name]
    images, model = made(), AnomalyModel(effort=effort)
    if dry:
        start = time.perf_counter()
        said = estimate(images, model)
        return {"seconds": said.seconds, "stages": dict(said.stages), "memory": said.memory / 2**20,
                "kept": said.kept / 2**20, "took": time.perf_counter() - start}
    with tempfile.TemporaryDirectory() as out:
        start = time.perf_counter()
        result = rank_into(images, Path(out) / "run", model)
        seconds = time.perf_counter() - start
        kept = sum(path.stat().st_size for path in Path(out).rglob("*") if path.is_file())
    stages = result.summary["seconds"]
    return {"seconds": seconds, "stages": stages, "kept": kept / 2**20,
            "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def measure(name: str, clock: bool, ways: tuple[str, ...] = ("said", "took")) -> dict[str, Any]:
    """The dry run and the run of a collection."""
    COLLECTIONS[name][0]()  # files are made now
    found: dict[str, Any] = {"by": "clock" if clock else "processor"}
    for way in ways:
        command = [sys.executable, __file__, "--child", name, way, found["by"]]
        answer = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        found[way] = rounded(json.loads(answer.stdout.splitlines()[-1]))
    return found


def rounded(found: dict[str, Any]) -> dict[str, Any]:
    """Numbers to a tenth."""
    return {key: rounded(value) if isinstance(value, dict) else round(value, 1) for key, value in found.items()}


def table(content: dict[str, Any]) -> None:
    """Said and taken."""
    print("| collection | seconds of the | said | took | ratio | memory, MiB: said, took, ratio "
          "| finished run, MiB: said, took, ratio | the dry run itself, s |\n|" + " --- |" * 8)
    for name in COLLECTIONS:
        if name in content:
            said, took = content[name]["said"], content[name]["took"]
            ratio = {key: said[key] / took[key] for key in ("seconds", "memory", "kept")}
            print(f"| {name} | {content[name]['by']} | {said['seconds']:.0f} | {took['seconds']:.0f} | "
                  f"{ratio['seconds']:.2f} | {said['memory']:,.0f}, {took['memory']:,.0f}, {ratio['memory']:.2f} | "
                  f"{said['kept']:.1f}, {took['kept']:.1f}, {ratio['kept']:.2f} | {said['took']:.0f} |")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        print(json.dumps(child(sys.argv[2], sys.argv[3] == "said", sys.argv[4] == "clock")))
        sys.exit()
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    wanted = [name for name in sys.argv[1:] if not name.startswith("--")]
    if "--table" not in sys.argv:
        for name in wanted or [name for name in COLLECTIONS if name not in kept]:
            found = measure(name, "--clock" in sys.argv, ("said",) if "--said" in sys.argv else ("said", "took"))
            kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
            kept[name] = kept.get(name, {}) | found
            write_atomically(RESULTS, (json.dumps(kept, indent=1) + "\n").encode())
    table(kept)
