"""Provoke faults while oddlens works, and look at what is left.

    python tests/torture/faults.py [--kills 34] [--others 20] [--faults kill,full-disk] [--seed 0]

Each try is a process of its own that ranks images into a folder that holds an earlier run of others (``--overwrite``),
scores, or evaluates, and meets a fault at a random moment. Afterwards: no folder of images has changed; the folder
holds the earlier run or the new one, whole; and the same command, let alone, gives the ranking that it always gives.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
from PIL import Image

import oddlens.model
from oddlens import AnomalyModel, run_folder
from oddlens.detectors.forest import Forest
from oddlens.encoders.pixels import Pixels
from oddlens.errors import OddlensError
from oddlens.evaluation.evaluate import evaluate_folder
from oddlens.pixels import read_pixels
from oddlens.run import rank_into, score_with

DONE, REFUSED, OUT_OF_MEMORY, BROKEN = 0, 2, 3, 1  # how a process ended, by its exit code
NAMES = {DONE: "done", REFUSED: "said why not", OUT_OF_MEMORY: "MemoryError", BROKEN: "traceback"}
METHODS = ("pixels+neighbors", "pixels+forest")
NOBODY = 65534
FAULTS = ("kill", "full-disk", "read-only", "vanish", "permission", "memory", "two-at-once")


class Broken(Exception):
    """A promise was not kept."""


class Workshop:
    """Two folders of images, a run of each, and an evaluation, as they are when nothing goes wrong."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.images = {name: _images(root / name, seed) for seed, name in enumerate(("old", "new"))}
        self.labelled = _labelled(root / "labelled")
        self.runs = {name: root / f"run-{name}" for name in self.images}
        for name, folder in self.images.items():
            self.alone(lambda name=name, folder=folder: rank_into(folder, self.runs[name], _model(), top=3))
        self.scored = root / "scored"
        self.alone(lambda: self.score(self.scored))
        self.evaluation = root / "evaluation"
        self.alone(lambda: self.evaluate(self.evaluation))
        self.digests = {folder: digest(folder) for folder in (*self.images.values(), self.labelled)}
        self.results = {name: self.result(folder) for name, folder in {**self.runs, "scored": self.scored}.items()}

    def rank(self, out: Path) -> None:
        rank_into(self.images["new"], out, _model(), top=3, overwrite=True)

    def score(self, out: Path) -> None:
        score_with(self.runs["new"], self.images["old"], out, top=3, overwrite=True)

    def evaluate(self, out: Path) -> None:
        evaluate_folder(self.labelled, odd="odd", methods=METHODS, out=out, n_jobs=1)

    def alone(self, work: Callable[[], None]) -> None:
        ended = os.waitstatus_to_exitcode(os.waitpid(_started(work), 0)[1])
        if ended != DONE:
            raise Broken(f"it ended with {ended} though nothing was provoked")

    def result(self, folder: Path) -> dict[str, str]:
        """What the folder's run says, each part that does not tell the time or the place."""
        summary = json.loads((folder / run_folder.SUMMARY).read_text())
        model = folder / run_folder.MODEL / "model.json"
        return {"table": hashlib.sha256((folder / "scores.csv").read_bytes()).hexdigest(),
                "images": str(summary["images"]), "flagged": str(summary["flagged"]),
                "model": str(json.loads(model.read_text())["files"]) if model.exists() else ""}

    def require_whole(self, out: Path, allowed: tuple[str, ...]) -> str:
        """Which of the allowed results lies whole in the folder; what is settled by opening it is settled first."""
        if (out / run_folder.MODEL).exists() or (out / run_folder.READY).exists():
            try:
                run_folder.model_of(out)
            except OddlensError as error:
                if "without a model" not in str(error) and "was not finished" not in str(error):
                    raise Broken(f"{out.name}: {error}") from error
        if not json.loads((out / run_folder.SUMMARY).read_text()).get("finished"):
            return "unfinished"
        found = self.result(out)
        for name in allowed:
            if found == self.results[name]:
                return name
        raise Broken(f"{out} holds neither of {allowed}, but {found}")

    def require_untouched(self) -> None:
        for folder, before in self.digests.items():
            if digest(folder) != before:
                raise Broken(f"the images in {folder.name} have changed")


