"""The folder of one run: what lies in it, and where one may be made.

scores.csv, scores.parquet   every image with its score and rank
gallery.png                  the strangest images of each detector side by side
report.html                  the same and more, one page that opens without a network
model/                       what was learned, for ``oddlens score``
reasons.safetensors          what is kept of the images, so that ``oddlens score`` can say why
run.json                     a machine-readable summary; a folder that has one is a run
"""

from __future__ import annotations

from pathlib import Path

from oddlens import saving
from oddlens.errors import OutputError, SavedModelError
from oddlens.files import write_atomically
from oddlens.protocols import ImageSource, InFolder

FILES = {"table": "scores.csv", "parquet": "scores.parquet", "gallery": "gallery.png", "report": "report.html"}
MODEL = "model"
REASONS = "reasons.safetensors"
SUMMARY = "run.json"


def claim(out: str | Path, source: ImageSource) -> Path:
    """The folder ``out``, if a run may be written there: never among the images, never over other files."""
    folder = Path(out)
    root = source.root if isinstance(source, InFolder) else None
    if root is not None and folder.resolve().is_relative_to(Path(root).resolve()):
        raise OutputError(f"{folder} lies in the folder of images {root}, which is never written to: "
                          "choose another place with --out.")
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is a file: choose a folder with --out.")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / SUMMARY).is_file():
        raise OutputError(f"{folder} holds files that are not of a run: choose an empty or new folder with --out.")
    if not (folder / SUMMARY).is_file():
        write_atomically(folder / SUMMARY, b'{"finished": false}\n')
    return folder


def files(folder: Path) -> dict[str, str]:
    """What a run at ``folder`` holds, by what it is: the paths that its summary tells."""
    held = FILES | ({"model": MODEL} if (folder / MODEL).is_dir() else {})
    return {what: str(folder / name) for what, name in held.items()}


def model_of(path: Path) -> Path:
    """Where the saved model of a run, or of a folder that is one, lies; raises ``SavedModelError`` where none does."""
    if not path.exists():
        raise SavedModelError(f"There is no {path}: give the folder of a run or of a saved model.")
    if (path / MODEL).is_dir():
        return path / MODEL
    if (path / SUMMARY).is_file():
        raise SavedModelError(f"{path} is a run without a model: make it again without --no-model (save_model=False).")
    return path


def remove_model(folder: Path) -> None:
    """Take the saved model of an earlier run away, and what was kept of its images."""
    (folder / REASONS).unlink(missing_ok=True)
    saving.remove_model(folder / MODEL)
