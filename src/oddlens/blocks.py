"""What a collection's images gave, kept in blocks: each a file of columns that is there whole or not at all.

A block is what a pure function made of a model and some images, one row an image. Its file is written in one step, so
that the file itself is the mark that the block is done: work that was cut off goes on with the blocks that lack theirs.
Each has a key, of all that it was made from; one with another key is not there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as save_tensors

from oddlens.arrays import allocate, let_go
from oddlens.files import write_atomically


@dataclass(frozen=True, eq=False)
class Block:
    """What some images gave.

    columns:  name -> (rows, ...) array.
    facts:    what is known beside the columns, as JSON.
    """

    columns: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)


class Blocks:
    """Blocks by number, in a folder or, without one, in memory.

    >>> blocks = Blocks()
    >>> blocks.put(0, "a", Block({"x": np.arange(2)}))
    >>> blocks.put(1, "a", Block({"x": np.arange(3)}))
    >>> blocks.holds(1, "a"), blocks.holds(1, "b"), blocks.joined("x", [0, 1]).tolist()
    (True, False, [0, 1, 0, 1, 2])
    """

    def __init__(self, folder: Path | None = None, name: str = "block") -> None:
        self.folder, self.name = folder, name
        self._held: dict[int, tuple[str, Block]] = {}

    def holds(self, number: int, key: str) -> bool:
        """Whether the block is there, made from what the key stands for."""
        if self.folder is None:
            return number in self._held and self._held[number][0] == key
        return self._head(number).get("key") == key

    def put(self, number: int, key: str, block: Block) -> None:
        """Keep a block, in place of an earlier one of its number; raises ``OutputError`` where it cannot be written."""
        if self.folder is None:
            self._held[number] = key, block
            return
        columns = {name: np.ascontiguousarray(column) for name, column in block.columns.items()}
        write_atomically(self._path(number),
                         save_tensors(columns, {"key": key, "facts": json.dumps(dict(block.facts))}))

    def facts(self, number: int) -> dict[str, Any]:
        """What is known beside the columns; empty where the block is not there."""
        if self.folder is None:
            return dict(self._held[number][1].facts) if number in self._held else {}
        found: dict[str, Any] = json.loads(self._head(number).get("facts", "{}"))
        return found

    def column(self, number: int, name: str) -> NDArray[Any] | None:
        """One column of one block; None of a block that has none of that name, as one without images."""
        if self.folder is None:
            return self._held[number][1].columns.get(name)
        with safe_open(self._path(number), "np") as file:
            found: NDArray[Any] | None = file.get_tensor(name) if name in file.keys() else None  # noqa: SIM118
        return found

    def names(self, number: int) -> list[str]:
        """What the columns of a block are called."""
        if self.folder is None:
            return list(self._held[number][1].columns)
        with safe_open(self._path(number), "np") as file:
            return list(file.keys())

    def parts(self, name: str, numbers: Iterator[int] | range | list[int]) -> Iterator[NDArray[Any]]:
        """A column block by block."""
        for number in numbers:
            part = self.column(number, name)
            if part is not None:
                yield part

    def joined(self, name: str, numbers: range | list[int]) -> NDArray[Any]:
        """A column of all these blocks, one after the other; in a temporary file where it would fill the memory."""
        if self.folder is None and len(numbers) == 1 and (only := self.column(numbers[0], name)) is not None:
            return only
        count = sum(self._rows(number, name) for number in numbers)
        whole: NDArray[Any] | None = None
        start = 0
        for part in self.parts(name, numbers):
            if whole is None:
                whole = allocate((count, *part.shape[1:]), part.dtype)
            rows = slice(start, start + len(part))
            whole[rows] = part
            let_go(whole[rows])
            start = rows.stop
        if whole is None:
            raise KeyError(name)
        return whole

    def ends(self, name: str, numbers: range | list[int]) -> NDArray[np.int64]:
        """Where in what ``joined`` gives each block ends."""
        return np.cumsum([self._rows(number, name) for number in numbers], dtype=np.int64)

    def rows(
        self, name: str, rows: NDArray[np.integer[Any]], numbers: range | list[int],
        ends: NDArray[np.int64] | None = None,
    ) -> NDArray[Any]:
        """Some rows, in this order, of what ``joined`` gives; only their blocks are read.

        ends:  what ``ends`` gave, where it is known already.
        """
        ends = self.ends(name, numbers) if ends is None else ends
        if not len(ends) or not ends[-1]:
            raise KeyError(name)
        of_block = np.searchsorted(ends, rows, "right")
        whole: NDArray[Any] | None = None
        for place in np.unique(of_block) if len(rows) else [np.argmax(ends > 0)]:
            part = self.column(numbers[int(place)], name)
            assert part is not None  # noqa: S101  it has rows
            if whole is None:
                whole = np.empty((len(rows), *part.shape[1:]), part.dtype)
            these = of_block == place
            whole[these] = part[rows[these] - (ends[place] - len(part))]
        assert whole is not None  # noqa: S101  of no rows the first block says what they are like
        return whole

    def _rows(self, number: int, name: str) -> int:
        """How many rows a column of a block has, without reading it."""
        if self.folder is None:
            held = self.column(number, name)
            return 0 if held is None else len(held)
        with safe_open(self._path(number), "np") as file:
            return int(file.get_slice(name).get_shape()[0]) if name in file.keys() else 0  # noqa: SIM118

    def _path(self, number: int) -> Path:
        return (self.folder or Path()) / f"{self.name}-{number:07d}.safetensors"

    def _head(self, number: int) -> dict[str, str]:
        try:
            with safe_open(self._path(number), "np") as file:
                return file.metadata() or {}
        except (OSError, SafetensorError):  # not there, or damaged since: then it is made again
            return {}


class StoredColumn:
    """(n, ...) a column of blocks whose rows are read when they are asked for, a slice or an array of them.

    >>> blocks = Blocks()
    >>> blocks.put(0, "a", Block({"x": np.arange(2)}))
    >>> blocks.put(1, "a", Block({"x": np.arange(3)}))
    >>> StoredColumn(blocks, "x", [0, 1])[1:4].tolist()
    [1, 0, 1]
    """

    def __init__(self, blocks: Blocks, name: str, numbers: range | list[int]) -> None:
        self._blocks, self._name, self._numbers = blocks, name, numbers
        self._ends = blocks.ends(name, numbers)

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def __getitem__(self, rows: slice | NDArray[np.integer[Any]]) -> NDArray[Any]:
        asked = np.arange(*rows.indices(len(self))) if isinstance(rows, slice) else rows
        return self._blocks.rows(self._name, asked, self._numbers, self._ends)


def key_of(*parts: object) -> str:
    """A short text that stands for what a block is made from: other parts, another key."""
    digest = hashlib.sha256()
    for part in parts:
        content = part.tobytes() if isinstance(part, np.ndarray) else repr(part).encode("utf-8", "surrogateescape")
        digest.update(len(content).to_bytes(8, "little") + content)
    return digest.hexdigest()