def tries(shop: Workshop, fault: str, number: int, random: Random) -> Counter[str]:
    """Provoke a fault so often and count how it ended and what was left."""
    counts: Counter[str] = Counter()
    for _ in range(number):
        with tempfile.TemporaryDirectory(dir=shop.root) as workplace:
            Path(workplace).chmod(0o777)
            out = Path(workplace) / "out"
            for ending in PROVOKE[fault](shop, out, random):
                counts[ending] += 1
            shop.require_untouched()
    return counts


def kill(shop: Workshop, out: Path, random: Random) -> list[str]:
    """SIGKILL at a random moment of rank (over an earlier run), score (the same) and evaluate."""
    found = []
    for command, earlier, allowed in (("rank", shop.runs["old"], ("old", "new")),
                                      ("score", shop.runs["old"], ("old", "scored")), ("evaluate", None, ())):
        shutil.rmtree(out, ignore_errors=True)
        if earlier:
            shutil.copytree(earlier, out)
        work = getattr(shop, command)
        ended = _killed(lambda work=work: work(out), random.uniform(0, _usual(shop, command)))
        if command == "evaluate":
            for path in out.glob("*.json") if out.exists() else ():
                json.loads(path.read_text())  # whole, whichever it is
            left = "sound"
            shop.alone(lambda: shop.evaluate(out))
            if _rows(out) != _rows(shop.evaluation):
                raise Broken("an evaluation that was cut off went on to other numbers")
        else:
            left = shop.require_whole(out, allowed)
            shop.alone(lambda work=work: work(out))
            if shop.result(out) != shop.results[allowed[1]]:
                raise Broken(f"{command} again gave another result")
        found.append(f"{command}: {ended}, left {left}")
    return found


def full_disk(shop: Workshop, out: Path, random: Random) -> list[str]:
    """No file may grow beyond a random number of bytes, as on a disk that is full."""
    shutil.copytree(shop.runs["old"], out)
    most = int(10 ** random.uniform(0, 5.5))

    def work() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        shop.rank(out)

    return [f"{_ended(work)}, left {shop.require_whole(out, ('old', 'new'))}"]


def read_only(shop: Workshop, out: Path, random: Random) -> list[str]:
    """Somebody who may not write there: into the folder of a run, or to make one."""
    made = random.random() < 0.5
    if made:
        shutil.copytree(shop.runs["old"], out)
    else:
        out.parent.chmod(0o755)

    def work() -> None:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        shop.rank(out)

    ended = _ended(work)
    return [f"{ended}, left {shop.require_whole(out, ('old',)) if made else 'nothing' if not out.exists() else 'dirt'}"]


def vanish(shop: Workshop, out: Path, random: Random) -> list[str]:
    """Images that vanish, are cut short or become others between looking and reading."""
    photos = out.parent / "photos"
    shutil.copytree(shop.images["new"], photos)

    def between(*arguments: object, **options: object) -> object:
        for path in random.sample(sorted(photos.iterdir()), 6):
            match random.randrange(4):
                case 0:
                    path.unlink()
                case 1:
                    path.write_bytes(path.read_bytes()[:40])
                case 2:
                    path.write_bytes(b"text")
                case _:
                    path.unlink()
                    path.mkdir()
        return read_pixels(*arguments, **options)

    def work() -> None:
        oddlens.model.read_pixels = between
        result = rank_into(photos, out, _model(), top=3)
        if len(result.ranking) != 34 or len(result.ranking.unreadable) != 6:
            raise Broken(f"{len(result.ranking)} images and {len(result.ranking.unreadable)} that cannot be read")

    return [f"{_ended(work)}, 34 ranked and 6 listed"]


def permission(shop: Workshop, out: Path, random: Random) -> list[str]:
    """The right to read is lost between looking and reading: of some images or of the whole folder."""
    photos = out.parent / "photos"
    shutil.copytree(shop.images["new"], photos)
    everything = random.random() < 0.3
    lost = [photos] if everything else random.sample(sorted(photos.iterdir()), 6)

    def between(*arguments: object, **options: object) -> object:
        for path in lost:
            path.chmod(0)
        os.seteuid(NOBODY)  # to whom the permissions mean something
        try:
            return read_pixels(*arguments, **options)
        finally:
            os.seteuid(0)

    def work() -> None:
        oddlens.model.read_pixels = between
        rank_into(photos, out, _model(), top=3)

    ended = _ended(work)
    photos.chmod(0o755)
    if ended != ("said why not" if everything else "done"):
        raise Broken(f"permission lost: {ended}")
    return [f"{ended}, of {'the folder' if everything else '6 images'}"]


