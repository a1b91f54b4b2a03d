"""The whole job beside detectors alone: time and what is found, together, on the same images.

python benchmarks/whole_job.py              60,000 images, one round, beside what is kept in results/
python benchmarks/whole_job.py              60,000 images, one round; kept in results/whole_job.json
python benchmarks/whole_job.py --table      what is kept

Fashion-MNIST's training images, of which 2 % are odd: a sixth each are digits in their place, blurred, noisy, partly
covered, rotated and cut (protocol D's, all in one collection). Ours is a whole run from images to the written folder,
with reasons, report and saved model, and the same without all that; theirs is fitting and scoring alone, by their own
defaults, features included. Each is a process of its own with all cores; seconds begin when its libraries are loaded.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from draws import load
from oddlens.evaluation.corruptions import CORRUPTIONS, damage
from oddlens.files import write_atomically

RESULTS = Path(__file__).parent / "results" / "whole_job.json"
SHARE = 0.02
KINDS = ("foreign", *CORRUPTIONS)


def draw(count: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """(count, 28, 28, 1) images, and (count,) 0 for those left alone, else the kind of each, from 1."""
    rng = np.random.default_rng(seed)
    clothes, digits = load("fashion-train")[0], load("mnist")[0]
    images = clothes[rng.permutation(len(clothes))[:count]].reshape(-1, 28, 28, 1).copy()
    kind = np.zeros(len(images), np.int64)
    rows = rng.permutation(len(images))[: round(SHARE * len(images))]
    for number, (name, some) in enumerate(zip(KINDS, np.array_split(rows, len(KINDS)), strict=True), 1):
        kind[some] = number
        if name == "foreign":
            images[some] = digits[rng.permutation(len(digits))[: len(some)]].reshape(-1, 28, 28, 1)
        else:
            images[some] = damage(name)(images[some], rng)
    return images, kind


def whole(effort: str) -> Callable[[NDArray[np.uint8]], NDArray[np.float64]]:
    """From images to a written run."""
    from oddlens import AnomalyModel
    from oddlens.run import rank_into

    def run(images: NDArray[np.uint8]) -> NDArray[np.float64]:
        with tempfile.TemporaryDirectory() as out:
            return rank_into(images, Path(out) / "run", AnomalyModel(effort=effort)).ranking.scores

    return run


def scores(effort: str) -> Callable[[NDArray[np.uint8]], NDArray[np.float64]]:
    """Scores and flags alone."""
    from oddlens import AnomalyModel

    return lambda images: AnomalyModel(effort=effort).fit(images).rank().scores


def peer(name: str) -> Callable[[NDArray[np.uint8]], NDArray[np.float64]]:
    """A peer's features and its detector."""
    from oddlens.evaluation.peers import FEATURES, PEERS

    found = PEERS[name]
    return lambda images: found.score(FEATURES[found.features](images), None, 0, None)


METHODS: dict[str, Callable[[], Callable[[NDArray[np.uint8]], NDArray[np.float64]]]] = {
    "oddlens, reasons and report": lambda: whole("default"),
    "oddlens --fast, reasons and report": lambda: whole("fast"),
    "oddlens, scores alone": lambda: scores("default"),
    "oddlens --fast, scores alone": lambda: scores("fast"),
    "HOG + 50 neighbours": lambda: peer("hog-knn50"),
    "PyOD AutoEncoder": lambda: peer("pyod-autoencoder"),
    "PyOD KNN": lambda: peer("pyod-knn"),
}


def child(method: str, count: int, seed: int) -> dict[str, Any]:
    """One method in this process."""
    run = METHODS[method]()
    run(draw(300, 0)[0])  # loads and compiles
    images, kind = draw(count, seed)
    wall, cpu = time.perf_counter(), time.process_time()
    found = run(images)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    kinds = {name: round(float(roc_auc_score(kind[(kind == 0) | (kind == number)] > 0,
                                             found[(kind == 0) | (kind == number)])), 4)
             for number, name in enumerate(KINDS, 1)}
    return {"wall": round(wall, 1), "cpu": round(cpu, 1),
            "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            "auroc": round(float(roc_auc_score(kind > 0, found)), 4),
            "ap": round(float(average_precision_score(kind > 0, found)), 4), "kinds": kinds}


def measure(count: int, rounds: int) -> None:
    """Every method once a round; what is found is kept after each."""
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    mine: dict[str, list[Any]] = {}
    for number in range(rounds):
        for method in np.random.default_rng(number).permutation(list(METHODS)):
            command = [sys.executable, __file__, "--child", str(method), str(count), str(number)]
            answer = subprocess.run(command, capture_output=True, text=True, check=False)
            if answer.returncode:
                print(f"{method}: {answer.stderr.strip().splitlines()[-1]}", file=sys.stderr)
                continue
            mine.setdefault(str(method), []).append(json.loads(answer.stdout.splitlines()[-1]))
            kept[str(count)] = mine
            write_atomically(RESULTS, (json.dumps(kept, indent=1) + "\n").encode())
            print(method, mine[str(method)][-1], file=sys.stderr, flush=True)


def table() -> None:
    """Medians over the rounds."""
    for count, methods in json.loads(RESULTS.read_text()).items():
        rounds = max(map(len, methods.values()))
        print(f"| {int(count):,} images, {rounds} round{'s' * (rounds > 1)} | processor, s | wall, s | peak memory, "
              f"MiB | AUROC | average precision | AUROC by kind: {', '.join(KINDS)} |\n|" + " --- |" * 7)
        for method in METHODS:
            if method not in methods:
                continue
            found = {key: float(np.median([one[key] for one in methods[method]]))
                     for key in ("cpu", "wall", "peak", "auroc", "ap")}
            kinds = ", ".join(f"{np.median([one['kinds'][kind] for one in methods[method]]):.3f}" for kind in KINDS)
            print(f"| {method} | {found['cpu']:.0f} | {found['wall']:.0f} | {found['peak']:.0f} | {found['auroc']:.3f} "
                  f"| {found['ap']:.3f} | {kinds} |")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        print(json.dumps(child(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))))
    elif sys.argv[1:] != ["--table"]:
        measure(int(sys.argv[1]) if len(sys.argv) > 1 else 60_000, int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    if sys.argv[1:2] != ["--child"]:
        table()
