"""Tables in files, with a column of images: CSV, TSV, Parquet and Arrow's own format (Feather)."""

from __future__ import annotations

import csv
import os
import tempfile
import threading
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from oddlens.errors import SourceError
from oddlens.files import open_regular
from oddlens.protocols import ImageSource
from oddlens.reading.limits import Limits
from oddlens.sources.encoded import EncodedSource, stored_names
from oddlens.sources.table import LOOKED_AT, NAMING, ArrowCells, chosen, fetching, named_by, of_columns, of_paths

TEXTS = {".csv": ",", ".tsv": "\t"}
PARQUET, ARROW = b"PAR1", b"ARROW1"
ADVICE = "--column {0} (in Python column={0!r})"
ROWS = 64  # that are read at a time


def open_text_table(path: Path, column: str | None = None, limits: Limits | None = None) -> ImageSource:
    """A CSV or TSV file with a column of paths, which are taken from the file's own folder."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.reader(file, delimiter=TEXTS[path.suffix.lower()]))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SourceError(f"{path} cannot be read as a table: {error}.") from error
    rows = [row for row in rows if any(cell.strip() for cell in row)]
    width = max(map(len, rows), default=0)
    rows = [row + [""] * (width - len(row)) for row in rows]
    headings = [str(number + 1) for number in range(width)]
    if rows and (column is not None or not _names_a_file(rows[0], path.parent)):
        headings = [heading.strip() or number for heading, number in zip(rows[0], headings, strict=True)]
        rows = rows[1:]
    columns = {heading: [row[number] for row in rows] for number, heading in enumerate(headings)}
    return of_columns(columns, str(path), column, limits, folder=path.parent, advice=ADVICE)


def _names_a_file(row: Sequence[str], folder: Path) -> bool:
    return any(cell.strip() and os.path.isfile(folder / cell.strip()) for cell in row)  # noqa: PTH113  any text


def open_binary_table(path: Path, column: str | None = None, limits: Limits | None = None) -> ImageSource:
    """A Parquet or an Arrow file with a column of paths or of image files' contents.

    The contents are copied to a temporary file once, when the first is read: a Parquet file can be read in order only.
    """
    with _said_of(path):
        stored = _Stored(path)
        sample = next(stored.batches(stored.names, LOOKED_AT, checked=False), None)
        first = {name: [] if sample is None or not _is_sound(sample.column(name)) else ArrowCells(sample.column(name))
                 for name in stored.names}
        column = chosen(first, str(path), column, path.parent, ADVICE)
        kind = next(cell for cell in first[column] if cell is not None)
        if isinstance(kind, str):
            return of_paths(list(stored.column(column)), path.parent, limits)
        names = stored_names(list(stored.paths(column))) if isinstance(kind, Mapping) else None
        if names is None:
            beside = {name: list(stored.column(name)) for name in NAMING if name in stored.names and name != column}
            names = named_by({**beside, column: range(stored.rows)}, column)
    return EncodedSource(names, fetching(CopiedCells(stored.column(column), stored.rows), path.parent), limits,
                         path=path, column=column)


class _Stored:
    """What a Parquet or an Arrow file holds, by batches of rows."""

    def __init__(self, path: Path) -> None:
        import pyarrow
        from pyarrow import ipc, parquet

        self.path = path
        with open_regular(path) as file:
            self.is_parquet = file.read(4) == PARQUET
        # Read, not mapped: the system ends a process that touches a mapped page of a file that was cut short meanwhile.
        source = pyarrow.OSFile(str(path))
        self.file = parquet.ParquetFile(source) if self.is_parquet else ipc.open_file(source)
        schema = self.file.schema_arrow if self.is_parquet else self.file.schema
        self.names: list[str] = list(schema.names)
        self.rows = (self.file.metadata.num_rows if self.is_parquet else
                     sum(self.file.get_batch(number).num_rows for number in range(self.file.num_record_batches)))

    def batches(self, columns: list[str], rows: int = ROWS, checked: bool = True) -> Iterator[Any]:
        """Batches of some columns, of Parquet parts of columns too, in order.

        They are checked before anything in them is touched: Arrow takes lengths and texts from a file as they are, and
        ends the process over some that lie.
        """
        for batch in (self.file.iter_batches(rows, columns=columns) if self.is_parquet else
                      (self.file.get_batch(number).select(columns) for number in range(self.file.num_record_batches))):
            if checked:
                batch.validate(full=True)
            yield batch

    def column(self, name: str) -> Iterator[Any]:
        """The cells of a column in order."""
        for batch in self.batches([name]):
            yield from ArrowCells(batch.column(name))

    def paths(self, name: str) -> Iterator[str | None]:
        """The paths beside the images in a column."""
        for batch in self.batches([f"{name}.path" if self.is_parquet else name]):
            yield from batch.column(name).field("path").to_pylist()


class CopiedCells(Sequence[Any]):
    """Cells with image files' contents that can be had in order only, copied to a temporary file at first use."""

    def __init__(self, cells: Iterable[Any], count: int) -> None:
        self._cells, self._count = cells, count
        self._lock = threading.Lock()
        self._file = tempfile.TemporaryFile(prefix="oddlens-")  # noqa: SIM115  it goes when this goes
        weakref.finalize(self, self._file.close)
        self._places: list[tuple[int, int] | str | None] = []
        self._problem: Exception | None = None

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, number: Any) -> Any:
        with self._lock:
            if len(self._places) < self._count and self._problem is None:
                try:
                    self._copy()
                except Exception as error:  # a damaged file, a full disk; said of every image that is lost by it
                    self._problem = error
            if number >= len(self._places):
                raise self._problem or IndexError(number)
            place = self._places[number]
            if not isinstance(place, tuple):
                return None if place is None else {"bytes": None, "path": place}
            self._file.seek(place[0])
            return self._file.read(place[1])

    def _copy(self) -> None:
        at = 0
        for cell in self._cells:
            path = cell.get("path") if isinstance(cell, Mapping) else None
            content = cell.get("bytes") if isinstance(cell, Mapping) else cell
            if content is None:
                self._places.append(path)
            else:
                self._file.write(content)
                self._places.append((at, len(content)))
                at += len(content)
        self._file.flush()


def _is_sound(column: Any) -> bool:
    try:
        column.validate(full=True)
    except ValueError:  # pyarrow's ArrowInvalid; a column beside that of the images may be in any state
        return False
    return True


@contextmanager
def _said_of(path: Path) -> Iterator[None]:
    """What goes wrong with a file of a table, as a ``SourceError``."""
    import pyarrow

    try:
        yield
    except (OSError, ValueError, KeyError, pyarrow.ArrowException) as error:
        raise SourceError(f"{path} cannot be read as a table: {error}.") from error
