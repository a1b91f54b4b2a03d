"""The odd images themselves, put into a folder: as copies, as links, or, where a person confirms it, moved there.

Nothing of the collection is ever overwritten or deleted, and an image that is not what it was when it was labelled is
left where it is: the label was for another picture.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal, TypeAlias

from oddlens.errors import OptionError, OutputError
from oddlens.provenance import State
from oddlens.result_marks import make_folder, require_apart
from oddlens.review.opened_run import OpenedRun

Way: TypeAlias = Literal["copy", "link", "move"]
DOINGS = {"copy": "copied", "link": "linked", "move": "moved"}
WHY: dict[State, str] = {"missing": "it is not where it was", "changed": "it has changed since it was ranked",
                         "unknown": "whether it has changed cannot be told", "same": "it is no file of its own",
                         "fileless": "it is no file of its own"}


@dataclass(frozen=True)
class Copied:
    """What was done.

    done:  where each image came from and where it is now.
    left:  name -> why it was left where it is.
    """

    done: tuple[tuple[Path, Path], ...]
    left: tuple[tuple[str, str], ...]


def put(run: OpenedRun, rows: Sequence[int], folder: str | Path, way: Way = "copy") -> Copied:
    """Put images into a folder, in the subfolders that they have in the collection.

    way:  "copy", "link" (symbolic links) or "move". Several pages of one file are one file, which is not moved unless
          all of them are to be.
    Raises ``OutputError`` for a folder in one that images come from. A file that is there already is left as it is.
    """
    if way not in DOINGS:
        raise OptionError.unknown("way", way, DOINGS)
    target = Path(folder)
    require_apart(target, run.folders, "--copy-odd")
    if target.exists() and not target.is_dir():
        raise OutputError(f"{target} is a file: choose a folder with --copy-odd.")
    sources, left = _sources(run, rows, whole=way == "move")
    make_folder(target)
    done: list[tuple[Path, Path]] = []
    for path, within in sources:
        place = target.joinpath(*PurePosixPath(within).parts)
        try:
            if os.path.lexists(place):
                if _same(path, place, way):
                    done.append((path, place))
                    continue
                left.append((within, f"{place} is there already"))
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            _put(path, place, way)
            done.append((path, place))
        except OSError as error:
            left.append((within, str(error.strerror or error)))
    return Copied(tuple(done), tuple(left))


def _sources(
    run: OpenedRun, rows: Sequence[int], whole: bool
) -> tuple[list[tuple[Path, str]], list[tuple[str, str]]]:
    """The files of images, each with its place below the folder, and those that are left, with the reason.

    whole:  files are left of which other pages are not among the rows.
    """
    pages = Counter(origin.path for origin in run.provenance.origins) if whole else Counter[str]()
    wanted = Counter(run.provenance.origins[row].path for row in rows)
    found: dict[Path, str] = {}
    left = []
    taken: set[str] = set()
    for row in rows:
        path, state = run.images.path(row), run.images.state(row)
        if path is None or state != "same":
            left.append((run.ranking.names[row], WHY[state]))
            continue
        origin = run.provenance.origins[row]
        if whole and wanted[origin.path] < pages[origin.path]:
            left.append((run.ranking.names[row], "other pages of its file are not odd"))
            continue
        path = Path(os.path.abspath(path))  # noqa: PTH100  links stay as named
        if path in found:
            continue
        within = PurePosixPath(origin.within)
        if within.is_absolute() or ".." in within.parts or not within.parts:
            within = PurePosixPath(path.name)
        number, chosen = 2, within
        while str(chosen) in taken:
            chosen = within.with_name(f"{within.stem} ({number}){within.suffix}")
            number += 1
        taken.add(str(chosen))
        found[path] = str(chosen)
    return list(found.items()), left


def _put(path: Path, place: Path, way: Way) -> None:
    if way == "link":
        place.symlink_to(path)
    elif way == "move":
        shutil.move(path, place)
    else:
        with path.open("rb") as source, place.open("xb") as copy:  # "x": never over another file
            shutil.copyfileobj(source, copy)
        shutil.copystat(path, place)


def _same(path: Path, place: Path, way: Way) -> bool:
    """Whether an earlier export did just that."""
    if way == "link":
        return place.is_symlink() and place.resolve() == path.resolve()
    if way == "move" or place.is_symlink() or not place.is_file():
        return False
    return place.stat().st_size == path.stat().st_size and place.read_bytes() == path.read_bytes()
