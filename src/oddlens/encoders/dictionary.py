"""A dictionary of patches: an image is described by the small pieces that it is made of.

Small patches are cut from the images, brought to the same mean and contrast, and clustered on the sphere; the cluster
centres are the atoms. At each pixel every atom answers with a softmax of its cosine, weighted by the root of the local
contrast; the answers are averaged over a grid of overlapping parts of the picture. A second layer does the same with
patches of the first one's answers. Then the features are whitened: some images are shifted, scaled and rotated a
little, and the directions in which the features of *one* image vary are shrunk. What is left tells images apart, not
poses.

Coates, Lee, Ng, *An analysis of single-layer networks in unsupervised feature learning*, 2011 (patches, k-means,
pooling); Coates, Ng, *Selecting receptive fields in deep networks*, 2011 (a second layer); Hatch, Kajarekar, Stolcke,
*Within-class covariance normalization for SVM-based speaker recognition*, 2006 (shrinking what varies within).
"""

from __future__ import annotations

from typing import Self

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted
from torch import Tensor
from torch.nn import functional

from oddlens.arrays import allocate
from oddlens.errors import OptionError
from oddlens.learning.devices import at_once, computing_on, encoding_device
from oddlens.learning.patches import MOST_MAPS, answers, grounds, pooled, some_patches, spherical_means
from oddlens.learning.saved_state import check_images, refusing, saved_shape
from oddlens.learning.training import as_batch, filled, one_thread
from oddlens.options import require_numbers
from oddlens.progress import advance
from oddlens.protocols import Encoded, Pixels, State

FLAT_CONTRAST = (0.05, 0.005)  # in each layer, the standard deviation up to which a patch has nothing in it
SECOND_PATCH = 3  # the side of the second layer's patches
WHITENING_IMAGES = 4_000  # images that the whitening is learned from
SHIFTED_IMAGES = 400  # images that are slightly transformed to learn which directions to shrink
BATCH = 8  # images; the answers of more do not fit into a processor's cache, and take twice as long
SCALE_SIDES = (28, 56)  # pixels of the shorter side, of the scales that larger pictures are seen at

# Shifts in shares of the side, angles in degrees: too small to turn one kind of thing into another.
SHIFTS = (
    {"right": 1 / 28}, {"down": 1 / 28}, {"angle": 6.0}, {"scale": 1.07}, {"shear": 0.1},
    {"right": -1 / 28, "angle": -6.0}, {"down": -1 / 28, "scale": 0.93},
)


