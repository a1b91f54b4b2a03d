import csv

import numpy as np
import pytest

from oddlens import csv_text
from oddlens.csv_text import columns, read, written

ROWS = [["name", "score"], ["a \"b\"", 0.1], ["line\nend, comma", 2], ["", 1e-300], ["=1+1", float("inf")]]


def test_what_is_written_is_read_again(tmp_path):
    path = tmp_path / "table.csv"
    path.write_bytes(b"".join(written(ROWS)))
    assert list(read(path.open("rb"))) == [[str(cell) for cell in row] for row in ROWS]
    assert path.read_bytes().startswith(b'"name","score"\n"a ""b""",0.1\n')


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 16])
def test_the_size_of_the_parts_changes_nothing(monkeypatch, count):
    rows = [[str(row), row] for row in range(count)]
    whole = b"".join(written(rows))
    monkeypatch.setattr(csv_text, "ROWS", 8)
    parts = list(written(iter(rows)))
    assert b"".join(parts) == whole
    assert len(parts) == -(-count // 8)


def test_rows_are_asked_for_when_their_part_is(monkeypatch):
    monkeypatch.setattr(csv_text, "ROWS", 4)
    asked = []
    parts = written(asked.append(row) or [row] for row in range(100))
    next(parts)
    assert asked == [0, 1, 2, 3]


def test_text_that_is_no_utf_8_comes_back_or_is_refused(tmp_path):
    path = tmp_path / "table.csv"
    path.write_bytes(b"".join(written([["a\udcff"]], "surrogateescape")))
    assert path.read_bytes() == b'"a\xff"\n'
    assert list(read(path.open("rb"))) == [["a\udcff"]]
    with pytest.raises(UnicodeEncodeError):
        list(written([["a\udcff"]]))


@pytest.mark.parametrize("content", [b'"a', b'"a"b\n'])
def test_what_is_no_table_is_refused(tmp_path, content):
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    with pytest.raises(csv.Error):
        list(read(path.open("rb")))


def table(tmp_path, rows):
    path = tmp_path / "table.csv"
    path.write_bytes(b"".join(written(rows)))
    return lambda: path.open("rb")


def test_columns_are_numbers_where_every_cell_is_one(tmp_path, monkeypatch):
    monkeypatch.setattr(csv_text, "ROWS", 4)
    rows = [(str(row), row / 3, "" if row % 2 else "copy", row if row < 9 else "none", row) for row in range(11)]
    found = columns(table(tmp_path, [("name", "score", "copy_of", "late", "rank"), *rows]), {"name"},
                    lambda name: name != "rank")
    assert list(found) == ["name", "score", "copy_of", "late"]
    assert found["name"] == tuple(map(str, range(11))), "text though it looks like numbers"
    assert np.array_equal(found["score"], np.arange(11) / 3)
    assert found["copy_of"] == ("copy", "") * 5 + ("copy",)
    assert found["late"] == (*map(str, range(9)), "none", "none"), "as it stands there, not as numbers look"


def test_of_no_rows_a_column_is_empty(tmp_path):
    assert columns(table(tmp_path, [("name", "score")])) == {"name": (), "score": ()}


@pytest.mark.parametrize("rows", [[], [("a", "a"), (1, 2)], [("a", "b"), (1, 2), (1,)], [("a",), (1, 2)]])
def test_rows_that_do_not_fit_are_refused(tmp_path, rows):
    with pytest.raises(ValueError, match=r"its rows do not fit|it has no columns"):
        columns(table(tmp_path, rows))
