"""Which images look like the others only once they are rotated or mirrored.

A small network learns without labels which of an image's eight orientations is the one that it came in: it gives each
orientation a number, and the softmax over the eight is trained to point at the first. For an image held out from its
training, it then says how much likelier another orientation would be: the log odds. Where images have no upright
orientation, or lie anyhow, none is likelier and no odds are large.

An image is described by histograms of the directions of its edges in 4 x 4 cells. Rotated by a quarter or mirrored, the
same histograms come in another order, so the eight orientations cost one description.

Dalal, Triggs, *Histograms of oriented gradients for human detection*, 2005; Gidaris, Singh, Komodakis, *Unsupervised
representation learning by predicting image rotations*, 2018; Guo, Pleiss, Sun, Weinberger, *On calibration of modern
neural networks*, 2017 (the scale of the odds).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import faiss
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp
from torch.nn import functional

from oddlens.explaining.image_measures import resized
from oddlens.learning.adam import Adam
from oddlens.learning.training import one_thread
from oddlens.progress import advance
from oddlens.protocols import Doubles

SIDE, CELLS, DIRECTIONS = 28, 4, 8
FEATURES = CELLS * CELLS * DIRECTIONS
MOST_LEARNED = 5000  # images, spread over the collection, that are learned from and compared with
FEWEST_LEARNED = 100  # images; from fewer, which way is up cannot be learned
FOLDS, HIDDEN = 4, 64  # networks, each with one fold held out, and the hidden nodes of each
EPOCHS, FEWEST_STEPS, BATCH = 20, 300, 128  # epochs of training, but at least so many steps, of so many images
LEARNING_RATE, WEIGHT_DECAY = 2e-3, 1e-3
BRIEF_FOLDS, BRIEF_FACTOR = 2, 3  # networks where learning is to be brief, in so many times fewer and longer steps
MIDDLE, SPREAD = 0.07, 0.1  # about the mean and the standard deviation of a feature
# The neighbour whose distance counts: with the first, a few images rotated alike would make each other look ordinary.
NEIGHBOUR_RANK = 5
LOOKUP_LOG_ODDS = 2.0  # log odds above which an image's neighbours are looked up
BATCH_IMAGES = 2048  # images that are judged at a time
LOOKED_UP = 32_768  # images whose neighbours are looked up at a time
#: What is done to an image, and its name: quarter turns anticlockwise, and whether it is mirrored first.
ROTATIONS = (
    (0, False, "as it is"), (1, False, "turned a quarter to the left"), (2, False, "turned upside down"),
    (3, False, "turned a quarter to the right"), (0, True, "mirrored left to right"),
    (1, True, "mirrored and turned a quarter to the left"), (2, True, "mirrored top to bottom"),
    (3, True, "mirrored and turned a quarter to the right"),
)


class Features(Protocol):
    """(m, 128) features of images, in memory or wherever they are taken from when they are asked for."""

    def __len__(self) -> int:
        """How many images there are."""

    def __getitem__(self, which: slice | NDArray[np.integer[Any]]) -> NDArray[np.float32]:
        """Those of some."""


@dataclass(frozen=True)
class Rotated:
    """How each of m images would lie best.

    odds:   the log odds of the best of the seven other orientations against the one it came in.
    turn:   that orientation, a place in ROTATIONS.
    gain:   the log of its distance to its 5th neighbour as it lies over that once rotated; 0 where not looked up.
    """

    odds: Doubles
    turn: NDArray[np.int64]
    gain: Doubles


def directions(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    """(m, 128) of (m, height, width) greys: the square roots of the shares of the directions in each cell."""
    images = np.pad(resized(grey, SIDE), ((0, 0), (1, 1), (1, 1)), "edge")
    down, across = images[:, 2:, 1:-1] - images[:, :-2, 1:-1], images[:, 1:-1, 2:] - images[:, 1:-1, :-2]
    strength = np.hypot(down, across)
    place = np.arctan2(down, across) * np.float32(DIRECTIONS / np.pi)  # -8 to 8: directions that differ by pi are one
    lower = np.floor(place)
    upper_part = place - lower
    pool = _pool()
    cells = np.empty((len(grey), CELLS, CELLS, DIRECTIONS), np.float32)
    number = lower.astype(np.int64)
    first, second = number % DIRECTIONS, (number + 1) % DIRECTIONS
    for direction in range(DIRECTIONS):
        part = np.where(first == direction, 1 - upper_part, 0) + np.where(second == direction, upper_part, 0)
        cells[..., direction] = np.matmul(np.matmul(pool, strength * part.astype(np.float32)), pool.T)
    rows = cells.reshape(len(grey), -1)
    total = rows.sum(1, keepdims=True)
    return np.sqrt(rows / np.where(total > 1, total, np.inf))


def turns() -> NDArray[np.int64]:
    """(8, 128) where in an image's features those of the turned image stand, for each of ROTATIONS."""
    places = np.arange(FEATURES).reshape(CELLS, CELLS, DIRECTIONS)
    return np.stack([_turned(places, quarters, mirrored).ravel() for quarters, mirrored, _ in ROTATIONS])