def memory(shop: Workshop, out: Path, random: Random) -> list[str]:
    """A little address space beyond what the libraries take."""
    shutil.copytree(shop.runs["old"], out)
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    most = taken + int(2 ** random.uniform(16, 29))

    def work() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        shop.rank(out)

    return [f"{_ended(work)}, left {shop.require_whole(out, ('old', 'new'))}"]


def two_at_once(shop: Workshop, out: Path, random: Random) -> list[str]:
    """Two runs into one folder, the second begun at a random moment of the first."""
    shutil.copytree(shop.runs["old"], out)
    one = _started(lambda: shop.rank(out))
    time.sleep(random.uniform(0, _usual(shop, "rank") / 2))
    two = _started(lambda: shop.rank(out))
    ended = sorted(_name(os.waitpid(child, 0)[1]) for child in (one, two))
    return [f"{' and '.join(ended)}, left {shop.require_whole(out, ('new',))}"]


PROVOKE = {"kill": kill, "full-disk": full_disk, "read-only": read_only, "vanish": vanish, "permission": permission,
           "memory": memory, "two-at-once": two_at_once}


def digest(folder: Path) -> str:
    """Of every name, content, size, mode and time of writing in a folder."""
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        status = path.stat()
        total.update(f"{path} {status.st_mode} {status.st_mtime_ns} {status.st_size}\n".encode())
        total.update(path.read_bytes() if path.is_file() else b"")
    return total.hexdigest()


def _model() -> AnomalyModel:
    return AnomalyModel(Pixels(side=4), ["neighbors", Forest(8)], image_size=8, n_jobs=1)


def _images(folder: Path, seed: int) -> Path:
    folder.mkdir()
    rng = np.random.default_rng(seed)
    for number in range(40):
        Image.fromarray(rng.integers(0, 200, (12, 12), dtype=np.uint8)).save(folder / f"{number:02}.png")
    return folder


def _labelled(folder: Path) -> Path:
    folder.mkdir()
    for seed, label in enumerate(("odd", "even")):
        _images(folder / label, seed)
    return folder


def _started(work: Callable[[], None]) -> int:
    """A child that has all libraries loaded, does the work and ends with how it went."""
    child = os.fork()
    if child:
        return child
    code = BROKEN
    try:
        work()
        code = DONE
    except OddlensError:
        code = REFUSED
    except MemoryError:
        code = OUT_OF_MEMORY
    except BaseException:
        traceback.print_exc()
    os._exit(code)


def _name(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    return NAMES.get(code, f"signal {-code}")


def _ended(work: Callable[[], None]) -> str:
    name = _name(os.waitpid(_started(work), 0)[1])
    if name == NAMES[BROKEN] or name.startswith("signal"):
        raise Broken(f"it ended with a {name}")
    return name


def _killed(work: Callable[[], None], seconds: float) -> str:
    child = _started(work)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    return "killed" if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) < 0 else "done before"


_seconds: dict[str, float] = {}


def _usual(shop: Workshop, command: str) -> float:
    """How long a command takes, measured once."""
    if command not in _seconds:
        with tempfile.TemporaryDirectory(dir=shop.root) as workplace:
            start = time.monotonic()
            shop.alone(lambda: getattr(shop, command)(Path(workplace) / "out"))
            _seconds[command] = time.monotonic() - start
    return _seconds[command]


def _rows(out: Path) -> list[dict[str, object]]:
    """The rows of an evaluation without their times."""
    rows = [row for path in sorted(out.glob("rows-*.json")) for row in json.loads(path.read_text())]
    return [{key: value for key, value in row.items() if "second" not in key} for row in rows]


def main() -> int:
    """Try each fault and print what happened."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=34, help="of each of rank, score and evaluate")
    parser.add_argument("--others", type=int, default=20, help="tries of each other fault")
    parser.add_argument("--faults", default=",".join(FAULTS))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory() as root:
        Path(root).chmod(0o755)
        shop = Workshop(Path(root))
        for fault in options.faults.split(","):
            if fault in ("read-only", "permission") and os.geteuid():
                print(f"{fault}: left out, it takes root to become somebody else", flush=True)
                continue
            number = options.kills if fault == "kill" else options.others
            try:
                counts = tries(shop, fault, number, Random(f"{fault} {options.seed}"))
            except Broken as broken:
                failed += 1
                print(f"{fault}: BROKEN: {broken}", flush=True)
                continue
            for what, count in sorted(counts.items()):
                print(f"{fault}: {count:>4} {what}", flush=True)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
