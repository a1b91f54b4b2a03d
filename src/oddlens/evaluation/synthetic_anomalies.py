"""Synthetic anomalies made from the collection's own images, to test a run without labels.

Each kind takes ordinary images and gives changed copies, with the region of the change if it has one. What is pasted
in, blended or joined comes from other images of the same collection, so nothing foreign enters: a patch in the wrong
place is as hard to find as a real fault of that size (the idea of CutPaste and of Foreign Patch Interpolation, used
here to test and not to train).

Li, Sohn, Yoon, Pfister, *CutPaste: self-supervised learning for anomaly detection and localization*, 2021;
Tan, Hou, Batten, Qiu, Kainz, *Detecting outliers with foreign patch interpolation*, 2020.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from oddlens.errors import OptionError
from oddlens.protocols import Bools, Floats, Pixels

Image = NDArray[np.uint8]  # (height, width, channels)
Region = tuple[int, int, int, int]  # top, left, height, width, in pixels

PATCH_SIDES = (0.3, 0.4)  # sides of a pasted patch, least and greatest, as shares of the picture's sides
ERASED_SIDES = (0.3, 0.4)  # sides of an erased part, as shares of the picture's sides
GAP_SIDE = 0.25  # side of the gap in a stroke, as a share of the picture's sides
BLUR_SIGMA = 0.05  # standard deviation of the blur, as a share of the shorter side
BLEND_SHARES = (0.4, 0.6)  # share of the other image in a blend, least and greatest
VISIBLE_DEVIATIONS = 0.5  # standard deviations of the image's own pixels from which a change counts as visible
MOST_TRIES = 32  # places tried to find one where the change is visible


@dataclass(frozen=True, eq=False)
class Injected:
    """Changed copies of n images.

    pixels:   (n, height, width, channels) uint8.
    regions:  (n, 4) int64, the top, left, height and width in pixels of what was changed; None where a change is
              everywhere.
    """

    pixels: Pixels
    regions: NDArray[np.int64] | None


def inject(kind: str, images: Pixels, others: Pixels, rng: np.random.Generator) -> Injected:
    """Changed copies of (n, height, width, channels) uint8 images, made odd in the way that ``kind`` names.

    kind:    a name in ``ANOMALIES``.
    others:  (m, height, width, channels), what pasted parts come from; an image that is the same as the one to be
             changed is passed over where there is another.
    rng:     the same generator state gives the same images.

    Raises ``OptionError`` for another kind and for images that do not fit together.
    """
    if kind not in ANOMALIES:
        raise OptionError.unknown("kind of synthetic anomaly", kind, ANOMALIES)
    for name, pixels in (("images", images), ("others", others)):
        if pixels.ndim != 4 or pixels.dtype != np.uint8 or pixels.shape[1:] != images.shape[1:]:
            raise OptionError(f"inject takes uint8 (n, height, width, channels) of one size; {name} is {pixels.dtype} "
                              f"{pixels.shape} beside images of {images.shape}.")
    if len(images) and not len(others):
        raise OptionError("inject needs other images to take parts from, got none.")
    made = [ANOMALIES[kind].make(np.array(image), others, rng) for image in images]
    pixels = np.stack([image for image, _ in made]) if made else np.array(images)
    if not ANOMALIES[kind].has_place:
        return Injected(pixels, None)
    return Injected(pixels, np.array([region for _, region in made], np.int64).reshape(-1, 4))


def patch(image: Image, others: Pixels, rng: np.random.Generator) -> tuple[Image, Region]:
    """A part of another image in place of this one's; where it can be seen, if there is such a place."""
    best, place, changed = -1.0, (0, 0, 1, 1), image
    for _ in range(MOST_TRIES):
        top, left, height, width = _somewhere(image, PATCH_SIDES, rng)
        other = another(image, others, rng)
        up, along = (int(rng.integers(0, side - size + 1)) for side, size in
                     zip(image.shape[:2], (height, width), strict=True))
        tried = image.copy()
        tried[top : top + height, left : left + width] = other[up : up + height, along : along + width]
        change = visible(image, tried, (top, left, height, width))
        if change > best:
            best, place, changed = change, (top, left, height, width), tried
        if best >= VISIBLE_DEVIATIONS:
            break
    return changed, place


def erased(image: Image, others: Pixels, rng: np.random.Generator) -> tuple[Image, Region]:  # noqa: ARG001
    """A part filled with the image's background, where there was something."""
    best, place = -1.0, (0, 0, 1, 1)
    for _ in range(MOST_TRIES):
        tried = _somewhere(image, ERASED_SIDES, rng)
        change = visible(image, _filled(image, tried), tried)
        if change > best:
            best, place = change, tried
        if best >= VISIBLE_DEVIATIONS:
            break
    return _filled(image, place), place


