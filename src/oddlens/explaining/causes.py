"""Simple causes of an image's oddness, in words: blank, blurred, dark, rotated, cut off, a copy of another.

Each cause rests on a measure of the pixels, and it is named only where that measure is far out in this collection, and
where the image by itself looks so: ``rules`` says how. So a collection that is all dark, or a seventh of it, has no
dark image named: there it is no cause of being odd. Copies are named however many there are. What each cause finds and
how often it is wrong: docs/causes.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.exceptions import NotFittedError

from oddlens.arrays import give_back, put_at
from oddlens.errors import OptionError, SavedModelError
from oddlens.explaining.duplicates import COLOUR_CELLS, THUMBNAIL_SIDE, Thumbnails, thumbnails, tints
from oddlens.explaining.image_measures import batches, greys, of_batch
from oddlens.explaining.orientation import (
    BRIEF_FOLDS,
    FEATURES,
    FEWEST_LEARNED,
    FOLDS,
    HIDDEN,
    LOOKED_UP,
    LOOKUP_LOG_ODDS,
    ROTATIONS,
    Rotated,
    Uprightness,
    directions,
    learn,
    lying,
    reference,
)
from oddlens.explaining.rules import RULES, Limits, found, judged, limits, near_bound, sentence, usual
from oddlens.progress import advance
from oddlens.protocols import Bools, Doubles, Pixels, Reason, State
from oddlens.scoring.exact_copies import digests

#: A cause by comparison -> the column that says which fitted image it is compared with.
PARTNERS = {"near": "near_duplicate_of", "rotated": "rotation_partner", "mirrored": "rotation_partner"}
LARGEST_LOGARITHM = 700.0  # of a measure of a saved run; the exponential of more is infinite
_MEASURE = "measure/"
SHOWN_COPIES = 5  # copies that are shown
MEASURES = ("spread", "span", "brightness", "lightest", "darkest", "contrast", "edge_width", "band", "band_more",
            "band_edge", "colour", "side", "aspect", "copy_of", "near_duplicate_of",
            "near_duplicate_residual", "near_duplicate_gain", "tenth_residual",
            "turn", "rotation_odds", "rotation_gain", "rotation_residual", "rotation_partner")


class Causes:
    """Names simple causes of oddness in words, each judged against the fitted images.

    It has no options. Fitted: ``columns_``, measure -> (n,) of the fitted images. ``image_measures`` says what the
    measures of the pixels are; the others are

    side, aspect:  the root of the original height times width, in pixels, and the original width over height.
    copy_of:       another fitted image with the same pixels, as a row; -1 for none.
    near_duplicate_of:        the nearest other fitted image by tangent distance, as a row; -1 for none.
    near_duplicate_residual:  the share of the image's variance that tells them apart.
    near_duplicate_gain:      the log of how many times nearer it is than the tenth candidate.
    tenth_residual:           the share that tells the image from that one.
    turn, rotation_odds, rotation_gain:  of ``orientation.Rotated``.
    rotation_partner:         the fitted image that is nearest by tangent distance once the image is turned so, as a
                              row; -1 where that was not looked up.
    rotation_residual:        the share of the image's variance that then tells them apart.

    >>> images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 1), dtype=np.uint8)
    >>> images[7] = 128
    >>> [reason.text.split(":")[0] for reason in Causes().fit(images).named(7)]
    ['Blank, or nearly']
    """

    def fit(self, pixels: Pixels, shapes: NDArray[np.integer[Any]] | None = None) -> Self:
        """Measure (n, height, width, channels) uint8, with (n, 2) original heights and widths, and set the limits."""
        if pixels.ndim != 4 or pixels.dtype != np.uint8 or pixels.shape[3] not in (1, 3) or not pixels.size:
            raise OptionError("Causes needs uint8 pixels (n, height, width, 1 or 3), got "
                              f"{pixels.dtype} {pixels.shape}.")
        return self.fit_parts(parts_of(pixels, shapes))

    def fit_parts(self, parts: Mapping[str, Any], brief: bool = False) -> Self:
        """The same of what ``parts_of`` gave of the images, in one block or in several that were put together.

        parts:  the features may be whatever gives slices and rows when it is asked for them: they are taken in batches.
        brief:  it is learned more quickly and less surely which way is up; see ``orientation.learn``.
        """
        measures, parts = _split(parts)
        self.form_ = tuple(int(side) for side in parts["form"][0])
        n = len(parts["form"])
        self.rows_ = reference(n)
        self.thumbs_, self.tints_, self.hashes_ = parts["thumbs"], parts["tints"], parts["hashes"]
        self.features_ = np.ascontiguousarray(parts["features"][self.rows_])
        self.nets_ = learn(self.features_, brief)
        self._index()
        self._keep(measures | self._compared(parts, np.arange(n)))
        self.limits_ = limits(self.columns_)
        give_back()
        return self

    def _keep(self, columns: Mapping[str, Doubles]) -> None:
        """Keep the measures as the rows of one array, as they are saved: so saving takes no second copy of them."""
        place = {name: row for row, name in enumerate(_names(self.form_[2]))}
        self.table_ = np.empty((len(place), len(self.thumbs_)))
        self.columns_ = {name: self.table_[place[name]] for name in columns}
        for name, values in columns.items():
            self.columns_[name][:] = values

    def measure(self, pixels: Pixels, shapes: NDArray[np.integer[Any]] | None = None) -> Mapping[str, Doubles]:
        """Measure -> (m,) of other images, each by itself against the fitted ones."""
        self._require_fit()
        if pixels.ndim != 4 or pixels.dtype != np.uint8 or tuple(pixels.shape[1:]) != self.form_:
            raise OptionError(f"Causes was fitted to uint8 (n, {', '.join(map(str, self.form_))}), "
                              f"got {pixels.dtype} {pixels.shape}.")
        return self.measure_parts(parts_of(pixels, shapes))

    def measure_parts(self, parts: Mapping[str, NDArray[Any]]) -> Mapping[str, Doubles]:
        """The same of what ``parts_of`` gave of other images."""
        self._require_fit()
        measures, parts = _split(parts)
        return measures | self._compared(parts, None)

    def extend(self, parts: Mapping[str, NDArray[Any]], rows: NDArray[np.int64]) -> None:
        """Take later images in among the fitted ones at ``rows``, in their place or behind them; no limit changes.

        parts:  what ``parts_of`` gave of them.
        """
        self._require_fit()
        measures, parts = _split(parts)
        count = max(len(self.thumbs_), int(rows.max(initial=-1)) + 1)
        self.thumbs_ = put_at(self.thumbs_, parts["thumbs"], rows, count)
        self.tints_ = put_at(self.tints_, parts["tints"], rows, count)
        self.hashes_ = put_at(self.hashes_, parts["hashes"], rows, count)
        self._index()
        later = measures | self._compared(parts, rows)
        self._keep({name: put_at(values, later[name], rows, count) for name, values in self.columns_.items()})

    def named(self, row: int) -> tuple[Reason, ...]:
        """The causes of a fitted image, the plainest first; none if there is none."""
        self._require_fit()
        if not 0 <= row < len(self.thumbs_):
            raise OptionError(f"There are {len(self.thumbs_)} fitted images, no row {row}.")
        return self._reasons(self.columns_, row, row)

    def named_new(self, columns: Mapping[str, Doubles], row: int) -> tuple[Reason, ...]:
        """The same of a row of what ``measure`` gave."""
        self._require_fit()
        return self._reasons(columns, row, None)

    def masks(self, columns: Mapping[str, Doubles] | None = None) -> dict[str, Bools]:
        """Cause -> (m,) whether it is named, of the fitted images or of what ``measure`` gave."""
        self._require_fit()
        return found(self.columns_ if columns is None else columns, self.limits_)

    def groups(self) -> list[list[int]]:
        """Rows of the fitted images that are exact or near copies of each other, the largest group first.

        An image is joined to its copy and its nearest near duplicate, and to each other of its candidates that is as
        near as a near duplicate must be and is one itself: or many copies of one image would fall into several groups.
        """
        self._require_fit()
        masks, every = self.masks(), np.arange(len(self.thumbs_))
        links = [(every[masks[cause]], self.columns_[partner][masks[cause]].astype(np.int64))
                 for cause, partner in (("copy", "copy_of"), ("near", "near_duplicate_of"))]
        near = every[masks["near"]]
        one, other = self.thumbnails_.links(near, near_bound(self.columns_, self.limits_)[near])
        both = masks["near"][other]
        one, other = (np.concatenate(side) for side in zip(*links, (one[both], other[both]), strict=True))
        graph = coo_array((np.ones(len(one)), (one, other)), (len(every), len(every)))
        label = connected_components(graph, directed=False)[1]
        together: dict[int, list[int]] = {}
        for row in np.flatnonzero(np.bincount(label)[label] > 1):
            together.setdefault(int(label[row]), []).append(int(row))
        return sorted(together.values(), key=len, reverse=True)

    def get_state(self) -> State:
        """The measures, the limits, thumbnails, hashes and features."""
        self._require_fit()
        return {"form": np.array(self.form_), "columns": self.table_,
                "limits": np.stack([self.limits_.middle, self.limits_.low, self.limits_.high]),
                "thumbs": self.thumbs_, "tints": self.tints_, "hashes": self.hashes_,
                "features": self.features_, "rows": self.rows_, "nets": self.nets_}

    def set_state(self, state: State) -> Self:
        """Take back what ``get_state`` gave."""
        try:
            form, columns, limits, thumbs, tints, hashes, features, rows, nets = (state[key] for key in (
                "form", "columns", "limits", "thumbs", "tints", "hashes", "features", "rows", "nets"))
        except KeyError as error:
            raise SavedModelError(f"The saved causes lack {error}.") from error
        types = [a.dtype.str for a in (form, columns, limits, thumbs, tints, hashes, features, rows, nets)]
        if types != ["<i8", "<f8", "<f8", "|u1", "|u1", "|u1", "<f4", "<i8", "<f4"] or form.shape != (3,):
            raise SavedModelError("The saved causes are not made of numbers as they are saved.")
        names, n = _names(int(form[2])), len(thumbs)
        shapes = [columns.shape, limits.shape, thumbs.shape, tints.shape, hashes.shape, features.shape, rows.shape,
                  nets.shape[1:]]
        wanted = [(len(names), n), (3, len(judged(names))), (n, THUMBNAIL_SIDE * THUMBNAIL_SIDE),
                  (n, 2 * COLOUR_CELLS * COLOUR_CELLS if form[2] == 3 else 0), (n, 16), (len(rows), FEATURES),
                  (len(rows),), ((FEATURES + 2) * HIDDEN,)]
        if not n or form.min() < 1 or form[2] not in (1, 3) or shapes != wanted:
            raise SavedModelError(f"The saved causes have shapes {shapes}.")
        if not all(np.isfinite(a).all() for a in (columns, features, nets)) or np.isnan(limits).any() or not len(rows):
            raise SavedModelError("The saved causes hold numbers that are not finite.")
        logs = [RULES[name].log for name in judged(names)]
        if not np.isfinite(limits[0]).all() or (np.abs(limits[0, logs]) > LARGEST_LOGARITHM).any():
            raise SavedModelError("The saved causes hold measures that no image has.")
        table = dict(zip(names, columns, strict=True))
        pointers = np.concatenate([table["copy_of"], table["near_duplicate_of"], table["rotation_partner"]])
        if pointers.min() < -1 or max(pointers.max(), rows.max()) >= n or rows.min() < 0 or (np.diff(rows) <= 0).any():
            raise SavedModelError("The saved causes name images that are not there.")
        if len(nets) not in ((FOLDS, BRIEF_FOLDS) if len(rows) >= FEWEST_LEARNED else (0,)):
            raise SavedModelError(f"The saved causes hold {len(nets)} networks for {len(rows)} images.")
        if table["turn"].min() < 0 or table["turn"].max() >= len(ROTATIONS):
            raise SavedModelError("The saved causes name turns that there are not.")
        self.form_, self.columns_, self.limits_ = tuple(int(size) for size in form), table, Limits(*limits)
        self.table_ = columns
        self.thumbs_, self.tints_, self.hashes_, self.rows_ = thumbs, tints, hashes, rows
        self.nets_, self.features_ = np.array(nets), np.array(features)  # torch takes none that cannot be written to
        self._index()
        return self

    @cached_property
    def thumbnails_(self) -> Thumbnails:
        """Finds the fitted images again."""
        return Thumbnails(self.thumbs_, self.tints_, self.hashes_)

    @cached_property
    def uprightness_(self) -> Uprightness:
        """Says which way is up."""
        return Uprightness(self.nets_, self.features_, self.rows_)

    def _index(self) -> None:
        """Forget what was made of other images."""
        self.__dict__.pop("thumbnails_", None)
        self.__dict__.pop("uprightness_", None)

    def _compared(self, parts: Mapping[str, Any], own: NDArray[np.int64] | None) -> dict[str, Doubles]:
        """What the comparison with the fitted images gives: their copies, nearest and turns."""
        nearest = self.thumbnails_.nearest(parts["thumbs"], parts["tints"], parts["hashes"])
        advance("causes", 1, 2)
        turned = self.uprightness_.judge(parts["features"], own)
        alike, rotation_residual = self._alike(parts, turned)
        advance("causes", 2, 2)
        known = nearest.row >= 0
        residual = np.where(known, nearest.residual, 1.0)
        usual = np.where(known, nearest.usual, 1.0)  # of the tenth nearest
        return {
            "copy_of": self.thumbnails_.copy_of(parts["hashes"], own).astype(np.float64),
            "near_duplicate_of": nearest.row.astype(np.float64), "near_duplicate_residual": residual,
            "near_duplicate_gain": np.log(usual / residual),
            "tenth_residual": usual,
            "turn": turned.turn.astype(np.float64), "rotation_odds": turned.odds, "rotation_gain": turned.gain,
            "rotation_residual": rotation_residual, "rotation_partner": alike.astype(np.float64),
        }

    def _alike(self, parts: Mapping[str, Any], turned: Rotated) -> tuple[NDArray[np.int64], Doubles]:
        """(m,) the fitted image that each is most like once it is turned, and by how much of it they then differ."""
        row, residual = np.full(len(turned.odds), -1), np.ones(len(turned.odds))
        asked = np.flatnonzero(turned.odds > LOOKUP_LOG_ODDS)
        for start in range(0, len(asked), LOOKED_UP):
            some = asked[start : start + LOOKED_UP]
            found = self.thumbnails_.nearest(lying(parts["thumbs"][some], turned.turn[some], 1),
                                             lying(parts["tints"][some], turned.turn[some], 2), parts["hashes"][some])
            row[some], residual[some] = found.row, np.where(found.row >= 0, found.residual, 1.0)
        return row, residual

    def _reasons(self, columns: Mapping[str, Doubles], row: int, own: int | None) -> tuple[Reason, ...]:
        one = {name: values[row : row + 1] for name, values in columns.items()}
        value = {name: float(values[0]) for name, values in one.items()}
        ordinary = usual(one, self.limits_)
        return tuple(Reason(sentence(cause, value, ordinary), self._examples(cause, value, own))
                     for cause, named in found(one, self.limits_).items() if named[0])

    def _examples(self, cause: str, value: Mapping[str, float], own: int | None) -> tuple[int, ...]:
        if cause == "copy":
            copies = self.thumbnails_.copies(self.hashes_[int(value["copy_of"])])
            return tuple(int(row) for row in copies if row != own)[:SHOWN_COPIES]
        partner = PARTNERS.get(cause)
        return () if partner is None else (int(value[partner]),)

    def _require_fit(self) -> None:
        if not hasattr(self, "limits_"):
            raise NotFittedError("These Causes have seen no images yet: call fit first.")


def _shapes(pixels: Pixels, shapes: NDArray[np.integer[Any]] | None) -> NDArray[np.float64]:
    """(n, 2) original heights and widths; those of the pixels where none are given."""
    if shapes is None:
        return np.tile(np.array(pixels.shape[1:3], np.float64), (len(pixels), 1))
    if shapes.shape != (len(pixels), 2) or (len(pixels) and shapes.min() < 1):
        raise OptionError(f"Causes needs the height and width of each of {len(pixels)} images, got {shapes.shape}.")
    return np.asarray(shapes, np.float64)


def parts_of(pixels: Pixels, shapes: NDArray[np.integer[Any]] | None = None) -> dict[str, NDArray[Any]]:
    """What each image says by itself, and what it is compared by: columns, a row an image, independent of the others.

    Thumbnails, hashes, edge directions; the measures, each as ``measure/NAME``.
    """
    measures: dict[str, list[Doubles]] = {}
    parts: dict[str, list[NDArray[Any]]] = {"thumbs": [], "tints": [], "hashes": [], "features": []}
    for rows in batches(pixels):
        batch = np.ascontiguousarray(pixels[rows])
        grey = greys(batch)
        for name, values in of_batch(batch, grey).items():
            measures.setdefault(name, []).append(values)
        parts["thumbs"].append(thumbnails(grey))
        parts["tints"].append(tints(batch))
        parts["hashes"].append(digests(batch))
        parts["features"].append(directions(grey))
        advance("causes", rows.stop, len(pixels))
    sizes = _shapes(pixels, shapes)
    found = {name: np.concatenate(values) for name, values in measures.items()}
    found |= {"side": np.sqrt(sizes.prod(1)), "aspect": sizes[:, 1] / sizes[:, 0]}
    return {**{name: np.concatenate(values) for name, values in parts.items()},
            **{f"{_MEASURE}{name}": values for name, values in found.items()},
            "form": np.tile(np.array(pixels.shape[1:], np.int64), (len(pixels), 1))}


def _split(parts: Mapping[str, Any]) -> tuple[dict[str, Doubles], dict[str, Any]]:
    """The measures by their names, and the rest."""
    return ({name: parts[_MEASURE + name] for name in MEASURES if _MEASURE + name in parts},
            {name: part for name, part in parts.items() if not name.startswith(_MEASURE)})


def _names(channels: int) -> list[str]:
    """The columns that there are of images with so many channels."""
    return [name for name in MEASURES if channels == 3 or name != "colour"]
