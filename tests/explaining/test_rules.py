"""The rules by themselves: measures and limits written by hand, and what is named of them."""

import numpy as np
import pytest

from oddlens.explaining.rules import RULES, Limits, found, judged, limits, near_bound, sentence, usual

#: An ordinary image, as it is measured.
ORDINARY = {
    "spread": 60, "span": 200, "brightness": 120, "lightest": 230, "darkest": 10, "contrast": 200, "edge_width": 1.5,
    "band": 0.1, "band_more": 0, "band_edge": 0, "colour": 50, "side": 100, "aspect": 1, "copy_of": -1,
    "near_duplicate_of": 3, "near_duplicate_residual": 0.4, "near_duplicate_gain": 0.2, "tenth_residual": 0.5,
    "turn": 1, "rotation_odds": 0, "rotation_gain": 0, "rotation_residual": 1, "rotation_partner": -1,
}
#: Beyond what a measure is far out; nearer than this the fixed bounds of the rules decide.
LOW = {"spread": 8, "lightest": 170, "brightness": 80, "contrast": 150, "colour": 8, "side": 50, "aspect": 0.5,
       "tenth_residual": 0.02}
HIGH = {"darkest": 70, "brightness": 180, "edge_width": 1.8, "band": 0.15, "band_edge": 0.25, "colour": 32, "side": 200,
        "aspect": 2, "rotation_odds": np.log(25), "near_duplicate_gain": np.log(10)}


#: What is judged on a scale of logarithms: factors count, not differences.
LOGARITHMIC = {"spread", "contrast", "edge_width", "side", "aspect"}


def limits_of(middle=None, low=None, high=None):
    """Limits as they are stored, of values as they are measured."""
    def stored(values, missing):
        return np.array([(np.log(values[name]) if name in LOGARITHMIC else values[name]) if name in values else missing
                         for name in RULES], float)

    return Limits(stored(ORDINARY | (middle or {}), 0.0), stored(LOW | (low or {}), -np.inf),
                  stored(HIGH | (high or {}), np.inf))


def named(change, **these):
    columns = {name: np.array([value], float) for name, value in (ORDINARY | change).items()}
    return {cause for cause, is_named in found(columns, limits_of(**these)).items() if is_named[0]}


