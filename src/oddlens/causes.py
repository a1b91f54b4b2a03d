"""Simple causes of an image's oddness, in words: blank, blurred, dark, turned, cut off, a copy of another.

Each cause rests on a measure of the pixels, and it is named only where that measure is far out in this collection,
on three counts at once: farther than 1 in 1,000 ordinary images (1 in 200 of measures that have an end on either side)
by the fall of the tail between the median and the decile; farther than an effect that a person can see; and farther
than at least 95 % of the images. So a collection that is all dark, or a seventh of it, has no dark image named: there
it is no cause of being odd. A few measures speak for themselves, such as the odds that an image was turned.

The tail is taken for exponential, as in ``calibration``; the bounds are those of Hoaglin, Iglewicz, Tukey,
*Performance of some resistant rules for outlier labeling*, 1986, in kind: quantiles, which a tenth of odd images
hardly moves. What each cause finds and how often it is wrong: docs/causes.md.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import NotFittedError

from oddlens.appearance import appearance, batches, greys
from oddlens.duplicates import SIDE, Thumbnails, digests, thumbnails
from oddlens.errors import OptionError, SavedModelError
from oddlens.progress import advance
from oddlens.protocols import Bools, Doubles, Pixels, Reason, State
from oddlens.turning import FEATURES, FEWEST, FOLDS, HIDDEN, TURNS, Uprightness, directions, learn, reference

DECILE = 0.1  # the quantile that the tail is read at: so many odd images hardly move it
# How many times as far from the median as the decile 1 in 1,000 is where the tail is exponential, and 1 in 200 where it
# is normal, as of measures that have an end on either side.
LONG, SHORT = 3.86, 2.01
COMMON = 0.05  # what so many images share is no cause of being odd
SHOWN = 5  # copies that are shown
ALONE = float(np.log(4))  # a near duplicate is 4 times nearer than the tenth candidate, in squares


@dataclass(frozen=True)
class Rule:
    """How far from the median a measure must be, at the least, to be named.

    below, above:  in the measure's unit, or in natural logarithms where ``log``; None: that side is never named.
    common:        the share of the collection beyond which it is no cause of being odd.
    reach:         how many times as far as the decile.
    absolute:      whether ``below`` and ``above`` are values of the measure instead: it speaks for itself.
    """

    below: float | None = None
    above: float | None = None
    log: bool = False
    common: float = COMMON
    reach: float = LONG
    absolute: bool = False

    def scaled(self, values: Doubles) -> Doubles:
        """The measure on the scale that it is judged on."""
        return np.log(np.maximum(values, 1e-3)) if self.log else values


#: What is judged, and the least effect: a factor for logarithms, levels of 255 for lightness.
RULES = {
    "spread": Rule(below=float(np.log(7)), log=True),
    "lightest": Rule(below=60.0, reach=SHORT),
    "darkest": Rule(above=60.0, reach=SHORT),
    "brightness": Rule(below=60.0, above=60.0, reach=SHORT),
    "contrast": Rule(below=float(np.log(1.8)), log=True, reach=SHORT),
    "detail": Rule(below=float(np.log(1.3)), log=True, reach=SHORT),
    "band": Rule(above=0.2),
    "band_edge": Rule(above=0.2),
    "colour": Rule(below=8.0, above=32.0, absolute=True),
    "side": Rule(below=float(np.log(2)), above=float(np.log(2)), log=True),
    "aspect": Rule(below=float(np.log(1.5)), above=float(np.log(1.5)), log=True),
    "turn_odds": Rule(above=float(np.log(25)), common=0.03, absolute=True),
    "twin_gain": Rule(above=ALONE),
    "twin_residual": Rule(below=float(np.log(0.002)), log=True, absolute=True),
}
MEASURES = ("spread", "brightness", "lightest", "darkest", "contrast", "detail", "band", "band_more", "band_edge",
            "colour", "side", "aspect", "copy_of", "twin", "twin_residual", "twin_gain", "turn", "turn_odds",
            "turn_gain", "turn_alike")
NEARER_TURNED = 0.06  # of the log of the distance to the 5th neighbour
NEAR = 0.01  # of an image's variance: a near duplicate differs by no more
CUT = 0.2  # of the height: by so much a flat band at the bottom exceeds one at the top
INWARD, FAINTER = 20.0, 1.5  # levels at both ends, and the factor in contrast, that an image lacks against the usual
GREY, COLOURED = 8.0, 32.0  # levels between the channels of an image without colour to speak of, and with


@dataclass(frozen=True)
class Limits:
    """(measures,) where the middle of each measure lies and beyond what it is named, on the scale of its rule."""

    middle: Doubles
    low: Doubles
    high: Doubles


class Causes:
    """Names simple causes of oddness in words, each judged against the fitted images.

    It has no options. Fitted: ``columns_``, measure -> (n,) of the fitted images. ``appearance`` says what the
    measures of the pixels are; the others are

    side, aspect:  the root of the original height times width, in pixels, and the original width over height.
    copy_of:       another fitted image with the same pixels, as a row; -1 for none.
    twin:          the nearest other fitted image by tangent distance, as a row; -1 for none.
    twin_residual: the share of the image's variance that tells them apart.
    twin_gain:     the log of how many times nearer it is than the tenth candidate.
    turn, turn_odds, turn_gain, turn_alike:  of ``turning.Turned``.

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
        self.form_ = tuple(pixels.shape[1:])
        columns, parts = _measured(pixels, _shapes(pixels, shapes))
        self.rows_ = reference(len(pixels))
        self.thumbs_, self.hashes_ = parts["thumbs"], parts["hashes"]
        self.features_ = np.ascontiguousarray(parts["features"][self.rows_])
        self.nets_ = learn(self.features_)
        self._index()
        self.columns_ = columns | self._compared(parts, np.arange(len(pixels)))
        self.limits_ = _limits(self.columns_)
        return self

    def measure(self, pixels: Pixels, shapes: NDArray[np.integer[Any]] | None = None) -> Mapping[str, Doubles]:
        """Measure -> (m,) of other images, each by itself against the fitted ones."""
        self._require_fit()
        if pixels.ndim != 4 or pixels.dtype != np.uint8 or tuple(pixels.shape[1:]) != self.form_:
            raise OptionError(f"Causes was fitted to uint8 (n, {', '.join(map(str, self.form_))}), "
                              f"got {pixels.dtype} {pixels.shape}.")
        columns, parts = _measured(pixels, _shapes(pixels, shapes))
        return columns | self._compared(parts, None)

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

    def kinds(self, columns: Mapping[str, Doubles] | None = None) -> dict[str, Bools]:
        """Cause -> (m,) whether it is named, of the fitted images or of what ``measure`` gave."""
        self._require_fit()
        return _found(self.columns_ if columns is None else columns, self.limits_)

    def get_state(self) -> State:
        """The measures, the limits, thumbnails, hashes and features."""
        self._require_fit()
        names = _names(self.form_[2])
        return {"form": np.array(self.form_), "columns": np.stack([self.columns_[name] for name in names]),
                "limits": np.stack([self.limits_.middle, self.limits_.low, self.limits_.high]),
                "thumbs": self.thumbs_, "hashes": self.hashes_, "features": self.features_, "rows": self.rows_,
                "nets": self.nets_}

    def set_state(self, state: State) -> Self:
        """Take back what ``get_state`` gave."""
        try:
            form, columns, limits, thumbs, hashes, features, rows, nets = (
                state[key] for key in ("form", "columns", "limits", "thumbs", "hashes", "features", "rows", "nets"))
        except KeyError as error:
            raise SavedModelError(f"The saved causes lack {error}.") from error
        kinds = [a.dtype.str for a in (form, columns, limits, thumbs, hashes, features, rows, nets)]
        if kinds != ["<i8", "<f8", "<f8", "|u1", "|u1", "<f4", "<i8", "<f4"] or form.shape != (3,):
            raise SavedModelError("The saved causes are not made of numbers as they are saved.")
        names, n = _names(int(form[2])), len(thumbs)
        shapes = [columns.shape, limits.shape, thumbs.shape, hashes.shape, features.shape, rows.shape,
                  nets.shape[1:]]
        wanted = [(len(names), n), (3, len(_judged(names))), (n, SIDE * SIDE), (n, 16), (len(rows), FEATURES),
                  (len(rows),), ((FEATURES + 2) * HIDDEN,)]
        if not n or form.min() < 1 or form[2] not in (1, 3) or shapes != wanted:
            raise SavedModelError(f"The saved causes have shapes {shapes}.")
        if not all(np.isfinite(a).all() for a in (columns, features, nets)) or np.isnan(limits).any() or not len(rows):
            raise SavedModelError("The saved causes hold numbers that are not finite.")
        table = dict(zip(names, columns, strict=True))
        pointers = np.concatenate([table["copy_of"], table["twin"], table["turn_alike"]])
        if pointers.min() < -1 or max(pointers.max(), rows.max()) >= n or rows.min() < 0 or (np.diff(rows) <= 0).any():
            raise SavedModelError("The saved causes name images that are not there.")
        if len(nets) != (FOLDS if len(rows) >= FEWEST else 0):
            raise SavedModelError(f"The saved causes hold {len(nets)} networks for {len(rows)} images.")
        if table["turn"].min() < 0 or table["turn"].max() >= len(TURNS):
            raise SavedModelError("The saved causes name turns that there are not.")
        self.form_, self.columns_, self.limits_ = tuple(int(size) for size in form), table, Limits(*limits)
        self.thumbs_, self.hashes_, self.rows_, self.nets_ = thumbs, hashes, rows, nets
        self.features_ = np.ascontiguousarray(features)
        self._index()
        return self

    def _index(self) -> None:
        self.thumbnails_ = Thumbnails(self.thumbs_, self.hashes_)
        self.uprightness_ = Uprightness(self.nets_, self.features_, self.rows_)

    def _compared(self, parts: Mapping[str, NDArray[Any]], own: NDArray[np.int64] | None) -> dict[str, Doubles]:
        """What the comparison with the fitted images gives: their copies, twins and turns."""
        twins = self.thumbnails_.twins(parts["thumbs"], parts["hashes"])
        advance("causes", 1, 2)
        turned = self.uprightness_.judge(parts["features"], own)
        advance("causes", 2, 2)
        known = twins.row >= 0
        residual = np.where(known, twins.residual, 1.0)
        return {
            "copy_of": self.thumbnails_.copy_of(parts["hashes"], own).astype(np.float64),
            "twin": twins.row.astype(np.float64), "twin_residual": residual,
            "twin_gain": np.log(np.where(known, twins.usual, 1.0) / residual),
            "turn": turned.turn.astype(np.float64), "turn_odds": turned.odds, "turn_gain": turned.gain,
            "turn_alike": turned.alike.astype(np.float64),
        }

    def _reasons(self, columns: Mapping[str, Doubles], row: int, own: int | None) -> tuple[Reason, ...]:
        one = {name: values[row : row + 1] for name, values in columns.items()}
        value = {name: float(values[0]) for name, values in one.items()}
        middles = zip(_judged(one), self.limits_.middle, strict=True)
        usual = {name: float(np.exp(middle) if RULES[name].log else middle) for name, middle in middles}
        return tuple(Reason(_sentence(cause, value, usual), self._examples(cause, value, own))
                     for cause, named in _found(one, self.limits_).items() if named[0])

    def _examples(self, cause: str, value: Mapping[str, float], own: int | None) -> tuple[int, ...]:
        if cause == "copy":
            copies = self.thumbnails_.copies(self.hashes_[int(value["copy_of"])])
            return tuple(int(row) for row in copies if row != own)[:SHOWN]
        return (int(value[{"near": "twin", "turned": "turn_alike"}[cause]]),) if cause in ("near", "turned") else ()

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