def cut(image: Image, others: Pixels, rng: np.random.Generator) -> tuple[Image, Region]:  # noqa: ARG001
    """A gap in a stroke or a hole in a body: what goes on at both sides of it is missing between."""
    height, width = image.shape[:2]
    tall, wide = max(1, round(GAP_SIDE * height)), max(1, round(GAP_SIDE * width))
    ink = stroke(image)
    rows, columns = np.nonzero(ink)
    if not len(rows):
        rows, columns = np.array([height // 2]), np.array([width // 2])
    some = rng.permutation(len(rows))[:MOST_TRIES]
    tops, lefts = np.clip(rows[some] - tall // 2, 0, height - tall), np.clip(columns[some] - wide // 2, 0, width - wide)
    tried = [(top, left, tall, wide) for top, left in zip(tops.tolist(), lefts.tolist(), strict=True)]
    place = next((region for region in tried if _goes_on(ink, region)), tried[0])
    return _filled(image, place), place


def blur(image: Image, others: Pixels, rng: np.random.Generator) -> tuple[Image, Region]:  # noqa: ARG001
    """Out of focus: a Gaussian of 5 % of the shorter side."""
    sigma = BLUR_SIGMA * min(image.shape[:2])
    return _levels(gaussian_filter(image.astype(np.float32), (sigma, sigma, 0), mode="nearest")), _whole(image)


def turned(image: Image, others: Pixels, rng: np.random.Generator) -> tuple[Image, Region]:  # noqa: ARG001
    """Rotated by a quarter to either side or upside down; only the last where it is not square."""
    quarters = int(rng.integers(1, 4)) if image.shape[0] == image.shape[1] else 2
    return np.ascontiguousarray(np.rot90(image, quarters)), _whole(image)


def blend(image: Image, others: Pixels, rng: np.random.Generator) -> tuple[Image, Region]:
    """Two images over each other, as of a double exposure."""
    share = rng.uniform(*BLEND_SHARES)
    other = another(image, others, rng)
    return _levels(image * (1 - share) + other * share), _whole(image)


def halves(image: Image, others: Pixels, rng: np.random.Generator) -> tuple[Image, Region]:
    """One half of this image beside, or above, the other half of another."""
    height, width = image.shape[:2]
    places: list[Region] = [(0, 0, height, max(1, width // 2)), (0, width // 2, height, width - width // 2),
                            (0, 0, max(1, height // 2), width), (height // 2, 0, height - height // 2, width)]
    top, left, tall, wide = place = places[rng.integers(4)]
    joined = image.copy()
    joined[top : top + tall, left : left + wide] = another(image, others, rng)[top : top + tall, left : left + wide]
    return joined, place


@dataclass(frozen=True)
class Anomaly:
    """A kind of synthetic anomaly: its name in the plural, how it is made, and whether it has a place."""

    words: str
    make: Callable[[Image, Pixels, np.random.Generator], tuple[Image, Region]]
    has_place: bool


ANOMALIES: dict[str, Anomaly] = {
    "patch": Anomaly("images with a part of another pasted in", patch, True),
    "erased": Anomaly("images with a part erased", erased, True),
    "cut": Anomaly("images with a small gap in what they show", cut, True),
    "blur": Anomaly("images out of focus", blur, False),
    "turned": Anomaly("images turned by a quarter or upside down", turned, False),
    "blend": Anomaly("two images over each other", blend, False),
    "halves": Anomaly("halves of two images joined", halves, True),
}


def another(image: Image, others: Pixels, rng: np.random.Generator) -> Image:
    """One of the other images, drawn at random; not one that is the same, where four draws find another."""
    for _ in range(4):
        other = np.asarray(others[int(rng.integers(len(others)))])
        if not np.array_equal(other, image):
            break
    return other


def visible(image: Image, changed: Image, region: Region) -> float:
    """How much the pixels of a region have changed, root mean square, in standard deviations of the image's own."""
    top, left, height, width = region
    part = np.s_[top : top + height, left : left + width]
    difference = changed[part].astype(np.float64) - image[part]
    return float(np.sqrt((difference**2).mean()) / max(float(image.std()), 1.0))


def background(image: Image) -> NDArray[np.uint8]:
    """(channels,) the median colour of the image's rim, one pixel wide."""
    rim = np.concatenate([image[0], image[-1], image[1:-1, 0], image[1:-1, -1]])
    return np.asarray(np.rint(np.median(rim, axis=0)).astype(np.uint8))


def stroke(image: Image) -> Bools:
    """(height, width) where the image differs from its background by half of its largest difference or more."""
    difference = np.abs(image.astype(np.int64) - background(image)).max(2)
    most = int(difference.max())
    return np.asarray((difference * 2 >= most) & (difference > 0))


def _somewhere(image: Image, sides: tuple[float, float], rng: np.random.Generator) -> Region:
    """A place inside the image, its height and width drawn between two shares of the picture's."""
    height, width = (max(1, round(rng.uniform(*sides) * side)) for side in image.shape[:2])
    return (int(rng.integers(0, image.shape[0] - height + 1)), int(rng.integers(0, image.shape[1] - width + 1)),
            height, width)


def _filled(image: Image, region: Region) -> Image:
    top, left, height, width = region
    changed = image.copy()
    changed[top : top + height, left : left + width] = background(image)
    return changed


def _goes_on(ink: Bools, region: Region) -> bool:
    """Whether there is ink just outside a region on opposite sides of it."""
    top, left, height, width = region
    across, down = slice(left, left + width), slice(top, top + height)
    above = top > 0 and bool(ink[top - 1, across].any())
    below = top + height < ink.shape[0] and bool(ink[top + height, across].any())
    before = left > 0 and bool(ink[down, left - 1].any())
    behind = left + width < ink.shape[1] and bool(ink[down, left + width].any())
    return (above and below) or (before and behind)


def _levels(values: Floats) -> Image:
    return np.asarray(np.rint(values).clip(0, 255).astype(np.uint8))


def _whole(image: Image) -> Region:
    return 0, 0, image.shape[0], image.shape[1]
