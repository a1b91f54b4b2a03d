"""Protocols F and H: collections of many kinds, with odd images of one stated kind. Named before anything was measured.

The same name gives the same images, to the last bit. A name is FAMILY/SOURCE/WHAT/SHARE/N:
``cliff/coffee/darker/0.05/400`` is 400 frames of the picture *coffee* with 5 % of them darkened. ``CHOOSE`` may be
looked at while something is being chosen; ``CONFIRM`` holds other sources and other damages, looked at once when it is.
``FRESH`` was added when the rule of decisions was fixed, and looked at after.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter, rotate, shift

from oddlens.evaluation import datasets
from oddlens.pixels import PixelFormat, read_pixels
from oddlens.sources import open_source

Images = NDArray[np.uint8]  # (n, height, width, channels)
SIDE = 64


@dataclass(frozen=True, eq=False)
class Labelled:
    """A collection and which of it is odd."""

    name: str
    images: Images
    odd: NDArray[np.bool_]

    @property
    def family(self) -> str:
        """What kind of collection it is."""
        return self.name.split("/")[0]


def seed_of(name: str) -> int:
    """A seed for each name, the same in every process."""
    return zlib.crc32(name.encode())


# --- where ordinary images come from


@cache
def photograph(name: str) -> Images:
    """A photograph that scikit-image brings, (height, width, channels)."""
    from skimage import data

    picture = np.asarray(getattr(data, name)())
    return picture[..., None] if picture.ndim == 2 else picture[..., :3]


def frames(name: str, n: int, rng: np.random.Generator, side: int = SIDE) -> Images:
    """So many frames of one scene by a camera that is not quite steady: shifted, zoomed, in changing light, noisy."""
    picture = photograph(name)
    height, width = picture.shape[:2]
    found = []
    for _ in range(n):
        part = 0.75 * (1 + rng.uniform(-0.02, 0.02))
        tall, wide = int(height * part), int(width * part)
        top = int((height - tall) * np.clip(0.5 + rng.normal(0, 0.08), 0, 1))
        left = int((width - wide) * np.clip(0.5 + rng.normal(0, 0.08), 0, 1))
        small = resized(picture[top : top + tall, left : left + wide], side).astype(np.float64)
        ramp = np.linspace(-1, 1, side)
        light = 1 + rng.normal(0, 0.03) + rng.normal(0, 0.03) * ramp[:, None] + rng.normal(0, 0.03) * ramp
        found.append(_levels(small * light[..., None] + rng.normal(0, 2, small.shape)))
    return np.stack(found)


def crops(name: str, n: int, rng: np.random.Generator, scale: float = 1.0) -> Images:
    """So many pieces of a texture, 64 x 64 pixels of it, ``scale`` times as much where the texture is to look finer."""
    picture = photograph(name)
    side = round(SIDE * scale)
    tops, lefts = (rng.integers(0, size - side + 1, n) for size in picture.shape[:2])
    return np.stack([resized(picture[top : top + side, left : left + side], SIDE)
                     for top, left in zip(tops, lefts, strict=True)])


@cache
def labelled(data: str) -> tuple[Images, NDArray[Any]]:
    """Images and labels of a data set, read once."""
    if data == "poly":
        return _cells("poly")
    if data == "clipart":
        return _clipart()
    readers = {"emoji": datasets.emoji, "stamps": datasets.stamps, "solar-cells": datasets.solar_cells}
    images, labels = readers[data]() if data in readers else datasets.load(data)
    return images, np.asarray(labels).astype(str)


def clipart_paths(label: str) -> list[Path]:
    """Files of Debian's openclipart-png, label: the subfolder; at most 400."""
    return sorted((Path("/usr/share/openclipart/png") / label).rglob("*.png"), key=str)[:400]


def _clipart() -> tuple[Images, NDArray[Any]]:
    """Clip art on white, 64 x 64."""
    found, labels = [], []
    for label in CLIPART:
        paths = clipart_paths(label)
        read = read_pixels(open_source(paths), PixelFormat(SIDE, SIDE, 3, "squash")).pixels
        found.append(np.asarray(read))
        labels += [label] * len(read)
    return np.concatenate(found), np.array(labels)


def _cells(kind: str) -> tuple[Images, NDArray[Any]]:
    from elpv_dataset.utils import load_dataset

    images, probability, kinds = load_dataset()
    some = (kinds == kind) & np.isin(probability, (0, 1))
    small = np.stack([resized(image[..., None], 128) for image in images[some]])
    return small, np.where(probability[some] == 1, "defective", "sound")


