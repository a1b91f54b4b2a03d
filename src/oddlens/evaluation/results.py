"""Every measured row on disk, so that a run that was cut off goes on where it stopped.

A row is what one method made of one set. It is known by its key; its ``set`` (a digest of the images) and
``settings`` (versions, options and code of the method) say whether it still holds.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from oddlens.errors import OutputError
from oddlens.files import read_regular, write_atomically
from oddlens.folder_lock import locked
from oddlens.result_marks import (
    EVALUATION,
    SUMMARIES,
    is_marked,
    make_folder,
    marks,
    require_apart,
    require_ours,
    unfinished,
)

KEY = ("protocol", "data", "c", "case", "seed", "method")
Row = dict[str, Any]
SUMMARY = SUMMARIES[EVALUATION]
MARKS = marks(EVALUATION)


class Results:
    """The rows of one evaluation: one file for each protocol and data set, in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: dict[str, dict[tuple[Any, ...], Row]] = {}

    def rows(self) -> list[Row]:
        """All rows that are kept, file by file."""
        if self.folder.is_dir():
            for path in sorted(self.folder.glob("rows-*.json")):
                self._open(path.name)
        return [row for name in sorted(self.files) for row in self.files[name].values()]

    def find(self, key: Row, digest: str, settings: str) -> Row | None:
        """The row of a key, if it was measured on these very images with these settings."""
        row = self._open(_name(key)).get(_key(key))
        return row if row is not None and row["set"] == digest and row["settings"] == settings else None

    def parts(self, key: Row, digest: str, settings: str) -> list[Row]:
        """The rows of the members of a method's score, "METHOD: MEMBER", of the same set."""
        whole = f"{key['method']}: "
        return [row for row in self._open(_name(key)).values()
                if row["method"].startswith(whole) and row["set"] == digest and row["settings"] == settings
                and _key({**row, "method": key["method"]}) == _key(key)]

    def keep(self, *rows: Row) -> None:
        """Write down the rows of a method and the members of its score on one set, in place of all older ones."""
        name, (first, *_) = _name(rows[0]), rows
        whole = f"{first['method']}: "
        found = self._open(name)
        for key in [key for key, row in found.items() if row["method"].startswith(whole)
                    and _key({**row, "method": first["method"]}) == _key(first)]:
            del found[key]
        found.update((_key(row), row) for row in rows)
        lines = ",\n".join(json.dumps(row) for row in found.values())
        write_atomically(self.folder / name, f"[\n{lines}\n]\n".encode())

    def _open(self, name: str) -> dict[tuple[Any, ...], Row]:
        if name not in self.files:
            path = self.folder / name
            try:
                rows = json.loads(read_regular(path)) if path.exists() else []
                self.files[name] = {_key(row): row for row in rows if row["set"] and row["settings"]}
            except (OSError, ValueError, TypeError, KeyError) as error:
                raise OutputError(f"{path} is no file of measured rows ({type(error).__name__}: {error}). Move it away "
                                  "to measure anew.") from error
        return self.files[name]


@contextmanager
def claimed(out: Path, images: Path | None = None) -> Iterator[Path]:
    """The folder ``out``, if it is new, empty or of an earlier evaluation, not among the images, and no other's now.

    What is kept there is never replaced, only added to and brought up to date, so nothing need be overwritten.
    """
    if images is not None:
        require_apart(out, [images])
    require_ours(out, EVALUATION)
    make_folder(out)
    with locked(out):
        if not is_marked(out, EVALUATION):
            write_atomically(out / SUMMARY, unfinished(EVALUATION))
        yield out


def _name(row: Row) -> str:
    return f"rows-{row['protocol']}-{row['data']}.json"


def _key(row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in KEY)
