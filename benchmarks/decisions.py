"""The null of one score: realised false-discovery rate and power at stated rates, on protocol A sets, and worse ones.

What a single view is judged by, on the default's fused score. How the default itself decides, by the agreement of its
views, is measured by robustness.py.

python benchmarks/decisions.py                       prints the tables and keeps benchmarks/results/decisions.json
python benchmarks/decisions.py --scores FOLDER       keeps each set's scores there too, and reads them from there
python benchmarks/decisions.py --designs             also every other null that was weighed (benchmarks/nulls.py)
python benchmarks/decisions.py --others              also the paper's autoencoder, and digits with clothes among them

A run that was stopped goes on where it was: sets in the results file are not measured again, nor are scores in the
folder. Delete the file, or the folder, to measure anew.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from draws import Draw, load, one_class
from nulls import DESIGNS
from oddlens import AnomalyModel
from oddlens.decisions import benjamini_hochberg, decide
from oddlens.evaluation import draws
from oddlens.files import write_atomically

RESULTS = Path(__file__).parent / "results" / "decisions.json"
RATES = (0.05, 0.1, 0.2)
SHARES = ("0.0", "0.01", "0.05", "0.1")
WORSE = ("0.3", "0.1cluster")  # three odd images to ten ordinary ones; odd images that are all of one class
SEEDS = (0, 1)
QUANTILES = (0.8, 0.65, 0.9, 0.95, 0.98, 0.99, 0.998)  # of ordinary images' scores; the first is the unit
OTHERS = ("neighbors", "forest", "reconstruction")  # detectors on the paper's autoencoder
OTHER_CASES = ("1", "4", "7")
FOREIGN = "foreign:mnist-0.02-0-all"  # 10,000 digits and 200 pictures of clothes, the default's scores

Row = dict[str, Any]
Bools = NDArray[np.bool_]
Doubles = NDArray[np.float64]


def sets(data: str, share: str, seed: int) -> Iterator[tuple[str, Draw]]:
    """(name, set) for each nominal class; 0.0 has nothing odd, and in a cluster all odd images are of one class."""
    if share.endswith("cluster"):
        images, labels = load(data)
        kinds = np.unique(labels)
        for kind, other in zip(kinds, np.roll(kinds, -1), strict=True):
            two = np.isin(labels, [kind, other])
            found = draws.one_class(images[two], labels[two], float(share.removesuffix("cluster")), seed)
            draw = next(draw for draw in found if draw.case == str(kind))
            yield f"{data}-{share}-{seed}-{draw.case}", draw
        return
    for draw in one_class(data, float(share), seed):
        kept = ~draw.odd if share == "0.0" else np.ones(len(draw.odd), bool)
        yield f"{data}-{share}-{seed}-{draw.case}", Draw(draw.fitted[kept], None, draw.odd[kept], draw.case)


def own_scores(images: NDArray[np.uint8], **options: Any) -> tuple[Doubles, bool]:
    """(n,) the fitted images' scores, and whether these are fused: sums of surprises, so logarithms already."""
    ranking = AnomalyModel(**options, n_jobs=1).fit(images).rank()
    return np.asarray(ranking.scores), len(ranking.members) > 1


def kept_scores(name: str, draw: Draw, folder: Path | None) -> tuple[Doubles, bool]:
    """The default's scores, from the folder if they are there."""
    path = folder / f"{name}.npz" if folder else None
    if path and path.exists():
        with np.load(path) as kept:
            if not np.array_equal(kept["odd"], draw.odd):
                sys.exit(f"{path} holds other draws. Delete it.")
            return kept["scores"], bool(kept["fused"])
    scores, fused = own_scores(draw.fitted)
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, scores=scores, odd=draw.odd, fused=fused)
    return scores, fused


def realised(flagged: Bools, odd: Bools) -> list[float]:
    """[share of ordinary images among the flagged, share of the odd that are flagged, number flagged]."""
    found = int(flagged.sum())
    return [float((flagged & ~odd).sum() / max(found, 1)), float((flagged & odd).sum() / max(odd.sum(), 1)), found]


def oracle(scores: Doubles, odd: Bools, rate: float) -> Bools:
    """The most that any threshold on these scores can flag with the realised rate kept, labels known."""
    order = np.argsort(-scores, kind="stable")
    kept = np.flatnonzero(np.cumsum(~odd[order]) <= rate * np.arange(1, len(odd) + 1))
    flagged = np.zeros(len(odd), bool)
    flagged[order[: kept[-1] + 1 if len(kept) else 0]] = True
    return flagged