# --- what is done to some of them

Damage = Callable[[NDArray[np.float64], np.random.Generator], NDArray[np.float64]]

DAMAGES: dict[str, Damage] = {
    "darker": lambda image, _: image * 0.6,
    "brighter": lambda image, _: 255 - (255 - image) * 0.6,
    "blurred": lambda image, _: gaussian_filter(image, (0.03 * len(image),) * 2 + (0,), mode="nearest"),
    "noisy": lambda image, rng: image + rng.normal(0, 25, image.shape),
    "tilted": lambda image, rng: rotate(image, 20 * rng.choice([-1, 1]), reshape=False, order=1, mode="nearest"),
    "shifted": lambda image, _: shift(image, (0, 0.25 * image.shape[1], 0), order=1, mode="nearest"),
    "cast": lambda image, _: image * np.array([1.2, 1.0, 0.75])[: image.shape[2]],
    "faded": lambda image, _: image.mean() + (image - image.mean()) * 0.5,
}


def damaged(images: Images, kind: str, rng: np.random.Generator) -> Images:
    """All of some images, damaged in one way."""
    return np.stack([_levels(DAMAGES[kind](image.astype(np.float64), rng)) for image in images])


# --- the collections


def make(name: str) -> Labelled:
    """The collection of that name."""
    family, source, what, share, n = name.split("/")
    rng = np.random.default_rng(seed_of(name))
    images, odd = FAMILIES[family](source, what, float(share), int(n), rng)
    order = rng.permutation(len(images))
    return Labelled(name, images[order], odd[order])


def _ordinary(source: str, n: int, rng: np.random.Generator) -> Images:
    """So many ordinary images: frames of a scene, or images of one label, DATA:LABEL."""
    if ":" not in source:
        return frames(source, n, rng)
    data, label = source.split(":")
    images, labels = labelled(data)
    chosen = rng.permutation(np.flatnonzero(labels == label))[:n]
    return images[chosen]


def _cliff(source: str, what: str, share: float, n: int, rng: np.random.Generator) -> tuple[Images, Any]:
    images = _ordinary(source, n, rng)
    count = round(share * len(images))
    odd = np.arange(len(images)) < count
    other = {"coffee": "rocket", "chelsea": "astronaut", "camera": "coins", "astronaut": "retina"}
    part = frames(other[source], count, rng) if what == "scene" else damaged(images[:count], what, rng)
    return np.concatenate([part, images[count:]]), odd


def _texture(source: str, what: str, share: float, n: int, rng: np.random.Generator) -> tuple[Images, Any]:
    count = round(share * n)
    images = crops(source, n - count, rng)
    if what in ("finer", "coarser"):
        part = crops(source, count, rng, {"finer": 1.6, "coarser": 0.6}[what])
    else:
        part = crops(source, count, rng)
        if what == "smoother":
            part = np.stack([_levels(gaussian_filter(p.astype(np.float64), (1.2, 1.2, 0))) for p in part])
        elif what == "direction":
            part = np.ascontiguousarray(np.rot90(part, axes=(1, 2)))
        else:
            part = damaged(part, what, rng)
    return np.concatenate([part, images]), np.arange(n) < count


def _others(source: str, what: str, share: float, n: int, rng: np.random.Generator) -> tuple[Images, Any]:
    """Of one label, with a share of its number from all other labels, or from the one that ``what`` names."""
    data, label = source.split(":")
    images, labels = labelled(data)
    inside = rng.permutation(np.flatnonzero(labels == label))[:n]
    among = labels != label if what == "others" else labels == what
    count = round(share * len(inside))
    outside = rng.permutation(np.flatnonzero(among))[: max(count, 1) if share else 0]
    return (np.concatenate([images[outside], images[inside]]),
            np.arange(len(outside) + len(inside)) < len(outside))


FAMILIES: dict[str, Callable[..., tuple[Images, Any]]] = {
    "cliff": _cliff, "texture": _texture, "small": _others, "emoji": _others, "stamps": _others, "solar": _others,
    "digits": _others, "clothes": _others, "clipart": _others,
}
SHARES = ("0.01", "0.02", "0.05", "0.1", "0.15")
RATES = ("0.0", "0.01", "0.05", "0.1")
ALL = "99999"
EMOJI = ("Smileys & Emotion", "Animals & Nature", "Food & Drink", "Flags", "People & Body", "Travel & Places",
         "Activities", "Objects", "Symbols")
