"""Tools for cleaning image collections beside ours: cleanlab, fastdup, FiftyOne and CleanVision on the same images.

    python benchmarks/data_cleaning.py outliers [NAMES]   cleanlab's, fastdup's and FiftyOne's ranking of odd images
    python benchmarks/data_cleaning.py faults [NAMES]     CleanVision's and our causes, of images spoiled on purpose
    python benchmarks/data_cleaning.py --table            print what is kept, beside ours

``pip install --group peers -c constraints.txt`` installs cleanlab and CleanVision. fastdup asks for NumPy below 2 and
versions of its own of the rest, so it has an environment of its own: FASTDUP_PYTHON names its interpreter; without it
its rows are left out. So is it with FiftyOne and FIFTYONE_PYTHON. FiftyOne keeps data sets in a MongoDB that its
installation downloads; its own functions are called on the features without one.

Outliers: protocol A at 10 %, seed 0 (one class of MNIST-10k or Fashion-MNIST with others), and the solar cells of
``photographs.py`` at 5 %. cleanlab's ``OutOfDistribution`` looks at features that its user brings: histograms of
oriented gradients here, on cells EfficientNet-Lite0; FiftyOne's uniqueness is computed of the same. fastdup has a
network of its own; an image is the odder the less it is like its nearest neighbour, all images listed
(``lower_threshold=1``). Faults: what ``causes.py`` plants; a fault counts as found if any issue that could be meant is
named.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import photographs
from causes import RESULTS as CAUSES
from causes import collections, plant
from draws import one_class
from oddlens.evaluation.peers import FEATURES
from oddlens.files import write_atomically

RESULTS = Path(__file__).parent / "results" / "data_cleaning.json"
Images = NDArray[np.uint8]
#: What causes.py plants -> CleanVision's issues that could mean it.
ISSUES = {"blank": ("low_information", "dark", "light"), "blurred": ("blurry",), "dark": ("dark",),
          "bright": ("light",), "low contrast": ("low_information",), "grey": ("grayscale",),
          "copy": ("exact_duplicates",), "near copy, noise": ("near_duplicates",),
          "near copy, shift": ("near_duplicates",)}
FASTDUP = """
import sys, json, fastdup
done = fastdup.create(sys.argv[1], sys.argv[2])
done.run(overwrite=True, print_summary=False, lower_threshold=1.0)
rows = done.outliers()
print("ROWS", json.dumps([[name, value] for name, value in zip(rows["filename_outlier"], rows["distance"])]))
"""
FIFTYONE = """
import sys, types, numpy as np
from fiftyone.brain.internal.core.sklearn import NeighborsHelper, _nanargmin
from fiftyone.brain.internal.core.uniqueness import _compute_uniqueness
rows = np.load(sys.argv[1])
apart = NeighborsHelper(rows, "cosine")._build_dists(rows.copy())
def neighbours(k, return_dists):
    nearest = _nanargmin(apart, k=k)
    return nearest, [line[found] for found, line in zip(nearest, apart)]
