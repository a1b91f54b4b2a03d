"""What moved beyond its noise since results were kept: accuracies, decisions, processor time; in under three minutes.

python benchmarks/quick.py             measures, prints what was, what is and what moved; exit status 1 if for the worse
python benchmarks/quick.py --keep      measures and keeps it in results/quick.json, for later runs to be compared with
python benchmarks/quick.py digits      some rows alone: those whose names hold a word

Accuracies are of the same draws each time, so they are compared draw by draw: what counts is whether the draws moved
together. Times are multiples of a reference workload that runs in turn with them, for machines differ; their noise is
the spread of their repeats, then and now. All data come with the package or are made here.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as students_t

RESULTS = Path(__file__).parent / "results" / "quick.json"
LEVEL = 0.01  # how often a row would be marked though nothing changed
LEAST_MOVE = 0.002  # of an accuracy or a rate, by which it counts as moved at all
LEAST_FACTOR = 1.1  # of a time
DEVIATIONS = 4.0  # robust standard deviations by which a time must differ
REPEATS = 5


@dataclass(frozen=True)
class Row:
    """What was measured under one name.

    values:  one a draw, always of the same draws; or one a repeat, in multiples of the reference.
    better:  "higher" or "lower".
    timed:   whether these are times.
    """

    name: str
    values: tuple[float, ...]
    better: str
    timed: bool = False

    @property
    def middle(self) -> float:
        """The mean over draws; of times the median."""
        return float(np.median(self.values) if self.timed else np.mean(self.values))


@dataclass(frozen=True)
class Verdict:
    """What became of a row: how far it moved, how far it would move by chance, and "", "better", "worse" or "new"."""

    row: Row
    before: float | None
    move: float
    noise: float
    word: str


def verdict(row: Row, kept: Row | None) -> Verdict:
    """A row beside what was kept of it."""
    if kept is None or kept.timed != row.timed or (not row.timed and len(kept.values) != len(row.values)):
        return Verdict(row, None, 0.0, 0.0, "new")
    move = row.middle - kept.middle
    if row.timed:
        noise = DEVIATIONS * float(np.hypot(_spread(row.values), _spread(kept.values)))
        noise = max(noise, (LEAST_FACTOR - 1) * kept.middle)
    else:
        apart = np.subtract(row.values, kept.values)
        error = float(apart.std(ddof=1)) / len(apart) ** 0.5 if len(apart) > 1 else 0.0
        noise = max(LEAST_MOVE, error * float(students_t.ppf(1 - LEVEL / 2, max(1, len(apart) - 1))))
    if abs(move) <= noise:
        return Verdict(row, kept.middle, move, noise, "")
    return Verdict(row, kept.middle, move, noise, "better" if (move > 0) == (row.better == "higher") else "worse")


def _spread(values: tuple[float, ...]) -> float:
    """The standard deviation of a median, by the median of the deviations, so that one disturbed repeat is none."""
    deviation = 1.4826 * float(np.median(np.abs(np.subtract(values, np.median(values)))))
    return 1.2533 * deviation / len(values) ** 0.5


def table(verdicts: list[Verdict]) -> str:
    """Every row with what moved marked."""
    lines = ["| | kept | now | moved by | noise | |", "| --- | --- | --- | --- | --- | --- |"]
    for found in verdicts:
        before = "" if found.before is None else f"{found.before:.4g}"
        moved = ("", "") if found.before is None else (f"{found.move:+.3g}", f"{found.noise:.2g}")
        word = f"**{found.word}**" if found.word in ("better", "worse") else found.word
        lines.append(f"| {found.row.name} | {before} | {found.row.middle:.4g} | {moved[0]} | {moved[1]} | {word} |")
    return "\n".join(lines)


def rows(content: dict[str, Any]) -> dict[str, Row]:
    """Rows as they are kept."""
    return {name: Row(name, tuple(row["values"]), row["better"], row["timed"]) for name, row in content.items()}


def kept_form(found: list[Row]) -> dict[str, Any]:
    """Rows to be kept."""
    return {row.name: {"better": row.better, "timed": row.timed, "values": [round(v, 6) for v in row.values]}
            for row in found}


def small_sets(count: int, most: int, kind: str = "") -> Iterator[tuple[NDArray[np.uint8], NDArray[np.bool_]]]:
    """Images and which are odd: of each of some classes ``most`` digits and a tenth of others, or of damaged ones."""
    from draws import one_class
    from oddlens.evaluation.corruptions import damage

    for draw in [*one_class("mnist", 0.1, 0)][:count]:
        rng = np.random.default_rng(int(draw.case))
        inside = rng.permutation(np.flatnonzero(~draw.odd))[:most]
        outside = rng.permutation(np.flatnonzero(draw.odd))[: most // 10]
        images = draw.fitted[np.concatenate([inside, outside])].copy()
        if kind:
            images[most:] = damage(kind)(images[: len(outside)], rng)
        yield images, np.arange(len(images)) >= len(inside)


def accuracies(effort: str, kind: str, count: int, most: int) -> Callable[[], list[Row]]:
    """AUROC and average precision of an effort, by draw."""
    def measure() -> list[Row]:
        from sklearn.metrics import average_precision_score, roc_auc_score

        from oddlens import AnomalyModel

        found = [(odd, AnomalyModel(effort=effort, n_jobs=1).fit(images).rank().scores)
                 for images, odd in small_sets(count, most, kind)]
        name = f"digits, {kind or 'others'} among them, {effort}"
        return [Row(f"{name}: AUROC", tuple(float(roc_auc_score(*one)) for one in found), "higher"),
                Row(f"{name}: average precision", tuple(float(average_precision_score(*one)) for one in found),
                    "higher")]

    return measure


def texture() -> list[Row]:
    """AUROC of pictures of 128 x 128 pixels of a made-up weave, some with a blob; by draw."""
    from scipy.ndimage import gaussian_filter
    from sklearn.metrics import roc_auc_score

    from oddlens import AnomalyModel

    values = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        down, across = np.mgrid[:128, :128]
        threads = [np.sin((down + rng.uniform(0, 8)) * np.pi / 4) * np.cos((across + rng.uniform(0, 8)) * np.pi / 4)
                   for _ in range(60)]
        weave = [128 + 40 * one + gaussian_filter(rng.normal(0, 60, (128, 128)), 1.5) for one in threads]
        for picture in weave[-5:]:
            top, left = rng.integers(16, 92, 2)
            picture[top : top + 10, left : left + 10] = gaussian_filter(picture, 1)[top : top + 10, left : left + 10]
        images = np.stack(weave).clip(0, 255).astype(np.uint8)[..., None]
        values.append(float(roc_auc_score(np.arange(60) >= 55, AnomalyModel(n_jobs=1).fit(images).rank().scores)))
    return [Row("weave with blurred spots, default: AUROC", tuple(values), "higher")]


def decided() -> list[Row]:
    """Realised false-discovery rate and power at a stated rate of .1, by draw, of made-up scores with a tail."""
    from oddlens.decisions import decide

    wrong, power = [], []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        odd = np.arange(1500) >= 1425
        scores = np.where(odd, rng.normal(5.0, 2.0, 1500), rng.gumbel(0.0, 0.5, 1500) + rng.normal(0, 0.5, 1500))
        flagged = np.asarray(decide(np.exp(scores / 4), 0.1).flagged, bool)
        wrong.append(float((flagged & ~odd).sum() / max(1, flagged.sum())))
        power.append(float(flagged[odd].mean()))
    return [Row("decisions at .1, made-up scores: realised false-discovery rate", tuple(wrong), "lower"),
            Row("decisions at .1, made-up scores: share of the odd that is flagged", tuple(power), "higher")]


def reference() -> None:
    """What times are measured in: products, sorting and a loop in Python, some tenths of a second."""
    rng = np.random.default_rng(0)
    square = rng.normal(size=(500, 500)).astype(np.float32)
    for _ in range(12):
        square = np.tanh(square @ square.T / 500)
    np.sort(rng.normal(size=1_000_000))
    sum(number * number for number in range(400_000))


def workloads() -> Iterator[tuple[str, Callable[[], Any]]]:
    """What is timed, made ready."""
    from PIL import Image

    from draws import load
    from oddlens import AnomalyModel
    from oddlens.detectors.burnout import Burnout
    from oddlens.detectors.forest import Forest
    from oddlens.encoders.dictionary import Dictionary
    from oddlens.explaining.causes import Causes
    from oddlens.pixels import look, read_pixels
    from oddlens.protocols import Encoded
    from oddlens.run import rank_into
    from oddlens.sources import open_source

    digits = load("mnist")[0][:500].reshape(-1, 28, 28, 1)
    needs = frozenset({"embedding"})
    dictionary = Dictionary().fit(digits[:200])
    encoded = Encoded(embedding=np.random.default_rng(0).normal(size=(2000, 100)).astype(np.float32))
    yield "dictionary encodes 300 digits", lambda: dictionary.encode(digits[:300], needs)
    yield "burnout of 2,000 x 100", lambda: Burnout(n_jobs=1).fit(encoded).score_own()
    yield "forest of 2,000 x 100", lambda: Forest(n_estimators=2000, n_jobs=1).fit(encoded).score_own()
    yield "causes of 300 digits", lambda: Causes().fit(digits[:300])
    folder = Path(tempfile.mkdtemp(prefix="oddlens-quick-"))
    rng = np.random.default_rng(0)
    for number in range(40):
        picture = Image.fromarray(rng.integers(0, 256, (60, 80, 3), np.uint8)).resize((800, 600))
        picture.save(folder / f"{number}.jpg", quality=90)
    source = open_source(folder)
    form = look(source)
    yield "reading 40 JPEG files of 800 x 600", lambda: read_pixels(source, form, 1)
    yield "a whole fast run of 300 digits", lambda: rank_into(
        digits[:300], Path(tempfile.mkdtemp(prefix="oddlens-quick-")) / "run", AnomalyModel(effort="fast", n_jobs=1))


def times() -> list[Row]:
    """Processor seconds in multiples of the reference's, in turn with it."""
    def took(work: Callable[[], Any]) -> float:
        start = time.process_time()
        work()
        return time.process_time() - start

    ready = [*workloads()]
    found: dict[str, list[float]] = {name: [] for name, _ in ready}
    for repeat in range(REPEATS + 1):  # the first loads and compiles
        for name, work in ready:
            value = took(work) / took(reference)
            if repeat:
                found[name].append(value)
    return [Row(f"time: {name}", tuple(values), "lower", timed=True) for name, values in found.items()]