class Dictionary(BaseEstimator):
    """Learns atoms from patches of the images and describes each image by how much of each atom is where.

    atoms:         how many patches a dictionary holds.
    patch:         their side in pixels, odd; or several, like (5, 7), each with a dictionary of its own.
    layers:        1; or 2: each dictionary is followed by one of 3x3 patches of its answers at half the size.
    grid:          parts of the picture a side over which the answers are averaged.
    latent:        principal components kept, at most; fewer where there are fewer images.
    ridge:         regularises the whitening, in units of the mean variance within images.
    device:        where features are computed: "auto" (a GPU if there is one), "cpu", "cuda", "cuda:1". Atoms are
                   learned on the processor.
    random_state:  fixes the patches, the first atoms and the images that are transformed.

    Pictures up to 40 pixels on the shorter side are seen as they are, larger ones at 28 and 56 pixels. It computes on
    one thread: the same features on any machine with the same libraries; on a GPU the last digits are others.

    >>> images = np.random.default_rng(0).integers(0, 256, (40, 12, 12, 1), dtype=np.uint8)
    >>> encoder = Dictionary(atoms=8).fit(images)
    >>> encoder.encode(images, frozenset({"embedding"})).embedding.shape
    (40, 39)
    """

    gives = frozenset({"embedding"})
    looks_at = "small details"

    def __init__(
        self,
        atoms: int = 64,
        patch: int | tuple[int, ...] = 5,
        layers: int = 1,
        grid: int = 4,
        latent: int = 300,
        ridge: float = 1.0,
        device: str = "auto",
        random_state: int = 0,
    ) -> None:
        self.atoms = atoms
        self.patch = patch
        self.layers = layers
        self.grid = grid
        self.latent = latent
        self.ridge = ridge
        self.device = device
        self.random_state = random_state

    def fit(self, pixels: Pixels) -> Self:
        """Learn from (n, height, width, channels) uint8."""
        require_numbers(self, besides={"patch"})
        self._check(pixels.shape[1:])
        device, rng = encoding_device(self.device), np.random.default_rng(self.random_state)
        self.shape_ = tuple(pixels.shape[1:])
        some = np.sort(rng.permutation(len(pixels))[:WHITENING_IMAGES])
        with torch.inference_mode(), one_thread(), computing_on(device):
            images = as_batch(torch.from_numpy(np.array(pixels[some])))
            self.dictionaries_, steps = [], len(self._looks()) * self.layers + 1
            for size, sides in self._looks():
                # A few at a time: in double precision, all of them would take more memory than what is learned from.
                maps = torch.cat([resized(part, size) for part in torch.split(images[:MOST_MAPS], BATCH)])
                for layer, side in enumerate(sides):
                    patches = some_patches(maps, side, 4 * self.atoms, FLAT_CONTRAST[layer], rng)
                    self.dictionaries_.append(spherical_means(patches, self.atoms, rng))
                    if layer + 1 < self.layers:
                        maps = torch.cat([halved(answers(part, self.dictionaries_[-1], side))
                                          for part in torch.split(maps, BATCH)])
                    advance("learning", len(self.dictionaries_), steps)
            self._whiten(images, rng, device)
        advance("learning", steps, steps)
        return self

    def encode(self, pixels: Pixels, needs: frozenset[str]) -> Encoded:
        """The embedding, (n, d)."""
        check_is_fitted(self, "whitening_")
        check_images(pixels, self.shape_)
        if "embedding" not in needs:
            return Encoded()
        embedding = allocate((len(pixels), self.whitening_.shape[1]), np.float32)
        device = encoding_device(self.device)
        mean, whitening, size = self.mean_.to(device), self.whitening_.to(device), at_once(device, BATCH)
        with torch.inference_mode(), one_thread(), computing_on(device):
            for start in range(0, len(pixels), size):
                rows = slice(start, min(start + size, len(pixels)))
                found = (self._features(filled(pixels[rows], size, device)) - mean) @ whitening
                embedding[rows] = found[: rows.stop - start].cpu().numpy()
                advance("encoding", rows.stop, len(pixels))
        return Encoded(embedding=embedding)

    def get_state(self) -> State:
        """The atoms of each scale, the mean and the whitening."""
        check_is_fitted(self, "whitening_")
        atoms = {f"atoms.{i}": atoms.numpy() for i, atoms in enumerate(self.dictionaries_)}
        return {**atoms, "mean": self.mean_.numpy(), "whitening": self.whitening_.numpy(),
                "shape": np.array(self.shape_)}

    def set_state(self, state: State) -> Self:
        """Take back what ``get_state`` gave."""
        with refusing("dictionary"):
            shape = saved_shape(state)
            self._check(shape)
            self.shape_ = shape
            sizes = [(self.atoms if layer else shape[2]) * side**2
                     for _, sides in self._looks() for layer, side in enumerate(sides)]
            dictionaries = [state[f"atoms.{i}"] for i in range(len(sizes))]
            mean, whitening = state["mean"], state["whitening"]
            width = self.atoms * self.grid**2 * len(dictionaries)
            if any(atoms.shape != (self.atoms, size) for atoms, size in zip(dictionaries, sizes, strict=True)):
                raise ValueError("atoms of another size")
            if mean.shape != (width,) or whitening.ndim != 2 or whitening.shape[0] != width or not whitening.shape[1]:
                raise ValueError(f"a whitening of {whitening.shape} for {width} features")
            arrays = [*dictionaries, mean, whitening]
            if not all(array.dtype == np.float32 and np.isfinite(array).all() for array in arrays):
                raise ValueError("numbers that are not finite")
        self.dictionaries_ = [torch.from_numpy(np.array(atoms)) for atoms in dictionaries]
        self.mean_, self.whitening_ = torch.from_numpy(np.array(mean)), torch.from_numpy(np.array(whitening))
        return self

    def _check(self, shape: tuple[int, ...]) -> None:
        for name in ("atoms", "grid", "latent"):
            value = getattr(self, name)
            if not isinstance(value, int | np.integer) or not 1 <= value <= 4096:
                raise OptionError(f"{name} must be a whole number from 1 to 4096, got {value!r}.")
        if self.layers not in (1, 2):
            raise OptionError(f"layers must be 1 or 2, got {self.layers!r}.")
        sides, most = self._sides(), min(shape[:2])
        odd = [isinstance(side, int | np.integer) and side % 2 == 1 and 1 <= side <= most for side in sides]
        if not odd or not all(odd):
            raise OptionError(f"The images are {most} pixels on their shorter side, and patch must be odd and at most "
                              f"that, got {self.patch!r}: larger images (image_size) or a smaller patch.")
        if self.layers == 2 and most < 2 * SECOND_PATCH:
            raise OptionError(f"Two layers need images of {2 * SECOND_PATCH} pixels a side or more, got {most}.")
        if not self.ridge > 0:
            raise OptionError(f"ridge must be above 0, got {self.ridge!r}.")

    def _sides(self) -> tuple[int, ...]:
        return tuple(self.patch) if isinstance(self.patch, tuple | list) else (self.patch,)

    def _looks(self) -> list[tuple[tuple[int, int], list[int]]]:
        """Every size that pictures are seen at with every side of patches: the size, and the side in each layer."""
        return [(size, [side, SECOND_PATCH][: self.layers]) for size in scales(self.shape_) for side in self._sides()]

    def _features(self, images: Tensor) -> Tensor:
        """(n, dictionaries * atoms * grid^2) before whitening, the part of each dictionary of length 1."""
        size = at_once(images.device, BATCH)
        return torch.cat([torch.cat(self._parts(batch), 1) for batch in torch.split(images, size)])

    def _parts(self, images: Tensor) -> list[Tensor]:
        parts: list[Tensor] = []
        for size, sides in self._looks():
            maps = resized(images, size)
            for layer, side in enumerate(sides):
                atoms = self.dictionaries_[len(parts)].to(images.device)
                found = answers(maps, atoms, side, ground=grounds(maps))
                parts.append(pooled(found, self.grid))
                maps = halved(found) if layer + 1 < self.layers else maps
        return parts

    def _whiten(self, images: Tensor, rng: np.random.Generator, device: torch.device) -> None:
        """Principal components, then the whitening: the mean and the (features, d) to multiply with."""
        features = self._features(images.to(device)).cpu()
        self.mean_ = features.mean(0)
        basis = principal(features - self.mean_, self.latent)
        some = torch.from_numpy(rng.permutation(len(images))[:SHIFTED_IMAGES])
        moves = [(self._features(moved(images[some], **move).to(device)).cpu() - features[some]) @ basis
                 for move in SHIFTS]
        differences = torch.cat(moves).double()
        within = differences.T @ differences / len(differences)
        scale = within.trace().clamp_min(1e-12) / len(within)
        variance, axes = torch.linalg.eigh(within + self.ridge * scale * torch.eye(len(within)))
        self.whitening_ = basis @ (axes * (scale / variance).sqrt()).float()


