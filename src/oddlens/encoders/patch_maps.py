"""Maps of patches: at each place of a detailed picture, how much of each atom of a dictionary is there.

Small patches are cut from the larger copy of the pictures, brought to the same mean and contrast and clustered on the
sphere; the cluster centres are the atoms. What the atoms answer is averaged over small places that overlap by half, not
over large parts of the picture: so a detector can say of each place whether it is usual there. The atoms see neither
light nor contrast, so the mean of each channel and the contrast at each place stand beside them.

Coates, Lee, Ng, *An analysis of single-layer networks in unsupervised feature learning*, 2011 (the dictionary); Defard,
Setkov, Loesch, Audigier, *PaDiM: a patch distribution modeling framework for anomaly detection and localization*, 2021
(features of each place; there of a pretrained network).
"""

from __future__ import annotations

import math
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
from oddlens.learning.patches import answers, some_patches, spherical_means
from oddlens.learning.saved_state import check_images, refusing, saved_shape
from oddlens.learning.training import as_batch, filled, one_thread
from oddlens.options import require_numbers
from oddlens.progress import advance
from oddlens.protocols import Encoded, Pixels, State

LEAST_CONTRAST = 0.01  # added before the logarithm of a contrast: fainter is none
FLAT_CONTRAST = 0.02  # the standard deviation up to which a patch has nothing in it
LEARNED_IMAGES = 400  # that patches and components are learned from
LEARNED_PLACES = 100_000
STEP = 2  # pixels between the answers that are averaged: neighbours say nearly the same
BATCH = 8