def _measured(pixels: Pixels, shapes: Doubles) -> tuple[dict[str, Doubles], dict[str, NDArray[Any]]]:
    """What each image says by itself, and what it is compared by: thumbnails, hashes and edge directions."""
    measures: dict[str, list[Doubles]] = {}
    parts: dict[str, list[NDArray[Any]]] = {"thumbs": [], "hashes": [], "features": []}
    for rows in batches(pixels):
        batch = np.ascontiguousarray(pixels[rows])
        grey = greys(batch)
        for name, values in appearance(batch, grey).items():
            measures.setdefault(name, []).append(values)
        parts["thumbs"].append(thumbnails(grey))
        parts["hashes"].append(digests(batch))
        parts["features"].append(directions(grey))
        advance("causes", rows.stop, len(pixels))
    joined = {name: np.concatenate(values) for name, values in measures.items()}
    sizes = {"side": np.sqrt(shapes.prod(1)), "aspect": shapes[:, 1] / shapes[:, 0]}
    return joined | sizes, {name: np.concatenate(values) for name, values in parts.items()}


def _names(channels: int) -> list[str]:
    """The columns that there are of images with so many channels."""
    return [name for name in MEASURES if channels == 3 or name != "colour"]


def _judged(names: Collection[str]) -> list[str]:
    """The measures that have limits, of those that there are."""
    return [name for name in RULES if name in names]


