"""Where a picture is strange: a heat map, for whatever model gave the score.

Windows of the picture are replaced by what ordinary images have there, and the picture is scored anew: how far the
score falls is evidence against the window. A window is filled from those ordinary images that agree best with the rest
of the picture (inpainting by example). The evidence is accumulated over the picture, each window's on the pixels that
the exchange really changed, for a pixel that stays the same explains nothing (docs/lab/evidence.md).

Zeiler, Fergus, *Visualizing and understanding convolutional networks*, 2014 (occlusion); Zintgraf, Cohen, Adel,
Welling, *Visualizing deep neural network decisions*, 2017 (filling in what is likely there, not grey).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, label, map_coordinates, zoom

from oddlens.errors import OptionError
from oddlens.protocols import Doubles, Floats, Pixels

Image = NDArray[np.uint8]  # (height, width, channels)
Score = Callable[[Pixels], Doubles]  # (m, height, width, channels) -> (m,), larger is stranger
Change: TypeAlias = Literal["missing", "added", "other"]

WINDOW_SIDES = ((0.25, 8), (0.36, 6))  # sides of the windows as shares of the picture's, and how many in a row
WINDOWS = sum(count**2 for _, count in WINDOW_SIDES)
SCORINGS = WINDOWS + 1  # images that are scored for one map
WINDOW_SOFTNESS = 0.07  # share of the side over which a window fades out: a hard edge would be strange itself
MATCHES = 5  # ordinary images that a window is filled from
SMOOTHING = 0.045  # standard deviation of the final smoothing, in shares of the picture's side
REFERENCE_IMAGES = 256  # ordinary images that windows are filled from, at most
ORANGE, MAGENTA = (230, 140, 0), (205, 0, 120)
PEAK_SHARE = 0.5  # share of the greatest heat above which pixels connected with the peak belong to the described place
CLEAR_FACTOR = 2  # ratio of ink or detail to the usual there, or the inverse, from which a difference is clear
RARE_SHARE = 0.05  # largest share of ordinary images with as much, or as little, for the difference to be named
MOST_OPACITY = 0.85  # how much of the colour covers the picture where the heat is greatest


@dataclass(frozen=True, eq=False)
class HeatMap:
    """Where one image is strange.

    heat:    (height, width) float64, 0 or more; larger is stranger. In units of the score, times the share of the
             pixel range that was exchanged: maps of one model can be compared with each other.
    score:   the score of the image, as a new one.
    fall:    the most that the score falls when one window is replaced by what is ordinary; below 0 if it never does.
    """

    heat: Doubles
    score: float
    fall: float

    @property
    def peak(self) -> tuple[int, int]:
        """Row and column of the strangest place; the first where several are equal."""
        row, column = np.unravel_index(int(self.heat.argmax()), self.heat.shape)
        return int(row), int(column)


def heat_map(score: Score, image: Image, references: Pixels, most: int = WINDOWS) -> HeatMap:
    """Where an image is strange to ``score``, from 101 scorings.

    score:       gives (m,) scores of (m, height, width, channels) uint8 images as new ones, larger is stranger;
                 called once.
    image:       (height, width, channels) uint8.
    references:  (k, height, width, channels) uint8, ordinary images; those that are the same as ``image`` are passed
                 over. About 256 will do (``ordinary`` picks them).

    most:        windows that are tried, 1 to 100: those in which the image differs most from what fills them.

    A fitted image may be asked about too. To be judged in the same way as its variants, with itself among the fitted
    ones, it is scored with one pixel changed by one level.

    Raises ``OptionError`` where the sizes do not fit or no reference is left.

    >>> images = np.random.default_rng(0).integers(0, 40, (30, 16, 16, 1), dtype=np.uint8)
    >>> image = images[0].copy()
    >>> image[2:6, 9:13] = 255
    >>> row, column = heat_map(lambda pixels: pixels.mean((1, 2, 3)), image, images[1:]).peak
    >>> 2 <= row < 6 and 9 <= column < 13
    True
    """
    references = _checked(image, references)
    picture, others = image.astype(np.float32) / 255, references.astype(np.float32) / 255
    masks = windows(image.shape[0], image.shape[1])
    square = ((others - picture) ** 2).mean(3)  # (k, height, width)
    filled = matched(others, square, masks)
    changed = np.abs(filled - picture).mean(3)
    tried = np.sort(np.argsort(-(masks * changed).sum((1, 2)), kind="stable")[:most])
    filled, soft = filled[tried], masks[tried, ..., None]
    variants = np.concatenate([nudged(image)[None], levels(picture * (1 - soft) + filled * soft)])
    scores = np.asarray(score(variants), np.float64)
    if scores.shape != (len(variants),) or not np.isfinite(scores).all():
        raise OptionError(f"score must give a finite number for each of {len(variants)} images, got shape "
                          f"{scores.shape}, {int((~np.isfinite(scores)).sum())} of them not finite.")
    falls = scores[0] - scores[1:]
    evidence = np.zeros(len(masks))
    evidence[tried] = falls
    heat = smoothed(laid_over(evidence, masks, changed))
    return HeatMap(heat, float(scores[0]), float(falls.max()))


def ordinary(scores: Doubles, count: int = REFERENCE_IMAGES, random_state: int = 0) -> NDArray[np.int64]:
    """Rows of at most ``count`` images of the less strange half, drawn at random: references for ``heat_map``."""
    scores = np.asarray(scores, np.float64)
    lower = np.flatnonzero(scores <= np.median(scores))
    return np.sort(np.random.default_rng(random_state).permutation(lower)[:count]).astype(np.int64)


def windows(height: int, width: int) -> NDArray[np.float32]:
    """(100, height, width) the windows, 1 inside, falling to 0 over a soft edge."""
    masks = []
    for share, count in WINDOW_SIDES:
        rows, columns = (_steps(side, share, count) for side in (height, width))
        masks.append((rows[:, None, :, None] * columns[None, :, None, :]).reshape(-1, height, width))
    return np.concatenate(masks).astype(np.float32)


def matched(others: Floats, square: Floats, masks: Floats) -> Floats:
    """(windows, height, width, channels) for each window the mean of the images that agree best outside of it.

    others:  (k, height, width, channels).
    square:  (k, height, width) their squared differences from the picture.
    """
    k = len(others)
    outside = square.reshape(k, -1) @ (1 - masks.reshape(len(masks), -1)).T  # (k, windows)
    best = np.argsort(outside, axis=0, kind="stable")[:MATCHES]
    total = np.zeros((len(masks), *others.shape[1:]), np.float32)
    for rows in best:
        total += others[rows]
    return np.asarray(total / len(best))


def laid_over(evidence: Doubles, masks: Floats, changed: Floats | None = None) -> Doubles:
    """(height, width) the mean evidence of the windows that cover each pixel; evidence in favour of a window counts 0.

    changed:  (windows, height, width) or (1, height, width), how much of each pixel the exchange changed: evidence
              counts in proportion to it. None: all pixels of a window alike.
    """
    weights = masks * np.maximum(evidence, 0)[:, None, None]
    if changed is not None:
        weights = weights * changed
    return np.asarray(weights.sum(0, dtype=np.float64) / masks.sum(0, dtype=np.float64))


def smoothed(heat: Doubles) -> Doubles:
    """The (height, width) map, blurred by 4.5 % of each side."""
    return np.asarray(gaussian_filter(heat, (SMOOTHING * heat.shape[0], SMOOTHING * heat.shape[1]), mode="nearest"))


def change(image: Image, references: Pixels, heat: Doubles, slopes: Doubles | None = None,
           ground: Doubles | None = None) -> Change:
    """Whether something is "missing" where the heat peaks, something is "added" there, or neither can be said.

    image, references:  as of ``heat_map``; heat: (height, width), of it.
    slopes, ground:  what ``steepness`` and ``ground_of`` gave of the references, where it is known.

    Compared are ink, how far the pixels are from the median of all ordinary pixels, and detail, how much neighbouring
    pixels differ. Missing is said where the image has clearly less of both than ordinary images have in that place;
    added where it has clearly more of one, and not clearly less of the other.
    """
    if not heat.any():
        return "other"
    pieces, _ = label(heat >= PEAK_SHARE * heat.max())
    place = pieces == pieces[np.unravel_index(int(heat.argmax()), heat.shape)]
    ground = ground_of(references) if ground is None else ground
    theirs = steepness(references) if slopes is None else slopes
    signs = [_more(_ink(image[None], ground, place)[0], _ink(references, ground, place)),
             _more(float(steepness(image[None])[:, place].mean(1)[0]), theirs[:, place].mean(1))]
    if signs == [-1, -1]:
        return "missing"
    return "added" if max(signs) == 1 and min(signs) >= 0 else "other"


def framed(heat: Doubles, height: int, width: int, resize: str = "squash") -> Doubles:
    """(height, width) the heat of an image in the frame that it had before ``resize`` brought it to the heat's size.

    resize:  as of ``pixels.PixelFormat``; what "crop" cut off has no heat, what "pad" added falls away.
    """
    scales = np.array(heat.shape) / (height, width)
    if resize != "squash":
        scales[:] = scales.min() if resize == "pad" else scales.max()
    axes = [(np.arange(size) + 0.5 - size / 2) * scale + seen / 2 - 0.5
            for size, scale, seen in zip((height, width), scales, heat.shape, strict=True)]
    inside = [np.abs(axis - (seen - 1) / 2) <= seen / 2 for axis, seen in zip(axes, heat.shape, strict=True)]
    found = map_coordinates(heat, np.meshgrid(*axes, indexing="ij"), order=1, mode="nearest")
    return np.asarray(found * np.outer(*inside))


def overlay(image: Image, heat: Doubles, full: float | None = None, side: int | None = None) -> Image:
    """(height, width, 3) uint8: the picture with the heat over it, clear to orange to magenta.

    full:  the heat that gets the full colour, the greatest of this map by default; give the same for several images
           to see which is stranger.
    side:  the longer side in pixels, where the picture is to be drawn larger; a whole multiple of its own at most.

    The two colours differ in lightness as well as in hue, and both stand out from black, white and grey, also for
    people who do not tell red from green. The picture's own colours are halved, so that only heat is colourful.
    """
    if image.ndim != 3 or image.dtype != np.uint8 or heat.shape != image.shape[:2]:
        raise OptionError(f"overlay takes a uint8 (height, width, channels) image and heat of its size, got "
                          f"{image.dtype} {image.shape} and {heat.shape}.")
    most = float(heat.max()) if full is None else full
    strength = np.clip(heat / most, 0, 1) if most > 0 else np.zeros(heat.shape)
    times = 1 if side is None else max(1, side // max(image.shape[:2]))
    if times > 1:
        image = image.repeat(times, 0).repeat(times, 1)
        strength = np.clip(zoom(strength, times, order=1, mode="nearest", grid_mode=True), 0, 1)
    grey = image.astype(np.float64).mean(2, keepdims=True)
    picture = (image + grey) / 2 if image.shape[2] == 3 else np.repeat(grey, 3, 2)
    colour, cover = _coloured(strength)
    return np.asarray(np.rint(picture * (1 - cover) + colour * cover).clip(0, 255).astype(np.uint8))


def layer(heat: Doubles) -> Image:
    """(height, width, 4) uint8: the heat alone, in the colours of ``overlay``, to lie over a picture of any size."""
    most = float(heat.max())
    colour, cover = _coloured(np.clip(heat / most, 0, 1) if most > 0 else np.zeros(heat.shape))
    return np.asarray(np.rint(np.concatenate([colour, 255 * cover], axis=2)).astype(np.uint8))


def _coloured(strength: Doubles) -> tuple[Doubles, Doubles]:
    """The colour of each pixel, (height, width, 3), and how much it covers, (height, width, 1) in 0..1.

    Faint heat is left clear; from 0.65 on it covers most.
    """
    hot = strength[..., None]
    colour = np.array(ORANGE) * (1 - hot) + np.array(MAGENTA) * hot
    return colour, MOST_OPACITY * np.clip((hot - 0.15) / 0.5, 0, 1)


def levels(values: Floats) -> NDArray[np.uint8]:
    """Pixels in 0..1 as uint8."""
    return np.asarray(np.rint(values * 255).clip(0, 255).astype(np.uint8))


def nudged(image: Image) -> Image:
    """The image with one pixel of its rim changed by one level."""
    changed = image.copy()
    value = int(changed[0, 0, 0])
    changed[0, 0, 0] = value + 1 if value < 255 else value - 1
    return changed


def _ink(images: Pixels, ground: Doubles, place: NDArray[np.bool_]) -> Doubles:
    """(m,) how far (m, height, width, channels) are from the ground, on average over a place."""
    return np.asarray(np.abs(images[:, place] - ground).mean((1, 2)))


def ground_of(images: Pixels) -> Doubles:
    """(channels,) what most pixels of images are like."""
    return np.asarray(np.median(images, axis=(0, 1, 2)))


def steepness(images: Pixels) -> Doubles:
    """(m, height, width) how steep the lightness of (m, height, width, channels) is."""
    grey = images.mean(3)
    slopes = [np.gradient(grey, axis=axis) if grey.shape[axis] > 1 else np.zeros_like(grey) for axis in (1, 2)]
    return np.asarray(np.hypot(*slopes))


def _more(value: float, usual: Doubles) -> int:
    """1 where a value is clearly more than is usual, -1 where it is clearly less, 0 where neither."""
    low, middle, high = np.quantile(usual, (RARE_SHARE, 0.5, 1 - RARE_SHARE))
    if value > max(high, CLEAR_FACTOR * middle):
        return 1
    return -1 if value < min(low, middle / CLEAR_FACTOR) or (value == 0 and low > 0) else 0


def _checked(image: Image, references: Pixels) -> Pixels:
    if image.ndim != 3 or image.dtype != np.uint8:
        raise OptionError(f"heat_map takes one uint8 (height, width, channels) image, got {image.dtype} {image.shape}.")
    if references.ndim != 4 or references.dtype != np.uint8 or references.shape[1:] != image.shape:
        raise OptionError(f"The references must be uint8 (k, {', '.join(map(str, image.shape))}) like the image, got "
                          f"{references.dtype} {references.shape}.")
    references = np.asarray(references)
    references = references[(references != image).any((1, 2, 3))]
    if not len(references):
        raise OptionError("heat_map needs ordinary images to compare with, got none that differs from the image.")
    return references


def _steps(size: int, share: float, count: int) -> Doubles:
    """(count, size) windows along one axis, spread evenly from rim to rim."""
    length = max(1.0, share * size)
    soft = max(WINDOW_SOFTNESS * size, 1e-6)
    starts = np.linspace(0, size - length, count)
    middles = np.arange(size) + 0.5
    inside = np.minimum(middles - starts[:, None], starts[:, None] + length - middles)
    return np.clip(inside / soft + 0.5, 0, 1)
