"""What `make bench-quick` calls better, worse or noise."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

PATH = Path(__file__).parent.parent / "benchmarks" / "quick.py"


@pytest.fixture(scope="module")
def quick():
    spec = importlib.util.spec_from_file_location("bench_quick", PATH)
    module = importlib.util.module_from_spec(spec)
    sys.modules["bench_quick"] = module  # where its data classes look for it
    spec.loader.exec_module(module)
    yield module
    del sys.modules["bench_quick"]


def accuracy(quick, *values, better="higher"):
    return quick.Row("a", values, better)


def timed(quick, *values):
    return quick.Row("t", values, "lower", timed=True)


@pytest.mark.parametrize(("by", "better", "word"), [
    (0.02, "higher", "better"), (-0.02, "higher", "worse"), (0.02, "lower", "worse"), (-0.02, "lower", "better"),
    (0.0, "higher", ""), (0.001, "higher", ""), (-0.001, "lower", ""),
])
def test_draws_that_moved_together_moved(quick, by, better, word):
    """However different the draws are from each other."""
    kept = np.array([0.7, 0.9, 0.95, 0.99])
    found = quick.verdict(accuracy(quick, *(kept + by), better=better), accuracy(quick, *kept, better=better))
    assert found.word == word
    assert found.move == pytest.approx(by)


def test_draws_that_went_both_ways_are_noise(quick):
    kept = np.array([0.7, 0.9, 0.95, 0.9])
    found = quick.verdict(accuracy(quick, *np.add(kept, [0.05, -0.03, 0.03, -0.01])), accuracy(quick, *kept))
    assert found.word == ""
    assert found.noise > abs(found.move) > 0


def test_nothing_changed_is_seldom_called_a_move(quick):
    rng = np.random.default_rng(0)
    words = [quick.verdict(accuracy(quick, *rng.normal(0.9, 0.01, 5)), accuracy(quick, *rng.normal(0.9, 0.01, 5))).word
             for _ in range(2000)]
    assert sum(word != "" for word in words) <= 2000 * 2 * quick.LEVEL
    words = [quick.verdict(timed(quick, *rng.normal(3, 0.1, 5)), timed(quick, *rng.normal(3, 0.1, 5))).word
             for _ in range(2000)]
    assert sum(word != "" for word in words) <= 2000 * 2 * quick.LEVEL


def test_a_time_is_moved_beyond_its_repeats_and_a_tenth(quick):
    kept = timed(quick, 3.0, 3.01, 2.99, 3.0, 3.02)
    assert quick.verdict(timed(quick, 3.2, 3.21, 3.2, 3.19, 3.2), kept).word == ""
    assert quick.verdict(timed(quick, 3.5, 3.51, 3.5, 3.49, 3.5), kept).word == "worse"
    assert quick.verdict(timed(quick, 2.5, 2.51, 2.5, 2.49, 2.5), kept).word == "better"
    assert quick.verdict(timed(quick, 3.5, 5.0, 3.0, 2.5, 4.5), kept).word == ""


def test_one_disturbed_repeat_moves_nothing(quick):
    kept = timed(quick, 3.0, 3.01, 2.99, 3.0, 3.02)
    assert quick.verdict(timed(quick, 3.0, 3.01, 9.0, 3.0, 3.02), kept).word == ""


def test_what_was_not_kept_or_is_of_other_draws_is_new(quick):
    row = accuracy(quick, 0.9, 0.8)
    assert quick.verdict(row, None).word == "new"
    assert quick.verdict(row, accuracy(quick, 0.9)).word == "new"
    assert quick.verdict(row, timed(quick, 3.0, 3.0)).word == "new"


def test_rows_are_kept_and_come_back(quick):
    rows = [accuracy(quick, 0.25, 0.5), timed(quick, 1.5)]
    assert list(quick.rows(quick.kept_form(rows)).values()) == rows


def test_the_table_marks_what_moved(quick):
    kept = accuracy(quick, 0.9, 0.8, 0.7)
    lines = quick.table([quick.verdict(accuracy(quick, 0.8, 0.7, 0.6), kept), quick.verdict(kept, kept),
                         quick.verdict(kept, None)]).splitlines()
    assert "**worse**" in lines[2]
    assert "-0.1" in lines[2]
    assert "**" not in lines[3]
    assert lines[4].endswith("| new |")


def test_it_ends_with_1_where_something_is_worse_unless_it_is_to_be_kept(quick, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(quick, "RESULTS", tmp_path / "quick.json")
    values = {"now": (0.9, 0.8, 0.7)}
    monkeypatch.setattr(quick, "MEASURES", {"digits": lambda: [accuracy(quick, *values["now"])], "time": list})
    assert quick.main([], keep=True) == 0
    assert quick.main(["digits"], keep=False) == 0
    values["now"] = (0.8, 0.7, 0.6)
    assert quick.main(["digits"], keep=False) == 1
    assert "Worse beyond noise: a." in capsys.readouterr().out
    assert quick.main([], keep=True) == 0
    assert quick.main([], keep=False) == 0