def scales(shape: tuple[int, ...]) -> list[tuple[int, int]]:
    """The sizes at which pictures of (height, width, channels) are seen."""
    height, width = shape[:2]
    short = min(height, width)
    if short <= 40:
        return [(height, width)]
    return [(max(8, round(height * side / short)), max(8, round(width * side / short)))
            for side in SCALE_SIDES if side <= short * 1.25]


def resized(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Pictures brought to a size by averaging; in double precision, so that what is flat remains flat."""
    if tuple(images.shape[2:]) == size:
        return images
    return functional.interpolate(
        images.double(), size=size, mode="bilinear", antialias=True, align_corners=False).float()


def halved(maps: Tensor) -> Tensor:
    """Maps of half the size, by averaging two by two."""
    return functional.avg_pool2d(maps, 2)


def moved(
    images: Tensor, angle: float = 0, scale: float = 1, right: float = 0, down: float = 0, shear: float = 0
) -> Tensor:
    """Pictures rotated, scaled, shifted or sheared a little, their rim repeated."""
    a, ratio = np.deg2rad(angle), images.shape[2] / images.shape[3]
    matrix = torch.tensor([[np.cos(a) / scale, (-np.sin(a) / scale + shear) * ratio, 2 * right],
                           [np.sin(a) / scale / ratio, np.cos(a) / scale, 2 * down]], dtype=torch.float32)
    grid = functional.affine_grid(matrix.expand(len(images), 2, 3), list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, align_corners=False, padding_mode="border")


def principal(centred: Tensor, most: int) -> Tensor:
    """(features, d) the principal axes, at most ``most`` and one less than there are rows."""
    n, width = centred.shape
    count = max(1, min(most, n - 1, width))
    if n < width:  # the axes from the smaller of the two matrices of products
        variance, rows = torch.linalg.eigh((centred @ centred.T).double())
        variance, rows = variance.flip(0)[:count].clamp_min(1e-12), rows.flip(1)[:, :count]
        axes: Tensor = centred.T @ (rows / variance.sqrt()).float()
    else:
        axes = torch.linalg.eigh((centred.T @ centred).double())[1].flip(1)[:, :count].float()
    return axes
