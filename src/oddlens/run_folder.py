"""The folder of one run: what lies in it, where one may be made, and how it takes the place of an earlier one.

scores.csv, scores.parquet   every image with its score and rank
gallery.png                  the strangest images of each detector side by side
report.html                  the same and more, one page that opens without a network
model/                       what was learned, for ``oddlens score``
reasons.safetensors          what is kept of the images, so that ``oddlens score`` can say why
images.csv                   where each image came from, so that it can be looked at again
columns.safetensors          of both what a review shows, to be looked at without being read whole
review.sqlite                what people said of the images, once they did; a run that replaces this one leaves it
run.json                     a machine-readable summary with the mark by which a run is known

The stages of a run are kept in ``.oddlens-work/`` within its folder until it is finished, so that one that is cut off
goes on where it was. It is built in ``.oddlens-partial/``. When all is written that is renamed, in one step, to
``.oddlens-ready/``; only then is the earlier run taken away and the new one put in its place. Ended at any moment
before that step, the earlier run is whole and untouched; after it, the new one is whole, and the next command that
opens the folder finishes what was left to do.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oddlens.errors import OddlensError, OutputError, SavedModelError
from oddlens.files import open_regular, write_atomically
from oddlens.folder_lock import locked
from oddlens.protocols import ImageSource
from oddlens.result_marks import (
    RUN,
    SUMMARIES,
    VERSION,
    content_of,
    is_marked,
    make_folder,
    marks,
    require_ours,
    require_outside,
    unfinished,
)

FILES = {"table": "scores.csv", "parquet": "scores.parquet", "gallery": "gallery.png", "report": "report.html"}
MODEL = "model"
REASONS = "reasons.safetensors"
IMAGES = "images.csv"
COLUMNS = "columns.safetensors"
LABELS = "review.sqlite"
PARTS = (f"{MODEL}/model.json", REASONS)  # that ``oddlens score`` reads
SHOWN = (FILES["table"], IMAGES)  # the tables that a review is of
SUMMARY = SUMMARIES[RUN]
PARTIAL, READY, WORK = ".oddlens-partial", ".oddlens-ready", ".oddlens-work"


@dataclass(frozen=True)
class Place:
    """Where a run is written and where it will lie."""

    building: Path
    final: Path

    @property
    def work(self) -> Path:
        """Where the stages are kept until the run is finished."""
        return self.final / WORK

    def files(self) -> dict[str, str]:
        """What the run holds, by what it is: the paths that its summary tells."""
        held = FILES | ({"model": MODEL} if (self.building / MODEL).is_dir() else {})
        return {what: str(self.final / name) for what, name in held.items()}

    def marks(self) -> dict[str, Any]:
        """What says in the summary that this is a run of ours, and which model and reasons are its own."""
        return {**marks(RUN), "parts": digests(self.building, (*PARTS, *SHOWN, COLUMNS))}


@contextmanager
def claimed(out: str | Path, source: ImageSource, overwrite: bool = False) -> Iterator[Place]:
    """A place to build a run for the folder ``out``; it takes the place of what is there when the block ends well.

    Raises ``OutputError`` for a folder among the images, one with other files, one that another process writes into,
    and, without ``overwrite``, one with a finished run. Where the block fails, what was there before is there still.
    """
    folder = Path(out)
    require_outside(folder, source)
    require_ours(folder, RUN)
    made = not folder.exists()
    make_folder(folder)
    try:
        with locked(folder):
            require_ours(folder, RUN)
            _settle(folder)
            if _state(folder) == "finished" and not overwrite:
                raise OutputError(f"{folder} holds a finished run: choose another place with --out, or replace it with "
                                  "--overwrite (in Python overwrite=True).")
            if _state(folder) == "none":
                write_atomically(folder / SUMMARY, unfinished(RUN))
            for cut_off in folder.glob(f".{SUMMARY}.*.part"):  # while a summary was written
                cut_off.unlink(missing_ok=True)
            partial = folder / PARTIAL
            _remove(partial)
            partial.mkdir()
            try:
                yield Place(partial, folder)
                _flush(partial)
                partial.rename(folder / READY)
            except BaseException as error:
                _remove(partial)
                # Of a run that cannot be made nothing is left; one that was cut off goes on, and so may one that
                # lacked memory or room.
                if isinstance(error, OddlensError) and not isinstance(error, OutputError):
                    _remove(folder / WORK)
                raise
            _settle(folder)
            _remove(folder / WORK)
    except BaseException:
        if made:  # as if nothing had been asked for
            _forget(folder)
        raise


def _forget(folder: Path) -> None:
    """Remove a folder that holds nothing but the mark of a run that was never finished."""
    with suppress(OSError):
        if _state(folder) == "unfinished" and [path.name for path in folder.iterdir()] == [SUMMARY]:
            (folder / SUMMARY).unlink()
            folder.rmdir()


def model_of(path: Path) -> Path:
    """Where the saved model of a run, or of a folder that is one, lies; raises ``SavedModelError`` where none does.

    A run that was cut off, or whose parts are of several runs, is refused.
    """
    if not path.exists():
        raise SavedModelError(f"There is no {path}: give the folder of a run or of a saved model.")
    _finish(path)
    if not is_marked(path, RUN):
        return path / MODEL if (path / MODEL).is_dir() else path
    content = summary_of(path)
    if not (path / MODEL).is_dir():
        raise SavedModelError(f"{path} is a run without a model: make it again without --no-model (save_model=False).")
    require_parts(path, content, PARTS)
    return path / MODEL


def summary_of(path: Path) -> dict[str, Any]:
    """The summary of a finished run; raises ``SavedModelError`` for a folder that is none."""
    if path.is_dir():
        _finish(path)
    if not is_marked(path, RUN):
        raise SavedModelError(f"{path} is not a run of oddlens: give the folder that `oddlens rank --out` wrote.")
    content = content_of(path / SUMMARY)
    if content.get("finished") is not True:
        raise SavedModelError(f"{path} is a run that was not finished: rank the images into it again.")
    if content.get("version") != VERSION:
        raise SavedModelError(f"{path} is a run of version {content.get('version')!r}; this oddlens reads version "
                              f"{VERSION}. Rank the images anew.")
    return content


def require_parts(path: Path, content: dict[str, Any], parts: Sequence[str]) -> None:
    """Raise ``SavedModelError`` unless these parts, where they are there, are those that the run's summary names."""
    named = content.get("parts")
    for part, digest in digests(path, parts).items():
        if not isinstance(named, dict) or named.get(part) != digest:
            raise SavedModelError(f"{path / part} does not belong to the run in {path}, whose {SUMMARY} names another: "
                                  "it was exchanged or comes from a run that was cut off. Rank the images anew.")


