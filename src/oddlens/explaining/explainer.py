"""Why the images that stand out do: simple causes in words, where in the picture, what is ordinary, what is alike.

It is made for the images that a person will look at, not for all: what it costs grows with those. Everything is taken
from the fitted model and the pixels that it saw; features are asked for again, of the odd images and of some ordinary
ones. New images are explained beside the fitted ones that the run remembers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oddlens.decisions import Null, fit_null
from oddlens.explaining.causes import Causes, parts_of
from oddlens.explaining.groups import Groups, group_alike
from oddlens.explaining.heatmap import WINDOWS, change, framed, ground_of, heat_map, ordinary, steepness
from oddlens.explaining.orientation import ROTATIONS
from oddlens.explaining.place_heat import heat_of_places
from oddlens.explaining.reference_images import Memory
from oddlens.model import AnomalyModel
from oddlens.pixels import Collection
from oddlens.protocols import Doubles, KnowsFitted, Pixels, Reason, ShowsPlaces, TellsPlaces, Why
from oddlens.ranking import Ranking

MOST_GROUPED = 2000  # strangest images that are grouped
SEARCHED_ORDINARY = 5000  # ordinary images that the nearest are searched among
SHOWN_NEAREST = 3  # nearest ordinary images that are shown
FAST_WINDOWS = 12  # windows that are tried for a heat map of a fast run
HEAT_SIDE = 160  # pixels on the longer side of a heat map
LEAST_RARITY = 1e-9  # below which a view counts no more

# The caption of a heat map, by what the image has at its peak.
PLACES = {"missing": "where it is strange: something is missing here that others have",
          "added": "where it is strange: something is here that others lack",
          "other": "where it is strange"}


class Explainer:
    """Explains images that a model was fitted to.

    model:       fitted to ``collection``.
    collection:  the images as the model saw them.
    ranking:     what ``model.rank()`` gave.
    parts:       what ``causes.parts_of`` gave of the images, where it is known already.
    causes:      of the images, where they are fitted to them already.
    embedded:    gives the first encoder's embedding of rows of the images, or None where it is not known any more.
    """

    remembered: Memory | None = None  # of the fitted images, where those to explain are others

    def __init__(
        self, model: AnomalyModel, collection: Collection, ranking: Ranking,
        parts: Mapping[str, NDArray[Any]] | None = None, causes: Causes | None = None,
        embedded: Callable[[NDArray[np.int64]], NDArray[np.float32] | None] = lambda rows: None,  # noqa: ARG005
    ) -> None:
        self.model, self.collection, self.ranking, self.embedded = model, collection, ranking, embedded
        self.columns: Mapping[str, Doubles]
        if causes is not None:
            self.causes, self.columns = causes, causes.columns_
        else:
            self.causes, self.columns = self._causes(parts or parts_of(collection.pixels, collection.shapes))

    def _causes(self, parts: Mapping[str, NDArray[Any]]) -> tuple[Causes, Mapping[str, Doubles]]:
        """The simple causes and the measures of the images to explain."""
        causes = Causes().fit_parts(parts, brief=self.fast)
        return causes, causes.columns_

    @property
    def fast(self) -> bool:
        """Whether to explain with less effort: for a model of the fast effort, beside which all else is much."""
        return self.model.effort == "fast"

    @property
    def odd(self) -> NDArray[np.intp]:
        """Rows of the images to explain, the oddest first: the flagged ones and the strangest 20 in any case."""
        flagged = 0 if self.ranking.flagged is None else int(self.ranking.flagged.sum())
        return self.ranking.order()[: max(min(flagged, MOST_GROUPED), 20)]

    @cached_property
    def groups(self) -> Groups:
        """The odd images that are alike."""
        odd = np.asarray(self.odd, np.int64)
        features = np.concatenate([self.embedding_of(odd), self._ordinary[1]])
        found = group_alike(features, np.arange(len(odd)))
        return Groups(odd, found.group, found.sizes, found.representatives, found.spacing)

    @property
    def group_of(self) -> dict[int, int]:
        """Row -> the number of its group, of the odd images."""
        return dict(zip(self.groups.rows.tolist(), self.groups.group.tolist(), strict=True))

    @property
    def leaders(self) -> list[int]:
        """The oddest image of each group, the oddest group first: one of each kind to look at."""
        first = np.unique(self.groups.group, return_index=True)[1]
        return [int(self.groups.rows[at]) for at in first]

    @property
    def fitted_names(self) -> Sequence[str]:
        """The names of the fitted images, that examples and partners are rows of."""
        return self.ranking.names

    def measures(self) -> dict[str, Doubles | tuple[str, ...]]:
        """Columns of the table: what the causes rest on, and the number of each odd image's group, -1 for none.

        ``copy_of``, ``near_duplicate_of`` and ``looks_like`` are names of fitted images: of an exact copy, of the
        nearest near duplicate, and of what an image looks like once it is ``turned``; empty where that is no cause.
        """
        masks = self.causes.masks(self.columns)
        partners = {"copy_of": ("copy_of", masks["copy"]), "near_duplicate_of": ("near_duplicate_of", masks["near"]),
                    "looks_like": ("rotation_partner", masks["rotated"] | masks["mirrored"])}
        named: dict[str, Doubles | tuple[str, ...]] = {
            column: tuple(self.fitted_names[int(row)] if is_named else "" for row, is_named in
                          zip(self.columns[pointer], which, strict=True))
            for column, (pointer, which) in partners.items()}
        named["turned"] = tuple(ROTATIONS[int(turn)][2] if like else "" for turn, like in
                                zip(self.columns["turn"], named["looks_like"], strict=True))
        group = np.full(len(self.ranking), -1.0)
        group[self.groups.rows] = self.groups.group
        numbers = {name: values for name, values in self.columns.items()
                   if name not in ("copy_of", "near_duplicate_of", "rotation_partner", "turn")}
        return {**numbers, **named, "group": group}

    def duplicate_groups(self) -> list[list[int]]:
        """Rows of the ranking that are exact or near copies of each other, the largest group first."""
        return self.causes.groups()

    def cause_names(self) -> tuple[str, ...]:
        """(n,) the causes of each image by their short names, separated by commas."""
        found = [[] for _ in range(len(self.ranking))]  # type: list[list[str]]
        for cause, which in self.causes.masks(self.columns).items():
            for row in np.flatnonzero(which):
                found[int(row)].append(cause)
        return tuple(", ".join(causes) for causes in found)

    def explained(self) -> Ranking:
        """The ranking with the causes of each image, and what they rest on as columns."""
        return replace(self.ranking, causes=self.cause_names(), measures={**self.ranking.measures, **self.measures()})

    def why(self, row: int) -> Why:
        """Why an image is strange, by 101 scorings for its heat map."""
        at = np.flatnonzero(self.groups.rows == row)
        return Why(self.reasons(row), self.groups.reason(int(at[0])) if len(at) else None, self._nearest(row),
                   *self.heat(row),
                   {column: float(null.p_values(self.ranking.members[column][row : row + 1])[0])
                    for column, null in self._nulls.items()})

    def reasons(self, row: int) -> tuple[Reason, ...]:
        """The simple causes of an image, in words."""
        return self.causes.named(row)

    def memory(self) -> Memory:
        """What is kept, so that new images can be explained beside these."""
        return Memory.of(self.causes, self.ranking.scores, self.collection.pixels)

    def embedding(self, pixels: Pixels) -> NDArray[np.float32]:
        """(m, d) what the first encoder makes of some images, or their pixels.

        Their pixels where it gives no embedding, or looks at images in more detail than these, the small copies.
        """
        encoder = self.model.encoder_
        if "embedding" in encoder.gives and self.model.sees_pixels(encoder):
            found = encoder.encode(pixels, frozenset({"embedding"})).embedding
            if found is not None:
                return found
        return pixels.reshape(len(pixels), -1).astype(np.float32)

    def embedding_of(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """(m, d) the same of rows of the images to explain, as it was found when they were read if that is known."""
        found = self.embedded(rows)
        return self.embedding(self.collection.pixels[rows]) if found is None else found

    @cached_property
    def _nulls(self) -> dict[str, Null]:
        return {column: fit_null(scores, freedom=self.model.freedom(column))
                for column, scores in self.model.own_.items()}

    @cached_property
    def _ordinary(self) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Fitted images to compare with, that are not among the odd ones: their rows and features."""
        others = np.setdiff1d(np.arange(len(self.ranking)), self.odd)
        rows = np.sort(np.random.default_rng(0).permutation(others)[:SEARCHED_ORDINARY]).astype(np.int64)
        if not len(rows):  # of so few images all are among the strangest
            return rows, self.embedding_of(np.array([0]))[:0]
        return rows, self.embedding_of(rows)

    @cached_property
    def _references(self) -> Pixels:
        """Ordinary images that parts of a strange one are exchanged with, to see where it is strange."""
        return np.asarray(self.collection.pixels[ordinary(self.ranking.scores)])

    @cached_property
    def _slopes(self) -> Doubles:
        """How steep these are, place by place."""
        return steepness(self._references)

    @cached_property
    def _ground(self) -> Doubles:
        """What most of their pixels are like."""
        return ground_of(self._references)

    def _nearest(self, row: int) -> tuple[int, ...]:
        """Ordinary images most like one, by the first encoder's features."""
        rows, features = self._ordinary
        if not len(rows):
            return ()
        apart = np.square(features - self.embedding_of(np.array([row]))).sum(1)
        if self.remembered is None:
            apart[rows == row] = np.inf  # itself
        found = np.argsort(apart, kind="stable")[:SHOWN_NEAREST]
        return tuple(int(rows[i]) for i in found if np.isfinite(apart[i]))

    def heat(self, row: int) -> tuple[Doubles | None, str]:
        """Where an image is strange, in the frame that it came in, and what it has there, in words; 101 scorings."""
        image = np.asarray(self.collection.pixels[row])
        others = (self._references != image).any((1, 2, 3))
        references = self._references[others]
        if not len(references):
            return None, PLACES["other"]
        heat = self._places(row)
        if heat is None:
            if isinstance(self.model.encoder_, KnowsFitted) or not self.model.judges_pixels:
                return None, PLACES["other"]  # none can judge the picture with parts exchanged
            found = heat_map(self.model.score_pixels, image, references,
                             FAST_WINDOWS if self.fast else WINDOWS)
            if found.fall <= 0:
                return None, PLACES["other"]
            heat = found.heat
        shape = self.collection.shapes[row].astype(float)
        height, width = (max(1, round(side)) for side in shape * (HEAT_SIDE / shape.max()))
        slopes, ground = (self._slopes, self._ground) if others.all() else (self._slopes[others], None)
        differs = change(image, references, heat, slopes, ground)
        return framed(heat, height, width, self.model.format_.resize), PLACES[differs]

    def _places(self, row: int) -> Doubles | None:
        """Where an image is strange by the views that say so themselves; None where there is none, or none minds.

        Each counts as it leads in the score, and the more the rarer it finds the picture (as minus the log of the share
        of ordinary images): a view to which a picture is ordinary has a strangest place in it, too.
        """
        showing = {column: detector for column, detector in self.model.detectors_.items()
                   if isinstance(detector, ShowsPlaces)}
        leads = self.model.fusion_.leads
        if not leads.keys() & showing.keys():
            leads = dict.fromkeys(showing, 1.0)
        found: list[tuple[float, Doubles]] = []
        for column, detector in showing.items():
            rare = float(self._nulls[column].raw(self.ranking.members[column][row : row + 1])[0])
            weight = leads.get(column, 0.0) * -math.log(max(rare, LEAST_RARITY))
            if weight > 0:
                found += [(weight, places) for places in self._places_by(column, detector, row)]
        return heat_of_places(found, *self.collection.pixels.shape[1:3])

    def _places_by(self, column: str, detector: ShowsPlaces, row: int) -> list[Doubles]:
        """(rows, columns) how strange each place of an image is by one view, and by its encoder where that says so."""
        encoder = self.model.encoders_[self.model.sees_[column]]
        own = detector.places_own(row) if self.remembered is None else None
        if own is not None and not isinstance(encoder, TellsPlaces):
            return [own]
        shown = self.model.ensemble_.shown(encoder, self.collection.copies[row : row + 1])
        seen = detector.places_new(encoder.encode(shown, frozenset({"maps"})))[0] if own is None else own
        told = [encoder.tell_places(shown)[0]] if isinstance(encoder, TellsPlaces) else []
        return [np.asarray(places, np.float64) for places in (seen, *told)]


