"""How results of ours are known, so that no other tool's are overwritten and none is taken for a folder of images."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from oddlens.errors import OutputError
from oddlens.files import open_regular
from oddlens.protocols import ImageSource, InFolder, InFolders

RUN, EVALUATION = "oddlens-run", "oddlens-evaluation"
SUMMARIES = {RUN: "run.json", EVALUATION: "summary.json"}
VERSION = 1
LONGEST = 2**28  # bytes of a summary


def is_marked(folder: Path, *kinds: str) -> bool:
    """Whether a folder is a run or an evaluation of ours, by its summary's own mark."""
    return any(content_of(folder / SUMMARIES[kind]).get("format") == kind for kind in kinds or SUMMARIES)


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


def require_apart(out: Path, folders: Iterable[Path]) -> None:
    """Raise ``OutputError`` where ``out`` lies in one of these folders of images."""
    images = {Path(folder).resolve(): Path(folder) for folder in folders}
    place = out.resolve()
    for folder in (place, *place.parents):
        if folder in images:
            raise OutputError(f"{out} lies in the folder of images {images[folder]}, which is never written to: "
                              "choose another place with --out.")