MEASURES: dict[str, Callable[[], list[Row]]] = {
    "digits others fast": accuracies("fast", "", 5, 400),
    "digits others default": accuracies("default", "", 4, 300),
    "digits blur default": accuracies("default", "blur", 3, 300),
    "weave": texture,
    "decisions": decided,
    "time": times,
}


def main(words: list[str], keep: bool) -> int:
    """Measure, compare or keep; the exit status."""
    import torch

    torch.set_num_threads(1)
    start = time.perf_counter()
    kept = rows(json.loads(RESULTS.read_text())) if RESULTS.exists() else {}
    found = [row for name, measure in MEASURES.items() if not words or any(word in name for word in words)
             for row in measure()]
    if keep:
        from oddlens.files import write_atomically

        content = kept_form([*kept.values()]) | kept_form(found)
        write_atomically(RESULTS, (json.dumps(content, indent=1) + "\n").encode())
    verdicts = [verdict(row, kept.get(row.name)) for row in found]
    print(table(verdicts))
    print(f"\n{time.perf_counter() - start:.0f} s by the clock, {time.process_time():.0f} s of processor time.")
    worse = [found.row.name for found in verdicts if found.word == "worse"]
    print(f"Worse beyond noise: {'; '.join(worse)}." if worse else "Nothing is worse beyond its noise.")
    return 1 if worse and not keep else 0


if __name__ == "__main__":
    options = [option for option in sys.argv[1:] if option.startswith("-")]
    if options not in ([], ["--keep"]):
        sys.exit(__doc__)
    sys.exit(main([word for word in sys.argv[1:] if not word.startswith("-")], bool(options)))
