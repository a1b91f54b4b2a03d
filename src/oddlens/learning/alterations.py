"""Pictures altered on purpose, somewhere: what a network can learn oddness from where nobody says what is odd.

A place of random shape, with a hard rim or a soft one, gets a piece of another picture or of the same one from
elsewhere, turned, or is made lighter, darker, fainter, harsher, blurred, sharpened, smudged or flat. None of this is
meant to look like a defect of anything; it is meant to be broad.

Li, Sohn, Yoon, Pfister, *CutPaste: self-supervised learning for anomaly detection and localization*, 2021; Schlueter,
Tan, Hou, Kainz, *Natural synthetic anomalies* (NSA), 2022; Zavrtanik, Kristan, Skocaj, *DRAEM*, 2021.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

FEWEST_WAVES, MOST_WAVES = 3, 10  # random numbers along a side that a rim's wobble is drawn through
SMUDGES = (4, 40)  # the same of smudges
REACH = (0.03, 0.4)  # half of the mean extent of what is altered, as a share of the side
LONGEST = 6.0  # times as long as wide
LEAST_REACH = 1.0  # pixels
RIMS = (0.02, 0.02, 0.5, 1.0)  # how wide a rim is, of the reach
WOBBLES = (0.0, 0.25, 0.5)
OPACITIES, OPACITY_SHARES = (0.5, 0.75, 1.0), (0.2, 0.2, 0.6)
KINDS = {"others": 0.3, "elsewhere": 0.2, "light": 0.12, "contrast": 0.1, "sharpness": 0.1, "smudge": 0.1, "flat": 0.08}


def altered(images: Tensor, rng: np.random.Generator) -> Tensor:
    """(n, channels, height, width) the same images in 0..1, each altered somewhere; pieces are of the next image."""
    n, _, height, width = images.shape
    others = images.roll(1, 0)
    kinds = rng.choice(list(KINDS), n, p=list(KINDS.values()))
    put = torch.stack([_put(str(kind), image, other, rng) for kind, image, other in zip(kinds, images, others,
                                                                                      strict=True)])
    opacity = torch.from_numpy(rng.choice(OPACITIES, n, p=OPACITY_SHARES).astype(np.float32))[:, None, None, None]
    return (images + (put - images) * places(n, height, width, rng)[:, None] * opacity).clamp(0, 1)


def places(n: int, height: int, width: int, rng: np.random.Generator) -> Tensor:
    """(n, height, width) from 0 (left as it is) to 1 (altered): ellipses, rectangles and strokes, wobbly or not."""
    def each(values: object) -> Tensor:
        return torch.from_numpy(np.asarray(values, np.float32))[:, None, None]

    down, across = torch.arange(height)[:, None], torch.arange(width)
    y, x = down - each(rng.uniform(0, height, n)), across - each(rng.uniform(0, width, n))
    angle = each(rng.uniform(0, np.pi, n))
    reach = np.exp(rng.uniform(math.log(REACH[0]), math.log(REACH[1]), n)) * max(height, width)
    longer = np.exp(rng.uniform(0, math.log(LONGEST) / 2, n))
    along = (y * torch.cos(angle) + x * torch.sin(angle)) / each(reach * longer)
    aside = (x * torch.cos(angle) - y * torch.sin(angle)) / each(np.maximum(reach / longer, LEAST_REACH))
    round_ = each(rng.random(n)) < 0.5
    far = torch.where(round_, torch.hypot(along, aside), torch.maximum(along.abs(), aside.abs()))
    waves = int(rng.integers(FEWEST_WAVES, MOST_WAVES))
    far = far + each(rng.choice(WOBBLES, n)) * _smooth(n, height, width, waves, rng)
    return ((1 - far) / each(rng.choice(RIMS, n)) + 0.5).clamp(0, 1)


def _put(kind: str, image: Tensor, other: Tensor, rng: np.random.Generator) -> Tensor:
    """What is put into an altered place of an image, as a whole image."""
    _, height, width = image.shape
    if kind in ("others", "elsewhere"):
        piece = (other if kind == "others" else image).roll(
            (int(rng.integers(height)), int(rng.integers(width))), (1, 2))
        turns = int(rng.integers(4)) if height == width else 2 * int(rng.integers(2))
        piece = torch.rot90(piece, turns, (1, 2))
        piece = piece.flip(2) if rng.random() < 0.5 else piece
        if rng.random() < 0.5:
            piece = piece - piece.mean() + image.mean()
        return piece * float(rng.uniform(0.7, 1.3)) if rng.random() < 0.3 else piece
    if kind == "light":
        return image + float(rng.choice([-1, 1]) * rng.uniform(0.08, 0.4))
    if kind == "contrast":
        mean = image.mean((1, 2), keepdim=True)
        return (image - mean) * float(rng.choice([0.2, 0.5, 1.7, 2.5])) + mean
    if kind == "sharpness":
        blurred = _blurred(image, int(rng.choice([3, 5])))
        return blurred if rng.random() < 0.6 else 2.5 * image - 1.5 * blurred
    if kind == "smudge":
        smudge = 0.2 * _smooth(1, height, width, int(rng.integers(*SMUDGES)), rng)
        return (image.mean() if rng.random() < 0.5 else image) + smudge + torch.zeros_like(image)
    return torch.full_like(image, float(rng.uniform(0, 1)))


def _smooth(n: int, height: int, width: int, waves: int, rng: np.random.Generator) -> Tensor:
    """(n, height, width) smooth random numbers."""
    drawn = torch.from_numpy(rng.normal(size=(n, 1, waves, waves)).astype(np.float32))
    return functional.interpolate(drawn, (height, width), mode="bicubic", align_corners=False)[:, 0]


def _blurred(image: Tensor, side: int) -> Tensor:
    padded = functional.pad(image[None], (side - 1,) * 4, mode="replicate")
    return functional.avg_pool2d(functional.avg_pool2d(padded, side, 1), side, 1)[0]
