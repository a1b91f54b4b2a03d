"""A collection's images of one size, however many: a sample at hand to learn from, all others block by block.

Up to 20,000 images the sample is the whole collection, so that it is read once and stays at hand. Of a larger one only
the sample stays; each block of images is read once, for all that is to be found of them, and let go. An image that is
to be shown or explained later is read again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from oddlens.arrays import moved_to_a_file
from oddlens.blocks import Block, Blocks, key_of
from oddlens.pixels import Collection, Copies, PixelFormat, read_near, read_pixels, require_distinct
from oddlens.progress import advance, silent
from oddlens.protocols import HoldsPixels, ImageSource, Pixels, Stamped

LEARNED_IMAGES = 20_000  # images that are learned from, at most, drawn at random from all
BLOCK_IMAGES = 512


@dataclass(frozen=True, eq=False)
class Stream:
    """The images of a source in one format.

    form:    the format.
    count:   how many images there are, readable or not.
    hand:    those at hand, ``indices`` being their places in the source.
    source:  where the others are read; None where all are at hand.
    """

    form: PixelFormat
    count: int
    hand: Collection
    source: ImageSource | None = None

    @classmethod
    def of(cls, collection: Collection) -> Stream:
        """Of images that are at hand already."""
        return cls(collection.format, len(collection.names) + len(collection.unreadable), collection)

    @classmethod
    def open(
        cls, source: ImageSource, form: PixelFormat, jobs: int | None = None, kept: Blocks | None = None
    ) -> Stream:
        """Of a source, its sample read; what ``kept`` holds of it already, and has not changed, is taken from there."""
        require_distinct([source.name(place) for place in range(len(source))])
        places = sampled(len(source))
        hand = (read_some(source, places, form, jobs) if kept is None else
                _kept(source, places, form, jobs, kept))
        if len(source) > LEARNED_IMAGES:  # what is learned from is then needed a block at a time only
            hand = replace(hand, pixels=moved_to_a_file(hand.pixels),
                           detail=None if hand.detail is None else moved_to_a_file(hand.detail),
                           texture=None if hand.texture is None else moved_to_a_file(hand.texture))
        return cls(form, len(source), hand, source)

    @property
    def blocks(self) -> range:
        """The numbers of the blocks."""
        return _blocks(self.count)

    def learned(self) -> Copies:
        """The images to learn from: all, or the sample of many."""
        if self.count <= LEARNED_IMAGES or self.source is not None:
            return self.hand.copies
        return self.hand.only(np.flatnonzero(np.isin(self.hand.indices, sampled(self.count)))).copies

    def block(self, number: int) -> Collection:
        """The images of a block, those at hand from there and the others read now; ``indices`` are of the source."""
        places = _places(number, self.count)
        low, high = int(places[0]), int(places[-1]) + 1
        rows = slice(*np.searchsorted(self.hand.indices, [low, high]).tolist())
        broken = slice(*np.searchsorted(self._broken, [low, high]).tolist())
        near = self.hand.only(rows, self.hand.unreadable[broken])
        away = np.setdiff1d(places, self._tried, assume_unique=True)
        if self.source is None or not len(away):
            return near
        return _merged((near, read_some(self.source, away, self.form, 1)), self.source, places)

    def size(self, number: int) -> int:
        """How many images a block has, readable or not."""
        return len(_places(number, self.count))

    def names(self, indices: NDArray[np.int64]) -> tuple[str, ...]:
        """The names of images by their places."""
        return self.hand.names if self.source is None else tuple(self.source.name(int(place)) for place in indices)

    def stamps(self, number: int) -> list[object]:
        """By what it would be noticed that one of a block's images changed since they were read."""
        places = _places(number, self.count)
        if self.source is None:
            return [number]
        return [stamp(self.source, int(place)) for place in np.setdiff1d(places, self._tried, assume_unique=True)]

    def collection(self, found: Found) -> Collection:
        """All images, once it is known which can be read: those not at hand are read when they are asked for."""
        if self.source is None or len(self._tried) == self.count:
            return self.hand
        later: dict[str, Any] = {part: None if (images := getattr(self.hand, part)) is None else
                                 Later(self.source, self.form, found.indices, part, images.shape[1:])
                                 for part in _PARTS}
        return Collection(names=found.names, unreadable=found.unreadable, shapes=found.shapes, indices=found.indices,
                          resize=self.form.resize, measured_at=self.form.texture, **later)

    @cached_property
    def _tried(self) -> NDArray[np.int64]:
        """Places of the images at hand, those that cannot be read among them."""
        return np.arange(self.count) if self.source is None else sampled(self.count)

    @cached_property
    def _broken(self) -> NDArray[np.int64]:
        """Places of those that cannot be read, which ``hand`` names in this order."""
        return np.setdiff1d(self._tried, self.hand.indices, assume_unique=True)


