"""Limits and causes on made-up measures: what is far out, what is common, and what the image by itself must be."""

import numpy as np
import pytest

from oddlens.explaining.rules import LONG_TAIL, RULES, Limits, Rule, found, judged, limits, near_bound, sentence, usual

N = 400


def ordinary(seed=0):
    """Measures of 400 ordinary images."""
    rng = np.random.default_rng(seed)
    columns = {
        "spread": rng.normal(60, 3, N), "span": rng.normal(220, 4, N), "brightness": rng.normal(120, 5, N),
        "lightest": rng.normal(230, 4, N), "darkest": rng.normal(20, 4, N), "contrast": rng.normal(210, 5, N),
        "edge_width": rng.normal(1.4, 0.05, N), "band": np.zeros(N), "band_more": np.zeros(N), "band_edge": np.zeros(N),
        "colour": rng.normal(60, 5, N), "side": rng.normal(100, 3, N), "aspect": rng.normal(1, 0.02, N),
        "rotation_odds": rng.normal(-5, 1, N), "rotation_gain": np.zeros(N), "rotation_partner": np.full(N, 3.0),
        "rotation_residual": np.full(N, 0.5), "turn": np.zeros(N), "copy_of": np.full(N, -1.0),
        "near_duplicate_of": np.full(N, 3.0), "near_duplicate_residual": np.full(N, 0.3),
        "near_duplicate_gain": rng.exponential(0.1, N), "tenth_residual": rng.normal(0.4, 0.02, N)}
    return {name: np.abs(values) if name in ("side", "aspect") else values for name, values in columns.items()}


def causes(row=7, **values):
    columns = ordinary()
    for name, value in values.items():
        columns[name][row] = value
    named = found(columns, limits(columns))
    return {cause for cause, which in named.items() if which[row]}, named


def test_ordinary_images_have_no_cause():
    _, named = causes()
    assert sum(which.sum() for which in named.values()) <= 2


@pytest.mark.parametrize(("values", "cause"), [
    ({"spread": 1, "span": 5, "contrast": 4, "lightest": 125, "darkest": 120}, "blank"),
    ({"edge_width": 4.0}, "blurred"),
    ({"lightest": 90, "brightness": 40, "contrast": 60}, "dark"),
    ({"darkest": 170, "brightness": 215, "contrast": 70}, "bright"),
    ({"lightest": 150, "darkest": 90, "contrast": 60}, "faint"),
    ({"band": 0.5, "band_more": 0.5, "band_edge": 0.5}, "cut"),
    ({"side": 300}, "large"), ({"side": 30}, "small"), ({"aspect": 2.0}, "wide"), ({"aspect": 0.5}, "tall"),
    ({"colour": 2}, "grey"), ({"copy_of": 9}, "copy"), ({"near_duplicate_residual": 0.001}, "near"),
    ({"rotation_odds": 8, "rotation_gain": 0.5, "rotation_residual": 0.1, "turn": 2}, "rotated"),
    ({"rotation_odds": 8, "rotation_gain": 0.5, "rotation_residual": 0.1, "turn": 4}, "mirrored"),
])
def test_each_cause_is_named_by_its_measure_and_no_other_besides(values, cause):
    assert causes(**values)[0] == {cause}


@pytest.mark.parametrize("values", [
    {"edge_width": 2.1},  # far out, but sharp by itself
    {"lightest": 150},  # far out, but lighter than middle grey
    {"side": 150},  # less than a factor of 2
    {"rotation_odds": 8, "rotation_gain": 0.0, "rotation_residual": 0.1, "turn": 2},  # no nearer to the others then
    {"rotation_odds": 8, "rotation_gain": 0.5, "rotation_residual": 0.3, "turn": 2},  # not like the image shown
    {"near_duplicate_residual": 0.001, "span": 10.0},  # of what spans next to nothing anything is a duplicate
])
def test_what_does_not_look_so_by_itself_is_not_named(values):
    assert not causes(**values)[0]


def test_what_more_than_a_twentieth_share_is_no_cause():
    few, many = ordinary(), ordinary()
    few["edge_width"][:15] = 4.0
    many["edge_width"][:40] = 4.0
    assert found(few, limits(few))["blurred"].sum() == 15
    assert not found(many, limits(many))["blurred"].any()


def test_copies_are_named_however_many_there_are():
    columns = ordinary()
    columns["copy_of"][:200] = 0
    assert found(columns, limits(columns))["copy"].sum() == 200


def test_a_limit_is_the_tail_carried_on_from_the_decile():
    columns = ordinary()
    columns["band"] = np.linspace(0, 1, N)
    high = limits(columns).high[judged(columns).index("band")]
    low_end, decile = np.quantile(columns["band"], [0.5, 0.9])
    assert high == pytest.approx(low_end + LONG_TAIL * (decile - low_end))


def test_usual_values_are_in_the_unit_of_the_measure():
    columns = ordinary()
    found_usual = usual(columns, limits(columns))
    for name in ("side", "contrast", "lightest"):
        assert found_usual[name] == pytest.approx(np.median(columns[name]), rel=1e-3)


def test_grey_images_have_no_rule_about_colour():
    columns = {name: values for name, values in ordinary().items() if name != "colour"}
    assert "colour" not in judged(columns)
    assert not {"grey", "coloured"} & set(found(columns, limits(columns)))


def test_near_duplicates_must_be_near_and_nearer_than_the_tenth():
    columns = ordinary()
    bound = near_bound(columns, limits(columns))
    assert (bound <= 0.03).all()
    assert (bound >= 0.002).all()


def test_every_cause_has_a_sentence_with_its_numbers_and_the_usual_ones():
    columns = ordinary()
    rows = {name: float(values[0]) for name, values in columns.items()}
    middle = usual(columns, limits(columns))
    for cause in found(columns, limits(columns)):
        text = sentence(cause, rows, middle)
        assert text[0].isupper()
        assert text.endswith(".")
    assert sentence("large", {**rows, "side": 300.4}, middle) == (
        f"Large: about 300 pixels a side; {middle['side']:.0f} are usual here.")
    assert "its mean lightness is 10 of 255" in sentence("dark", {**rows, "brightness": 10.0}, middle)


def test_a_rule_without_a_side_names_nothing_there():
    assert Rule().scaled(np.array([2.0])).tolist() == [2.0]
    assert Rule(log=True).scaled(np.array([np.e]))[0] == pytest.approx(1)
    columns = ordinary()
    bounds = limits(columns)
    assert isinstance(bounds, Limits)
    assert bounds.low[judged(columns).index("edge_width")] == -np.inf
    assert RULES["edge_width"].below is None
