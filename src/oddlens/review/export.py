"""``oddlens export``: the answer of a review, written where it is wanted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oddlens import run_folder
from oddlens.errors import OptionError, OutputError
from oddlens.files import write_atomically
from oddlens.result_marks import make_folder, require_apart
from oddlens.review.copies import Copied, Way, put
from oddlens.review.exports import FORMATS, Answer
from oddlens.review.labels import LabelStore
from oddlens.review.opened_run import OpenedRun

OUT = Path("review-export")


@dataclass(frozen=True)
class Exported:
    """What was written.

    files:   the files.
    copied:  what became of the odd images; None where none were asked for.
    odd, labelled:  how many images were called odd, and how many have a label.
    """

    files: tuple[Path, ...]
    copied: Copied | None
    odd: int
    labelled: int

    def summary(self) -> dict[str, Any]:
        """As JSON takes it."""
        return {"files": [str(path) for path in self.files], "odd": self.odd, "labelled": self.labelled,
                "done": None if self.copied is None else [[str(a), str(b)] for a, b in self.copied.done],
                "left": None if self.copied is None else [list(pair) for pair in self.copied.left]}


def export(
    folder: str | Path, out: str | Path | None = None, formats: Sequence[str] = (), target: str | Path | None = None,
    way: Way = "copy", *, images: Any = None, confirm: Callable[[int], bool] | None = None,
) -> Exported:
    """Write the labels and the ranking of a run as files, and put its odd images into a folder.

    out:      where the files go; by default ``review-export``, and nowhere if only images are asked for.
    formats:  the names of the files that are wanted, of ``exports.FORMATS``; all by default.
    target:   where the odd images go, if anywhere.
    way:      "copy", "link" or "move"; moving needs ``confirm``, which is told how many and says whether.
    images:   where the images are now, if they were moved.
    Raises ``OptionError`` for a format that there is not, and for moving without a confirmation.
    """
    for name in formats:
        if name not in FORMATS:
            raise OptionError.unknown("format", name, FORMATS)
    if way == "move" and confirm is None:
        raise OptionError("Moving images out of a collection needs a confirmation: give confirm.")
    run = OpenedRun(folder, images)
    labels = run.folder / run_folder.LABELS
    store = LabelStore(labels) if labels.exists() else None
    try:
        answer = Answer.of(run, store)
    finally:
        if store is not None:
            store.close()
    if target is not None and not answer.odd:
        raise OutputError(f"No image of {folder} was called odd yet: say which are with `oddlens review {folder}`.")
    wanted = list(formats) or ([] if target is not None and out is None else list(FORMATS))
    files = []
    if wanted:
        place = Path(OUT if out is None else out)
        require_apart(place, run.folders)
        make_folder(place)
        for name in wanted:
            write_atomically(place / name, FORMATS[name].make(answer))
            files.append(place / name)
    copied = None
    if target is not None and (confirm is None or confirm(len(answer.odd))):
        copied = put(run, answer.odd, target, way)
    return Exported(tuple(files), copied, len(answer.odd), len(answer.labels))
