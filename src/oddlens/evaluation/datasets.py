"""Real images with labels, for evaluation alone: what comes with the package, what can be installed, a user's folder.

Where a data set is not installed, ``SourceError`` says what to install. All folders can be given as environment
variables: FASHION_DIR, ELPV_DIR, EMOJI_DIR, STAMPS_DIR.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import oddlens
from oddlens.errors import SourceError
from oddlens.pixels import MINIMUM_IMAGES, look, read_pixels
from oddlens.protocols import Pixels
from oddlens.reading.array_files import read_idx
from oddlens.reading.limits import Limits
from oddlens.sources import FileSource, open_source

#: (n, height, width, channels) uint8 images and (n,) labels.
Labelled = tuple[Pixels, NDArray[Any]]

CELL, EMOJI, STAMP = 128, 64, 128  # pixels a side, as they are drawn
BUNDLED = Path(oddlens.__file__).parent / "data"


def load(name: str) -> Labelled:
    """(n, 28, 28, 1) and (n,) labels of "mnist" (10,000), "fashion" (10,000) or "fashion-train" (60,000)."""
    if name == "mnist":
        return (read_idx(BUNDLED / "mnist-10k-images-idx3-ubyte.gz")[..., None],
                read_idx(BUNDLED / "mnist-10k-labels-idx1-ubyte.gz", dimensions=(1,)))
    part = {"fashion": "t10k", "fashion-train": "train"}[name]
    folder = _folder("FASHION_DIR", "/usr/share/datasets/fashion-mnist", f"{part}-images-idx3-ubyte.gz",
                     "Fashion-MNIST", "apt install dataset-fashion-mnist (Debian)")
    return (read_idx(folder / f"{part}-images-idx3-ubyte.gz")[..., None],
            read_idx(folder / f"{part}-labels-idx1-ubyte.gz", dimensions=(1,)))


def solar_cells() -> Labelled:
    """ELPV, mono-crystalline cells: (n, 128, 128, 1); label "sound" (defect probability 0) or "defective" (1)."""
    import torch
    from torch.nn import functional

    spec = find_spec("elpv_dataset")
    places = [] if spec is None else [Path(place) / "data" for place in spec.submodule_search_locations or ()]
    folder = _folder("ELPV_DIR", str(places[0]) if places else "", "labels.csv", "ELPV", "pip install elpv-dataset")
    images: dict[str, list[NDArray[np.uint8]]] = {"sound": [], "defective": []}
    for line in (folder / "labels.csv").read_text().splitlines():
        name, probability, kind = line.split()
        if kind == "mono" and float(probability) in (0, 1):
            with Image.open(folder / name) as picture:
                images["defective" if float(probability) else "sound"].append(np.asarray(picture.convert("L")))
    whole = torch.tensor(np.stack(images["sound"] + images["defective"]))[:, None]
    small = functional.interpolate(whole.float(), size=(CELL, CELL), mode="area").round().byte()
    return small.permute(0, 2, 3, 1).numpy(), np.repeat(list(images), [len(group) for group in images.values()])


def emoji() -> Labelled:
    """Google's emoji in colour, (n, 64, 64, 3), label: their category. Those of one category stand together."""
    folder = _folder("EMOJI_DIR", "node_modules/emoji-datasource-google", "emoji.json", "The emoji",
                     "npm install emoji-datasource-google")
    found: dict[str, list[Path]] = {}
    for entry in json.loads((folder / "emoji.json").read_text()):
        path = folder / "img" / "google" / "64" / entry["image"]
        if path.exists():
            found.setdefault(entry["category"], []).append(path)
    return _pictures(found, EMOJI)


def stamps() -> Labelled:
    """Tux Paint's stamps in colour, (n, 128, 128, 3), label: the subfolder. Those of one label stand together."""
    folder = _folder("STAMPS_DIR", "/usr/share/tuxpaint/stamps", "animals", "Tux Paint's stamps",
                     "apt install tuxpaint-stamps-default (Debian)")
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*.png"), key=str):
        found.setdefault(path.relative_to(folder).parts[0], []).append(path)
    return _pictures(found, STAMP)


def labelled_folder(
    folder: Path, jobs: int | None = None, limits: Limits | None = None
) -> tuple[Pixels, NDArray[np.str_], list[str]]:
    """A folder with one subfolder a label: images of one size, (n,) labels, and lines on what was left out.

    The label is the first part of an image's path within the folder, so subfolders may hold subfolders.
    """
    source = open_source(folder, limits=limits)
    if not isinstance(source, FileSource) or source.root is None:
        raise SourceError(f"{folder} is not a folder. Labels are read from a folder with one subfolder a label.")
    collection = read_pixels(source, look(source, jobs=jobs), jobs=jobs)
    notes = [f"left out, cannot be read: {name} ({reason})" for name, reason in collection.unreadable]
    # Of the path, not of the name, which may have been written with escapes.
    parts = [source.paths[index].relative_to(source.root).parts for index in collection.indices]
    labels = np.array([part[0] if len(part) > 1 else "" for part in parts])
    if not labels.all():
        notes.append(f"left out, in no subfolder: {int((labels == '').sum())} images directly in {folder}")
    names, counts = np.unique(labels[labels != ""], return_counts=True)
    if len(names) < 2:
        raise SourceError(f"{folder} holds {len(names)} subfolders with images; 2 or more are needed, one a label.")
    if counts.max() < MINIMUM_IMAGES:
        raise SourceError(f"The largest subfolder of {folder} holds {counts.max()} readable images; "
                          f"{MINIMUM_IMAGES} are needed to learn what is ordinary.")
    return collection.pixels[labels != ""], labels[labels != ""], notes


def _folder(variable: str, usual: str, holds: str, what: str, install: str) -> Path:
    """Where a data set lies, if it is there."""
    folder = Path(os.environ.get(variable) or usual)
    if str(folder) == "." or not (folder / holds).exists():
        where = "installed" if str(folder) == "." else f"in {folder}"
        raise SourceError(f"{what} is not {where}: {install}, or set {variable} to the folder that holds {holds}.")
    return folder


def _pictures(groups: dict[str, list[Path]], side: int) -> Labelled:
    """Pictures on white, squashed to a square, group by group."""
    return (np.stack([_on_white(path, side) for paths in groups.values() for path in paths]),
            np.repeat(list(groups), [len(paths) for paths in groups.values()]))


def _on_white(path: Path, side: int) -> NDArray[np.uint8]:
    with Image.open(path) as picture:
        opaque = Image.new("RGBA", picture.size, (255, 255, 255, 255))
        opaque.alpha_composite(picture.convert("RGBA"))
    return np.asarray(opaque.convert("RGB").resize((side, side), Image.Resampling.BILINEAR))


def groups(labels: Iterable[Any], least: int) -> list[Any]:
    """The labels that at least so many images have, sorted."""
    names, counts = np.unique(np.asarray(labels), return_counts=True)
    return [name for name, count in zip(names.tolist(), counts, strict=True) if count >= least]
