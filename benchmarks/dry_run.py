"""What a dry run says beside what the run then takes, by collection: seconds by the clock, memory, disk.

python benchmarks/dry_run.py                measures what is not in results/dry_run.json yet, and prints the table
python benchmarks/dry_run.py digits-fast    the collections named
python benchmarks/dry_run.py --table        what is kept

Both are processes of their own, one right after the other, for a dry run is timed on a machine as busy as it is then.
Beside the clock's seconds stand those of the processor, by which other work on the machine can be told. The colour
collections need EMOJI_DIR: the folder of the npm package emoji-datasource-google.
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
    "digits-2000": (lambda: digits(2000), "default"),
    "digits-2000-fast": (lambda: digits(2000), "fast"),
    "digits-10000-fast": (lambda: digits(10_000), "fast"),
    "clothes-5000": (lambda: clothes(5000), "default"),
    "grass-128x128-300": (grass, "default"),
    "emoji-2000": (lambda: emoji(2000), "default"),
    "emoji-20000-fast": (lambda: emoji(20_000), "fast"),
    "jpeg-160x120-2000": (lambda: files(2000), "default"),
    "photographs-1600x1200-500": (lambda: photographs(500), "default"),
}


def child(name: str, dry: bool) -> dict[str, float]:
    """A dry run, or a run."""
    from oddlens import AnomalyModel
    from oddlens.estimate import estimate
    from oddlens.run import rank_into

    made, effort = COLLECTIONS[name]
    images, model = made(), AnomalyModel(effort=effort)
    if dry:
        start = time.perf_counter()
        said = estimate(images, model)
        return {"seconds": said.seconds, "memory": said.memory / 2**20, "kept": said.kept / 2**20,
                "took": time.perf_counter() - start}
    with tempfile.TemporaryDirectory() as out:
        start, cpu = time.perf_counter(), time.process_time()
        rank_into(images, Path(out) / "run", model)
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
        kept = sum(path.stat().st_size for path in Path(out).rglob("*") if path.is_file())
    return {"seconds": seconds, "cpu": cpu, "kept": kept / 2**20,
            "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def measure(name: str) -> dict[str, dict[str, float]]:
    """The dry run and the run of a collection."""
    COLLECTIONS[name][0]()  # files are made now
    found = {}
    for way in ("said", "took"):
        answer = subprocess.run([sys.executable, __file__, "--child", name, way], capture_output=True, text=True,
                                check=True)
        found[way] = {key: round(value, 1) for key, value in json.loads(answer.stdout.splitlines()[-1]).items()}
    return found


def table(content: dict[str, Any]) -> None:
    """Said and taken."""
    print("| collection | said, s | took, s | ratio | of the processor, s | memory, MiB: said, took "
          "| finished run, MiB: said, took | the dry run itself, s |\n|" + " --- |" * 8)
    for name in COLLECTIONS:
        if name in content:
            said, took = content[name]["said"], content[name]["took"]
            print(f"| {name} | {said['seconds']:.0f} | {took['seconds']:.0f} | "
                  f"{said['seconds'] / took['seconds']:.2f} | {took['cpu']:.0f} | {said['memory']:,.0f}, "
                  f"{took['memory']:,.0f} | {said['kept']:.1f}, {took['kept']:.1f} | {said['took']:.0f} |")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        print(json.dumps(child(sys.argv[2], sys.argv[3] == "said")))
        sys.exit()
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    if sys.argv[1:] != ["--table"]:
        for wanted in sys.argv[1:] or [name for name in COLLECTIONS if name not in kept]:
            kept[wanted] = measure(wanted)
            write_atomically(RESULTS, (json.dumps(kept, indent=1) + "\n").encode())
    table(kept)
