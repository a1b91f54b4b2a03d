"""Tables with a column of images: of paths, of image files' contents, or of pictures.

pandas, polars and Arrow are told by the names of their packages, never imported: a table of theirs cannot be there
without them.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from oddlens.errors import SourceError, UnreadableImage
from oddlens.protocols import ImageSource
from oddlens.reading.limits import Limits
from oddlens.sources.encoded import EncodedSource, numbered, stored_names
from oddlens.sources.image_files import with_pages
from oddlens.sources.items import ItemSource
from oddlens.sources.picture import is_picture

PACKAGES = ("pandas", "polars", "pyarrow")
LOOKED_AT = 100  # cells of a column, until one says what the column holds
NAMING = ("name", "file_name", "filename", "path", "key", "__key__", "id", "image_id")  # columns that name images


class ArrowCells(Sequence[Any]):
    """The cells of a column of Arrow, each made an object when it is asked for."""

    def __init__(self, column: Any) -> None:
        self.column = column

    def __len__(self) -> int:
        return len(self.column)

    def __getitem__(self, number: Any) -> Any:
        return self.column[number].as_py()


def open_table(images: Any, column: str | None = None, limits: Limits | None = None) -> ImageSource | None:
    """A data frame, a table or one column of pandas, polars or Arrow as a source; None for anything else."""
    if type(images).__module__.partition(".")[0] not in PACKAGES:
        return None
    what = f"The {type(images).__name__}"
    if hasattr(images, "collect"):  # polars' LazyFrame
        raise SourceError(f"{what} is not computed yet: give the result of its collect().")
    if hasattr(images, "column_names"):
        columns = {str(name): images.column(name) for name in images.column_names}
    elif hasattr(images, "columns"):
        columns = {str(name): images[name] for name in images.columns}
    elif hasattr(images, "__len__"):
        columns, column = {"": images}, ""
    else:
        return None
    return of_columns({name: cells_of(cells) for name, cells in columns.items()}, what, column, limits)


def cells_of(column: Any) -> Sequence[Any]:
    """The cells of a column by number, as Python's objects."""
    if hasattr(column, "to_pylist"):
        return ArrowCells(column)
    return column.tolist() if hasattr(column, "tolist") else column  # type: ignore[no-any-return]  # polars' has both


def of_columns(
    columns: Mapping[str, Sequence[Any]], what: str, column: str | None, limits: Limits | None, *,
    folder: Path | None = None, advice: str = "open_source(table, column={!r})",
) -> ImageSource:
    """The source that the column of images makes: the named one, or the only one that holds any.

    Paths are taken from ``folder``, by default the present one.
    """
    column = chosen(columns, what, column, folder, advice)
    cells = columns[column]
    first = next(first_cells(cells), None)
    if isinstance(first, str | os.PathLike):
        return of_paths(cells, folder, limits)
    if isinstance(first, bytes | Mapping):
        paths = [cell.get("path") if isinstance(cell, Mapping) else None for cell in cells]
        return EncodedSource(stored_names(paths) or named_by(columns, column), fetching(cells, folder), limits)
    return ItemSource(cells, limits=limits)


def chosen(
    columns: Mapping[str, Sequence[Any]], what: str, column: str | None, folder: Path | None, advice: str
) -> str:
    """Which column has the images: the named one, or the only one of whose first cells one is a picture."""
    if column is not None and column not in columns:
        raise SourceError(f"{what} has no column {column!r}; it has {', '.join(columns) or 'none'}.")
    found = [name for name, cells in columns.items() if column in (None, name) and
             any(_holds_picture(cell, folder) for cell in first_cells(cells))]
    if len(found) == 1:
        return found[0]
    if found:
        raise SourceError(f"{what} has images in {', '.join(found)}: name one of these columns, "
                          f"{advice.format(found[0])}.")
    where = "no column whose cells are" if not column else f"nothing in {column} that is"
    raise SourceError(f"{what} has {where} paths of files that exist, images or their bytes. Paths are taken from "
                      f"{'the present folder' if folder is None else f'the folder of the table, {folder}'}.")


def first_cells(cells: Sequence[Any]) -> Iterator[Any]:
    """Those of the first cells that are not empty."""
    for number in range(min(LOOKED_AT, len(cells))):
        cell = cells[number]
        if cell is not None and not (isinstance(cell, str) and not cell.strip()) and not (
                isinstance(cell, float) and math.isnan(cell)):  # as pandas writes what is missing
            yield cell


def _holds_picture(cell: Any, folder: Path | None) -> bool:
    if isinstance(cell, Mapping):
        return {"bytes", "path"} <= set(cell) and (cell["bytes"] is not None or cell["path"] is not None)
    return is_picture(_placed(cell, folder))


def _placed(cell: Any, folder: Path | None) -> Any:
    return folder / cell.strip() if isinstance(cell, str) and cell.strip() and folder is not None else cell


def of_paths(cells: Sequence[Any], folder: Path | None, limits: Limits | None) -> ImageSource:
    """The files that a column names, called as it calls them; empty cells are counted."""
    names = [os.fspath(cell).strip() for cell in cells if isinstance(cell, str | os.PathLike)]
    names = [name for name in names if name]
    passed_over = {"empty cells": len(cells) - len(names)} if len(names) < len(cells) else {}
    return with_pages([Path(name) if folder is None else folder / name for name in names], names,
                      passed_over=passed_over, limits=limits)


def named_by(columns: Mapping[str, Sequence[Any]], column: str) -> list[str]:
    """What a table calls its rows: by a column that names them, where that is another and distinct, or by number."""
    for name in NAMING:
        if name in columns and name != column:
            found = ["" if cell is None else str(cell) for cell in columns[name]]
            if "" not in found and len(set(found)) == len(found):
                return found
    return numbered(len(columns[column]))


def fetching(cells: Sequence[Any], folder: Path | None) -> Callable[[int], bytes | Path]:
    """What gives the image file in a cell."""

    def fetch(number: int) -> bytes | Path:
        cell = cells[number]
        if isinstance(cell, Mapping):
            cell = cell.get("path") if cell.get("bytes") is None else cell["bytes"]
        if isinstance(cell, bytes | bytearray):
            return bytes(cell)
        if not cell or not isinstance(cell, str):
            raise UnreadableImage("", "its cell is empty" if cell is None else f"its cell holds {type(cell).__name__}")
        return Path(cell) if folder is None else folder / cell

    return fetch