@dataclass(frozen=True, eq=False)
class Found:
    """What became known of all images when they were read; the fields are those of ``Collection``."""

    names: tuple[str, ...]
    unreadable: tuple[tuple[str, str], ...]
    shapes: NDArray[np.int32]
    indices: NDArray[np.int64]


class Later:
    """(n, ...) uint8 images that are read when they are asked for, like an array's rows.

    One that cannot be read any more is black: what was found of it before stands.
    """

    dtype = np.dtype(np.uint8)
    ndim = 4

    def __init__(
        self, source: ImageSource, form: PixelFormat, indices: NDArray[np.int64], part: str, shape: tuple[int, ...]
    ) -> None:
        self.source, self.form, self.indices, self.part = source, form, indices, part
        self.shape = (len(indices), *shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> Pixels:
        """One image, or those of a slice or of an array of rows."""
        if isinstance(rows, int | np.integer):
            return np.asarray(self[np.array([rows])][0])
        places = self.indices[rows]
        order = np.argsort(places, kind="stable")
        found = read_some(self.source, places[order], self.form, 1)
        images = np.zeros((len(places), *self.shape[1:]), np.uint8)
        images[order[np.isin(places[order], found.indices)]] = getattr(found, self.part)
        return images


class Some:
    """The images at some places of a source."""

    def __init__(self, source: ImageSource, places: Sequence[int]) -> None:
        self.source, self.places = source, places

    def __len__(self) -> int:
        return len(self.places)

    def name(self, index: int) -> str:
        """As in the source."""
        return self.source.name(self.places[index])

    def read(self, index: int) -> NDArray[np.uint8]:
        """As in the source; raises ``UnreadableImage``."""
        return self.source.read(self.places[index])

    def read_near(self, index: int, side: int) -> tuple[NDArray[np.uint8], tuple[int, int]]:
        """As in the source; raises ``UnreadableImage``."""
        return read_near(self.source, self.places[index], side)

    @property
    def pixels(self) -> NDArray[np.uint8] | None:
        """The rows of a source that holds its images as an array in memory."""
        whole = self.source.pixels if isinstance(self.source, HoldsPixels) else None
        return whole[np.asarray(self.places)] if isinstance(whole, np.ndarray) else None


def sampled(count: int) -> NDArray[np.int64]:
    """Places of the images that are learned from: all, or 20,000 drawn at random, the same each time; in order."""
    if count <= LEARNED_IMAGES:
        return np.arange(count)
    return np.sort(np.random.default_rng(0).permutation(count)[:LEARNED_IMAGES])


def stamp(source: ImageSource, place: int) -> list[object]:
    """By what it is noticed that an image changed, without looking at it: its name, and what the source says of it.

    Of a source that says nothing each image always has changed.
    """
    return [source.name(place), *(source.stamp(place) if isinstance(source, Stamped) else (uuid4().hex,))]


def read_some(source: ImageSource, places: NDArray[np.int64], form: PixelFormat, jobs: int | None) -> Collection:
    """The images at some places of a source, given in order; ``indices`` are these places."""
    if len(places) == len(source):
        return read_pixels(source, form, jobs)
    found = read_pixels(Some(source, places.tolist()), form, jobs)
    return replace(found, indices=places[found.indices])


_PARTS = ("pixels", "detail", "texture")


def _kept(
    source: ImageSource, places: NDArray[np.int64], form: PixelFormat, jobs: int | None, kept: Blocks
) -> Collection:
    """The images at some places, kept block by block when they are read; those that are kept already are not read."""
    numbers = _blocks(len(places))
    for number in numbers:
        rows = places[_places(number, len(places))]
        stamps = [stamp(source, int(place)) for place in rows]
        key = key_of(form, stamps)
        if not kept.holds(number, key):
            with silent():
                found = _renewed(source, rows, stamps, form, jobs, kept, number)
            columns = {part: images for part in _PARTS if (images := getattr(found, part)) is not None}
            good = np.isin(rows, found.indices)
            kept.put(number, key, Block({**columns, "shapes": found.shapes, "indices": found.indices}, {
                "form": repr(form), "unreadable": found.unreadable,
                "stamps": [known for known, is_good in zip(stamps, good, strict=True) if is_good]}))
        advance("reading", int(np.searchsorted(places, rows[-1])) + 1, len(places))
    parts = {name: kept.joined(name, numbers) for name in kept.names(0)}
    unreadable = tuple((name, reason) for number in numbers for name, reason in kept.facts(number)["unreadable"])
    return Collection(parts["pixels"], tuple(source.name(int(place)) for place in parts["indices"]), unreadable,
                      parts["shapes"], parts["indices"], form.resize, detail=parts.get("detail"),
                      texture=parts.get("texture"), measured_at=form.texture)


def _renewed(
    source: ImageSource, places: NDArray[np.int64], stamps: list[list[object]], form: PixelFormat, jobs: int | None,
    kept: Blocks, number: int,
) -> Collection:
    """The images of a block: those that did not change since it was kept from there, the others read now."""
    facts = kept.facts(number)
    before = {repr(known): row for row, known in enumerate(facts["stamps"])} if facts.get("form") == repr(form) else {}
    same = np.array([repr(known) in before for known in stamps])
    if not same.any():
        return read_some(source, places, form, jobs)
    rows = np.array([before[repr(known)] for known in stamps if repr(known) in before])
    part = {name: column[rows] for name in kept.names(number) if (column := kept.column(number, name)) is not None}
    old = Collection(part["pixels"], tuple(source.name(int(place)) for place in places[same]), (), part["shapes"],
                     places[same], form.resize, detail=part.get("detail"), texture=part.get("texture"),
                     measured_at=form.texture)
    return _merged((old, read_some(source, places[~same], form, jobs)), source, places)


def _merged(parts: Sequence[Collection], source: ImageSource, places: NDArray[np.int64]) -> Collection:
    """One collection of several, by their places in the source."""
    indices = np.concatenate([part.indices for part in parts])
    order = np.argsort(indices, kind="stable")

    def joined(name: str) -> Any:
        arrays = [getattr(part, name) for part in parts]
        return None if arrays[0] is None else np.concatenate(arrays)[order]

    reasons = dict(pair for part in parts for pair in part.unreadable)
    names = [source.name(int(place)) for place in places]
    return replace(parts[0], pixels=joined("pixels"), detail=joined("detail"), texture=joined("texture"),
                   names=tuple(source.name(int(place)) for place in indices[order]),
                   unreadable=tuple((name, reasons[name]) for name in names if name in reasons),
                   shapes=joined("shapes"), indices=indices[order])


def _blocks(count: int) -> range:
    return range(-(-count // BLOCK_IMAGES))


def _places(number: int, count: int) -> NDArray[np.int64]:
    return np.arange(number * BLOCK_IMAGES, min((number + 1) * BLOCK_IMAGES, count))
