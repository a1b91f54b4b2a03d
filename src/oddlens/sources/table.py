"""A table with a column of paths."""

from __future__ import annotations

import csv
import os
from pathlib import Path

from oddlens.errors import SourceError
from oddlens.reading.limits import Limits
from oddlens.sources.image_files import FileSource, with_pages


def open_table(path: Path, limits: Limits | None) -> FileSource:
    """A CSV or TSV file with a column of paths, which are taken from the file's own folder."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.reader(file, delimiter="\t" if path.suffix.lower() == ".tsv" else ","))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SourceError(f"{path} cannot be read as a table: {error}.") from error
    rows = [row for row in rows if any(cell.strip() for cell in row)]
    for number in range(max(map(len, rows), default=0)):
        if any(len(row) > number and _exists(path, row[number]) for row in rows[:100]):
            return _column(path, rows, number, limits)
    return _column(path, [], 0, limits)


def _exists(path: Path, name: str) -> bool:
    return bool(name.strip()) and os.path.isfile(path.parent / name.strip())  # noqa: PTH113  takes any text


def _column(path: Path, rows: list[list[str]], number: int, limits: Limits | None) -> FileSource:
    """The paths in a column; the first row is its heading where it is no file and others are."""
    cells = [row[number].strip() for row in rows if len(row) > number and row[number].strip()]
    if cells and not _exists(path, cells[0]):
        cells = cells[1:]
    if not any(_exists(path, cell) for cell in cells):
        raise SourceError(f"{path} has no column whose cells are paths of files that exist. Paths are taken from the "
                          f"folder of the table, {path.parent}.")
    return with_pages([path.parent / cell for cell in cells], cells, limits=limits)