def rivals(scores: Doubles) -> dict[str, Bools]:
    """The usual thresholds on the same scores."""
    apart = np.abs(scores - np.median(scores))
    return {
        "contamination = 0.1 (PyOD's and scikit-learn's way)": scores > np.quantile(scores, 0.9),
        "mean + 3 standard deviations": scores > scores.mean() + 3 * scores.std(),
        "robust z above 3.5 (median, MAD)": (0.6745 * apart > 3.5 * np.median(apart)) & (scores > np.median(scores)),
    }


def judge(scores: Doubles, odd: Bools, fused: bool, designs: bool) -> Row:
    """All that the tables need of one set."""
    decisions = {rate: decide(scores, rate, log=False if fused else None) for rate in RATES}
    share = decisions[0.1].share
    row: Row = {
        "n": len(odd), "odd": float(odd.mean()), "share": [share.value, share.low, share.high],
        "rates": {str(rate): realised(decision.flagged, odd) for rate, decision in decisions.items()},
        "expected": [decisions[0.1].expected_false, int((decisions[0.1].flagged & ~odd).sum())],
        "rivals": {name: realised(flagged, odd) for name, flagged in rivals(scores).items()},
    }
    row["rivals"]["any threshold, labels known (not a rival)"] = realised(oracle(scores, odd, 0.1), odd)
    if designs:
        values = scores if fused else np.log(np.maximum(scores, scores[scores > 0].min()))
        if not odd.any():
            middle, *others = np.quantile(values, [0.5, *QUANTILES])
            row["shape"] = [float(value) for value in (others - middle) / (others[0] - middle)]
        row["designs"] = {name: [realised(benjamini_hochberg(design(values), rate), odd) for rate in RATES]
                          for name, design in DESIGNS.items()}
    return row


def measure(rows: dict[str, Row], folder: Path | None, designs: bool) -> None:
    """Add the rows that are not there yet."""
    plan = [(share, seed) for seed in SEEDS for share in SHARES] + [(share, 0) for share in WORSE]
    for share, seed in plan:
        for data in ("mnist", "fashion"):
            for name, draw in sets(data, share, seed):
                if name not in rows or (designs and "designs" not in rows[name]):
                    rows[name] = judge(*_first(kept_scores(name, draw, folder), draw.odd), designs)
                    keep(rows)


def measure_others(rows: dict[str, Row]) -> None:
    """The same on the scores that three detectors give on one autoencoder, for a few classes."""
    for share in SHARES:
        for data in ("mnist", "fashion"):
            for name, draw in sets(data, share, 0):
                if draw.case in OTHER_CASES and f"{OTHERS[0]}:{name}" not in rows:
                    model = AnomalyModel(encoder="autoencoder", detector=list(OTHERS), n_jobs=1).fit(draw.fitted)
                    for detector, scores in model.rank().members.items():
                        rows[f"{detector}:{name}"] = judge(np.asarray(scores), draw.odd, False, False)
                    keep(rows)
    if FOREIGN not in rows:
        draw = draws.foreign(load("mnist")[0], load("fashion")[0], 0.02, 0)
        rows[FOREIGN] = judge(*_first(own_scores(draw.fitted), draw.odd), False)
        keep(rows)


def _first(scored: tuple[Doubles, bool], odd: Bools) -> tuple[Doubles, Bools, bool]:
    return scored[0], odd, scored[1]


def keep(rows: dict[str, Row]) -> None:
    """Write what there is so far, one set a line."""
    lines = (f"{json.dumps(name)}: {json.dumps(rounded(rows[name]))}" for name in sorted(rows))
    write_atomically(RESULTS, ("{\n" + ",\n".join(lines) + "\n}\n").encode())


def rounded(value: Any) -> Any:
    """The same with five decimals."""
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [rounded(inner) for inner in value]
    return round(value, 5) if isinstance(value, float) else value


def of(rows: dict[str, Row], start: str) -> list[Row]:
    """The rows of sets whose names begin so."""
    return [row for name, row in rows.items() if name.startswith(start)]


def table(head: list[str], lines: list[list[str]]) -> None:
    """A table in Markdown."""
    for cells in [head, ["---"] * len(head), *lines]:
        print("| " + " | ".join(cells) + " |")
    print()


def pair(rows: list[Row], read: Callable[[Row], list[float]]) -> str:
    """Mean realised rate / mean power."""
    false, power, _ = np.mean([read(row) for row in rows], 0)
    return f"{false:.3f} / {power:.2f}" if rows[0]["odd"] else f"{false:.2f}"


