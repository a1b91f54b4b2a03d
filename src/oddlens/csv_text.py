"""Tables as text, CSV in UTF-8, written and read a part at a time: a million rows are never whole in memory."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

ROWS = 8192  # rows that are made, or read, at a time
MOST_WORDS = 4096  # different texts of a column that are kept once however often they are there


def written(rows: Iterable[Sequence[Any]], errors: str = "strict") -> Iterator[bytes]:
    r"""The rows of a table as the parts of a file, numbers to their last digit, all text in quotes.

    errors:  what becomes of text that is no UTF-8, as ``str.encode`` takes it.

    >>> b"".join(written([("name", "score"), ("a", 1.5)]))
    b'"name","score"\n"a",1.5\n'
    """
    source = iter(rows)
    while part := list(islice(source, ROWS)):
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC).writerows(part)
        yield text.getvalue().encode("utf-8", errors)


def read(file: BinaryIO) -> Iterator[list[str]]:
    """The rows of a table, one after the other, all cells as text; bytes that are no UTF-8 as surrogates.

    The file is closed after the last. Raises ``csv.Error`` for what is no table.
    """
    with io.TextIOWrapper(file, "utf-8", errors="surrogateescape", newline="") as text:
        yield from csv.reader(text, strict=True)


def columns(
    opened: Callable[[], BinaryIO], texts: Collection[str] = (), wanted: Callable[[str], bool] = lambda name: True  # noqa: ARG005
) -> dict[str, NDArray[np.float64] | tuple[str, ...]]:
    """The columns of a table by name: as numbers where every cell of them is one, else as text.

    opened:  opens the file; called again where numbers are followed by what is none.
    texts:   columns that are text whatever their cells look like.
    wanted:  which columns are kept.

    Raises ``csv.Error`` and ``ValueError`` for what is no table.
    """
    known = set(texts)
    while True:
        rows = read(opened())
        header = next(rows, [])
        if not header or len(set(header)) < len(header):
            raise ValueError("it has no columns, or two of one name")
        found = [_Column(name in known) if wanted(name) else None for name in header]
        while part := list(islice(rows, ROWS)):
            if any(len(row) != len(header) for row in part):
                raise ValueError("its rows do not fit its columns")
            for column, cells in zip(found, zip(*part, strict=True), strict=True):
                if column is not None:
                    column.take(cells)
        of_both = {name for name, column in zip(header, found, strict=True) if column is not None and column.of_both}
        if not of_both:
            return {name: column.whole() for name, column in zip(header, found, strict=True) if column is not None}
        known |= of_both  # numbers first, and then text: as text from the beginning


class _Column:
    """One column as it is read."""

    def __init__(self, is_text: bool) -> None:
        self.is_text, self.of_both = is_text, False
        self._numbers: list[NDArray[np.float64]] = []
        self._texts: list[str] = []
        self._words: dict[str, str] = {}

    def take(self, cells: Sequence[str]) -> None:
        """Take the next cells."""
        if not self.is_text:
            try:
                self._numbers.append(np.array(cells, np.float64))
            except ValueError:
                self.is_text, self.of_both = True, bool(self._numbers)
                self._numbers.clear()
        if self.is_text:
            words = self._words
            for cell in cells:
                if len(words) < MOST_WORDS:
                    words.setdefault(cell, cell)
                self._texts.append(words.get(cell, cell))

    def whole(self) -> NDArray[np.float64] | tuple[str, ...]:
        """All that was taken."""
        return np.concatenate(self._numbers) if self._numbers else tuple(self._texts)