class Uprightness:
    """What networks (folds, FEATURES * HIDDEN + 2 * HIDDEN) say of images, and (r, 128) features of fitted ``rows``."""

    def __init__(self, nets: NDArray[np.float32], features: NDArray[np.float32], rows: NDArray[np.int64]) -> None:
        self.nets, self.features, self.rows = nets, features, rows
        self.turns = turns()

    def judge(self, features: Features, own: NDArray[np.int64] | None = None) -> Rotated:
        """Of (m, 128) features; ``own`` says which fitted images they are: the network not trained on one judges it."""
        m = len(features)
        found = Rotated(np.zeros(m), np.zeros(m, np.int64), np.zeros(m))
        if not len(self.nets):
            return found
        fold = np.full(m, -1) if own is None else self._folds(own)
        for start in range(0, m, BATCH_IMAGES):
            part = slice(start, min(start + BATCH_IMAGES, m))
            ways = self._ways(features[part], fold[part])
            found.turn[part] = ways[:, 1:].argmax(1) + 1
            found.odds[part] = ways[:, 1:].max(1) - ways[:, 0]
        asked = np.flatnonzero(found.odds > LOOKUP_LOG_ODDS)
        for start in range(0, len(asked), LOOKED_UP):
            some = asked[start : start + LOOKED_UP]
            lying_so, itself = features[some], None if own is None else own[some]
            turned = self._nearest(np.take_along_axis(lying_so, self.turns[found.turn[some]], 1), itself)
            found.gain[some] = np.log((self._nearest(lying_so, itself) + 1e-3) / (turned + 1e-3))
        return found

    def _folds(self, own: NDArray[np.int64]) -> NDArray[np.int64]:
        """(m,) which network was not trained on an image; -1: none of them was."""
        place = np.minimum(np.searchsorted(self.rows, own), len(self.rows) - 1)
        return np.where(self.rows[place] == own, folds(len(self.rows), len(self.nets))[place], -1)

    def _ways(self, features: NDArray[np.float32], fold: NDArray[np.int64]) -> Doubles:
        """(m, 8) the log likelihood of each orientation, up to a constant for each image."""
        rows = ((features - MIDDLE) / SPREAD)[:, self.turns].reshape(-1, FEATURES)
        sums = np.zeros((len(features), len(ROTATIONS)))
        for number, net in enumerate(self.nets):
            inner, bias, outer = np.split(net, [FEATURES * HIDDEN, FEATURES * HIDDEN + HIDDEN])
            says = np.maximum(rows @ inner.reshape(FEATURES, HIDDEN) + bias, 0) @ outer
            weight = np.where(fold == -1, 1 / len(self.nets), fold == number)
            sums += says.reshape(sums.shape) * weight[:, None]
        return sums

    def _nearest(self, features: NDArray[np.float32], own: NDArray[np.int64] | None) -> Doubles:
        """(m,) distances to the 5th fitted neighbour, the image itself left out."""
        index = faiss.IndexFlatL2(FEATURES)
        index.add(np.ascontiguousarray(self.features))
        squares, found = index.search(np.ascontiguousarray(features), NEIGHBOUR_RANK + 1)
        images, squares = self.rows[found], np.maximum(squares, 0).astype(np.float64)
        if own is not None:
            squares[images == own[:, None]] = np.inf
        return np.asarray(np.sqrt(np.sort(squares, axis=1)[:, NEIGHBOUR_RANK - 1]))


