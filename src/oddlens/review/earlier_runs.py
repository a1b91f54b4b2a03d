"""The columns of a run that was made before runs had them: put together once, from its tables and its model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from oddlens import run_folder
from oddlens.arrays import give_back
from oddlens.errors import SavedModelError
from oddlens.feedback import Evidence
from oddlens.provenance import Provenance
from oddlens.ranking import Ranking
from oddlens.report import headings
from oddlens.run_columns import write_columns
from oddlens.saving import load_model

PARTNERS = ("copy_of", "near_duplicate_of")  # columns that name other images
DETECTOR = "Detector "  # what the parameters of a detector stand under in the summary, before its column


def write_columns_of(folder: Path, summary: dict[str, Any], path: Path, tables: Sequence[str]) -> None:
    """Write to ``path`` the columns of the run in ``folder``; the tables are read row by row, which takes its time.

    tables:  their digests, as the summary names them.
    """
    run_folder.require_parts(folder, summary, (*run_folder.PARTS, *run_folder.SHOWN))
    evidence, titles, names = _learned(folder)
    ranking = Ranking.from_csv(folder / run_folder.FILES["table"], _columns(summary), measures=("group", *PARTNERS))
    if names not in ((), ranking.names):
        raise SavedModelError(f"The model and the table in {folder} are of different images. Rank them anew.")
    provenance = Provenance.load(folder / run_folder.IMAGES)
    if provenance.names != ranking.names:
        raise SavedModelError(f"{folder / run_folder.IMAGES} and {run_folder.FILES['table']} are of different images. "
                              "Rank them anew.")
    provenance = Provenance(ranking.names, provenance.origins)  # equal names once
    row_of = {name: row for row, name in enumerate(ranking.names)}
    duplicates = linked([ranking.measures.get(key, ()) for key in PARTNERS], row_of)
    del row_of
    write_columns(path, ranking, provenance, duplicates, tables, evidence,
                  {column: title for column, title in titles.items() if column in ranking.members})


def _learned(folder: Path) -> tuple[Evidence | None, dict[str, str], Sequence[str]]:
    """Of the run's model, where it has one: what labels teach by, what its columns are called, its images' names.

    The model itself is let go before the tables are read, and the features that it keeps are not written twice.
    """
    if not (folder / run_folder.MODEL).is_dir():
        return None, {}, ()
    model = load_model(run_folder.model_of(folder))
    known = model.evidence_
    evidence = Evidence(known.scores, known.members, np.empty((len(known), 0), np.float16))
    titles, names = {column: headings.title(model, column) for column in model.sees_}, model.names_
    del model, known
    give_back()
    return evidence, titles, names


def linked(partners: Sequence[Sequence[str] | NDArray[Any]], row_of: Mapping[str, int]) -> list[list[int]]:
    """Rows that columns of names link to each other, as groups, the largest first."""
    pairs = [(row, row_of[name]) for column in partners if isinstance(column, tuple)
             for row, name in enumerate(column) if name in row_of]
    n = len(row_of)
    one, other = (np.array(side, np.intp) for side in (zip(*pairs, strict=True) if pairs else ((), ())))
    label = connected_components(coo_array((np.ones(len(one)), (one, other)), (n, n)), directed=False)[1]
    groups: dict[int, list[int]] = {}
    for row in np.flatnonzero(np.bincount(label, minlength=1)[label] > 1) if n else ():
        groups.setdefault(int(label[row]), []).append(int(row))
    return sorted(groups.values(), key=len, reverse=True)


def _columns(summary: dict[str, Any]) -> list[str]:
    """The columns of the table that are detectors' own scores."""
    parameters = summary.get("parameters")
    named = parameters if isinstance(parameters, dict) else {}
    columns = [title.removeprefix(DETECTOR) for title in named if title.startswith(DETECTOR)]
    top = summary.get("top")
    if isinstance(top, list) and top and isinstance(top[0], dict):  # a detector without options is in no list of them
        columns += [key for key in top[0] if key not in ("rank", "name", "score", "p_value", "flagged", "causes")]
    return columns