def _limits(columns: Mapping[str, Doubles]) -> Limits:
    bounds = [_bounds(RULES[name].scaled(columns[name]), RULES[name]) for name in _judged(columns)]
    return Limits(*np.array(bounds).T)


def _bounds(values: Doubles, rule: Rule) -> tuple[float, float, float]:
    """The median of (n,) values, and below and above what one is far out; infinite on a side that is not named."""
    middle, low, high = (float(value) for value in np.quantile(values, [0.5, DECILE, 1 - DECILE]))
    ordered = np.sort(values)
    last = len(values) - 1
    most = max(1, int(rule.common * len(values)))  # so many at the most are named on either side
    below, above = -np.inf, np.inf
    if rule.below is not None:
        far = rule.below if rule.absolute else min(middle - rule.reach * (middle - low), middle - rule.below)
        below = min(far, ordered[min(most, last)])
    if rule.above is not None:
        far = rule.above if rule.absolute else max(middle + rule.reach * (high - middle), middle + rule.above)
        above = max(far, ordered[max(0, last - most)])
    return middle, float(below), float(above)


def _found(columns: Mapping[str, Doubles], limits: Limits) -> dict[str, Bools]:
    """Cause -> (m,) whether it is named, the plainest cause first. What is blank is nothing else besides."""
    low, high = {}, {}
    for number, name in enumerate(_judged(columns)):
        values = RULES[name].scaled(columns[name])
        low[name], high[name] = values < limits.low[number], values > limits.high[number]
    copy, blank = columns["copy_of"] >= 0, low["spread"]
    middle = dict(zip(_judged(columns), limits.middle, strict=True))
    # Darker at its lightest and lighter at its darkest: that is neither dark nor bright, it lacks contrast.
    inward = (columns["lightest"] < middle["lightest"] - INWARD) & (columns["darkest"] > middle["darkest"] + INWARD)
    inward &= columns["contrast"] < np.exp(middle["contrast"]) / FAINTER
    dark = low["lightest"] | (low["brightness"] & ~high["darkest"])
    bright = high["darkest"] | (high["brightness"] & ~low["lightest"])
    faint = np.where(inward, low["contrast"] | dark | bright, low["contrast"] & ~dark & ~bright)
    near = (high["twin_gain"] | low["twin_residual"]) & (columns["twin_residual"] < NEAR) & ~copy
    near &= columns["twin_gain"] > ALONE
    cut = (high["band"] & (columns["band_more"] > CUT)) | high["band_edge"]
    found = {"copy": copy, "blank": blank} | {cause: named & ~blank for cause, named in (
        ("near", near), ("cut", cut), ("blurred", low["detail"]), ("dark", dark & ~inward),
        ("bright", bright & ~inward & ~dark), ("faint", faint),
        ("turned", high["turn_odds"] & (columns["turn_gain"] > NEARER_TURNED)))}
    found |= {"large": high["side"], "small": low["side"], "wide": high["aspect"], "tall": low["aspect"]}
    if "colour" in columns:
        found["grey"] = low["colour"] & (middle["colour"] >= COLOURED) & ~blank
        found["coloured"] = high["colour"] & (middle["colour"] <= GREY) & ~blank
    return found


