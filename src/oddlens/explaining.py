"""Why the images that stand out do: simple causes in words, where in the picture, what is ordinary, what is alike.

It is made for the images that a person will look at, not for all: what it costs grows with those. Everything is taken
from the fitted model and the pixels that it saw; features are asked for again, of the odd images and a sample of the
others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from oddlens.causes import Causes
from oddlens.decisions import Null, fit_null
from oddlens.evidence import heat_map, ordinary, overlay
from oddlens.groups import Groups, group_alike
from oddlens.model import AnomalyModel
from oddlens.pixels import Collection
from oddlens.protocols import Doubles, Reason
from oddlens.ranking import Ranking

ODD = 2000  # of the strangest images that are put in groups
SAMPLE = 5000  # ordinary images that are looked through for the nearest
NEAREST = 3  # of them that are shown
HEAT_SIDE = 160  # pixels on the longer side of a heat map


@dataclass(frozen=True, eq=False)
class Why:
    """Why one image is strange.

    reasons:    in words, the plainest first, with fitted images that show what is meant.
    nearest:    rows of the ordinary images that are most like it.
    heat:       the picture with the strange places coloured, uint8 (height, width, 3); None where nothing is to see.
    agreement:  column -> the share of ordinary images that would score as high by that view.
    """

    reasons: tuple[Reason, ...] = ()
    nearest: tuple[int, ...] = ()
    heat: NDArray[np.uint8] | None = None
    agreement: Mapping[str, float] | None = None


class Explainer:
    """Explains images that a model was fitted to.

    model:       fitted to ``collection``.
    collection:  the images as the model saw them.
    ranking:     what ``model.rank()`` gave.
    """

    def __init__(self, model: AnomalyModel, collection: Collection, ranking: Ranking) -> None:
        self.model, self.collection, self.ranking = model, collection, ranking
        self.causes = Causes().fit(collection.pixels, collection.shapes)

    @property
    def odd(self) -> NDArray[np.intp]:
        """Rows of the images to explain, the oddest first: the flagged ones and the strangest 20 in any case."""
        flagged = 0 if self.ranking.flagged is None else int(self.ranking.flagged.sum())
        return self.ranking.order()[: max(min(flagged, ODD), 20)]

    @cached_property
    def groups(self) -> Groups:
        """The odd images that are alike."""
        place = {int(row): at for at, row in enumerate(self._rows)}
        found = group_alike(self._features, np.array([place[int(row)] for row in self.odd]))
        return Groups(np.asarray(self.odd, np.int64), found.group, found.sizes, found.representatives, found.spacing)

    @property
    def group_of(self) -> dict[int, int]:
        """Row -> the number of its group, of the odd images."""
        return dict(zip(self.groups.rows.tolist(), self.groups.group.tolist(), strict=True))

    @property
    def leaders(self) -> list[int]:
        """The oddest image of each group, the oddest group first: one of each kind to look at."""
        first = np.unique(self.groups.group, return_index=True)[1]
        return [int(self.groups.rows[at]) for at in first]

    def measures(self) -> dict[str, Doubles]:
        """Columns of the table: what the causes rest on, and the number of each odd image's group, -1 for none."""
        columns = dict(self.causes.columns_)
        group = np.full(len(self.ranking), -1.0)
        group[self.groups.rows] = self.groups.group
        return {**columns, "group": group}

    def named(self) -> tuple[str, ...]:
        """(n,) the causes of each image by their short names, with commas."""
        found = [[] for _ in range(len(self.ranking))]  # type: list[list[str]]
        for cause, which in self.causes.kinds().items():
            for row in np.flatnonzero(which):
                found[int(row)].append(cause)
        return tuple(", ".join(causes) for causes in found)

    def why(self, row: int, heat: bool = True) -> Why:
        """Why a fitted image is strange; without a heat map, which costs 101 scorings, if so asked."""
        reasons = list(self.causes.named(row))
        if len(at := np.flatnonzero(self.groups.rows == row)):
            reasons += [reason for reason in [self.groups.reason(int(at[0]))] if reason is not None]
        return Why(tuple(reasons), self._nearest(row), self._heat(row) if heat else None,
                   {column: float(null.p_values(self.ranking.members[column][row : row + 1])[0])
                    for column, null in self._nulls.items()})

    @cached_property
    def _nulls(self) -> dict[str, Null]:
        return {column: fit_null(scores) for column, scores in self.ranking.members.items()}

    @cached_property
    def _rows(self) -> NDArray[np.int64]:
        """The odd rows and a sample of the others, in order."""
        others = np.setdiff1d(np.arange(len(self.ranking)), self.odd)
        sample = np.random.default_rng(0).permutation(others)[:SAMPLE]
        return np.sort(np.concatenate([self.odd, sample]).astype(np.int64))

    def embedding(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """(m, d) what the first encoder makes of some images, or their pixels where it gives no embedding."""
        pixels, encoder = self.collection.pixels[rows], self.model.encoder_
        if "embedding" in encoder.gives:
            found = encoder.encode(pixels, frozenset({"embedding"})).embedding
            if found is not None:
                return found
        return pixels.reshape(len(rows), -1).astype(np.float32)

    @cached_property
    def _features(self) -> NDArray[np.float32]:
        return self.embedding(self._rows)

    @cached_property
    def _references(self) -> NDArray[np.uint8]:
        return np.asarray(self.collection.pixels[ordinary(self.ranking.scores)])

    def _nearest(self, row: int) -> tuple[int, ...]:
        """Ordinary images most like one, by the first encoder's features."""
        at = int(np.searchsorted(self._rows, row))
        if at == len(self._rows) or self._rows[at] != row:
            return ()
        apart = np.square(self._features - self._features[at]).sum(1)
        apart[np.isin(self._rows, self.odd)] = np.inf
        found = np.argsort(apart, kind="stable")[:NEAREST]
        return tuple(int(self._rows[i]) for i in found if np.isfinite(apart[i]))

    def _heat(self, row: int) -> NDArray[np.uint8] | None:
        image = np.asarray(self.collection.pixels[row])
        references = self._references[(self._references != image).any((1, 2, 3))]
        if not len(references):
            return None
        found = heat_map(self.model.score_pixels, image, references)
        return overlay(image, found.heat, side=HEAT_SIDE) if found.fall > 0 else None