class TestFound:
    """Each bound from both of its sides, the others far away."""

    @pytest.mark.parametrize(("change", "causes"), [
        ({}, ""), ({"copy_of": 0}, "copy"),
        ({"spread": 7.9, "span": 23.9}, "blank"), ({"spread": 7.9, "span": 24}, ""), ({"spread": 8, "span": 23}, ""),
        ({"lightest": 127.9}, "dark"), ({"lightest": 128}, ""),
        ({"brightness": 63.9}, "dark"), ({"brightness": 64}, ""),
        ({"darkest": 128.1}, "bright"), ({"darkest": 128}, ""),
        ({"brightness": 191.1}, "bright"), ({"brightness": 191}, ""),
        ({"lightest": 127, "darkest": 129}, "dark"),
        ({"contrast": 127.9}, "faint"), ({"contrast": 128}, ""),
        ({"contrast": 127, "lightest": 127}, "dark"), ({"contrast": 127, "darkest": 129}, "bright"),
        # darker at its lightest and lighter at its darkest, by more than 20 levels each
        ({"contrast": 127, "lightest": 127, "darkest": 30.1}, "faint"),
        ({"contrast": 127, "lightest": 127, "darkest": 30}, "dark"),
        ({"contrast": 127, "lightest": 209.9, "darkest": 129}, "faint"),
        ({"contrast": 127, "lightest": 210, "darkest": 129}, "bright"),
        ({"contrast": 128, "lightest": 127, "darkest": 31}, "dark"),
        ({"band": 0.31, "band_more": 0.21}, "cut"), ({"band": 0.31, "band_more": 0.2}, ""),
        ({"band": 0.3, "band_more": 0.21}, ""), ({"band": 0.31, "band_edge": 0.26}, "cut"),
        ({"band": 0.31, "band_edge": 0.25}, ""), ({"band": 0.3, "band_edge": 0.26}, ""),
        ({"band": 0.31, "band_more": 0.21, "lightest": 127}, "dark"),
        ({"band": 0.31, "band_more": 0.21, "darkest": 129}, "bright"),
        ({"edge_width": 2.21}, "blurred"), ({"edge_width": 2.2}, ""),
        ({"edge_width": 2.21, "contrast": 24.1}, "blurred faint"), ({"edge_width": 2.21, "contrast": 24}, "faint"),
        ({"near_duplicate_residual": 0.029}, "near"), ({"near_duplicate_residual": 0.03}, ""),
        ({"near_duplicate_residual": 0.029, "near_duplicate_of": 0}, "near"),
        ({"near_duplicate_residual": 0.029, "near_duplicate_of": -1}, ""),
        ({"near_duplicate_residual": 0.029, "span": 24.1}, "near"),
        ({"near_duplicate_residual": 0.029, "span": 24}, ""), ({"near_duplicate_residual": 0.029, "span": 23}, ""),
        ({"side": 201}, "large"), ({"side": 200}, ""), ({"side": 49}, "small"), ({"side": 50}, ""),
        ({"aspect": 2.1}, "wide"), ({"aspect": 2}, ""), ({"aspect": 0.49}, "tall"), ({"aspect": 0.5}, ""),
        ({"colour": 7.9}, "grey"), ({"colour": 8}, ""),
    ])
    def test_of_a_bound(self, change, causes):
        assert named(change) == set(causes.split())

    @pytest.mark.parametrize(("change", "low", "high"), [
        ({"lightest": 127}, {"lightest": 100}, {}), ({"brightness": 63}, {"brightness": 50}, {}),
        ({"darkest": 129}, {}, {"darkest": 150}), ({"brightness": 192}, {}, {"brightness": 200}),
        ({"contrast": 127}, {"contrast": 100}, {}), ({"edge_width": 2.3}, {}, {"edge_width": 3}),
        ({"band": 0.31, "band_more": 0.21}, {}, {"band": 0.4}), ({"spread": 6, "span": 9}, {"spread": 5}, {}),
        ({"contrast": 127, "lightest": 209, "darkest": 31}, {"contrast": 50}, {}),
    ])
    def test_what_is_not_far_out_in_the_collection_is_not_named(self, change, low, high):
        assert named(change)
        assert not named(change, low=low, high=high)

    def test_one_of_dark_bright_and_weak_will_do_for_what_lacks_contrast_at_both_ends(self):
        for change in ({"lightest": 127, "darkest": 31}, {"lightest": 209, "darkest": 129}):
            assert named(change | {"contrast": 127}, low={"contrast": 50}) == {"faint"}

    def test_contrast_is_lacking_against_the_usual_too(self):
        inward = {"lightest": 127, "darkest": 31}
        assert named(inward | {"contrast": 99.9}, middle={"contrast": 150}) == {"faint"}
        assert named(inward | {"contrast": 100.1}, middle={"contrast": 150}) == {"dark"}

    def test_blank_is_a_third_of_the_usual_span_at_most(self):
        assert named({"spread": 5, "span": 9.9}, middle={"span": 30}) == {"blank"}
        assert named({"spread": 5, "span": 10}, middle={"span": 30}) == set()

    def test_what_is_blank_is_nothing_else_besides_but_a_copy_or_of_another_size(self):
        everything = {"spread": 1, "span": 2, "lightest": 1, "brightness": 1, "contrast": 26, "edge_width": 9,
                      "band": 1, "band_edge": 1, "copy_of": 4, "near_duplicate_residual": 0, "colour": 0, "side": 300,
                      "aspect": 3, "rotation_odds": 9, "rotation_gain": 1, "rotation_residual": 0,
                      "rotation_partner": 1}
        assert named(everything) == {"blank", "copy", "large", "wide"}
        assert named({"spread": 1, "span": 2, "colour": 40}, middle={"colour": 0}) == {"blank"}

    def test_turned(self):
        turned = {"rotation_odds": np.log(26), "rotation_gain": 0.061, "rotation_partner": 0, "rotation_residual": 0.19}
        for turn in range(1, 8):
            assert named(turned | {"turn": turn}) == {"mirrored" if turn >= 4 else "rotated"}
        for change in ({"rotation_odds": np.log(25)}, {"rotation_gain": 0.06}, {"rotation_partner": -1},
                       {"rotation_residual": 0.2}, {"tenth_residual": 0.38}):
            assert named(turned | change) == set(), change
        assert named(turned | {"tenth_residual": 0.39}) == {"rotated"}, "half of it is .195"

    @pytest.mark.parametrize(("colour", "middle", "causes"), [
        (7, 32, {"grey"}), (7, 31.9, set()), (33, 8, {"coloured"}), (32, 8, set()), (33, 8.1, set()),
    ])
    def test_colour_is_named_where_most_are_the_other_way(self, colour, middle, causes):
        assert named({"colour": colour}, middle={"colour": middle}) == causes

    def test_the_order_is_the_plainest_first_and_grey_pixels_have_no_colour(self):
        columns = {name: np.array([value], float) for name, value in ORDINARY.items()}
        order = ["copy", "blank", "near", "cut", "blurred", "dark", "bright", "faint", "rotated", "mirrored", "large",
                 "small", "wide", "tall", "grey", "coloured"]
        assert list(found(columns, limits_of())) == order
        at = judged(columns).index("colour")
        fewer = Limits(*(np.delete(part, at) for part in (limits_of().middle, limits_of().low, limits_of().high)))
        del columns["colour"]
        assert list(found(columns, fewer)) == order[:-2]

    def test_each_row_by_itself(self):
        columns = {name: np.full(4, value, float) for name, value in ORDINARY.items()}
        columns["lightest"][1], columns["side"][3] = 100, 500
        masks = found(columns, limits_of())
        assert {cause: np.flatnonzero(mask).tolist() for cause, mask in masks.items() if mask.any()} == {
            "dark": [1], "large": [3]}


