"""A function, a torch network or a scikit-learn transformer of one's own, as an encoder.

Each gives an embedding. The images come in batches of one size, the last filled up, so that an image's features do not
depend on how many others there are; those of a network, on a CPU, on one thread. Nothing of them can be saved without
pickle, and is refused.
"""

from __future__ import annotations

import sys
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.utils.validation import check_is_fitted

from oddlens.adapters.seeding import seeded
from oddlens.arrays import allocate
from oddlens.errors import OptionError
from oddlens.learning.saved_state import check_images
from oddlens.progress import advance
from oddlens.protocols import Encoded, Pixels, State
from oddlens.scoring.features import all_finite

BATCH = 32


class OwnEncoder(BaseEstimator):
    """Gives what a function, a network or a transformer of one's own makes of the images.

    given:  one of

            a callable of a uint8 (b, height, width, 1 or 3) array, which gives (b, d) numbers;
            a ``torch.nn.Module``, which is asked, in its evaluation mode, about a float (b, 1 or 3, height, width)
            tensor in 0..1; of an output with places, (b, d, rows, columns), the mean over the places counts;
            a scikit-learn transformer, which is fitted to (n, height * width * channels) rows in 0..1.
    random_state:  the seed of a transformer that was given none.

    ``AnomalyModel(image_size=..., channels=...)`` says what the images are brought to before. Where places matter, or a
    network wants images normalised as ImageNet's, ``encoders.backbone.Backbone`` does more.

    >>> images = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 1), dtype=np.uint8)
    >>> means = OwnEncoder(lambda batch: batch.mean((1, 2))).fit(images)
    >>> means.encode(images, frozenset({"embedding"})).embedding.shape
    (20, 1)
    """

    gives = frozenset({"embedding"})

    def __init__(self, given: Any, random_state: int = 0) -> None:
        self.given = given
        self.random_state = random_state

    @property
    def called(self) -> str:
        """What it is called: a function's name, or a class."""
        name = getattr(self.given, "__name__", type(self.given).__name__)
        return name.lower() if name.isidentifier() else "function"

    @property
    def looks_at(self) -> str:
        """What it looks at, in words."""
        return f"what {self.called} makes of it"

    @property
    def unsavable(self) -> str:
        """Why a model with it is not saved."""
        return (f"{self.called} cannot be saved: it is an object of your own, which only pickle can save, and loading "
                "a pickle runs whatever code is in it. An encoder that is registered can be saved "
                "(docs/write-an-encoder.md).")

    def fit(self, pixels: Pixels) -> Self:
        """Fit the transformer to (n, height, width, channels) uint8; the others are taken as they are."""
        self.shape_ = tuple(pixels.shape[1:])
        self.fitted_ = self.given
        if is_transformer(self.given):
            self.fitted_ = seeded(clone(self.given), self.random_state)
            self.fitted_.fit(_rows(pixels))
        self.width_ = self._features(pixels[:BATCH]).shape[1]
        return self

    def encode(self, pixels: Pixels, needs: frozenset[str]) -> Encoded:
        """The embedding, (n, d)."""
        check_is_fitted(self, "width_")
        check_images(pixels, self.shape_)
        if "embedding" not in needs:
            return Encoded()
        embedding = allocate((len(pixels), self.width_), np.float32)
        for start in range(0, len(pixels), BATCH):
            rows = slice(start, min(start + BATCH, len(pixels)))
            embedding[rows] = self._features(pixels[rows])
            advance("encoding", rows.stop, len(pixels))
        return Encoded(embedding=embedding)

    def get_state(self) -> State:
        """Nothing: an object of another's is no arrays."""
        check_is_fitted(self, "width_")
        raise OptionError(self.unsavable)

    def set_state(self, state: State) -> Self:  # noqa: ARG002  there is none
        """Nothing: there is no state."""
        raise OptionError(self.unsavable)

    def _features(self, pixels: Pixels) -> NDArray[np.float32]:
        """(b, d) of up to ``BATCH`` images, filled up with blank ones so that the batch has always one size."""
        batch = np.zeros((BATCH, *pixels.shape[1:]), np.uint8)
        batch[: len(pixels)] = pixels
        if is_transformer(self.fitted_):
            given = self.fitted_.transform(_rows(batch))
        else:
            given = _asked(self.fitted_, batch) if _is_network(self.fitted_) else self.fitted_(batch)
        if _is_tensor(given):
            given = given.numpy(force=True)
        elif hasattr(given, "toarray"):  # a sparse matrix
            given = given.toarray()
        with np.errstate(over="ignore"):
            found = np.asarray(given, np.float32)
        if found.ndim < 2 or len(found) != BATCH or not found.size:
            raise OptionError(f"{self.called} was asked about {BATCH} images and gave an array of {found.shape}: it "
                              "has to give a row of numbers for each.")
        found = found[: len(pixels)].reshape(len(pixels), -1)
        if not all_finite(found):
            raise OptionError(f"{self.called} gave numbers that are not finite.")
        return found


def is_transformer(thing: object) -> bool:
    """Whether a thing is a transformer of scikit-learn's kind."""
    return all(hasattr(thing, name) for name in ("fit", "transform", "get_params")) and not isinstance(thing, type)


def _rows(pixels: Pixels) -> NDArray[np.float32]:
    """(n, height * width * channels) in 0..1."""
    return np.asarray(pixels.reshape(len(pixels), -1) / np.float32(255), np.float32)


def _is_network(thing: object) -> bool:
    torch = sys.modules.get("torch")  # who has a network has loaded torch
    return torch is not None and isinstance(thing, torch.nn.Module)


def _is_tensor(thing: object) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(thing, torch.Tensor)


def _asked(network: Any, batch: Pixels) -> Any:
    """(b, d) what a network gives, in its evaluation mode, where it is; it is left as it was."""
    import torch

    from oddlens.learning.training import as_batch, one_thread

    training = [module for module in network.modules() if module.training]
    network.eval()
    device = next((weight.device for weight in network.parameters()), torch.device("cpu"))
    try:
        with torch.inference_mode(), one_thread():
            given = network(as_batch(torch.from_numpy(batch)).to(device))
    finally:
        for module in training:
            module.training = True
    return given.mean((2, 3)) if _is_tensor(given) and given.ndim == 4 else given
