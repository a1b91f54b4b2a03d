"""A small network that learns to find what was altered on purpose; what it then sees at each place is the features.

What is odd in a photograph is often a piece that does not belong: a blob, a cut, another grain. Nobody says what it
looks like, but pictures of the collection itself can be altered in many ways, and a network that sees some 50 pixels
at once learns to tell altered places from untouched ones. It learns what fits together in these pictures: how an edge
goes on, how grain meets grain. Its answers are good only for alterations like those that it saw; its features serve for
others too, so they are what is given, for detectors that find the places where they are unusual. Where in a picture it
is odd the answers say as well as these do, and both together say it better.

Odd images are shown as untouched ones too. They are few, and the steps are far fewer than it takes to learn them by
heart: so many an image, and never more than a fixed number, however large the collection is. Rough grain takes long to
learn; the longer, the more the last layer sees the alterations alone, so an earlier one stands beside it. Where all
pictures show the same in the same frame, what belongs to a place is seen by comparing them, and the more they do the
fewer steps are taken (docs/lab/maps.md).

Li, Sohn, Yoon, Pfister, *CutPaste: self-supervised learning for anomaly detection and localization*, 2021; Zavrtanik,
Kristan, Skocaj, *DRAEM*, 2021 (an answer for each place).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn
from torch.nn import functional

from oddlens.arrays import allocate
from oddlens.errors import OptionError
from oddlens.learning.alterations import altered
from oddlens.learning.devices import at_once, computing_on, encoding_device
from oddlens.learning.network_state import load_weights, network_state
from oddlens.learning.saved_state import check_images, refusing, saved_shape
from oddlens.learning.training import Halves, as_batch, filled, one_thread, seeded, train
from oddlens.options import require_numbers
from oddlens.progress import advance
from oddlens.protocols import Encoded, Pixels, State
from oddlens.scoring.structure import alignment

CHANNELS = (16, 24, 32, 32, 32)  # channels, filter sides, strides and dilations of the five layers
FILTERS = (5, 3, 3, 3, 3)
STRIDES = (2, 1, 2, 1, 1)
DILATIONS = (1, 1, 1, 1, 4)
SEEN = (2, 4)  # the layers whose answers are the features
FEATURES = sum(CHANNELS[layer] for layer in SEEN)
STRIDE = 4  # pixels from one place of these to the next
SMALLEST_SIDE = 8  # pixels
PLACES = 32  # along the longer side, about
CUT = 64  # pixels a side of the pieces that are learned from
STEPS_AN_IMAGE, FEWEST_STEPS = 10, 300  # mini-batches
UNTOUCHED = 0.25  # of the pieces
FAINTEST, CERTAIN = 0.005, 0.02  # a change of the mean pixel of a place up to which it is none, from which it is one
LEARNED_IMAGES = 400  # that the features' middle and scale are taken from, and whether they share a frame
LEAST_SCALE = 0.01
BATCH = 16


class Network(nn.Module):
    """Five convolutions, and an answer at each place. In training: the loss of telling altered places from others."""

    def __init__(self, channels: int, random_state: int = 0, side: int = 1) -> None:
        super().__init__()
        self.side = side
        blocks = []
        layers = zip(pairwise((channels, *CHANNELS)), FILTERS, STRIDES, DILATIONS, strict=True)
        for (before, after), size, stride, dilation in layers:
            layer = nn.Conv2d(before, after, size, stride, size // 2 * dilation, dilation, bias=False)
            blocks.append(nn.Sequential(layer, nn.BatchNorm2d(after), nn.ReLU()))
        self.blocks = nn.Sequential(*blocks)
        self.answer = nn.Conv2d(CHANNELS[-1], 1, 1)
        self.draws = np.random.default_rng(random_state)

    def layers(self, images: Tensor) -> list[Tensor]:
        """What each layer makes of shrunk images in 0..1, (n, its channels, rows, columns)."""
        made = [(4 * (images - 0.5)).contiguous(memory_format=torch.channels_last)]
        for block in self.blocks:
            made.append(block(made[-1]))
        return made[1:]

    def shrunk(self, images: Tensor) -> Tensor:
        """Images, ``side`` pixels a side averaged to one."""
        return functional.avg_pool2d(images, self.side, ceil_mode=True) if self.side > 1 else images

    def features(self, images: Tensor) -> Tensor:
        """(n, 64, rows, columns) what the third and the last layer make of images in 0..1."""
        made = self.layers(self.shrunk(images))
        return torch.cat([made[layer] for layer in SEEN], 1)

    def answers(self, images: Tensor) -> Tensor:
        """(n, rows, columns) the log odds that each place of images in 0..1 was altered."""
        found: Tensor = self.answer(self.layers(self.shrunk(images))[-1])[:, 0]
        return found

    def forward(self, batch: Tensor) -> Tensor:
        """The mean cross-entropy of the answers, altered places and others counting equally."""
        pieces = self._cut(self.shrunk(batch))
        shown = altered(pieces, self.draws)
        shown[: round(UNTOUCHED * len(shown))] = pieces[: round(UNTOUCHED * len(shown))]
        change = functional.avg_pool2d((shown - pieces).abs().amax(1, keepdim=True), STRIDE, ceil_mode=True)
        yes, no = (change > CERTAIN).float(), (change <= FAINTEST).float()  # between these it is not asked
        answers = self.answer(self.layers(shown)[-1])
        wrong = functional.softplus(-answers) * yes / yes.sum().clamp_min(1)
        alarm = functional.softplus(answers) * no / no.sum().clamp_min(1)
        loss: Tensor = (wrong.sum() + alarm.sum()) / 2
        return loss

    def _cut(self, images: Tensor) -> Tensor:
        height, width = images.shape[2:]
        tall, wide = min(CUT, height), min(CUT, width)
        tops, lefts = (self.draws.integers(0, size, len(images)) for size in (height - tall + 1, width - wide + 1))
        return torch.stack([image[:, top : top + tall, left : left + wide]
                            for image, top, left in zip(images, tops, lefts, strict=True)])


class Alterations(BaseEstimator):
    """Learns to tell places that were altered on purpose from untouched ones; gives what it sees at each place.

    steps:          mini-batches to train for, at most: ten an image; the fewer the more the pictures share a frame, in
                    proportion; 300 at least.
    batch_size:     images in a mini-batch.
    learning_rate:  Adam's step size.
    device:         where features are computed: "auto" (a GPU if there is one), "cpu", "cuda", "cuda:1". It learns on
                    the processor.
    random_state:   fixes the first weights, the order of the images and the alterations.

    Each place is four pixels a side; what is seen there reaches some 25 pixels beyond. Images with many more than 128
    pixels on the longer side are averaged down to about as many. It learns on two threads, half of each mini-batch on
    each, and encodes on one: the same features on any machine with the same libraries; on a GPU the last digits are
    others. Maps are in half precision.

    Fitted: ``alignment_``, 0 to 1, how far the pictures share a frame; ``losses_``, the mean training loss of each 100
    steps; ``shape_``, (height, width, channels); ``middle_`` and ``scale_``, (64,), of each feature.

    >>> images = np.random.default_rng(0).integers(0, 256, (20, 32, 32, 1), dtype=np.uint8)
    >>> Alterations(steps=2).fit(images).encode(images, frozenset({"maps"})).maps.shape
    (20, 8, 8, 64)
    """

    gives = frozenset({"maps"})
    looks_at = "what a network that finds altered places learned, place by place"
    sees_detail = True

    def __init__(
        self, steps: int = 1200, batch_size: int = 32, learning_rate: float = 0.003, device: str = "auto",
        random_state: int = 0,
    ) -> None:
        self.steps = steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.device = device
        self.random_state = random_state

    def fit(self, pixels: Pixels) -> Self:
        """Learn from (n, height, width, channels) uint8."""
        require_numbers(self)
        device = encoding_device(self.device)  # what is no device is refused now
        self._build(tuple(pixels.shape[1:]))
        some = np.sort(np.random.default_rng(self.random_state).permutation(len(pixels))[:LEARNED_IMAGES])
        self.alignment_ = self._alignment(pixels, some)
        steps = self.steps_for(len(pixels), self.alignment_)
        second = seeded(lambda: Network(pixels.shape[3], self.random_state + 1, self.side()), 0)
        with one_thread(), Halves(self.network_, second) as halves:
            self.losses_ = train(
                self.network_, pixels, steps=steps, batch_size=self.batch_size, learning_rate=self.learning_rate,
                random_state=self.random_state, device=torch.device("cpu"), learn=halves.learn)
            with torch.inference_mode():
                seen = torch.cat([self._places(batch) for batch in _batches(pixels, some)]).flatten(0, 2).double()
        self.middle_, self.scale_ = seen.mean(0).float(), seen.std(0).clamp_min(LEAST_SCALE).float()
        self.network_.to(device)
        return self

    def steps_for(self, count: int, alignment: float) -> int:
        """How many mini-batches it takes to learn from so many pictures that share a frame so far."""
        most = round(self.steps * (1 - alignment))
        return min(self.steps, max(FEWEST_STEPS, min(most, STEPS_AN_IMAGE * count)))

    def encode(self, pixels: Pixels, needs: frozenset[str]) -> Encoded:
        """The maps, (n, rows, columns, 64) float16."""
        check_is_fitted(self, "losses_")
        check_images(pixels, self.shape_)
        if "maps" not in needs:
            return Encoded()
        maps = allocate((len(pixels), *self._grid(), FEATURES), np.float16)
        device = next(self.network_.parameters()).device
        middle, scale, size = self.middle_.to(device), self.scale_.to(device), at_once(device, BATCH)
        with torch.inference_mode(), one_thread(), computing_on(device):
            for start in range(0, len(pixels), size):
                rows = slice(start, min(start + size, len(pixels)))
                found = (self._places(filled(pixels[rows], size, device)) - middle) / scale
                maps[rows] = found[: rows.stop - start].half().cpu().numpy()
                advance("encoding", rows.stop, len(pixels))
        return Encoded(maps=maps)

    def tell_places(self, pixels: Pixels) -> NDArray[np.float32]:
        """(m, rows, columns) the network's answers: the log odds that each place of images was altered."""
        check_is_fitted(self, "losses_")
        check_images(pixels, self.shape_)
        found = np.empty((len(pixels), *self._grid()), np.float32)
        device = next(self.network_.parameters()).device
        with torch.inference_mode(), one_thread(), computing_on(device):
            for start in range(0, len(pixels), BATCH):
                rows = slice(start, min(start + BATCH, len(pixels)))
                answers = self.network_.answers(filled(pixels[rows], BATCH, device))
                found[rows] = answers[: rows.stop - start].cpu().numpy()
        return found

    def get_state(self) -> State:
        """The weights, the image shape, the training loss, and the features' middle and scale."""
        check_is_fitted(self, "losses_")
        return {**network_state(self.network_, self.shape_, self.losses_), "middle": self.middle_.numpy(),
                "scale": self.scale_.numpy()}

    def set_state(self, state: State) -> Self:
        """Take back what ``get_state`` gave."""
        with refusing("alterations"):
            self._build(saved_shape(state))
            self.losses_ = load_weights(self.network_, state)
            middle, scale = state["middle"], state["scale"]
            for array in (middle, scale):
                if array.shape != (FEATURES,) or array.dtype != np.float32 or not np.isfinite(array).all():
                    raise ValueError(f"a middle and scale of {middle.shape} and {scale.shape}")
            if (scale < np.float32(LEAST_SCALE)).any():
                raise ValueError("a scale that no feature has")
        self.middle_, self.scale_ = torch.from_numpy(np.array(middle)), torch.from_numpy(np.array(scale))
        self.network_.to(encoding_device(self.device))
        return self

    def _build(self, shape: tuple[int, ...]) -> None:
        if min(shape[:2]) < SMALLEST_SIDE:
            raise OptionError(f"Alterations needs images of {SMALLEST_SIDE} pixels or more a side, got {shape[:2]}: "
                              "a larger size (image_size, detail), or another encoder.")
        self.shape_ = shape
        self.network_ = seeded(lambda: Network(shape[2], self.random_state, self.side()), self.random_state)

    def _alignment(self, pixels: Pixels, some: NDArray[np.intp]) -> float:
        """How far some of the pictures show the same thing in the same frame, by how light each place is."""
        light = torch.cat([functional.avg_pool2d(batch, STRIDE * self.side(), ceil_mode=True)
                           for batch in _batches(pixels, some)])
        return alignment(light.permute(0, 2, 3, 1).half().numpy())

    def _places(self, images: Tensor) -> Tensor:
        """(n, rows, columns, 64) the features."""
        return self.network_.features(images).permute(0, 2, 3, 1)

    def side(self) -> int:
        """How many pixels, along each side, are averaged to one: about 128 are left on the longer side."""
        return max(1, min(round(max(self.shape_[:2]) / STRIDE / PLACES), min(self.shape_[:2]) // SMALLEST_SIDE))

    def _grid(self) -> tuple[int, int]:
        rows, columns = (math.ceil(math.ceil(size / self.side()) / STRIDE) for size in self.shape_[:2])
        return rows, columns


def _batches(pixels: Pixels, some: NDArray[np.intp]) -> Iterator[Tensor]:
    """The images of some rows, as many at a time as are encoded at once."""
    for at in range(0, len(some), BATCH):
        yield as_batch(torch.from_numpy(np.array(pixels[some[at : at + BATCH]])))