@pytest.mark.parametrize(("tenth", "low", "gain", "bound"), [
    (0.5, 0.02, 10, 0.03), (0.2, 0.02, 10, 0.02), (0.1, 0.02, 10, 0.01),  # a tenth of it, and .03 at most
    (0.01, 0.2, 10, 0.02),  # of many copies the tenth is one itself
    (0.02, 0, 20, 0.002), (0.004, 0, 20, 0.001),  # what nobody sees, if four times nearer
])
def test_the_bound_of_a_near_duplicate(tenth, low, gain, bound):
    these = limits_of(low={"tenth_residual": low}, high={"near_duplicate_gain": np.log(gain)})
    assert near_bound({name: np.array([tenth]) for name in ORDINARY}, these) == pytest.approx([bound])


#: measure -> the least effect below and above, how many times as far as the decile.
EFFECTS = {
    "spread": (np.log(7), None, 3.86), "span": (None, None, 3.86), "lightest": (60, None, 2.01),
    "darkest": (None, 60, 2.01), "brightness": (60, 60, 2.01),
    "contrast": (np.log(1.8), None, 2.01), "edge_width": (None, np.log(1.5), 2.01),
    "band": (None, 0.2, 3.86), "band_edge": (None, 0.2, 3.86), "side": (np.log(2), np.log(2), 3.86),
    "aspect": (np.log(1.5), np.log(1.5), 3.86),
}


def collection(steps):
    """101 images: each measure goes up evenly, in its own step, and is 5 in the middle on the scale of its rule."""
    columns = {name: np.full(101, 5.0) for name in ORDINARY}
    for name, step in steps.items():
        scaled = 5 + step * np.arange(-50, 51)
        columns[name] = np.exp(scaled) if name in LOGARITHMIC else scaled
    return columns