class NewExplainer(Explainer):
    """Explains new images, beside what is remembered of the fitted ones.

    model:       fitted or loaded.
    collection:  the new images as the model saw them.
    ranking:     what the model made of them.
    memory:      of the images that the model was fitted to.
    parts:       as in :class:`Explainer`.
    """

    remembered: Memory

    def __init__(
        self, model: AnomalyModel, collection: Collection, ranking: Ranking, memory: Memory,
        parts: Mapping[str, NDArray[Any]] | None = None,
    ) -> None:
        self.remembered = memory
        super().__init__(model, collection, ranking, parts)

    def _causes(self, parts: Mapping[str, NDArray[Any]]) -> tuple[Causes, Mapping[str, Doubles]]:
        causes = self.remembered.causes
        return causes, causes.measure_parts(parts)

    def reasons(self, row: int) -> tuple[Reason, ...]:
        """The simple causes of an image, in words."""
        return self.causes.named_new(self.columns, row)

    @property
    def fitted_names(self) -> Sequence[str]:
        """The names of the images that the model was fitted to."""
        return self.model.names_

    def duplicate_groups(self) -> list[list[int]]:
        """None: new images are compared with the fitted ones, not with each other."""
        return []

    @cached_property
    def _ordinary(self) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        return self.remembered.rows, self.embedding(self.remembered.pixels)

    @cached_property
    def _references(self) -> Pixels:
        return self.remembered.pixels
