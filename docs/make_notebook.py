"""Run docs/notebook.ipynb from top to bottom and keep what its cells show. Needs ``make adapters``.

The cells' code is edited in the notebook itself. What changes from run to run (times, identifiers, the bar of progress)
is taken out, so that the file changes only where what is shown does.
"""

from __future__ import annotations

import re
import sys
import warnings
from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).with_name("notebook.ipynb")


def executed(path: Path = NOTEBOOK, folder: Path | None = None) -> nbformat.NotebookNode:
    """The notebook with what its cells show, run in ``folder``; an error in a cell is an error here."""
    notebook = nbformat.read(path, as_version=4)
    resources = {"metadata": {"path": str(folder or path.parent)}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the event loop, on some systems
        NotebookClient(notebook, timeout=600, kernel_name="python3", resources=resources).execute()
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"
        cell["metadata"] = {}
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if not _is_empty_bar(output)]
            for output in cell.outputs:
                output.pop("transient", None)
    notebook["metadata"] = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
                            "language_info": {"name": "python"}}
    return notebook


def _is_empty_bar(output: nbformat.NotebookNode) -> bool:
    shown = output.get("data", {}).get("text/html")
    return shown is not None and not re.sub(r"\s", "", "".join(shown))


if __name__ == "__main__":
    nbformat.write(executed(), NOTEBOOK)
    sys.exit(0)