def show(rows: dict[str, Row], before: str = "", seeds: tuple[int, ...] = SEEDS) -> None:
    """Protocol F: one line for each data set, share and seed."""
    lines = []
    for data in ("mnist", "fashion"):
        for share in (*SHARES, *(() if before else WORSE), *(("0.02",) if before == "foreign:" else ())):
            for seed in seeds:
                some = of(rows, f"{before}{data}-{share}-{seed}-")
                if some:
                    value, low, high = np.mean([row["share"] for row in some], 0)
                    inside = np.mean([row["share"][1] <= row["odd"] <= row["share"][2] for row in some])
                    lines.append([f"{data}, c = {share}, seed {seed}", str(len(some)),
                                  *(pair(some, lambda row, rate=rate: row["rates"][str(rate)]) for rate in RATES),
                                  f"{value:.3f} ({low:.3f} to {high:.3f})",
                                  f"{np.mean([row['odd'] for row in some]):.3f}", f"{inside:.0%}"])
    table(["sets", "number", *(f"rate {rate}: realised / power" for rate in RATES),
           "estimated share of odd images", "true", "sets whose interval holds it"], lines)


def compare(rows: dict[str, Row]) -> None:
    """The usual thresholds beside the default, both data sets and all seeds together."""
    groups = {share: of(rows, f"mnist-{share}-") + of(rows, f"fashion-{share}-") for share in SHARES}
    lines = [["ours, rate 0.1", *(pair(some, lambda row: row["rates"]["0.1"]) for some in groups.values())]]
    lines += [[name, *(pair(some, lambda row, name=name: row["rivals"][name]) for some in groups.values())]
              for name in groups["0.0"][0]["rivals"]]
    table(["realised / power", *(f"c = {share}" for share in SHARES)], lines)
    some = [row for share in SHARES for row in groups[share] if row["rates"]["0.1"][2]]
    expected, false = np.sum([row["expected"] for row in some], 0)
    flags = sum(row["rates"]["0.1"][2] for row in some)
    print(f"Of {flags} flags in {len(some)} sets at rate 0.1, {expected:.0f} were expected to be false, "
          f"and {false:.0f} were.\n")


def weigh(rows: dict[str, Row]) -> None:
    """Every null: MNIST and Fashion-MNIST, seed 0, at a rate of .1, and the most by which any cell is over its rate."""
    groups = {(data, share): [row for row in of(rows, f"{data}-{share}-0-") if "designs" in row]
              for data in ("mnist", "fashion") for share in SHARES}
    lines = []
    for name in ["ours", *DESIGNS]:
        def read(row: Row, at: int, name: str = name) -> list[float]:
            found: list[float] = row["rates"][str(RATES[at])] if name == "ours" else row["designs"][name][at]
            return found

        over = max(float(np.mean([read(row, at)[0] for row in some])) - rate
                   for (_, share), some in groups.items() for at, rate in enumerate(RATES) if share != "0.0")
        lines.append([name, *(pair(some, lambda row: read(row, 1)) for some in groups.values()), f"{over:+.2f}"])
    table(["rate 0.1: realised / power", *(f"{data}, {share}" for data, share in groups), "worst, any rate"], lines)


def shapes(rows: dict[str, Row]) -> None:
    """The upper half of ordinary images' scores, from the median, in units of the .8 quantile."""
    laws = {"normal law": norm.ppf(QUANTILES), "exponential law": -np.log(2 * (1 - np.array(QUANTILES)))}
    lines = [[law, *(f"{value / values[0]:.2f}" for value in values)] for law, values in laws.items()]
    for data, heavy in (("mnist", "1"), ("fashion", "1")):
        found = {name: row["shape"] for name, row in rows.items() if name.startswith(f"{data}-0.0-0-")}
        rest = [shape for name, shape in found.items() if not name.endswith(f"-{heavy}")]
        ranges = zip(np.min(rest, 0), np.max(rest, 0), strict=True)
        lines.append([f"{data}, nine classes", *(f"{low:.2f} to {high:.2f}" for low, high in ranges)])
        lines.append([f"{data}, class {heavy}", *(f"{value:.2f}" for value in found[f"{data}-0.0-0-{heavy}"])])
    table(["quantile", *map(str, QUANTILES)], lines)


def main() -> None:
    """Measure what is missing and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scores", type=Path)
    parser.add_argument("--designs", action="store_true")
    parser.add_argument("--others", action="store_true")
    options = parser.parse_args()
    rows: dict[str, Row] = json.loads(RESULTS.read_bytes()) if RESULTS.exists() else {}
    measure(rows, options.scores, options.designs)
    print("Realised rate: the mean share of ordinary images among the flagged; at c = 0 the share of sets in which any "
          "image is flagged.\n")
    show(rows)
    compare(rows)
    if options.designs:
        weigh(rows)
        shapes(rows)
    if options.others:
        measure_others(rows)
        for detector in OTHERS:
            print(f"autoencoder + {detector}, classes {', '.join(OTHER_CASES)}:\n")
            show(rows, f"{detector}:", (0,))
        print("10,000 digits and 2 % clothes, the default:\n")
        show(rows, "foreign:", (0,))


if __name__ == "__main__":
    main()
