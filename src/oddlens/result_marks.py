"""How results of ours are known, so that no other tool's are overwritten and none is taken for a folder of images."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from oddlens.errors import OutputError
from oddlens.files import open_regular
from oddlens.folder_lock import LOCK
from oddlens.protocols import ImageSource, InFolder, InFolders

RUN, EVALUATION = "oddlens-run", "oddlens-evaluation"
SUMMARIES = {RUN: "run.json", EVALUATION: "summary.json"}
WORDS = {RUN: "a run", EVALUATION: "an evaluation"}
VERSION = 1
LONGEST = 2**28  # bytes of a summary


def is_marked(folder: Path, *kinds: str) -> bool:
    """Whether a folder is a run or an evaluation of ours, by its summary's own mark."""
    return any(content_of(folder / SUMMARIES[kind]).get("format") == kind for kind in kinds or SUMMARIES)


def marks(kind: str) -> dict[str, Any]:
    """What the summary of a run or an evaluation is known by."""
    return {"format": kind, "version": VERSION}


def unfinished(kind: str) -> bytes:
    """The summary of one that is only begun."""
    return (json.dumps({**marks(kind), "finished": False}) + "\n").encode()


def require_ours(folder: Path, kind: str) -> None:
    """Raise ``OutputError`` unless a folder has the mark of its kind, is empty or is not there."""
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is a file: choose a folder with --out.")
    try:
        others = [path.name for path in folder.iterdir() if path.name != LOCK] if folder.is_dir() else []
    except OSError as error:
        raise OutputError(f"{folder} cannot be listed: {error.strerror or error}.") from error
    if others and not is_marked(folder, kind):
        raise OutputError(f"{folder} holds files that are not of {WORDS[kind]}: choose an empty or new folder with "
                          "--out.")


def make_folder(folder: Path) -> None:
    """Make a folder for results, if it is not there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(f"Cannot make {folder}: {reason}. Choose another place with --out.") from error


def content_of(path: Path) -> dict[str, Any]:
    """A summary as it stands in its file; empty where there is none that can be read."""
    try:
        with open_regular(path) as file:
            content = json.loads(file.read(LONGEST))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def require_outside(out: Path, source: ImageSource) -> None:
    """Raise ``OutputError`` where results would land in a folder that images come from."""
    roots: list[Path] = [Path(source.root)] if isinstance(source, InFolder) and source.root is not None else []
    require_apart(out, [*roots, *(source.folders if isinstance(source, InFolders) else ())])


def require_apart(out: Path, folders: Iterable[Path], option: str = "--out") -> None:
    """Raise ``OutputError`` where ``out``, which ``option`` gave, lies in one of these folders of images."""
    images = {Path(folder).resolve(): Path(folder) for folder in folders}
    place = out.resolve()
    for folder in (place, *place.parents):
        if folder in images:
            raise OutputError(f"{out} lies in the folder of images {images[folder]}, which is never written to: "
                              f"choose another place with {option}.")