class TestLimits:
    def test_near_each_other_the_effect_decides(self):
        these = limits(collection({name: (below or above or 1) / 1000 for name, (below, above, _) in EFFECTS.items()}))
        for at, name in enumerate(judged(ORDINARY)):
            if name in EFFECTS:
                below, above, _ = EFFECTS[name]
                assert these.middle[at] == pytest.approx(5)
                assert these.low[at] == pytest.approx(-np.inf if below is None else 5 - below)
                assert these.high[at] == pytest.approx(np.inf if above is None else 5 + above)

    def test_far_apart_the_fall_of_the_tail_decides(self):
        steps = {name: (below or above or 1) / 20 for name, (below, above, _) in EFFECTS.items()}
        these = limits(collection(steps))
        for at, name in enumerate(judged(ORDINARY)):
            if name in EFFECTS:
                below, above, reach = EFFECTS[name]
                far = reach * 40 * steps[name]  # the decile is 40 steps from the median
                assert these.low[at] == pytest.approx(-np.inf if below is None else 5 - far)
                assert these.high[at] == pytest.approx(np.inf if above is None else 5 + far)

    @pytest.mark.parametrize(("name", "count", "common"), [
        ("lightest", 5, False), ("lightest", 6, True), ("darkest", 5, False), ("darkest", 6, True),
        ("colour", 5, False), ("colour", 6, True), ("rotation_odds", 3, False), ("rotation_odds", 4, True),
    ])
    def test_what_more_than_a_twentieth_share_is_no_cause(self, name, count, common):
        columns = collection({})
        columns["colour"][:] = 20
        odd = {"lightest": -500, "darkest": 500, "colour": 100, "rotation_odds": 50}[name]
        columns[name][:count] = odd
        at = judged(ORDINARY).index(name)
        these = limits(columns)
        beyond = columns[name] < these.low[at] if odd < 0 else columns[name] > these.high[at]
        assert beyond.sum() == (0 if common else count)

    @pytest.mark.parametrize(("n", "odd", "count"), [(1, 1, 0), (2, 1, 0), (10, 1, 1), (39, 1, 1), (39, 2, 0)])
    def test_of_few_images_one_is_named_at_the_most(self, n, odd, count):
        for name, value in (("lightest", -500), ("darkest", 500)):
            columns = {measure: np.full(n, 5.0) for measure in ORDINARY}
            columns[name][:odd] = value
            at, these = judged(ORDINARY).index(name), limits(columns)
            beyond = columns[name] < these.low[at] if value < 0 else columns[name] > these.high[at]
            assert beyond.sum() == count

    def test_colour_and_odds_speak_for_themselves(self):
        these = limits(collection({"colour": 0.001, "rotation_odds": 0.001}))
        colour, odds = (judged(ORDINARY).index(name) for name in ("colour", "rotation_odds"))
        assert (these.low[colour], these.high[colour]) == (pytest.approx(5 - 0.045), 32)
        assert (these.low[odds], these.high[odds]) == (-np.inf, pytest.approx(5 + 0.047))
        columns = collection({})
        columns["colour"][:], columns["rotation_odds"][:] = 20, 0
        these = limits(columns)
        assert (these.low[colour], these.high[colour]) == (8, 32)
        assert these.high[odds] == pytest.approx(np.log(25))

    def test_near_duplicates(self):
        at = judged(ORDINARY).index("near_duplicate_gain")
        for step, expected in ((0.0, np.log(4)), (1.0, np.log(20))):
            columns = collection({})
            columns["near_duplicate_gain"] = step * np.arange(101)
            these = limits(columns)
            assert these.middle[at] == 50 * step
            assert (these.low[at], these.high[at]) == (-np.inf, pytest.approx(expected))
        columns["near_duplicate_gain"] = 0.005 * np.arange(101)
        place = {p: -np.log(1 - p ** (1 / 9)) for p in (0.999, 0.5, 0.25)}
        expected = 0.25 + 0.125 * (place[0.999] - place[0.5]) / (place[0.5] - place[0.25])
        assert np.log(4) < expected < np.log(20)
        assert limits(columns).high[at] == pytest.approx(expected)

    def test_the_tenth_of_a_crowd_counts_half_of_the_lower_quartile(self):
        columns = collection({})
        columns["tenth_residual"] = np.arange(101) / 100
        at, these = judged(ORDINARY).index("tenth_residual"), limits(columns)
        assert (these.middle[at], these.low[at], these.high[at]) == (0.5, 0.125, np.inf)

    def test_nothing_has_the_logarithm_of_a_thousandth(self):
        columns = collection({})
        columns["spread"] = np.zeros(101)
        these = limits(columns)
        assert these.middle[judged(columns).index("spread")] == pytest.approx(np.log(0.001))
        assert usual(columns, these)["spread"] == pytest.approx(0.001)
        assert usual(columns, these)["span"] == 5
        assert usual(columns, these)["side"] == pytest.approx(5)


