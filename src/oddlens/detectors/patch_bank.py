"""A bank of places of other pictures: an image is strange where a place has no like in most of them.

In pictures that do not show the same thing in the same frame (pieces of a surface, parts as they lie) a place is to be
compared with all places, wherever they are. So places of some of the images are kept, and each of these images is
asked for its place that is most like the one in question. An odd image in the bank knows odd places, and would excuse
others of its kind; but it is one among many that are asked, and only the answers of the images that know the place
best count, fewer than a half: what most images have something like is usual. Nobody is asked about himself.

Li et al., *MuSc: zero-shot industrial anomaly classification and segmentation with mutual scoring of the unlabeled
images*, 2024 (asking all others, the least similar part of the answers dropped); Roth et al., *Towards total recall in
industrial anomaly detection* (PatchCore), 2022 (a bank of places of bounded size).
"""

from __future__ import annotations

from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from oddlens.errors import OptionError, SavedModelError
from oddlens.learning.training import one_thread
from oddlens.options import require_numbers
from oddlens.progress import advance
from oddlens.protocols import Encoded, State
from oddlens.scoring.place_scores import ScoredByPlaces, checked_maps, strangest

MOST_PLACES = 200_000  # that a bank may hold: every place of every image is compared with each


class PatchBank(ScoredByPlaces, BaseEstimator):
    """Scores an image by how far its strangest places lie from the nearest places of other images.

    bank:          how many places are kept, of all images that are asked together: the cost is in proportion.
    images:        how many images are asked, at most.
    answers:       the share of them, those that know a place best, whose answers are averaged.
    share:         of the places of an image, the strangest, whose mean is its score.
    random_state:  which images and places are kept.

    Fitted: ``bank_``, (images asked, places of each, d) float32; ``asked_``, their rows among the fitted images;
    ``own_``, (n,) float64, each fitted image judged by the others; ``own_places_``, (n, rows, columns) float32, where
    (not saved).

    >>> rng = np.random.default_rng(0)
    >>> maps = rng.normal(size=(40, 6, 6, 3)).astype(np.float16)
    >>> maps[7, 2, 3] = 9
    >>> detector = PatchBank().fit(Encoded(maps=maps))
    >>> int(detector.score_own().argmax()), np.unravel_index(detector.own_places_[7].argmax(), (6, 6))
    (7, (np.int64(2), np.int64(3)))
    """

    needs = frozenset({"maps"})
    judges = "place by place, wherever they are"
    seeks = "images in which some places look like no place of most others"

    def __init__(
        self, bank: int = 12_000, images: int = 50, answers: float = 0.3, share: float = 0.02, random_state: int = 0
    ) -> None:
        self.bank = bank
        self.images = images
        self.answers = answers
        self.share = share
        self.random_state = random_state

    def fit(self, encoded: Encoded) -> Self:
        """Keep some places of (n, rows, columns, d) maps, and score each image by the others."""
        require_numbers(self)
        self._check()
        maps = checked_maps(encoded, self)
        n, rows, columns, d = maps.shape
        if n < 2:
            raise OptionError(f"PatchBank needs 2 images or more, got {n}.")
        rng = np.random.default_rng(self.random_state)
        self.grid_ = (rows, columns)
        self.asked_ = np.sort(rng.permutation(n)[: self.images]).astype(np.int64)
        count = max(1, min(rows * columns, self.bank // len(self.asked_)))
        self.bank_ = np.empty((len(self.asked_), count, d), np.float32)
        for number, row in enumerate(self.asked_):  # other places of each: together they cover the picture
            self.bank_[number] = maps[row].reshape(-1, d)[np.sort(rng.permutation(rows * columns)[:count])]
        places = np.empty((n, rows * columns), np.float32)
        where = {int(row): number for number, row in enumerate(self.asked_)}
        with torch.inference_mode(), one_thread():
            bank, squares = self._prepared()
            for row in range(n):
                places[row] = self._judged(maps[row], bank, squares, where.get(row))
                advance("scoring", row + 1, n)
        self.own_places_ = places.reshape(n, rows, columns)
        self.own_ = strangest(places, self.share)
        return self

    def places_new(self, encoded: Encoded) -> NDArray[np.float32]:
        """(m, rows, columns) how strange each place of other images is."""
        check_is_fitted(self, "own_")
        maps = checked_maps(encoded, self)
        if maps.shape[1:] != (*self.grid_, self.bank_.shape[2]):
            raise OptionError(f"PatchBank was fitted to maps of {(*self.grid_, self.bank_.shape[2])}, got "
                              f"{maps.shape[1:]}.")
        found = np.empty((len(maps), self.grid_[0] * self.grid_[1]), np.float32)
        with torch.inference_mode(), one_thread():
            bank, squares = self._prepared()
            for number, image in enumerate(maps):  # one at a time: rounding does not depend on the others
                found[number] = self._judged(image, bank, squares, None)
                advance("scoring", number + 1, len(maps))
        return found.reshape(-1, *self.grid_)

    def get_state(self) -> State:
        """The bank, whose places they are, and the fitted images' scores."""
        check_is_fitted(self, "own_")
        return {"bank": self.bank_, "asked": self.asked_, "own": self.own_, "grid": np.array(self.grid_)}

    def set_state(self, state: State) -> Self:
        """Take back what ``get_state`` gave."""
        types = {"bank": "<f4", "asked": "<i8", "own": "<f8", "grid": "<i8"}
        wrong = [name for name, type_ in types.items() if name not in state or state[name].dtype.str != type_]
        if wrong:
            raise SavedModelError(f"The saved bank of places lacks {', '.join(wrong)}, or holds them in another type.")
        bank, asked, own, grid = (state[name] for name in types)
        if (bank.ndim != 3 or 0 in bank.shape or asked.shape != bank.shape[:1] or own.ndim != 1 or grid.shape != (2,)
                or (grid < 1).any() or (grid > MOST_PLACES).any() or bank.shape[1] > int(grid[0]) * int(grid[1])):
            raise SavedModelError(f"The saved bank of places holds {bank.shape} places of {asked.shape} images and a "
                                  f"grid of {grid.tolist()}, which do not fit each other.")
        if not np.isfinite(bank).all() or not np.isfinite(own).all():
            raise SavedModelError("The saved bank of places holds numbers that are not finite.")
        self.bank_, self.asked_, self.own_ = np.array(bank), asked, own
        self.grid_, self.own_places_ = (int(grid[0]), int(grid[1])), None
        return self

    def _check(self) -> None:
        for name, most in (("bank", MOST_PLACES), ("images", MOST_PLACES)):
            value = getattr(self, name)
            if not isinstance(value, int | np.integer) or not 1 <= value <= most:
                raise OptionError(f"{name} must be a whole number from 1 to {most}, got {value!r}.")
        for name in ("answers", "share"):
            if not 0 < getattr(self, name) <= 1:
                raise OptionError(f"{name} must be above 0 and at most 1, got {getattr(self, name)!r}.")

    def _prepared(self) -> tuple[Tensor, Tensor]:
        """The bank as (all its places, d), and half the square of each."""
        bank = torch.from_numpy(self.bank_).flatten(0, 1)
        return bank, bank.square().sum(1) / 2

    def _judged(
        self, image: NDArray[np.float16], bank: Tensor, squares: Tensor, itself: int | None
    ) -> NDArray[np.float32]:
        """(places,) how strange each place of one image is; ``itself``: its number among those asked, who is not."""
        places = torch.from_numpy(image.astype(np.float32)).flatten(0, 1)
        likeness = torch.addmm(squares, places, bank.T, beta=-1)  # less half the square of the place: the same for all
        best = likeness.reshape(len(places), *self.bank_.shape[:2]).amax(2)
        if itself is not None:
            best = torch.cat([best[:, :itself], best[:, itself + 1 :]], 1)
        away = (places.square().sum(1, keepdim=True) - 2 * best).clamp_min(0).sqrt()
        count = max(1, round(self.answers * away.shape[1]))
        return torch.topk(away, count, dim=1, largest=False)[0].mean(1).numpy()