def digests(folder: Path, parts: Sequence[str]) -> dict[str, str]:
    """The parts that a later command reads, by their digests. A model's file names all its others by theirs."""
    try:
        found = {}
        for part in parts:
            if (folder / part).exists():
                with open_regular(folder / part) as file:
                    found[part] = hashlib.file_digest(file, "sha256").hexdigest()
        return found
    except OSError as error:
        raise SavedModelError(f"{folder} cannot be read: {error}.") from error


def _finish(path: Path) -> None:
    """Put a run in its place that was ready when its process ended."""
    if (path / READY).is_dir() and is_marked(path, RUN):
        with locked(path):
            _settle(path)


def _state(folder: Path) -> str:
    """Whether the folder's run is "finished" or "unfinished", or there is "none"."""
    if not is_marked(folder, RUN):
        return "none"
    return "finished" if content_of(folder / SUMMARY).get("finished") is True else "unfinished"


def _settle(folder: Path) -> None:
    """Put a run that is ready in the place of the earlier one; may be begun again at any point where it ended."""
    ready = folder / READY
    if not ready.is_dir():
        return
    from oddlens.saving import remove_model  # with it come all libraries, which reading a run needs none of

    try:
        if (ready / SUMMARY).exists():  # the last that is moved
            write_atomically(folder / SUMMARY, unfinished(RUN))
            parts = content_of(ready / SUMMARY).get("parts", {})
            if (ready / MODEL).is_dir() or f"{MODEL}/model.json" not in parts:  # else it is in its place already
                remove_model(folder / MODEL)
            if (ready / MODEL).is_dir():
                (ready / MODEL).rename(folder / MODEL)
            for name in (REASONS, IMAGES, COLUMNS):
                if name not in parts:
                    (folder / name).unlink(missing_ok=True)
            for name in (*FILES.values(), REASONS, IMAGES, COLUMNS):
                if (ready / name).exists():
                    (ready / name).replace(folder / name)
            _flush(folder)
            (ready / SUMMARY).replace(folder / SUMMARY)
        _remove(ready)
    except OSError as error:
        raise OutputError(f"The finished run in {ready} cannot take its place: {error}. Remove what is in the way and "
                          "run any oddlens command on the folder again.") from error


def _remove(folder: Path) -> None:
    if folder.is_symlink():
        folder.unlink()
    elif folder.exists():
        shutil.rmtree(folder)


def _flush(folder: Path) -> None:
    """Have the names in a folder on the disk before anything relies on them, where the system knows how."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