USUAL = ORDINARY | {"span": 200.4, "band": 0.12, "contrast": 190}
VALUE = ORDINARY | {
    "span": 3.6, "near_duplicate_residual": 0.0123, "band": 0.456, "edge_width": 4.56, "contrast": 45.4, "side": 12.3,
    "aspect": 3.456, "lightest": 90, "darkest": 150, "turn": 3, "rotation_residual": 0.05, "tenth_residual": 1.4}


@pytest.mark.parametrize(("cause", "words"), [
    ("copy", "An exact copy: the same pixels as these."),
    ("near", "A near duplicate of this one, but for a slight shift or a change of light: 1.2 % of what varies in it "
             "tells them apart."),
    ("blank", "Blank, or nearly: from its darkest to its lightest place it spans 4 of 255 levels; 200 are usual here."),
    ("cut", "Cut off, or empty below: a flat band takes the lower 46 % of its height; 12 % is usual here."),
    ("blurred", "Blurred: its sharpest edges are 4.6 pixels wide; 1.5 are usual here."),
    ("dark", "Dark: its lightest parts reach 90 of 255; 230 is usual here."),
    ("bright", "Bright: its darkest parts are at 150 of 255; 10 is usual here."),
    ("faint", "Low contrast: from its darkest to its lightest parts it spans 45 of 255 levels; 190 are usual here."),
    ("rotated", "Rotated: turned a quarter to the right, it looks like this one: 5 % of what varies in it tells them "
                "apart; as it lies, 100 % tells it from the tenth nearest."),
    ("mirrored", "Mirrored: turned a quarter to the right, it looks like this one: 5 % of what varies in it tells them "
                 "apart; as it lies, 100 % tells it from the tenth nearest."),
    ("large", "Large: about 12 pixels a side; 100 are usual here."),
    ("small", "Small: about 12 pixels a side; 100 are usual here."),
    ("wide", "Wide: 3.46 times as wide as high; 1.00 is usual here."),
    ("tall", "Tall: 3.46 times as wide as high; 1.00 is usual here."),
    ("grey", "Grey, where most images here are in colour."),
    ("coloured", "In colour, where most images here are grey."),
])
def test_in_words(cause, words):
    assert sentence(cause, VALUE, USUAL) == words


def test_the_lightness_that_differs_more_is_told():
    for end, sign in (("lightest", -1), ("darkest", 1)):
        cause = "dark" if end == "lightest" else "bright"
        for further, told in ((49, f"{USUAL[end] + 49 * sign} of 255"), (50, f"{USUAL[end] + 50 * sign} of 255"),
                              (48, f"its mean lightness is {120 + 49 * sign} of 255; 120 is usual here.")):
            value = ORDINARY | {end: USUAL[end] + further * sign, "brightness": 120 + 49 * sign}
            assert told in sentence(cause, value, USUAL)
        less = ORDINARY | {end: USUAL[end] + 60 * sign, "brightness": 120 - 61 * sign}
        assert f"its mean lightness is {120 - 61 * sign} of 255" in sentence(cause, less, USUAL)
