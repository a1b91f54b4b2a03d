"""The plot is a PNG of the panels; without matplotlib the way out is named."""

import numpy as np
import pytest
from PIL import Image

from oddlens.errors import MissingExtra
from oddlens.evaluation import plots
from oddlens.evaluation.plots import ACROSS, Bars, Curves, write_curves, write_plot


def bars(title, methods=3):
    names = ["oddlens", *(f"hog-{number}" for number in range(1, methods))]
    return Bars(title, {name: (0.9 - place / 10, 0.01 if place else None, 0.95) for place, name in enumerate(names)})


def test_more_panels_make_a_larger_picture_and_three_stand_in_a_row(tmp_path):
    pytest.importorskip("matplotlib")
    sizes = {}
    for count in (1, ACROSS, ACROSS + 1):
        write_plot(tmp_path / "a.png", [bars(f"set {number}") for number in range(count)])
        with Image.open(tmp_path / "a.png") as picture:
            assert (picture.format, picture.mode) == ("PNG", "P")
            sizes[count] = picture.size
    assert sizes[ACROSS][0] == pytest.approx(3 * sizes[1][0], abs=3)
    assert sizes[ACROSS][1] == sizes[1][1]
    assert sizes[ACROSS + 1] == (sizes[ACROSS][0], 2 * sizes[1][1])


def test_our_bars_have_our_colour(tmp_path):
    pytest.importorskip("matplotlib")
    write_plot(tmp_path / "a.png", [bars("a set")])
    with Image.open(tmp_path / "a.png") as picture:
        colours = {tuple(row) for row in np.asarray(picture.convert("RGB")).reshape(-1, 3)[::7].tolist()}
    assert {tuple(bytes.fromhex(colour[1:])) for colour in (plots.OWN, plots.BASELINE)} <= colours


def test_without_matplotlib_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(plots, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"The plot needs matplotlib.*oddlens\[evaluate\]"):
        write_plot(tmp_path / "a.png", [bars("a set")])
    assert not list(tmp_path.iterdir())


def test_curves_have_a_line_a_method_and_three_panels_stand_in_a_row(tmp_path):
    pytest.importorskip("matplotlib")
    sizes = []
    for count in (1, ACROSS, ACROSS + 1):
        panels = [Curves(f"set {number}", 5, {"unlabelled order": [1, 2, 3], "feedback": [2, 4, 9]})
                  for number in range(count)]
        write_curves(tmp_path / "a.png", panels)
        with Image.open(tmp_path / "a.png") as picture:
            sizes.append(picture.size)
            colours = {colour for _, colour in picture.convert("RGB").getcolors(1 << 20)}
        assert {tuple(bytes.fromhex(colour[1:])) for colour in (plots.OWN, plots.BASELINE)} <= colours
    assert sizes[1][0] == pytest.approx(3 * sizes[0][0], abs=3)
    assert sizes[2] == (sizes[1][0], 2 * sizes[1][1])


def test_without_matplotlib_curves_name_the_way_out(tmp_path, monkeypatch):
    monkeypatch.setattr(plots, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"oddlens\[evaluate\]"):
        write_curves(tmp_path / "a.png", [])
