"""Blocks of columns: there whole or not at all, and only for the key that they were made from."""

import numpy as np
import pytest

from oddlens import arrays
from oddlens.blocks import Block, Blocks, StoredColumn, key_of


@pytest.fixture(params=["memory", "folder"])
def blocks(request, tmp_path):
    return Blocks(tmp_path if request.param == "folder" else None)


def test_a_block_comes_back_as_it_was_put(blocks):
    columns = {"a": np.arange(6, dtype=np.float16).reshape(3, 2), "b/c": np.array([1, 2, 3], np.int64)}
    blocks.put(4, "key", Block(columns, {"unreadable": [["x", "torn"]]}))
    assert sorted(blocks.names(4)) == ["a", "b/c"]
    for name, column in columns.items():
        found = blocks.column(4, name)
        assert (found.dtype, found.tolist()) == (column.dtype, column.tolist())
    assert blocks.column(4, "d") is None
    assert blocks.facts(4) == {"unreadable": [["x", "torn"]]}


def test_it_is_there_only_under_its_key_and_a_later_one_takes_its_place(blocks):
    assert not blocks.holds(0, "a")
    assert blocks.facts(0) == {}
    blocks.put(0, "a", Block({"x": np.zeros(1)}))
    assert blocks.holds(0, "a")
    assert not blocks.holds(0, "b")
    assert not blocks.holds(1, "a")
    blocks.put(0, "b", Block({"x": np.ones(2)}))
    assert not blocks.holds(0, "a")
    assert blocks.column(0, "x").tolist() == [1, 1]


def test_columns_are_joined_in_the_order_of_the_blocks_and_some_may_have_none(blocks):
    blocks.put(1, "k", Block({"x": np.array([[3, 4]])}))
    blocks.put(0, "k", Block({"x": np.array([[1, 2], [5, 6]])}))
    blocks.put(2, "k", Block())
    assert blocks.joined("x", range(3)).tolist() == [[1, 2], [5, 6], [3, 4]]
    with pytest.raises(KeyError, match="y"):
        blocks.joined("y", range(3))


def test_some_rows_come_in_the_order_asked_for_and_only_their_blocks_are_read(blocks, monkeypatch):
    blocks.put(0, "k", Block({"x": np.array([[1, 2], [5, 6]])}))
    blocks.put(1, "k", Block())
    blocks.put(2, "k", Block({"x": np.array([[3, 4]])}))
    blocks.put(3, "k", Block({"x": np.array([[7, 8], [9, 9]])}))
    with pytest.raises(KeyError, match="y"):
        blocks.rows("y", np.array([0]), range(4))
    read = []
    column = Blocks.column
    monkeypatch.setattr(Blocks, "_rows", lambda self, number, name: [2, 0, 1, 2][number])
    monkeypatch.setattr(Blocks, "column", lambda self, number, name: read.append(number) or column(self, number, name))
    assert blocks.rows("x", np.array([3, 0, 1, 3, 0]), range(4)).tolist() == [[7, 8], [1, 2], [5, 6], [7, 8], [1, 2]]
    assert read == [0, 3]


def test_what_would_fill_the_memory_is_joined_in_a_file(blocks, monkeypatch):
    monkeypatch.setattr(arrays, "MOST_IN_MEMORY", 40)
    for number in range(3):
        blocks.put(number, "k", Block({"x": np.full((2, 2), number, np.float64)}))
    joined = blocks.joined("x", range(3))
    assert isinstance(joined, np.memmap)
    assert joined[:, 0].tolist() == [0, 0, 1, 1, 2, 2]


def test_what_is_joined_is_let_go_part_by_part(blocks, monkeypatch):
    let_go = []
    monkeypatch.setattr("oddlens.blocks.let_go", lambda part: let_go.append(part.tolist()))
    for number in range(3):
        blocks.put(number, "", Block({"x": np.full(2, number)}))
    blocks.joined("x", range(3))
    assert let_go == [[0, 0], [1, 1], [2, 2]]


def test_a_damaged_file_counts_as_not_there(tmp_path):
    blocks = Blocks(tmp_path)
    blocks.put(0, "k", Block({"x": np.arange(100)}))
    path = next(tmp_path.iterdir())
    path.write_bytes(path.read_bytes()[:-8])
    assert not blocks.holds(0, "k")
    assert blocks.facts(0) == {}
    path.write_bytes(b"\xff" * 50)
    assert not blocks.holds(0, "k")


def test_stages_in_one_folder_do_not_mix(tmp_path):
    Blocks(tmp_path, "one").put(0, "k", Block({"x": np.arange(2)}))
    assert not Blocks(tmp_path, "two").holds(0, "k")


def test_other_parts_have_another_key():
    rows = np.arange(4)
    assert key_of("a", rows) == key_of("a", rows.copy())
    keys = {key_of("a", rows), key_of("a", rows + 1), key_of("b", rows), key_of("a"), key_of("a", "b"), key_of("ab"),
            key_of(1), key_of("1")}
    assert len(keys) == 8


def test_a_column_is_read_where_it_is_asked_for(blocks):
    whole = np.random.default_rng(0).normal(size=(30, 3)).astype(np.float32)
    for number, (start, stop) in enumerate([(0, 12), (12, 12), (12, 13), (13, 30)]):
        blocks.put(number, "k", Block({"x": whole[start:stop]} if stop > start else {}))
    column = StoredColumn(blocks, "x", range(4))
    assert len(column) == 30
    for rows in (slice(None), slice(5, 14), slice(25, 99), slice(4, 4), np.array([29, 0, 12, 12]), np.arange(0)):
        assert np.array_equal(column[rows], whole[rows])
    with pytest.raises(KeyError):
        StoredColumn(blocks, "y", range(4))[:2]
