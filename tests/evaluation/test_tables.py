"""Means over classes, then over seeds, and the tables made of them."""

import pytest

from oddlens.evaluation.tables import markdown, plain, summarise, text


def row(method, case, seed, auroc, data="mnist", c=0.1, seconds=2.0):
    return {"protocol": "A", "data": data, "c": c, "case": case, "seed": seed, "method": method, "auroc": auroc,
            "average_precision": auroc / 2, "precision_at_n": auroc / 5, "seconds": seconds, "cpu_seconds": seconds}


ROWS = [row("oddlens", "3", 0, 0.9), row("oddlens", "5", 0, 0.7), row("oddlens", "3", 1, 1.0),
        row("oddlens", "5", 1, 0.8),
        row("hog", "3", 0, 0.6), row("oddlens: a", "3", 0, 0.5, seconds=None)]


def test_a_mean_is_over_classes_then_seeds_with_the_error_over_seeds():
    group, = summarise(ROWS, ["oddlens", "hog"])
    assert (group.sets, group.seeds, group.title) == (4, 2, "mnist, 10 %")
    assert [entry.method for entry in group.entries] == ["oddlens", "oddlens: a", "hog"]
    mean, error = group.entries[0].means["auroc"]
    assert mean == pytest.approx(0.85)
    assert error == pytest.approx(0.05)  # of the seeds' means, .8 and .9
    assert group.entries[2].means["auroc"] == (0.6, None)
    assert group.entries[1].seconds is None


def test_the_terminals_table_has_a_line_a_method():
    lines = text(summarise(ROWS, ["oddlens", "hog"])).splitlines()
    assert lines[0] == "A: one class contaminated with others, unlabelled; mnist, 10 %"
    assert lines[1] == "mean of 4 sets, 2 seeds; +- standard error over seeds"
    assert lines[3].split() == ["oddlens", "0.850+-0.050", "0.425+-0.025", "0.170+-0.010", "2.00", "2.00"]
    assert lines[5].endswith("1 of 4 sets")


def test_the_pages_table_has_a_column_a_data_set():
    rows = [*ROWS, row("hog", "1", 0, 0.4, data="fashion", c=None)]
    lines = markdown(summarise(rows, ["oddlens", "hog"])).splitlines()
    assert lines[2] == "| method | fashion (1 set) | mnist, 10 % (4 sets, 2 seeds) | CPU-s a set |"
    assert "| oddlens |  | 0.850 ± 0.050 / 0.425 ± 0.025 | 2.0 |" in lines
    assert "| hog | 0.400 / 0.200 | 0.600 / 0.300 (1 of 4) | 2.0 |" in lines


def test_plain_values_say_the_same():
    found, = plain(summarise(ROWS, ["oddlens", "hog"]))
    assert found["methods"][0]["auroc"] == pytest.approx(0.85)
    assert found["methods"][0]["standard_error"]["auroc"] == pytest.approx(0.05)
    assert found["methods"][1]["seconds"] is None