def _sentence(cause: str, value: Mapping[str, float], usual: Mapping[str, float]) -> str:
    """A cause in words, with the number that it rests on and the usual one."""
    def of_usual(name: str) -> str:
        return f"{100 * value[name] / max(usual[name], 1e-9):.0f} %"

    turn = TURNS[int(value["turn"])][2]
    sentences = {
        "copy": "An exact copy: the same pixels as these.",
        "near": "A near duplicate of this one, but for a slight shift or a change of light: "
                f"{100 * value['twin_residual']:.1g} % of what varies in it tells them apart.",
        "blank": f"Blank, or nearly: what varies in it is {of_usual('spread')} of what is usual here.",
        "cut": f"Cut off: a flat band takes the lower {100 * value['band']:.0f} % of its height; "
               f"{100 * usual['band']:.0f} % is usual here.",
        "blurred": f"Blurred: its finest detail is {of_usual('detail')} of what is usual here.",
        "dark": f"Dark: its lightest parts reach {value['lightest']:.0f} of 255, its mean is "
                f"{value['brightness']:.0f}; {usual['lightest']:.0f} and {usual['brightness']:.0f} are usual here.",
        "bright": f"Bright: its darkest parts are at {value['darkest']:.0f} of 255, its mean is "
                  f"{value['brightness']:.0f}; {usual['darkest']:.0f} and {usual['brightness']:.0f} are usual here.",
        "faint": f"Low contrast: from its darkest to its lightest parts it spans {of_usual('contrast')} of what is "
                 "usual here.",
        "turned": f"Turned: it looks like this one and others here when it is {turn}.",
        "large": f"Large: about {value['side']:.0f} pixels a side; {usual['side']:.0f} are usual here.",
        "small": f"Small: about {value['side']:.0f} pixels a side; {usual['side']:.0f} are usual here.",
        "wide": f"Wide: {value['aspect']:.2f} times as wide as high; {usual['aspect']:.2f} is usual here.",
        "tall": f"Tall: {value['aspect']:.2f} times as wide as high; {usual['aspect']:.2f} is usual here.",
        "grey": "Grey, where most images here are in colour.",
        "coloured": "In colour, where most images here are grey.",
    }
    return sentences[cause]
