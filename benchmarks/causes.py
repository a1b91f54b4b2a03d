"""Causes measured: images spoiled on purpose are planted, and how many are named, and how many clean ones wrongly.

    python benchmarks/causes.py                 measures every set and writes benchmarks/results/causes.json
    python benchmarks/causes.py mnist-all       only the sets named, in the same file
    python benchmarks/causes.py --table         the tables of what was measured
    python benchmarks/causes.py --cost          CPU-seconds for 10,000 and 60,000 images
    python benchmarks/causes.py --groups        which of the strangest images are put together
    python benchmarks/causes.py --brief NAMES   what learning briefly which way is up costs, as a fast run does

Of each kind half a percent of a collection's images are spoiled (5 at the least), all kinds in one collection: about
6 %, or 12 % of small ones. False alarms are counted on the same collection with nothing planted. Single classes are
put together. EMOJI_DIR and STAMPS_DIR say where the colour folders are; without them these sets are left out.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, shift

from draws import load
from oddlens.detectors.neighbors import Neighbors
from oddlens.encoders.dictionary import Dictionary
from oddlens.explaining.causes import Causes, parts_of
from oddlens.explaining.groups import group_alike
from oddlens.files import write_atomically
from oddlens.pixels import look, read_pixels
from oddlens.sources import open_source

RESULTS = Path(__file__).parent / "results" / "causes.json"
SHARE, FEWEST = 0.005, 5  # of a collection, and images at the least, that are spoiled in one way
FOLDERS = {"emoji": os.environ.get("EMOJI_DIR"), "stamps": os.environ.get("STAMPS_DIR", "/usr/share/tuxpaint/stamps")}
Images = NDArray[np.uint8]
Rng = np.random.Generator


def blank(image: Images, rng: Rng) -> Images:
    """One colour, and a little noise in half of them."""
    colour = rng.choice([0, 128, 255]) + rng.normal(0, rng.choice([0.0, 1.5]), image.shape)
    return _levels(colour)


def blurred(image: Images, rng: Rng) -> Images:
    """A Gaussian blur of 5 to 8 % of the side."""
    sigma = rng.uniform(0.05, 0.08) * min(image.shape[:2])
    return _levels(gaussian_filter(image.astype(float), (sigma, sigma, 0), mode="nearest"))


def dark(image: Images, rng: Rng) -> Images:
    """A quarter to two fifths of its light."""
    return _levels(image * rng.uniform(0.25, 0.4))


def bright(image: Images, rng: Rng) -> Images:
    """A quarter to two fifths of its distance to white."""
    return _levels(255 - (255.0 - image) * rng.uniform(0.25, 0.4))


def faint(image: Images, rng: Rng) -> Images:
    """A quarter to two fifths of its distance to grey."""
    return _levels(128 + (image - 128.0) * rng.uniform(0.25, 0.4))


def cut(image: Images, rng: Rng) -> Images:
    """The lower 50 to 70 % of the height grey or black."""
    spoiled = image.copy()
    spoiled[int(len(image) * rng.uniform(0.3, 0.5)) :] = rng.choice([0, 128])
    return spoiled


def turned(image: Images, rng: Rng) -> Images:
    """A quarter turn to the left or right, or upside down (only that where it is not square)."""
    return np.rot90(image, rng.choice([1, 2, 3]) if image.shape[0] == image.shape[1] else 2).copy()


def mirrored(image: Images, _: Rng) -> Images:
    """Left to right."""
    return image[:, ::-1].copy()


def grey(image: Images, _: Rng) -> Images:
    """Without its colours."""
    return np.repeat(_levels(image.mean(2, keepdims=True)), 3, 2)


def same(image: Images, _: Rng) -> Images:
    """The same pixels."""
    return image.copy()


def noisy(image: Images, rng: Rng) -> Images:
    """Noise of 2 % of the range, as another compression leaves it."""
    return _levels(image + rng.normal(0, 5, image.shape))


def shifted(image: Images, rng: Rng) -> Images:
    """Moved by up to 3 % of the side each way, and noise."""
    moves = rng.uniform(-0.03, 0.03, 2) * image.shape[:2]
    return _levels(shift(image.astype(float), (*moves, 0), order=1, mode="nearest") + rng.normal(0, 3, image.shape))


#: What is planted -> how, and the cause that should be named (of two copies either).
PLANTED: dict[str, tuple[Callable[[Images, Rng], Images], tuple[str, ...]]] = {
    "blank": (blank, ("blank",)), "blurred": (blurred, ("blurred",)), "dark": (dark, ("dark",)),
    "bright": (bright, ("bright",)), "low contrast": (faint, ("faint",)), "cut off": (cut, ("cut",)),
    "turned": (turned, ("rotated", "mirrored")), "mirrored": (mirrored, ("rotated", "mirrored")),
    "grey": (grey, ("grey",)),
    "copy": (same, ("copy",)), "near copy, noise": (noisy, ("near",)), "near copy, shift": (shifted, ("near",)),
}
COPIES = ("copy", "near copy, noise", "near copy, shift")


def collections() -> Iterator[tuple[str, Images]]:
    """Name and pixels of each set."""
    for data in ("mnist", "fashion"):
        images, labels = load(data)
        yield f"{data}-all", images
        for label in range(10):
            yield f"{data}-{label}", images[labels == label]
    for name, folder in FOLDERS.items():
        if folder and Path(folder).exists():
            source = open_source(folder)
            yield name, read_pixels(source, look(source)).pixels


def plant(images: Images, seed: int = 0) -> tuple[Images, dict[str, NDArray[np.int64]]]:
    """The collection with some images spoiled in each way, and where these are. Copies are added, others replace."""
    rng = np.random.default_rng(seed)
    kinds = [kind for kind in PLANTED if kind != "grey" or images.shape[3] == 3]
    count = max(FEWEST, round(SHARE * len(images)))
    chosen = rng.choice(len(images), (len(kinds), count), replace=False)
    planted, where, added = images.copy(), {}, []
    for kind, rows in zip(kinds, chosen, strict=True):
        spoiled = [PLANTED[kind][0](images[row], rng) for row in rows]
        if kind in COPIES:
            where[kind] = len(images) + len(added) + np.arange(count)
            added += spoiled
        else:
            where[kind] = rows
            planted[rows] = spoiled
    return np.concatenate([planted, np.stack(added)]), where


def measure(images: Images) -> dict[str, Any]:
    """Of one set: the share of each planted kind that is named rightly, and of the clean images each cause names."""
    clean = {cause: float(named.mean()) for cause, named in Causes().fit(images).masks().items()}
    planted, where = plant(images)
    kinds = Causes().fit(planted).masks()
    named = {kind: float(np.any([kinds[cause][rows] for cause in PLANTED[kind][1]], axis=0).mean())
             for kind, rows in where.items()}
    untouched = np.setdiff1d(np.arange(len(images)), np.concatenate(list(where.values())))
    beside = {cause: float(found[untouched].mean()) for cause, found in kinds.items()
              if cause not in ("copy", "near")}  # those of which a copy was planted are named rightly
    return {"images": len(images), "size": list(images.shape[1:]), "named": named, "false alarms": clean,
            "false alarms beside the planted": beside}


def table(results: dict[str, Any]) -> str:
    """Both tables, sets as columns; single classes as their mean and their worst."""
    single = {data: [results[f"{data}-{k}"] for k in range(10) if f"{data}-{k}" in results]
              for data in ("mnist", "fashion")}
    columns: dict[str, list[dict[str, Any]]] = {
        f"{data}, {what}": rows for data in single for what, rows in
        (("all ten", [results[key] for key in [f"{data}-all"] if key in results]), ("one class", single[data])) if rows}
    columns |= {name: [results[name]] for name in FOLDERS if name in results}
    lines = []
    for part, worst in (("named", min), ("false alarms", max)):
        lines += [f"| {part}, % | " + " | ".join(columns) + " |", "| --- |" + " --- |" * len(columns)]
        kinds = dict.fromkeys(kind for rows in columns.values() for row in rows for kind in row[part])
        for kind in kinds:
            cells = []
            for rows in columns.values():
                found = [100 * row[part][kind] for row in rows if kind in row[part]]
                digits = 0 if part == "named" else 2
                mean = f"{np.mean(found):.{digits}f}" if found else ""
                cells.append(mean if len(found) < 2 else f"{mean} ({worst(found):.{digits}f})")
            lines.append(f"| {kind} | " + " | ".join(cells) + " |")
        lines.append("")
    return "\n".join(lines)


def cost() -> None:
    """Print CPU-seconds for 10,000 images of two sizes, and for 60,000 small ones."""
    fashion = load("fashion-train")[0]
    wide = np.random.default_rng(0).integers(0, 256, (10_000, 16, 16, 3), dtype=np.uint8).repeat(4, 1).repeat(4, 2)
    for what, images in (("10,000 of 28x28", fashion[:10_000]), ("10,000 of 64x64x3", wide),
                         ("60,000 of 28x28", fashion)):
        start = time.process_time()
        Causes().fit(images)
        print(f"{what}: {time.process_time() - start:.1f} CPU-seconds", flush=True)


def groups() -> str:
    """Of 900 threes with odd ones of four kinds: how many of each kind the groups of the 80 strangest hold."""
    (digits, labels), (clothes, kinds) = load("mnist"), load("fashion")
    five = np.repeat(digits[labels == 5][:1], 8, 0)
    parts = {"3": digits[labels == 3][:900], "trousers": clothes[kinds == 1][:12], "bag": clothes[kinds == 8][:12],
             "noisy copy of a 5": _levels(five + np.random.default_rng(0).normal(0, 6, five.shape)),
             "7": digits[labels == 7][:10]}
    encoder = Dictionary().fit(images := np.concatenate(list(parts.values())))
    encoded = encoder.encode(images, frozenset({"embedding"}))
    strangest = np.argsort(-Neighbors().fit(encoded).score_own(), kind="stable")[:80]
    assert encoded.embedding is not None
    found = group_alike(encoded.embedding, strangest)
    names = np.repeat(list(parts), [len(part) for part in parts.values()])
    lines = [", ".join(f"{count} x {name}" for name, count in Counter(names[found.members(k)]).items())
             for k in np.flatnonzero(found.sizes > 1)]
    return "\n".join([*lines, f"{(found.sizes == 1).sum()} alone"])


def _levels(values: NDArray[np.floating[Any]]) -> Images:
    return np.rint(values).clip(0, 255).astype(np.uint8)


def brief(names: list[str]) -> str:
    """Planted images turned or mirrored that are named, and untouched ones that are, with whole and brief learning."""
    lines = ["| set | turned, of | mirrored, of | untouched that are named, of | processor, s |", "| --- " * 5 + "|"]
    for name, images in collections():
        if name not in names:
            continue
        planted, where = plant(images)
        untouched = np.setdiff1d(np.arange(len(images)), np.concatenate(list(where.values())))
        parts = parts_of(planted)
        cells: list[list[str]] = [[], [], [], []]
        for way in (False, True):
            start = time.process_time()
            found = Causes().fit_parts(parts, brief=way).masks()
            took, named = time.process_time() - start, found["rotated"] | found["mirrored"]
            for cell, rows in zip(cells, (where["turned"], where["mirrored"], untouched), strict=False):
                cell.append(f"{int(named[rows].sum())}")
            cells[3].append(f"{took:.1f}")
        sizes = [f" of {len(rows):,}" for rows in (where["turned"], where["mirrored"], untouched)] + [""]
        lines.append(f"| {name} | " + " | ".join(
            f"{' / '.join(cell)}{size}" for cell, size in zip(cells, sizes, strict=True)) + " |")
    return "\n".join([*lines, "", "Whole / brief learning."])


def main(names: list[str]) -> None:
    """Measure the sets named, or all, each kept as it comes."""
    for name, images in collections():
        if not names or name in names:
            start = time.process_time()
            found = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
            found[name] = measure(images)
            write_atomically(RESULTS, json.dumps(found, indent=0, sort_keys=True).encode())
            print(name, f"{time.process_time() - start:.0f} CPU-seconds", flush=True)


if __name__ == "__main__":
    if sys.argv[1:] == ["--table"]:
        print(table(json.loads(RESULTS.read_text())))
    elif sys.argv[1:2] == ["--brief"]:
        print(brief(sys.argv[2:]))
    elif sys.argv[1:] == ["--groups"]:
        print(groups())
    elif sys.argv[1:] == ["--cost"]:
        cost()
    else:
        main(sys.argv[1:])
