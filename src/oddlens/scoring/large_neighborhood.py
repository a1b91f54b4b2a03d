"""The own scores of a large collection: all rows beside the reference, and the strangest beside all that lie near.

Every row is compared with the reference rows, which are few. That tells which rows are strange, but not in which order:
of a tenth of the rows, the third nearest says little of where the thirtieth of all is. So the strangest are looked at
again, each beside all rows whose nearest reference row is among the tenth of these that lie nearest to it. Distances at
ranks so far out that the reference tells them well are taken from there.

The reference rows are looked at again with them. The median distances of a thousand of these are the usual ones, and as
much as their scores change on the whole, all others are changed, so that one null fits both.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from oddlens.protocols import Doubles
from oddlens.scoring.inverted_lists import InvertedLists
from oddlens.scoring.neighborhood import (
    LEAST_DISTANCE,
    USUAL_ROWS,
    Neighborhood,
    Tightness,
    neighbours_among,
    ranks_of,
)
from oddlens.scoring.structure import unimodality

MOST_EXACT = 20_000  # rows up to which all are compared with the reference in single steps, and none again
STRANGE_SHARE = 0.03  # of the rows that are looked at again
PROBED_SHARE, FEWEST_PROBED = 0.1, 20_000  # of the lists they are compared with; and the fewest rows in these
MOST_WHOLE = 60_000  # rows up to which they are compared with all: the lists are so short that it takes no longer
FAR_RANK = 100  # of the reference: it tells distances at this rank and beyond as well as all rows would


def own_scores(
    near: Neighborhood, rows: NDArray[np.float32], sample: NDArray[np.int64], local: float, n_jobs: int | None = None
) -> tuple[Doubles, Doubles]:
    """(m,) the ratios of the reference rows, and (n,) those of all beside those around them, each without itself.

    near:    the neighbourhood of the (n, d) rows, whose reference are those of the (m,) ``sample``. Of more than 20,000
             rows, its usual distances are changed a little, so that new rows' scores are on the scale of these.
    local:   how far ratios are measured against those around, as in ``Tightness``.
    """
    if len(rows) <= MOST_EXACT:
        distances, around = near.distances(rows, n_jobs)
        plain = near.ratios(distances)
        return plain[sample], plain * Tightness(plain[sample], local).factor(around)
    n, m, kind = len(rows), len(sample), unimodality(rows)
    plain, lists = np.empty(n), InvertedLists(near, rows, sample, n_jobs)

    def take(part: slice, distances: Doubles) -> None:
        plain[part] = near.ratios(distances)

    near_reference = lists.survey(take, near.ranks)
    scores = plain * Tightness(plain[sample], local).factor(near_reference)
    again, control = chosen_again(scores, sample)
    ranks = ranks_of(neighbours_among(n, m, kind), n, kind)
    close = ranks * m < FAR_RANK * n
    asked = np.clip(np.rint(ranks * m / n).astype(np.int64), 1, m - 1)
    distances, ranked = lists.beside_lists(again, probed_share(n), asked, ranks[close])
    if close.any():
        counted = ranked.distances(ranks[close])
        distances[:, close] = np.where(np.isfinite(counted), counted, distances[:, close])

    # The strange rows' scores from what was found, and all others brought to their level.
    usual, most = np.median(distances[control], axis=0), float(distances.max())
    ratios = (distances / np.maximum(usual, LEAST_DISTANCE * most)).max(1) if most > 0 else np.zeros(len(again))
    near.usual /= brought_together(plain, scores, again, control, ratios, ranked.nearest, local)
    return plain[sample], scores


def brought_together(
    plain: Doubles, scores: Doubles, again: NDArray[np.int64], control: NDArray[np.int64], better: Doubles,
    nearest: NDArray[np.int32], local: float,
) -> float:
    """Put the (q,) better numbers in the place of the rough ones, bring the rest to their level, and give its change.

    plain:    (n,) numbers before they are measured against those around; scores: after. Both are changed.
    again:    (q,) whose better numbers these are; control: where those stand whose level counts.
    nearest:  (q, 10) the nearest rows of each.
    """
    plain *= level(better[control], plain[again[control]])
    plain[again] = better
    found = better * Tightness(plain, local).factor(nearest)
    change = level(found[control], scores[again[control]])
    scores *= change
    scores[again] = found
    return change


def chosen_again(scores: Doubles, sample: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(q,) the rows to be looked at again, ascending, and where those stand whose level counts.

    They are the strangest; and the sample, because detectors learn from it and others are measured against it.
    """
    first = len(scores) - int(STRANGE_SHARE * len(scores))
    again = np.union1d(np.argpartition(scores, first)[first:], sample)
    control = sample[np.linspace(0, len(sample) - 1, USUAL_ROWS).astype(np.int64)]
    return again, np.searchsorted(again, control)


def probed_share(n: int) -> float:
    """The share of the lists that the strangest of n rows are compared with."""
    return 1.0 if n <= MOST_WHOLE else max(PROBED_SHARE, FEWEST_PROBED / n)


def level(better: Doubles, rough: Doubles) -> float:
    """By what factor the better numbers differ from the rough ones on the whole."""
    middle, other = float(np.median(better)), float(np.median(rough))
    return middle / other if middle > 0 and other > 0 else 1.0