CLIPART = ("animals", "food", "people", "recreation", "transportation")
STAMPS = ("animals", "symbols", "town", "food", "seasonal")


def cliffs(sources: dict[str, int], damages: tuple[str, ...]) -> list[str]:
    """A name for each source, damage and share; a cast only where there is colour, another scene where it is one."""
    scene = ("coffee", "chelsea", "camera", "astronaut")
    grey = ("camera", "mnist", "fashion", "solar-cells", "poly")
    return [f"cliff/{source}/{damage}/{share}/{n}" for source, n in sources.items() for damage in damages
            for share in SHARES
            if (damage != "cast" or source.split(":")[0] not in grey) and (damage != "scene" or source in scene)]


def textures(sources: tuple[str, ...], whats: tuple[str, ...], shares: tuple[str, ...] = ("0.05",)) -> list[str]:
    """A name for each texture and way of being odd."""
    return [f"texture/{source}/{what}/{share}/300" for source in sources for what in whats for share in shares
            if what != "direction" or source == "brick"]


def small(labels: tuple[int, ...]) -> list[str]:
    """50, 100 and 200 images of one kind with a tenth of others."""
    return [f"small/{data}:{label}/others/0.1/{n}" for data in ("mnist", "fashion") for label in labels
            for n in (50, 100, 200)]


def stated(kind: str, sources: Iterator[str] | list[str], sizes: tuple[str, ...] = (ALL,)) -> list[str]:
    """Protocol F: each source clean and with 1, 5 and 10 % others."""
    return [f"{kind}/{source}/{'defective' if kind == 'solar' else 'others'}/{share}/{n}"
            for source in sources for share in RATES for n in sizes]


CHOOSE = [
    *cliffs({"coffee": 400, "fashion:7": 500, "emoji:Smileys & Emotion": 160},
            ("darker", "blurred", "noisy", "tilted", "scene")),
    *textures(("brick", "gravel"), ("finer", "smoother", "faded", "direction")),
    *small((0, 1, 2)),
    *[f"small/emoji:{group}/others/0.1/{n}" for group in EMOJI[:4] for n in (50, 100)],
    *stated("emoji", [f"emoji:{group}" for group in EMOJI[:4]]),
    *stated("stamps", [f"stamps:{label}" for label in STAMPS[:2]]),
    *stated("solar", ["solar-cells:sound"]),
    *stated("digits", [f"mnist:{k}" for k in range(5)], ("50", "100", "200", "500")),
    *stated("clothes", [f"fashion:{k}" for k in range(5)], ("50", "100", "200", "500")),
]
CONFIRM = [
    *cliffs({"chelsea": 600, "camera": 300, "mnist:3": 1000, "poly:sound": 700, "emoji:Objects": 250},
            ("darker", "brighter", "blurred", "noisy", "tilted", "shifted", "cast", "scene")),
    *textures(("grass", "immunohistochemistry", "gravel"), ("finer", "coarser", "smoother", "faded", "noisy"),
              ("0.02", "0.1")),
    *small((5, 6, 7, 8, 9)),
    *[f"small/emoji:{group}/others/0.1/{n}" for group in EMOJI[5:] for n in (50, 100)],
    *stated("emoji", [f"emoji:{group}" for group in EMOJI[4:]]),
    *stated("stamps", [f"stamps:{label}" for label in STAMPS[2:]]),
    *stated("solar", ["poly:sound"]),
    *stated("digits", [f"mnist:{k}" for k in range(5, 10)], ("50", "100", "200", "500")),
    *stated("clothes", [f"fashion:{k}" for k in range(5, 10)], ("50", "100", "200", "500")),
]
FRESH = [
    *stated("clipart", [f"clipart:{label}" for label in CLIPART]),
    *cliffs({"astronaut": 500}, ("darker", "blurred", "noisy", "cast")),
]


def resized(image: Images, side: int) -> Images:
    """(side, side, channels) averaged down, or up."""
    planes = [np.asarray(Image.fromarray(image[..., c]).resize((side, side), Image.Resampling.BOX
                         if min(image.shape[:2]) >= side else Image.Resampling.BICUBIC)) for c in range(image.shape[2])]
    return np.stack(planes, -1)


def _levels(values: NDArray[np.float64]) -> Images:
    return np.asarray(np.rint(values).clip(0, 255).astype(np.uint8))
