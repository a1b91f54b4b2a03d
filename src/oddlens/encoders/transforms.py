"""A small network that learns which transform was applied to an image; for images unlike the others it cannot tell.

Each image is shown in one of the eight rotations and flips of the square, or in other transforms besides (translated,
scaled, its quarters permuted), and four convolutional layers learn to say which. What the layers learn makes the
features; the loss at this pretext task, averaged over the transforms of one image, is its surprise. Odd images in the
collection would be learned with the rest, so those that are the oddest by the directions of their edges are presumed to
be outliers, and the network is trained to be undecided about them (outlier exposure).

Golan, El-Yaniv, *Deep anomaly detection using geometric transformations*, 2018; Wang et al., *Effective end-to-end
unsupervised outlier detection via inlier priority of discriminative network*, 2019 (unlabelled); Hendrycks, Mazeika,
Dietterich, *Deep anomaly detection with outlier exposure*, 2019 (the outliers).
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Self

import faiss
import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn
from torch.nn import functional

from oddlens.arrays import allocate
from oddlens.errors import OptionError
from oddlens.kernels import one_faiss_thread
from oddlens.learning.devices import choose_device, computing_on
from oddlens.learning.edges import histograms
from oddlens.learning.image_transforms import Transform, parse
from oddlens.learning.network_state import load_weights, network_state
from oddlens.learning.saved_state import check_images, refusing, saved_shape
from oddlens.learning.training import as_batch, filled, seeded, train
from oddlens.options import require_numbers
from oddlens.progress import advance
from oddlens.protocols import Bools, Doubles, Encoded, Pixels, State
from oddlens.scoring.structure import neighbour_count, unimodality

CHANNELS = (32, 32, 64, 64)  # channels, filter sides and strides of the four layers
FILTERS = (5, 3, 3, 3)
STRIDES = (2, 1, 2, 1)
SMALLEST_SIDE = 8  # pixels a side, at least
EXPOSURE_WEIGHT = 0.3  # weight of the loss on presumed outliers beside that on the others
BATCH = 64
COMPARED_IMAGES = 5000  # images that all are compared with to find the presumed outliers
DIRECTIONS, CELLS = 9, 4  # bins and cells a side of the histograms of edge directions


class Network(nn.Module):
    """Four convolutions and an answer. In training, the last channel of a batch is 1 for presumed outliers."""

    def __init__(self, channels: int, transforms: list[Transform], random_state: int = 0) -> None:
        super().__init__()
        self.transforms = transforms
        blocks = []
        for (before, after), size, stride in zip(pairwise((channels, *CHANNELS)), FILTERS, STRIDES, strict=True):
            layer = nn.Conv2d(before, after, size, stride, size // 2, bias=False)
            blocks.append(nn.Sequential(layer, nn.BatchNorm2d(after), nn.ReLU()))
        self.blocks = nn.ModuleList(blocks)
        self.answer = nn.Linear(CHANNELS[-1], len(transforms))
        self.draws = np.random.default_rng(random_state)

    def layers(self, images: Tensor) -> list[Tensor]:
        """(n, channels, height, width) what each layer makes of the images."""
        made = []
        for block in self.blocks:
            images = block(images)
            made.append(images)
        return made

    def forward(self, batch: Tensor) -> Tensor:
        """The mean cross-entropy of the answers, and of being undecided about the presumed outliers."""
        way = torch.from_numpy(self.draws.integers(len(self.transforms), size=len(batch))).to(batch.device)
        images, outliers = torch.empty_like(batch[:, :-1]), batch[:, -1, 0, 0] > 0
        for number, shown in enumerate(self.transforms):
            images[way == number] = shown(batch[way == number, :-1])
        logs = self.answer(pooled(self.layers(images)[-1])).log_softmax(1)
        # Sums over weights, not selections: the same shapes in each step, whatever share of a batch is outliers.
        known, unsure = (~outliers).float(), outliers.float()
        right = (-logs.gather(1, way[:, None])[:, 0] * known).sum() / known.sum().clamp_min(1)
        undecided = (-logs.mean(1) * unsure).sum() / unsure.sum().clamp_min(1)
        loss: Tensor = right + EXPOSURE_WEIGHT * undecided
        return loss


class Transforms(BaseEstimator):
    """Learns in which of the eight rotations and flips, or of more transforms, it is shown an image.

    augmentations:  the image transforms to tell apart: some of "rotations" (8 with flips), "translations" (4, by a
                    quarter of the side), "scales" (2, by 1.5) and "permutations" (4 other orders of the quarters),
                    separated by commas.
    depths:         how many of the four layers, counted from the last, are in the embedding.
    grid:           parts a side that each layer is averaged over for the embedding, 1 to 4.
    image_size:     images are resized to squares of at most this many pixels a side, 8 or more.
    outlier_share:  the share of the collection that is presumed to be outliers, 0 to 0.5; 0 learns from all alike.
    steps:          the most mini-batches to train for; 0 leaves the network at its random weights, to compare with.
    batch_size:     images in a mini-batch.
    learning_rate:  Adam's step size.
    device:         "auto" (a GPU if there is one), "cpu", "cuda", "cuda:1", "mps".
    random_state:   fixes the first weights, the order of the images and their transforms.

    The embedding is that of all transforms beside each other, each layer of length 1 before all are: 64 numbers for
    each transform, 512 by default. The activations are each channel's mean over the picture as it came. On a CPU
    torch's threads are used; with another number of them the weights come out a little different.

    Fitted: ``losses_``, the mean training loss of each 100 steps; ``shape_``, (height, width, channels);
    ``presumed_outliers_``, (n,) bool, which of the fitted images were presumed to be outliers (it is not saved).

    >>> images = np.random.default_rng(0).integers(0, 256, (32, 8, 8, 1), dtype=np.uint8)
    >>> encoder = Transforms(steps=2).fit(images)
    >>> encoder.encode(images, frozenset({"embedding"})).embedding.shape
    (32, 512)
    """

    gives = frozenset({"embedding", "surprise", "activations"})
    looks_at = "what a network that tells rotations apart learned"

    def __init__(
        self,
        augmentations: str = "rotations",
        depths: int = 1,
        grid: int = 1,
        image_size: int = 32,
        outlier_share: float = 0.12,
        steps: int = 300,
        batch_size: int = 128,
        learning_rate: float = 0.005,
        device: str = "auto",
        random_state: int = 0,
    ) -> None:
        self.augmentations = augmentations
        self.depths = depths
        self.grid = grid
        self.image_size = image_size
        self.outlier_share = outlier_share
        self.steps = steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.device = device
        self.random_state = random_state

    def fit(self, pixels: Pixels) -> Self:
        """Learn from (n, height, width, channels) uint8."""
        require_numbers(self)
        self._check()
        device = choose_device(self.device)
        self._build(tuple(pixels.shape[1:]))
        self.network_.to(device)
        self.presumed_outliers_ = self._presumed_outliers(pixels)
        self.losses_: list[float] = []
        if self.steps:
            shown = allocate((len(pixels), self.side_, self.side_, self.shape_[2] + 1), np.uint8)
            for start in range(0, len(pixels), BATCH):
                rows = slice(start, start + BATCH)
                shown[rows, ..., :-1] = self._small(pixels[rows])
                shown[rows, ..., -1] = 255 * self.presumed_outliers_[rows, None, None]
            self.losses_ = train(
                self.network_, shown, steps=self.steps, batch_size=self.batch_size, learning_rate=self.learning_rate,
                random_state=self.random_state, device=device)
        self.network_.eval()
        return self

    def encode(self, pixels: Pixels, needs: frozenset[str]) -> Encoded:
        """Embedding, surprise and activations, as far as they are named in ``needs``."""
        check_is_fitted(self, "losses_")
        check_images(pixels, self.shape_)
        device = next(self.network_.parameters()).device
        arrays: dict[str, Any] = {}

        def put(key: str, rows: slice, values: Tensor) -> None:
            if key not in arrays:
                arrays[key] = allocate((len(pixels), *values.shape[1:]), np.float32)
            arrays[key][rows] = values[: rows.stop - rows.start].cpu().numpy()

        transforms = self.network_.transforms if needs & {"embedding", "surprise"} else self.network_.transforms[:1]
        with torch.inference_mode(), computing_on(device):
            for start in range(0, len(pixels), BATCH):
                rows = slice(start, min(start + BATCH, len(pixels)))
                batch = filled(self._small(pixels[rows]), BATCH, device)
                means, parts = [], []
                for transform in transforms:  # pooled at once: the layers of all together are many times as large
                    layers = self.network_.layers(transform(batch))
                    means.append([pooled(layer) for layer in layers])
                    parts += [functional.normalize(pooled(layer, self.grid), dim=1)
                              for layer in layers[len(layers) - self.depths :]]
                if "embedding" in needs:
                    put("embedding", rows, torch.cat(parts, 1) / len(parts)**0.5)
                if "surprise" in needs:
                    put("surprise", rows, self._surprise(means))
                if "activations" in needs:
                    for number, mean in enumerate(means[0], start=1):
                        put(f"block{number}", rows, mean)
                advance("encoding", rows.stop, len(pixels))
        surprise = arrays.pop("surprise").astype(np.float64) if "surprise" in arrays else None
        return Encoded(embedding=arrays.pop("embedding", None), surprise=surprise, activations=arrays,
                       node_types=dict.fromkeys(arrays, "relu"))

    def get_state(self) -> State:
        """The weights, the image shape and the training loss."""
        check_is_fitted(self, "losses_")
        return network_state(self.network_, self.shape_, self.losses_)

    def set_state(self, state: State) -> Self:
        """Take back what ``get_state`` gave."""
        with refusing("transforms"):
            self._check()
            shape = saved_shape(state)
            self._build(shape)
            self.losses_ = load_weights(self.network_, state, trained=self.steps > 0)
            self.network_.to(choose_device(self.device))
        return self

    def _check(self) -> None:
        parse(self.augmentations)
        for option, most in (("depths", len(CHANNELS)), ("grid", 4)):
            value = getattr(self, option)
            if not isinstance(value, int | np.integer) or not 1 <= value <= most:
                raise OptionError(f"{option} must be a whole number from 1 to {most}, got {value!r}.")
        if not isinstance(self.image_size, int | np.integer) or not SMALLEST_SIDE <= self.image_size <= 1024:
            raise OptionError(f"image_size must be a whole number from {SMALLEST_SIDE} to 1024, got "
                              f"{self.image_size!r}.")
        if not isinstance(self.steps, int | np.integer) or self.steps < 0:
            raise OptionError(f"steps must be a whole number of 0 or more, got {self.steps!r}.")
        if not 0 <= self.outlier_share <= 0.5:
            raise OptionError(f"outlier_share must be from 0 to 0.5, got {self.outlier_share!r}.")

    def _build(self, shape: tuple[int, ...]) -> None:
        self.shape_ = shape
        self.side_ = max(SMALLEST_SIDE, min(max(shape[:2]), int(self.image_size)))
        transforms = parse(self.augmentations)
        self.network_ = seeded(lambda: Network(shape[2], transforms, self.random_state), self.random_state)

    def _small(self, pixels: Pixels) -> Pixels:
        """(m, side, side, channels) uint8: squares, so that they can be rotated."""
        if pixels.shape[1:3] == (self.side_, self.side_):
            return np.array(pixels)
        images = functional.interpolate(as_batch(torch.from_numpy(np.array(pixels))), size=(self.side_,) * 2,
                                        mode="bilinear", antialias=True, align_corners=False)
        return np.asarray(images.mul(255).round().clamp(0, 255).byte().permute(0, 2, 3, 1).contiguous().numpy())

    def _surprise(self, means: list[list[Tensor]]) -> Tensor:
        """(m,) the mean over the transforms of the cross-entropy of the answer, in nats."""
        logs = [self.network_.answer(each[-1]).log_softmax(1)[:, way] for way, each in enumerate(means)]
        return -torch.stack(logs, 1).mean(1)

    def _presumed_outliers(self, pixels: Pixels) -> Bools:
        """(n,) which images look the oddest by the directions of their edges: ``outlier_share`` of them all."""
        outliers = np.zeros(len(pixels), bool)
        count = int(self.outlier_share * len(pixels))
        if count and self.steps:
            outliers[np.argsort(oddness(self._edges(pixels), self.random_state), kind="stable")[-count:]] = True
        return outliers

    def _edges(self, pixels: Pixels) -> NDArray[np.float32]:
        """(n, features) histograms of the directions of the edges in 4 x 4 cells."""
        parts = [histograms(self._small(pixels[start : start + BATCH]), DIRECTIONS, self.side_ // CELLS)
                 for start in range(0, len(pixels), BATCH)]
        return np.concatenate(parts).astype(np.float32)


def oddness(rows: NDArray[np.float32], random_state: int) -> Doubles:
    """(n,) the squared distance to about the 50th neighbour, among at most 5,000 rows drawn at random."""
    rows = rows - rows.mean(0)
    chosen = np.random.default_rng(random_state).permutation(len(rows))[:COMPARED_IMAGES]
    index = faiss.IndexFlatL2(rows.shape[1])
    index.add(rows[chosen])
    # One more than asked for: nearly always a row is its own nearest.
    k = min(neighbour_count(len(chosen), unimodality(rows)) + 1, len(chosen))
    with one_faiss_thread():
        return np.asarray(index.search(rows, k)[0][:, -1], np.float64)


def pooled(layer: Tensor, grid: int = 1) -> Tensor:
    """(n, channels * grid^2) the mean of each channel over the picture, or over grid x grid parts of it."""
    return layer.mean((2, 3)) if grid == 1 else functional.adaptive_avg_pool2d(layer, grid).flatten(1)
