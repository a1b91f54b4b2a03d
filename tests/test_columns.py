"""docs/columns.md has every column that a run writes, in its order, and no other, and values keep to its ranges."""

import csv
import re
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet

from oddlens import AnomalyModel, load_model, run_folder, save_model
from oddlens.run import rank_into, score_with

PAGE = (Path(__file__).parent.parent / "docs" / "columns.md").read_text()
VIEWS = ["pixels+forest", "hog+neighbors"]


def documented(*when):
    """Column -> its range in words, of those that are there then."""
    rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in PAGE.splitlines() if row.startswith("| `")]
    found = {name.strip("`"): span for name, _, span, _, present in rows if present in when}
    columns = {name: VIEWS if name == "ENCODER+DETECTOR" else [name] for name in found}
    return {column: found[name] for name in found for column in columns[name]}


def table(folder):
    with (folder / run_folder.FILES["table"]).open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    place = tmp_path_factory.mktemp("columns")
    rng = np.random.default_rng(0)
    colour = rng.integers(0, 256, (120, 16, 16, 3), dtype=np.uint8)
    colour[7] = colour[8]
    colour[9, 8:] = 0
    rank_into(colour, place / "colour", AnomalyModel(views=VIEWS))
    score_with(place / "colour", colour[:9], place / "new")
    rank_into(colour[:30, ..., 0], place / "grey", AnomalyModel(views=VIEWS), save_model=False)
    model = load_model(place / "colour" / run_folder.MODEL)
    save_model(model.give_feedback({"003": "odd", "004": "normal"}), place / "labelled")
    score_with(place / "labelled", colour[:9], place / "told")
    (place / "colour" / run_folder.REASONS).unlink()
    score_with(place / "colour", colour[:9], place / "bare")
    return place


@pytest.mark.parametrize(("run", "when"), [
    ("colour", ("always", "reasons", "colour")), ("new", ("always", "reasons", "colour")),
    ("grey", ("always", "reasons")), ("bare", ("always",)), ("told", ("always", "labels"))])
def test_the_page_has_the_columns_of_a_run_in_their_order(runs, run, when):
    assert list(table(runs / run)[0]) == list(documented(*when))
    assert parquet.read_schema(runs / run / run_folder.FILES["parquet"]).names == list(documented(*when))


@pytest.mark.parametrize("run", ["colour", "new", "grey", "told"])
def test_values_keep_to_the_ranges(runs, run):
    rows = table(runs / run)
    for column, span in documented("always", "labels", "reasons", "colour").items():
        if span and column in rows[0]:
            low, high = (float(end.replace("∞", "inf")) for end in re.fullmatch(r"(\S+) to (\S+)", span).groups())
            values = [float(row[column]) for row in rows]
            assert low <= min(values) <= max(values) <= high, column


def test_copies_are_named_and_text_is_empty_where_there_is_nothing(runs):
    rows = table(runs / "colour")
    assert rows[7]["copy_of"] == "008"
    assert rows[8]["copy_of"] == "007"
    assert "copy" in rows[7]["causes"].split(", ")
    assert {rows[20]["copy_of"], rows[20]["near_duplicate_of"], rows[20]["looks_like"], rows[20]["turned"]} == {""}
    assert sorted(int(row["rank"]) for row in rows) == list(range(1, 121))
    assert {row["flagged"] for row in rows} <= {"True", "False"}


def test_every_row_of_the_page_says_when():
    assert len(documented("always", "labels", "reasons", "colour")) == PAGE.count("\n| `") - 1 + len(VIEWS)
