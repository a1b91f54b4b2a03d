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
from oddlens.ranking import RankedImage, Ranking
from oddlens.report.counts import cause_counts, duplicate_counts, heading, split
from oddlens.report.html import fill, script

MOST_ROWS = 500  # images in the table
MOST_NAMED = 40  # images of each cause that are added to the strangest
MOST_COPIES = 200  # copies and near duplicates that are added
SHOWN_PARTNERS = 3  # copies of an image that are named
SCRIPT = script("listing.js")


@dataclass(frozen=True)
class Row:
    """One image in the table.

    thumbnail:  a data URI; empty where there is no picture.
    causes:     in words.
    group:      the number of its group of images alike, from 1; 0: it is alone.
    alike:      how many images that group has.
    named:      its causes by their short names.
    copies:     the number of its group of copies and near duplicates, from 1; 0: it has none.
    partners:   the names of some others of that group,
    more:       and how many there are besides.
    """

    image: RankedImage
    thumbnail: str
    causes: Sequence[str]
    group: int
    alike: int
    named: Sequence[str] = ()
    copies: int = 0
    partners: Sequence[str] = ()
    more: int = 0


def choose(ranking: Ranking, duplicates: Sequence[Sequence[int]] = (), most: int = MOST_ROWS) -> NDArray[np.int64]:
    """(m,) rows for a table: the ``most`` strangest, and others that a cause is named of or that have copies.

    Of each cause up to 40 more, and up to 200 in whole groups of copies.
    """
    order = ranking.order()
    chosen = dict.fromkeys(int(row) for row in order[:most])
    left = Counter[str]()
    named = ranking.causes or ("",) * len(ranking)
    for row in order[most:]:
        for cause in split(named[row]):
            if left[cause] < MOST_NAMED:
                chosen[int(row)] = None
            left[cause] += 1
    copies = 0
    for group in duplicates:
        fresh = [row for row in group if row not in chosen]
        if copies + len(fresh) <= MOST_COPIES:
            chosen.update(dict.fromkeys(fresh))
            copies += len(fresh)
    return np.array(list(chosen), np.int64)


def listing_fragment(
    ranking: Ranking, rows: Sequence[int] | NDArray[np.integer[Any]], thumbnails: Callable[[int], str],
    causes: Callable[[int], Sequence[str]] | None = None, groups: Mapping[int, int] | None = None,
    most: int = MOST_ROWS, duplicates: Sequence[Sequence[int]] = (),
) -> str:
    """The table as HTML, for the body of a page whose policy allows ``SCRIPT`` (see ``page.digest``). One a page.

    rows:        rows of the ranking, each once, in any order; the ``most`` strangest of them are shown, and how many
                 of the ranking are not is said.
    thumbnails:  gives the picture of a row as a data URI of an image, or "" where there is none. It is called once for
                 each row shown; what it gives is most of the size of the table, the rest is some 1 KB a row.
    causes:      gives why a row is strange, in words.
    groups:      row -> the number of its group of images alike; those alone in theirs may be left out.
    duplicates:  groups of copies and near duplicates, as rows of the ranking.

    Links elsewhere in the page whose ``data-show`` is the short name of a cause, or "duplicates", show just those.
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
    groups, sizes = groups or {}, Counter((groups or {}).values())
    copies = {row: number for number, group in enumerate(duplicates, start=1) for row in group}

    def row(index: int) -> Row:
        number = groups.get(index, -1)
        alike = sizes[number] if number >= 0 else 1
        copy = copies.get(index, 0)
        others = [other for other in duplicates[copy - 1] if other != index] if copy else []
        return Row(ranking.image(index), _picture(thumbnails(index), index), causes(index) if causes else (),
                   number + 1 if alike > 1 else 0, alike, split(ranking.causes[index]) if ranking.causes else (), copy,
                   [ranking.names[other] for other in others[:SHOWN_PARTNERS]], max(0, len(others) - SHOWN_PARTNERS))

    shown = [row(int(index)) for index in chosen]
    # How many of the strangest of all the table holds before it leaves one out.
    strangest = next((place for place, one in enumerate(shown) if one.image.rank != place + 1), len(shown))
    marked = sum(bool(one.image.flagged) for one in shown)
    return fill(
        "listing.html", rows=shown, members=list(ranking.members), count=len(ranking), strangest=strangest,
        decided=ranking.flagged is not None, measured=ranking.p_values is not None, caused=causes is not None,
        grouped=any(one.group for one in shown), copied=any(one.copies for one in shown), script=SCRIPT, marked=marked,
        cut=marked if 0 < marked < len(shown) and all(one.image.flagged for one in shown[:marked]) else 0,
        choices=_choices(ranking, duplicates),
    )


def _choices(ranking: Ranking, duplicates: Sequence[Sequence[int]]) -> list[tuple[str, str]]:
    """What the table can be narrowed to: what it is called, and in words with how many there are in all."""
    found = [(cause, f"{heading(cause)} ({count:,})") for cause, count in cause_counts(ranking.causes).items()]
    images = duplicate_counts(duplicates)["images"]
    return [*found, *([("duplicates", f"Copies and near duplicates ({images:,})")] if images else [])]


def _picture(uri: str, row: int) -> str:
    if uri and not uri.startswith("data:image/"):
        raise OptionError(f"The thumbnail of row {row} is {uri[:40]!r}: give a data URI of an image, or an empty text.")
    return uri
