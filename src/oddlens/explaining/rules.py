"""What is named, and in what words: each measure's limits in a collection, and each cause's sentence.

A limit is far out in the collection: 1 in 1,000 ordinary images (1 in 200 of measures that have an end on either side)
by the fall of the tail between the median and the decile; and farther than an effect that a person can see; and farther
than at least 95 % of the images. A cause is named beyond the limit, and only if the image by itself looks so: dark is
what has nothing lighter than middle grey in it, blurred what has no sharp edge, however the others are. The numbers
that decide are those that are printed.

The tail is taken for exponential, as in ``calibration``; the bounds are those of Hoaglin, Iglewicz, Tukey,
*Performance of some resistant rules for outlier labeling*, 1986, in kind: quantiles, which a tenth of odd images
hardly moves.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from oddlens.explaining.duplicates import limit
from oddlens.explaining.orientation import ROTATIONS
from oddlens.protocols import Bools, Doubles
from oddlens.statement import percent

TAIL_QUANTILE = 0.1  # the quantile that the tail is read at: as many odd images hardly move it
# Distance from the median in multiples of the decile's: of 1 in 1,000 where the tail is exponential, and of 1 in 200
# where it is normal, as for measures with an end on either side.
LONG_TAIL, SHORT_TAIL = 3.86, 2.01
COMMON_SHARE = 0.05  # what this share of the images has is no cause; copies are named however many there are
HALF_LEVEL = 128.0  # levels: all below is dark, all above is bright, and a smaller span is of low contrast
DIM_LEVELS = 64.0  # levels of the mean, from black or from white, where only some places are light, or dark
BLANK_LEVELS = 24.0  # levels that an image spans, at most, if next to nothing is seen in it
SOFT_EDGE = 2.2  # pixels: narrower edges are sharp
ROTATED_GAIN = 0.06  # least gain by rotating, in the log of the distance to the 5th neighbour
ROTATED_RESIDUAL = 0.2  # largest share of the variance that tells a rotated image from the one it looks like
ROTATED_CLOSER = 0.5  # and at most this much of the residual of the tenth nearest as the image lies
# Near duplicates: the residual is at most NEAR_RESIDUAL, and smaller than the tenth candidate's by what chance gives 1
# in 1,000, LEAST_GAIN to MOST_GAIN; below SAME_RESIDUAL, which nobody sees, LEAST_GAIN is enough. Among many copies the
# tenth candidate is one itself: then half of the residual at CROWD_QUANTILE takes its place.
NEAR_RESIDUAL, SAME_RESIDUAL = 0.03, 0.002
LEAST_GAIN, MOST_GAIN = float(np.log(4)), float(np.log(20))
CROWD_QUANTILE = 0.25
CUT_HEIGHT = 0.2  # share of the height by which a flat band at the bottom exceeds one at the top, and the usual one
FAINT_LEVELS, FAINT_FACTOR = 20.0, 1.5  # low contrast: levels missing at both ends, and the factor in contrast
GREY_LEVELS, COLOURED_LEVELS = 8.0, 32.0  # levels between the channels: at most in a grey image, at least in colour


@dataclass(frozen=True)
class Rule:
    """How far from the median a measure must be, at the least, to be named.

    below, above:  in the measure's unit, or in natural logarithms where ``log``; None: that side is never named.
    common:        the share of the collection beyond which it is no cause of being odd.
    reach:         how many times as far as the decile.
    absolute:      whether ``below`` and ``above`` are values of the measure itself instead.
    """

    below: float | None = None
    above: float | None = None
    log: bool = False
    common: float = COMMON_SHARE
    reach: float = LONG_TAIL
    absolute: bool = False

    def scaled(self, values: Doubles) -> Doubles:
        """The measure on the scale that it is judged on."""
        return np.log(np.maximum(values, 1e-3)) if self.log else values


#: What is judged, and the least effect: a factor for logarithms, levels of 255 for lightness. Without one a measure has
#: no limits of its own; what is usual is printed beside it.
RULES = {
    "spread": Rule(below=float(np.log(7)), log=True),
    "span": Rule(),
    "lightest": Rule(below=60.0, reach=SHORT_TAIL),
    "darkest": Rule(above=60.0, reach=SHORT_TAIL),
    "brightness": Rule(below=60.0, above=60.0, reach=SHORT_TAIL),
    "contrast": Rule(below=float(np.log(1.8)), log=True, reach=SHORT_TAIL),
    "edge_width": Rule(above=float(np.log(1.5)), log=True, reach=SHORT_TAIL),
    "band": Rule(above=CUT_HEIGHT),
    "band_edge": Rule(above=CUT_HEIGHT),
    "colour": Rule(below=GREY_LEVELS, above=COLOURED_LEVELS, absolute=True),
    "side": Rule(below=float(np.log(2)), above=float(np.log(2)), log=True),
    "aspect": Rule(below=float(np.log(1.5)), above=float(np.log(1.5)), log=True),
    "rotation_odds": Rule(above=float(np.log(25)), common=0.03, absolute=True),
    "near_duplicate_gain": Rule(above=LEAST_GAIN),
    "tenth_residual": Rule(),
}


@dataclass(frozen=True)
class Limits:
    """(measures,) where the middle of each measure lies and beyond what it is named, on the scale of its rule."""

    middle: Doubles
    low: Doubles
    high: Doubles


def judged(names: Collection[str]) -> list[str]:
    """The measures that have limits, of those that there are."""
    return [name for name in RULES if name in names]


def limits(columns: Mapping[str, Doubles]) -> Limits:
    """The limits of a collection, from its measures."""
    bounds = {name: _bounds(RULES[name].scaled(columns[name]), RULES[name]) for name in judged(columns)}
    middle = bounds["near_duplicate_gain"][0]
    gain = float(np.clip(limit(columns["near_duplicate_gain"]), LEAST_GAIN, MOST_GAIN))
    bounds["near_duplicate_gain"] = (middle, -np.inf, gain)
    crowded = float(np.quantile(columns["tenth_residual"], CROWD_QUANTILE)) / 2
    bounds["tenth_residual"] = (bounds["tenth_residual"][0], crowded, np.inf)
    return Limits(*np.array(list(bounds.values())).T)


def usual(columns: Collection[str], limits: Limits) -> dict[str, float]:
    """What is usual of each measure that is judged, as it is measured."""
    return {name: float(np.exp(middle) if RULES[name].log else middle)
            for name, middle in zip(judged(columns), limits.middle, strict=True)}


def _bounds(values: Doubles, rule: Rule) -> tuple[float, float, float]:
    """The median of (n,) values, and below and above what one is far out; infinite on a side that is not named."""
    middle, low, high = (float(value) for value in np.quantile(values, [0.5, TAIL_QUANTILE, 1 - TAIL_QUANTILE]))
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


def found(columns: Mapping[str, Doubles], limits: Limits) -> dict[str, Bools]:
    """Cause -> (m,) whether it is named, the plainest cause first. What is blank is nothing else besides."""
    low, high, middle = {}, {}, usual(columns, limits)
    for number, name in enumerate(judged(columns)):
        values = RULES[name].scaled(columns[name])
        low[name], high[name] = values < limits.low[number], values > limits.high[number]
    blank = low["spread"] & (columns["span"] < min(BLANK_LEVELS, middle["span"] / 3))
    dark, bright, faint = _light(columns, low, high, middle)
    cut = (high["band"] & (columns["band_more"] > CUT_HEIGHT)) | high["band_edge"]
    cut &= (columns["band"] > middle["band"] + CUT_HEIGHT) & ~dark & ~bright
    soft = high["edge_width"] & (columns["edge_width"] > SOFT_EDGE) & (columns["contrast"] > BLANK_LEVELS)
    mirrored = np.array([ROTATIONS[int(turn)][1] for turn in columns["turn"]], bool)
    turned = _turned(columns, high)
    named = {"copy": columns["copy_of"] >= 0, "blank": blank} | {cause: named & ~blank for cause, named in (
        ("near", _near(columns, limits)), ("cut", cut), ("blurred", soft),
        ("dark", dark), ("bright", bright), ("faint", faint),
        ("rotated", turned & ~mirrored), ("mirrored", turned & mirrored))}
    named |= {"large": high["side"], "small": low["side"], "wide": high["aspect"], "tall": low["aspect"]}
    if "colour" in columns:
        named["grey"] = low["colour"] & (middle["colour"] >= COLOURED_LEVELS) & ~blank
        named["coloured"] = high["colour"] & (middle["colour"] <= GREY_LEVELS) & ~blank
    return named


def _light(
    columns: Mapping[str, Doubles], low: Mapping[str, Bools], high: Mapping[str, Bools], middle: Mapping[str, float]
) -> tuple[Bools, Bools, Bools]:
    """(m,) each: dark, bright, of low contrast, and no two of them at once."""
    # Darker at its lightest and lighter at its darkest: that is neither dark nor bright, it lacks contrast.
    inward = columns["lightest"] < middle["lightest"] - FAINT_LEVELS
    inward &= columns["darkest"] > middle["darkest"] + FAINT_LEVELS
    inward &= columns["contrast"] < min(HALF_LEVEL, middle["contrast"] / FAINT_FACTOR)
    dark = low["lightest"] & (columns["lightest"] < HALF_LEVEL)
    dark |= low["brightness"] & (columns["brightness"] < DIM_LEVELS)
    bright = high["darkest"] & (columns["darkest"] > HALF_LEVEL)
    bright |= high["brightness"] & (columns["brightness"] > 255 - DIM_LEVELS)
    weak = low["contrast"] & (columns["contrast"] < HALF_LEVEL)
    faint = np.where(inward, weak | dark | bright, weak & ~dark & ~bright)
    return dark & ~inward, bright & ~inward & ~dark, faint


def _near(columns: Mapping[str, Doubles], limits: Limits) -> Bools:
    near = columns["near_duplicate_residual"] < near_bound(columns, limits)
    return np.asarray(near & (columns["span"] > BLANK_LEVELS) & (columns["near_duplicate_of"] >= 0))


def near_bound(columns: Mapping[str, Doubles], limits: Limits) -> Doubles:
    """(m,) the residual below which another image is a near duplicate of each."""
    place = {name: number for number, name in enumerate(judged(columns))}
    tenth = np.maximum(columns["tenth_residual"], limits.low[place["tenth_residual"]])
    far = np.exp(-limits.high[place["near_duplicate_gain"]])
    same = np.minimum(SAME_RESIDUAL, tenth * np.exp(-LEAST_GAIN))
    return np.asarray(np.maximum(np.minimum(NEAR_RESIDUAL, tenth * far), same))


def _turned(columns: Mapping[str, Doubles], high: Mapping[str, Bools]) -> Bools:
    """(m,) likely to have come another way, nearer to the others then, and really like the one that is shown."""
    likely = high["rotation_odds"] & (columns["rotation_gain"] > ROTATED_GAIN) & (columns["rotation_partner"] >= 0)
    bound = np.minimum(ROTATED_RESIDUAL, ROTATED_CLOSER * columns["tenth_residual"])
    return np.asarray(likely & (columns["rotation_residual"] < bound))


def sentence(cause: str, value: Mapping[str, float], usual: Mapping[str, float]) -> str:
    """A cause in words, with the number that it rests on and the usual one."""
    def lightness(end: str, words: str) -> str:
        """Of the end and the mean, that which differs more from the usual."""
        if abs(value[end] - usual[end]) >= abs(value["brightness"] - usual["brightness"]):
            return f"{words} {value[end]:.0f} of 255; {usual[end]:.0f} is usual here."
        return f"its mean lightness is {value['brightness']:.0f} of 255; {usual['brightness']:.0f} is usual here."

    sentences = {
        "copy": "An exact copy: the same pixels as these.",
        "near": "A near duplicate of this one, but for a slight shift or a change of light: "
                f"{percent(value['near_duplicate_residual'])} of what varies in it tells them apart.",
        "blank": "Blank, or nearly: from its darkest to its lightest place it spans "
                 f"{value['span']:.0f} of 255 levels; {usual['span']:.0f} are usual here.",
        "cut": f"Cut off, or empty below: a flat band takes the lower {100 * value['band']:.0f} % of its height; "
               f"{100 * usual['band']:.0f} % is usual here.",
        "blurred": f"Blurred: its sharpest edges are {value['edge_width']:.1f} pixels wide; "
                   f"{usual['edge_width']:.1f} are usual here.",
        "dark": "Dark: " + lightness("lightest", "its lightest parts reach"),
        "bright": "Bright: " + lightness("darkest", "its darkest parts are at"),
        "faint": "Low contrast: from its darkest to its lightest parts it spans "
                 f"{value['contrast']:.0f} of 255 levels; {usual['contrast']:.0f} are usual here.",
        "rotated": f"Rotated: {_like(value)}",
        "mirrored": f"Mirrored: {_like(value)}",
        "large": f"Large: about {value['side']:.0f} pixels a side; {usual['side']:.0f} are usual here.",
        "small": f"Small: about {value['side']:.0f} pixels a side; {usual['side']:.0f} are usual here.",
        "wide": f"Wide: {value['aspect']:.2f} times as wide as high; {usual['aspect']:.2f} is usual here.",
        "tall": f"Tall: {value['aspect']:.2f} times as wide as high; {usual['aspect']:.2f} is usual here.",
        "grey": "Grey, where most images here are in colour.",
        "coloured": "In colour, where most images here are grey.",
    }
    return sentences[cause]


def _like(value: Mapping[str, float]) -> str:
    return (f"{ROTATIONS[int(value['turn'])][2]}, it looks like this one: {percent(value['rotation_residual'])} of "
            f"what varies in it tells them apart; as it lies, {percent(min(value['tenth_residual'], 1))} tells it "
            "from the tenth nearest.")
