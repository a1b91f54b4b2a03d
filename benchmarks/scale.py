"""How time, memory and disk grow with a collection: a whole run each, with model, reasons and report.

python benchmarks/scale.py 1000 10000 100000        the default, beside what is kept in results/scale.json
python benchmarks/scale.py --fast 1000 1000000      the best single view
python benchmarks/scale.py --files 1000 100000      a folder of JPEG files of 160 x 120 instead, made first
python benchmarks/scale.py --memory 1G 100000       within a budget
python benchmarks/scale.py --into RUN 1000000       the run stays, for pages_at_scale.py
python benchmarks/scale.py --table                  what is kept, and the fitted exponents

Images are real: 64 x 64 colour pictures of emoji (EMOJI_DIR: the folder of the npm package emoji-datasource-google),
each turned, shifted, lightened, tinted and made noisy at random as it is read, so that no two are alike and none lies
in memory. Each size runs in a process of its own, and what it holds is told by stage. Seconds are of that machine at
that hour, so read them as ratios.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from memory_by_stage import MemoryByStage

RESULTS = Path(__file__).parent / "results" / "scale.json"
SIDE = 64
FILE_SIZE = (160, 120)  # pixels of a JPEG file


class Augmented:
    """Pictures changed at random, each by its own number, as they are read."""

    def __init__(self, pictures: NDArray[np.uint8], count: int) -> None:
        self.pictures, self.count = pictures, count

    def __len__(self) -> int:
        return self.count

    def name(self, index: int) -> str:
        """The number."""
        return f"{index:07d}"

    def stamp(self, index: int) -> tuple[int, ...]:
        """The same for ever: it follows from the number."""
        return (index,)

    def read(self, index: int) -> NDArray[np.uint8]:
        """The picture of a number."""
        rng = np.random.default_rng(index)
        image = self.pictures[index % len(self.pictures)]
        if rng.random() < 0.5:
            image = image[:, ::-1]
        down, across = rng.integers(-5, 6, 2)
        image = np.roll(image, (down, across), (0, 1)).astype(np.float32)
        tint = rng.uniform(0.8, 1.2, 3) * rng.uniform(0.8, 1.2)
        noise = rng.standard_normal(image.shape, np.float32) * rng.uniform(0, 6)
        return np.asarray((image * tint.astype(np.float32) + noise).clip(0, 255), np.uint8)


def emoji() -> NDArray[np.uint8]:
    """(n, 64, 64, 3)."""
    folder = Path(os.environ.get("EMOJI_DIR", "node_modules/emoji-datasource-google")) / "img" / "google" / "64"
    found = []
    for path in sorted(folder.glob("*.png")):
        picture = Image.open(path).convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        found.append(np.asarray(Image.alpha_composite(white, picture).convert("RGB").resize((SIDE, SIDE))))
    if not found:
        sys.exit(f"There are no pictures in {folder}: npm install emoji-datasource-google, and set EMOJI_DIR.")
    return np.stack(found)


def files(count: int, folder: Path) -> Path:
    """A folder of that many JPEG files, made once."""
    source, place = Augmented(emoji(), count), folder / f"jpeg-{count}"
    place.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        path = place / f"{index // 1000:04d}" / f"{index:07d}.jpg"
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(source.read(index)).resize(FILE_SIZE, Image.Resampling.BICUBIC).save(path, quality=85)
    return place


def size_of(folder: Path) -> int:
    """Bytes of all that lies in a folder."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size
        except OSError:  # gone meanwhile
            continue
    return total