index = types.SimpleNamespace(config=types.SimpleNamespace(method="sklearn"), _kneighbors=neighbours)
np.save(sys.argv[2], _compute_uniqueness(rows, index))
"""


def saved(images: Images, folder: Path) -> list[Path]:
    """The images as PNG files, named by their row."""
    paths = [folder / f"{row:06d}.png" for row in range(len(images))]
    for image, path in zip(images, paths, strict=True):
        Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).save(path)
    return paths


def with_cleanlab(images: Images, features: str) -> NDArray[np.float64]:
    from cleanlab.outlier import OutOfDistribution

    quiet = io.StringIO()
    with contextlib.redirect_stdout(quiet):
        return -np.asarray(OutOfDistribution().fit_score(features=FEATURES[features](images)), np.float64)


def with_fiftyone(images: Images, features: str, python: str) -> NDArray[np.float64]:
    with tempfile.TemporaryDirectory() as folder:
        np.save(rows := Path(folder) / "rows.npy", np.asarray(FEATURES[features](images), np.float64))
        subprocess.run([python, "-c", FIFTYONE, str(rows), str(Path(folder) / "found.npy")], check=True,
                       capture_output=True, cwd=folder)
        return np.load(Path(folder) / "found.npy")


def with_fastdup(images: Images, python: str) -> NDArray[np.float64]:
    with tempfile.TemporaryDirectory() as folder:
        (place := Path(folder) / "images").mkdir()
        saved(images, place)
        done = subprocess.run([python, "-c", FASTDUP, str(Path(folder) / "work"), str(place)], check=True,
                              capture_output=True, text=True, cwd=folder)
    likeness = np.ones(len(images))  # to the nearest
    for name, value in json.loads(done.stdout.rpartition("ROWS ")[2].splitlines()[0]):
        row = int(Path(name).stem)
        likeness[row] = min(likeness[row], value)
    return -likeness


def outliers(images: Images, odd: NDArray[np.bool_], features: str, row: dict[str, Any]) -> dict[str, Any]:
    """What is in ``row`` already, and what it lacks of what can be measured here."""
    peers = {f"cleanlab-{features}": lambda: with_cleanlab(images, features)}
    if python := os.environ.get("FASTDUP_PYTHON"):
        peers["fastdup"] = lambda: with_fastdup(images, python)
    if other := os.environ.get("FIFTYONE_PYTHON"):
        peers[f"fiftyone-{features}"] = lambda: with_fiftyone(images, features, other)
    for name, score in peers.items():
        if name not in row:
            before = os.times()
            row[name] = photographs.figures(odd, score())
            row[f"{name.partition('-')[0]}_cpu_seconds"] = round(sum(os.times()[:4]) - sum(before[:4]), 1)
    return row


def faults(images: Images) -> dict[str, Any]:
    """The share of each planted kind that CleanVision names, and of the images without one that any issue names."""
    spoiled, where = plant(images)
    found = with_cleanvision(spoiled)
    clean = with_cleanvision(images)
    return {"named": {kind: float(np.any([found[issue][rows] for issue in ISSUES[kind]], 0).mean())
                      for kind, rows in where.items() if kind in ISSUES},
            "false alarms": {issue: float(flags.mean()) for issue, flags in clean.items()}}


def with_cleanvision(images: Images) -> dict[str, NDArray[np.bool_]]:
    from cleanvision import Imagelab

    with tempfile.TemporaryDirectory() as folder:
        saved(images, Path(folder))
        lab = Imagelab(data_path=folder, verbose=False)
        lab.find_issues(n_jobs=1, verbose=False)
        table = lab.issues
        order = np.argsort([int(Path(name).stem) for name in table.index])
        return {column.removeprefix("is_").removesuffix("_issue"): table[column].to_numpy(bool)[order]
                for column in table.columns if column.startswith("is_")}


def table(kept: dict[str, Any]) -> None:
    """Means over the sets of one kind, beside ours; then the faults."""
    ours: dict[str, list[float]] = {}
    for data in ("mnist", "fashion"):
        rows = json.loads((RESULTS.parent / "evaluate" / f"rows-A-{data}.json").read_text())
        ours |= {f"A/{data}/{k}": [row["auroc"], row["average_precision"]] for k, row in enumerate(
            row for row in rows if row["c"] == 0.1 and row["seed"] == 0 and row["method"] == "oddlens")}
    ours |= {name: row["oddlens"] for name, row in json.loads(photographs.RESULTS.read_text()).items()}
    print("| sets | oddlens | cleanlab on | FiftyOne on the same | fastdup | CPU-s of cleanlab, FiftyOne, fastdup |\n"
          "| --- | --- | --- | --- | --- | --- |")
    for kind in ("A/mnist", "A/fashion", "cells/mono", "cells/poly"):
        names = [name for name in kept.get("outliers", {}) if name.startswith(kind)]
        rows = [kept["outliers"][name] for name in names]
        if rows:
            features = next(key for key in rows[0] if key.startswith("cleanlab-"))
            seconds = [np.mean([row[key] for row in rows if key in row] or np.nan) for key in
                       (f"{peer}_cpu_seconds" for peer in ("cleanlab", "fiftyone", "fastdup"))]
            cells = [photographs.mean([ours[name] for name in names], 0), f"{features.removeprefix('cleanlab-')}: "
                     f"{photographs.mean([r[features] for r in rows], 0)}"]
            for peer in (features.replace("cleanlab", "fiftyone"), "fastdup"):
                cells.append(photographs.mean([row[peer] for row in rows if peer in row], 0))
            print(f"| {kind} ({len(rows)}) | {' | '.join(cells)} | {', '.join(f'{value:.1f}' for value in seconds)} |")
    mine = json.loads(CAUSES.read_text())
    for name, row in kept.get("faults", {}).items():
        print(f"\n| {name}: named, % | oddlens | CleanVision |\n| --- | --- | --- |")
        for kind, share in row["named"].items():
            print(f"| {kind} | {100 * mine[name]['named'][kind]:.0f} | {100 * share:.0f} |")
        alarms = [100 * max(found["false alarms"].values()) for found in (mine[name], row)]
        print(f"| clean images named, at the most by one | {alarms[0]:.1f} | {alarms[1]:.1f} |")


def main(part: str, wanted: list[str]) -> None:
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    sets: list[tuple[str, Any]]
    if part == "faults":
        sets = [(name, images) for name, images in collections() if name in (wanted or ("mnist-all", "emoji"))]
    else:
        sets = [(f"A/{data}/{k}", draw) for data in ("mnist", "fashion")
                for k, draw in enumerate(one_class(data, 0.1, 0))]
        sets += [(f"cells/{kind}/{seed}/0.05", None) for kind in ("mono", "poly") for seed in range(3)]
    for name, given in sets:
        if (part == "faults" and name in kept.get(part, {})) or (
                part == "outliers" and wanted and not any(w in name for w in wanted)):
            continue
        if part == "faults":
            row = faults(given)
        elif given is None:
            row = outliers(*photographs.make(name)[:2], "backbone", kept.get(part, {}).get(name, {}))
        else:
            row = outliers(given.fitted, given.odd, "hog", kept.get(part, {}).get(name, {}))
        kept.setdefault(part, {})[name] = row
        print(name, row, flush=True)
        write_atomically(RESULTS, json.dumps(kept, indent=1).encode())


if __name__ == "__main__":
    if "--table" in sys.argv:
        table(json.loads(RESULTS.read_text()))
    else:
        main(sys.argv[1], sys.argv[2:])
