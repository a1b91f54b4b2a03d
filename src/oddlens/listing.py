"""A table of the strangest images that a person can sort and filter, as a fragment of HTML for a page of ours.

It loads nothing, its style keeps to itself, and without its script it is a plain table, the strangest first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oddlens.errors import OptionError
from oddlens.page import fill, script
from oddlens.ranking import RankedImage, Ranking

MOST = 500  # images in the table
SCRIPT = script("listing.js")


@dataclass(frozen=True)
class Row:
    """One image in the table.

    thumbnail:  a data URI; empty where there is no picture.
    causes:     in words.
    group:      the number of its group of images alike, from 1; 0: it is alone.
    alike:      how many images that group has.
    """

    image: RankedImage
    thumbnail: str
    causes: Sequence[str]
    group: int
    alike: int


def listing_fragment(
    ranking: Ranking, rows: Sequence[int] | NDArray[np.integer[Any]], thumbnails: Callable[[int], str],
    causes: Callable[[int], Sequence[str]] | None = None, groups: Mapping[int, int] | None = None, most: int = MOST,
) -> str:
    """The table as HTML, for the body of a page whose policy allows ``SCRIPT`` (see ``page.digest``). One a page.

    rows:        rows of the ranking, each once, in any order; the ``most`` strangest of them are shown, and how many
                 of the ranking are not is said.
    thumbnails:  gives the picture of a row as a data URI of an image, or "" where there is none. It is called once for
                 each row shown; what it gives is most of the size of the table, the rest is some 1 KB a row.
    causes:      gives why a row is strange, in words.
    groups:      row -> the number of its group of images alike; those alone in theirs may be left out.

    Raises ``OptionError`` for rows that are not there or given twice, and for a thumbnail that is no data URI.
    """
    if most < 0:
        raise OptionError(f"most takes a number of images of 0 or more, got {most}.")
    asked = np.asarray(rows, np.int64).ravel()
    if len(asked) and not (asked.min() >= 0 and asked.max() < len(ranking)):
        raise OptionError(f"listing_fragment got rows from {asked.min()} to {asked.max()} of a ranking of "
                          f"{len(ranking)} images.")
    if len(np.unique(asked)) != len(asked):
        raise OptionError("listing_fragment needs each row once; some are given twice.")
    chosen = asked[np.argsort(ranking.ranks()[asked], kind="stable")][:most]
    groups = groups or {}
    sizes = Counter(groups.values())

    def row(index: int) -> Row:
        number = groups.get(index, -1)
        alike = sizes[number] if number >= 0 else 1
        return Row(ranking.image(index), _picture(thumbnails(index), index), causes(index) if causes else (),
                   number + 1 if alike > 1 else 0, alike)

    shown = [row(int(index)) for index in chosen]
    # Whether the table holds the strangest of all, and not only of the rows that were asked for.
    strangest = all(one.image.rank == place for place, one in enumerate(shown, start=1))
    return fill(
        "listing.html", rows=shown, members=list(ranking.members), count=len(ranking), strangest=strangest,
        decided=ranking.flagged is not None, measured=ranking.p_values is not None, caused=causes is not None,
        grouped=any(one.group for one in shown), script=SCRIPT,
        marked=sum(bool(one.image.flagged) for one in shown),
    )


def _picture(uri: str, row: int) -> str:
    if uri and not uri.startswith("data:image/"):
        raise OptionError(f"The thumbnail of row {row} is {uri[:40]!r}: give a data URI of an image, or an empty text.")
    return uri
