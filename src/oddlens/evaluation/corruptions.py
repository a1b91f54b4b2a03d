"""Five ways to damage a digit, as a scanner, a sensor or a hand would: (n, 28, 28, 1) uint8 in, the same out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, rotate

Images = NDArray[np.uint8]
Plane = NDArray[np.float32]  # (28, 28)


def blur(image: Plane, rng: np.random.Generator) -> Plane:  # noqa: ARG001
    """Out of focus: a Gaussian of 1.5 pixels."""
    return np.asarray(gaussian_filter(image, 1.5))


def noise(image: Plane, rng: np.random.Generator) -> Plane:
    """A bad sensor: Gaussian noise with a standard deviation of 50 of 255."""
    return np.asarray(image + rng.normal(0, 50, image.shape))


def occlusion(image: Plane, rng: np.random.Generator) -> Plane:
    """Something lies on it: a grey square of 9 pixels."""
    row, column = rng.integers(4, 16, 2)
    image[row : row + 9, column : column + 9] = 128
    return image


def rotation(image: Plane, rng: np.random.Generator) -> Plane:
    """Put in the wrong way round: rotated by 60 to 120 degrees."""
    return np.asarray(rotate(image, rng.choice([60, 90, 120, -60, -90]), reshape=False, order=1))


def cut(image: Plane, rng: np.random.Generator) -> Plane:
    """A piece of a stroke is missing: 7x7 pixels about one with ink are blank."""
    rows, columns = np.nonzero(image > 100)
    place = rng.integers(len(rows))
    row, column = rows[place], columns[place]
    image[max(0, row - 3) : row + 4, max(0, column - 3) : column + 4] = 0
    return image


CORRUPTIONS = {"blur": blur, "noise": noise, "occlusion": occlusion, "rotation": rotation, "cut": cut}


def damage(kind: str) -> Callable[[Images, np.random.Generator], Images]:
    """What damages a stack of images, one after the other."""
    how = CORRUPTIONS[kind]

    def apply(images: Images, rng: np.random.Generator) -> Images:
        damaged = [how(image[..., 0].astype(np.float32), rng).clip(0, 255).astype(np.uint8) for image in images]
        return np.stack(damaged)[..., None]

    return apply