class PatchMaps(BaseEstimator):
    """Learns atoms from patches of the larger pictures; says how much of each is at each place, and how light it is.

    atoms:         how many patches the dictionary holds.
    patch:         their side in pixels, odd.
    places:        about how many places there are along the longer side; they overlap by half.
    latent:        principal components kept of the answers at each place, at most.
    device:        where features are computed: "auto" (a GPU if there is one), "cpu", "cuda", "cuda:1". Atoms are
                   learned on the processor.
    random_state:  fixes the patches and the first atoms.

    It computes on one thread: the same features on any machine with the same libraries; on a GPU the last digits are
    others. Maps are in half precision.

    >>> images = np.random.default_rng(0).integers(0, 256, (20, 32, 32, 1), dtype=np.uint8)
    >>> PatchMaps(atoms=8, places=8, latent=4).fit(images).encode(images, frozenset({"maps"})).maps.shape
    (20, 7, 7, 6)
    """

    gives = frozenset({"maps"})
    looks_at = "fine detail, place by place"
    sees_detail = True
    detail_images = 1000  # twice as large takes four times as long: for so many images that is not long

    def __init__(
        self, atoms: int = 128, patch: int = 7, places: int = 32, latent: int = 64, device: str = "auto",
        random_state: int = 0,
    ) -> None:
        self.atoms = atoms
        self.patch = patch
        self.places = places
        self.latent = latent
        self.device = device
        self.random_state = random_state

    @property
    def detail_side(self) -> int:
        """Of few images it makes use of a copy of 256 pixels (docs/lab/maps.md); once fitted, of one as it has seen."""
        return max(self.shape_[:2]) if hasattr(self, "shape_") else 256

    def fit(self, pixels: Pixels) -> Self:
        """Learn from (n, height, width, channels) uint8."""
        require_numbers(self)
        encoding_device(self.device)  # what is no device is refused now
        self._check(pixels.shape[1:])
        rng = np.random.default_rng(self.random_state)
        self.shape_ = tuple(pixels.shape[1:])
        some = np.sort(rng.permutation(len(pixels))[:LEARNED_IMAGES])
        with torch.inference_mode(), one_thread():
            images = as_batch(torch.from_numpy(np.array(pixels[some])))
            patches = some_patches(images, self.patch, 4 * self.atoms, FLAT_CONTRAST, rng)
            self.dictionary_ = spherical_means(patches, self.atoms, rng)
            advance("learning", 1, 2)
            places = self._some_places(images, rng)
            self.mean_ = places.mean(0).float()
            self.axes_ = self._axes(places - places.mean(0))
        advance("learning", 2, 2)
        return self

    def encode(self, pixels: Pixels, needs: frozenset[str]) -> Encoded:
        """The maps, (n, rows, columns, d) float16."""
        check_is_fitted(self, "axes_")
        check_images(pixels, self.shape_)
        if "maps" not in needs:
            return Encoded()
        maps = allocate((len(pixels), *self._grid(), self.axes_.shape[1]), np.float16)
        device = encoding_device(self.device)
        mean, axes, size = self.mean_.to(device), self.axes_.to(device), at_once(device, BATCH)
        with torch.inference_mode(), one_thread(), computing_on(device):
            for start in range(0, len(pixels), size):
                rows = slice(start, min(start + size, len(pixels)))
                found = (self._places(filled(pixels[rows], size, device)) - mean) @ axes
                maps[rows] = found[: rows.stop - start].half().cpu().numpy()
                advance("encoding", rows.stop, len(pixels))
        return Encoded(maps=maps)

    def get_state(self) -> State:
        """The atoms, the mean and the components."""
        check_is_fitted(self, "axes_")
        return {"atoms": self.dictionary_.numpy(), "mean": self.mean_.numpy(), "axes": self.axes_.numpy(),
                "shape": np.array(self.shape_)}

    def set_state(self, state: State) -> Self:
        """Take back what ``get_state`` gave."""
        with refusing("patch_maps"):
            shape = saved_shape(state)
            self._check(shape)
            atoms, mean, axes = (state[key] for key in ("atoms", "mean", "axes"))
            light = shape[2] + 1
            if atoms.shape != (self.atoms, self.patch**2 * shape[2]) or mean.shape != (self.atoms + light,):
                raise ValueError(f"atoms of {atoms.shape} and a mean of {mean.shape}")
            if axes.shape != (self.atoms + light, min(self.latent, self.atoms) + light):
                raise ValueError(f"components of {axes.shape}")
            if not all(array.dtype == np.float32 and np.isfinite(array).all() for array in (atoms, mean, axes)):
                raise ValueError("numbers that are not finite")
        self.shape_ = shape
        self.dictionary_, self.mean_, self.axes_ = (torch.from_numpy(np.array(a)) for a in (atoms, mean, axes))
        return self

    def _check(self, shape: tuple[int, ...]) -> None:
        for name, least, most in (("atoms", 1, 4096), ("places", 2, 256), ("latent", 1, 4096)):
            value = getattr(self, name)
            if not isinstance(value, int | np.integer) or not least <= value <= most:
                raise OptionError(f"{name} must be a whole number from {least} to {most}, got {value!r}.")
        most = min(shape[:2])
        if not isinstance(self.patch, int | np.integer) or not self.patch % 2 or not 1 <= self.patch <= most:
            raise OptionError(f"The images are {most} pixels on their shorter side, and patch must be odd and "
                              f"at most that, got {self.patch!r}: larger images (detail) or a smaller patch.")

    def _some_places(self, images: Tensor, rng: np.random.Generator) -> Tensor:
        """(places, atoms + light) some of all, in random order; those of a few images are at hand at a time."""
        each = math.prod(self._grid())
        chosen = rng.permutation(len(images) * each)[:LEARNED_PLACES]
        found = torch.empty(len(chosen), len(self.dictionary_) + images.shape[1] + 1, dtype=torch.float64)
        for number, part in enumerate(torch.split(images, BATCH)):
            mine = np.flatnonzero(chosen // (each * BATCH) == number)
            found[mine] = self._places(part).flatten(0, 2)[chosen[mine] - number * each * BATCH].double()
        return found

    def _axes(self, centred: Tensor) -> Tensor:
        """(atoms + light, d): the answers' main components, and light and contrast as they are, each of variance 1.

        Half precision ends at 65,504 and is coarse below 0.00006: numbers about 1 lose nothing that matters.
        """
        answered = centred[:, : self.atoms]
        components = torch.linalg.eigh(answered.T @ answered)[1].flip(1)[:, : self.latent]
        components /= (answered @ components).std().clamp_min(1e-6)
        light = torch.diag(1 / centred[:, self.atoms :].std(0).clamp_min(1e-6))
        axes = torch.zeros(centred.shape[1], components.shape[1] + len(light), dtype=centred.dtype)
        axes[: self.atoms, : components.shape[1]] = components
        axes[self.atoms :, components.shape[1] :] = light
        return axes.float()

    def window(self) -> tuple[int, int]:
        """The side of a place and the step to the next, counted in answers."""
        stride = max(1, round(max(self.shape_[:2]) / STEP / self.places))
        return max(1, min(2 * stride, *(-(-side // STEP) for side in self.shape_[:2]))), stride

    def _grid(self) -> tuple[int, int]:
        side, stride = self.window()
        down, across = ((-(-length // STEP) - side) // stride + 1 for length in self.shape_[:2])
        return down, across

    def _places(self, images: Tensor) -> Tensor:
        """(n, rows, columns, atoms + channels + 1) each place's mean answers of the atoms, mean light and contrast."""
        side, stride = self.window()
        found = answers(images, self.dictionary_.to(images.device), self.patch, STEP)
        size = (found.shape[2], found.shape[3])
        light = functional.adaptive_avg_pool2d(images, size)
        square = functional.adaptive_avg_pool2d(images.square().mean(1, keepdim=True), size)
        pooled = functional.avg_pool2d(torch.cat([found, light, square], 1), side, stride).permute(0, 2, 3, 1)
        mean = pooled[..., self.atoms : -1].mean(3, keepdim=True)
        contrast = (pooled[..., -1:] - mean.square()).clamp_min(0).sqrt()
        return torch.cat([pooled[..., :-1], torch.log(contrast + LEAST_CONTRAST)], 3)