def run(count: int, effort: str, of_files: bool, memory: str | None, into: str | None) -> dict[str, Any]:
    """One run in this process, and what it took; it stays where ``into`` says."""
    from oddlens import AnomalyModel
    from oddlens.run import rank_into

    place = Path(os.environ.get("SCALE_DIR", tempfile.gettempdir()))
    images: Any = files(count, place) if of_files else Augmented(emoji(), count)
    with contextlib.nullcontext(into) if into else tempfile.TemporaryDirectory(dir=place) as out:
        largest, done = [0], threading.Event()

        def watch() -> None:
            while not done.wait(2.0):
                largest[0] = max(largest[0], size_of(Path(out)))

        threading.Thread(target=watch, daemon=True).start()
        wall, cpu = time.perf_counter(), time.process_time()
        options: dict[str, Any] = {} if memory is None else {"memory": memory}
        with MemoryByStage().watching() as held:
            result = rank_into(images, Path(out) if into else Path(out) / "run", AnomalyModel(effort=effort), **options)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        done.set()
        return {"count": count, "effort": effort, "files": of_files, "memory": memory, "wall": round(wall, 1),
                "cpu": round(cpu, 1), "peak": held.peak, "held": held.stages, "doing": held.doing,
                "disk": max(largest[0], size_of(Path(out))) // 2**20, "run": size_of(Path(out)) // 2**20,
                "seconds": result.summary["seconds"], "flagged": result.summary["flagged"]}


def table(rows: list[dict[str, Any]]) -> None:
    """What was measured, and how it grows: the exponent between each size and the one before."""
    print("| images | wall, s | processor, s | peak memory, MiB | disk while it runs, MiB | run, MiB | stages, s | "
          "exponent |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    kinds = sorted({(row["effort"], row["files"], row["memory"] or "") for row in rows})
    for kind in kinds:
        before = None
        mine = [row for row in rows if (row["effort"], row["files"], row["memory"] or "") == kind]
        for row in sorted(mine, key=lambda row: row["count"]):
            grown = "" if before is None else (
                f"{np.log(row['cpu'] / before['cpu']) / np.log(row['count'] / before['count']):.2f}")
            what = f"{row['count']:,} ({kind[0]}{', JPEG' if kind[1] else ''}{', ' + kind[2] if kind[2] else ''})"
            stages = ", ".join(f"{stage} {seconds:.0f}" for stage, seconds in row["seconds"].items())
            print(f"| {what} | {row['wall']} | {row['cpu']} | {row['peak']:,} | {row['disk']:,} | {row['run']:,} | "
                  f"{stages} | {grown} |")
            before = row


def memory_table(row: dict[str, Any]) -> None:
    """What a run held, stage by stage, and what it did when it held most."""
    print("| stage | memory at the most, MiB | its own | of files |\n| --- | --- | --- | --- |")
    for stage, held in row["held"].items():
        print(f"| {stage} | {held['all']:,} | {held['own']:,} | {held['files']:,} |")
    print(f"Most of all: {row['doing']}")


def main(arguments: list[str]) -> None:
    """Run what is asked for, each size in a process of its own, and keep it."""
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    memory = arguments[arguments.index("--memory") + 1] if "--memory" in arguments else None
    into = arguments[arguments.index("--into") + 1] if "--into" in arguments else None
    effort, of_files = "fast" if "--fast" in arguments else "default", "--files" in arguments
    counts = [int(text) for text in arguments if text.isdigit()]
    if "--child" in arguments:
        print(json.dumps(run(counts[0], effort, of_files, memory, into)))
        return
    for count in counts:
        options = [option for option in arguments if not option.isdigit()]
        child = subprocess.run([sys.executable, __file__, "--child", *options, str(count)], check=True,
                               capture_output=True, text=True)
        found = json.loads(child.stdout.splitlines()[-1])
        same = ("count", "effort", "files", "memory")
        kept = [row for row in kept if any(row[key] != found[key] for key in same)] + [found]
        RESULTS.write_text(json.dumps(sorted(kept, key=lambda row: [str(row[key]) for key in same]), indent=1) + "\n")
        table([found])
        memory_table(found)
    if "--table" in arguments:
        table(kept)


if __name__ == "__main__":
    main(sys.argv[1:])