def learn(features: NDArray[np.float32], brief: bool = False) -> NDArray[np.float32]:
    """(folds, weights) networks that each learned from (r, 128) features but a fourth of them; none of few images.

    brief:  two networks, each from half of them, in a third of the steps: a fifth of the time, and somewhat less sure.

    Their scale is set so that on the images that they were not trained on the odds are as often right as they say.
    """
    count = BRIEF_FOLDS if brief else FOLDS
    width = FEATURES * HIDDEN + 2 * HIDDEN
    if len(features) < FEWEST_LEARNED:
        return np.zeros((0, width), np.float32)
    fold = folds(len(features), count)
    nets = np.empty((count, width), np.float32)
    for number in range(count):
        nets[number] = _learned(features[fold != number], number, BRIEF_FACTOR if brief else 1)
        advance("which way is up", number + 1, count)
    ways = Uprightness(nets, features, np.arange(len(features)))._ways(features, fold)
    scale = minimize_scalar(lambda s: float((logsumexp(s * ways, axis=1) - s * ways[:, 0]).mean()),
                            bounds=(0, 3), method="bounded").x
    nets[:, -HIDDEN:] *= np.float32(scale)
    return nets


def folds(images: int, count: int = FOLDS) -> NDArray[np.int64]:
    """(images,) which of ``count`` networks is not trained on each of the images learned from."""
    return np.random.default_rng(0).permutation(images) % count


def _learned(features: NDArray[np.float32], seed: int, factor: int = 1) -> NDArray[np.float32]:
    """One network's weights, learned in ``factor`` times fewer and longer steps.

    One thread and generators of its own: the same each time.
    """
    rate = LEARNING_RATE * factor
    draws = torch.Generator().manual_seed(seed)
    with one_thread():
        rows, ways = torch.from_numpy((features - np.float32(MIDDLE)) / np.float32(SPREAD)), torch.from_numpy(turns())
        inner = (torch.rand(FEATURES, HIDDEN, generator=draws) * 2 - 1) / FEATURES**0.5
        outer = (torch.rand(HIDDEN, generator=draws) * 2 - 1) / HIDDEN**0.5
        weights = [inner.requires_grad_(), torch.zeros(HIDDEN, requires_grad=True), outer.requires_grad_()]
        optimizer = Adam(weights, rate, WEIGHT_DECAY)
        steps = max(EPOCHS * len(rows) // BATCH, FEWEST_STEPS) // factor
        first = torch.zeros(BATCH, dtype=torch.long)
        for step in range(steps):
            batch = rows[torch.randint(len(rows), (BATCH,), generator=draws)][:, ways]  # (batch, 8, 128)
            says = torch.relu(batch @ weights[0] + weights[1]) @ weights[2]
            loss = functional.cross_entropy(says, first)
            optimizer.forget()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.learning_rate = rate * (1 - step / steps)
            optimizer.step()
        return torch.cat([weight.detach().ravel() for weight in weights]).numpy()


def reference(n: int) -> NDArray[np.int64]:
    """Which of n images the others are compared with: all, or 5,000 drawn at random, the same each time."""
    return np.sort(np.random.default_rng(0).permutation(n)[:MOST_LEARNED])


def lying(flat: NDArray[np.uint8], turn: NDArray[np.int64], layers: int) -> NDArray[np.uint8]:
    """(m, layers * side * side) small square pictures, each turned by its own place in ROTATIONS."""
    side = round((flat.shape[1] / layers) ** 0.5)
    pictures = flat.reshape(len(flat), layers, side, side).copy()
    for place, (quarters, mirrored, _) in enumerate(ROTATIONS):
        these = turn == place
        way = pictures[these][..., ::-1] if mirrored else pictures[these]
        pictures[these] = np.rot90(way, quarters, axes=(2, 3))
    return pictures.reshape(flat.shape)


def _turned(places: NDArray[np.int64], quarters: int, mirrored: bool) -> NDArray[np.int64]:
    """Features (cells, cells, directions) of an image mirrored left to right and turned anticlockwise."""
    if mirrored:
        places = places[:, ::-1][..., -np.arange(DIRECTIONS) % DIRECTIONS]
    for _ in range(quarters):
        places = np.rot90(places)[..., (np.arange(DIRECTIONS) + DIRECTIONS // 2) % DIRECTIONS]
    return places


def _pool() -> NDArray[np.float32]:
    """(cells, side) how much each row counts in each cell: fully at its centre, falling to 0 at the next one's."""
    width = SIDE / CELLS
    centres = (np.arange(CELLS) + 0.5) * width - 0.5
    return np.maximum(1 - np.abs(np.arange(SIDE) - centres[:, None]) / width, 0).astype(np.float32)
