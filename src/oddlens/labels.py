"""What a person said of images by their names: "odd", "normal", or None, which takes it back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oddlens.errors import OptionError

ODD, NORMAL = "odd", "normal"


def merged(
    known: Mapping[str, str], said: Mapping[str, Any], names: Sequence[str], unread: Sequence[str] = ()
) -> dict[str, str]:
    """Earlier labels with later ones taken in, in the order in which each was last said.

    names, unread:  of the images that can be labelled, and of those that could not be read.
    """
    found = dict(known)
    rows = set(names)
    for name, label in said.items():
        if name not in rows:
            raise OptionError(_unknown(name, names, unread))
        if label not in (ODD, NORMAL, None):
            raise OptionError(f"The label of {name!r} is {label!r}; it must be {ODD!r}, {NORMAL!r}, or None to take it "
                              "back.")
        found.pop(name, None)
        if label is not None:
            found[name] = label
    return found


def by_row(labels: Mapping[str, str], names: Sequence[str], first: NDArray[np.int64]) -> dict[int, bool]:
    """Row -> True (odd) or False (normal), in the order of the labels; copies have the label that was said last.

    first:  (n,) the row of the first image that is the same as each.
    """
    rows = {name: row for row, name in enumerate(names) if name in labels}
    said: dict[int, bool] = {}
    for name, label in labels.items():
        copies = int(first[rows[name]])
        said.pop(copies, None)
        said[copies] = label == ODD
    if not said:
        return {}
    copies_of: dict[int, list[int]] = {}
    for row in np.flatnonzero(np.isin(first, list(said))):
        copies_of.setdefault(int(first[row]), []).append(int(row))
    return {row: odd for group, odd in said.items() for row in copies_of[group]}


def _unknown(name: Any, names: Sequence[str], unread: Sequence[str]) -> str:
    if name in unread:
        return f"{name!r} could not be read when the model was fitted, so it has no label."
    near = get_close_matches(str(name), names, n=1) if len(names) <= 100_000 else []
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return (f"There is no fitted image named {name!r}.{hint} Labels go by the names in the ranking, of the images that "
            "the model was fitted to.")
