"""Which of the odd images are alike, so that a person looks at one of each kind.

Two odd images are alike when each is among the nearest of the other, and they are no farther apart than the most
alike tenth of ordinary images are, or much nearer to each other than either is to anything ordinary: odd kinds have
a spacing of their own. The groups are what such pairs connect: single linkage, cut at the collection's own scale.
Linkage by chains is kept from running through everything by the mutual neighbours and by the cut.

Sneath, *The application of computers to taxonomy*, 1957 (single linkage); Gowda, Krishna, *Agglomerative clustering
using the concept of mutual nearest neighbourhood*, 1978.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from oddlens.errors import OptionError
from oddlens.protocols import Doubles, Floats, Reason

SPACING_SAMPLE, SPACING_QUANTILE = 1000, 0.1  # ordinary images that give the spacing; the quantile of distances
COMPARED_ORDINARY = 5000  # ordinary images that the odd ones are compared with
NEARER_FACTOR = 0.8  # two odd images nearer than this share of the distance to anything ordinary are of one kind
MUTUAL_NEIGHBOURS = 10  # each must be among this many nearest of the other, copies not counted
SHOWN_MEMBERS = 5  # others of a group that are named
BLOCK_ROWS = 1024  # rows that are compared at a time


@dataclass(frozen=True)
class Groups:
    """Odd images put together where they are alike.

    rows:             (m,) the images, as they were given, the oddest first.
    group:            (m,) the number of each one's group, 0 to groups - 1, in the order of their oddest members.
    sizes:            (groups,) how many images each has.
    representatives:  (groups,) the place in ``rows`` of the image nearest to the middle of each group.
    spacing:          the distance that ordinary images that are much alike have, in the embedding's units.
    """

    rows: NDArray[np.int64]
    group: NDArray[np.int64]
    sizes: NDArray[np.int64]
    representatives: NDArray[np.int64]
    spacing: float

    def members(self, number: int) -> NDArray[np.int64]:
        """The rows of a group's images, the oddest first."""
        return np.asarray(self.rows[self.group == number])

    def reason(self, place: int) -> Reason | None:
        """That the image at a place of ``rows`` is one of several alike, in words; None if it is alone."""
        number = int(self.group[place])
        size = int(self.sizes[number])
        if size == 1:
            return None
        others = [int(row) for row in self.members(number) if row != self.rows[place]]
        return Reason(f"One of a group of {size} alike.", tuple(others[:SHOWN_MEMBERS]))


def group_alike(embedding: Floats, rows: NDArray[np.integer[Any]]) -> Groups:
    """Put together those of the odd images ``rows`` of (n, d) features that are alike.

    rows: (m,) different rows of the embedding, the oddest first. The others, or where fewer than two are left all,
    are taken for ordinary; up to 5,000 of them are looked at. Their spacing is the first decile of their distances to
    the nearest other: more would chain ordinary images together. The same for the same input. Raises ``OptionError``
    for rows that are not there or not finite.
    """
    chosen = np.asarray(rows, np.int64).ravel()
    if embedding.ndim != 2 or (len(chosen) and not (chosen.min() >= 0 and chosen.max() < len(embedding))):
        raise OptionError(f"group_alike needs rows of an embedding (n, d), got rows from {min(chosen, default=0)} to "
                          f"{max(chosen, default=-1)} of an array {embedding.shape}.")
    if len(np.unique(chosen)) != len(chosen):
        raise OptionError("group_alike needs each row once; some are given twice.")
    ordinary, odd = _ordinary(embedding, chosen), np.asarray(embedding[chosen], np.float64)
    if not (np.isfinite(odd).all() and np.isfinite(ordinary).all()):
        raise OptionError("group_alike needs finite features; the embedding holds nan or infinity.")
    spacing = _spacing(ordinary)
    joined = _linked(odd, np.maximum(spacing, NEARER_FACTOR * _nearest(odd, ordinary)))
    _, first, group = np.unique(joined, return_index=True, return_inverse=True)
    number = np.argsort(np.argsort(first))[group.ravel()].astype(np.int64)
    sizes = np.bincount(number, minlength=len(first)).astype(np.int64)
    middles = np.array([_middle(odd, np.flatnonzero(number == k)) for k in range(len(sizes))], np.int64)
    return Groups(chosen, number, sizes, middles, spacing)


def _ordinary(embedding: Floats, odd: NDArray[np.int64]) -> Doubles:
    """(r, d) of the images that are not odd, in an order drawn at random, the same each time."""
    rows = np.setdiff1d(np.arange(len(embedding)), odd)
    if len(rows) < 2:
        rows = np.arange(len(embedding))
    return np.asarray(embedding[np.random.default_rng(0).permutation(rows)[:COMPARED_ORDINARY]], np.float64)


def _spacing(ordinary: Doubles) -> float:
    """The first decile of ordinary images' distances to their nearest other that is not a copy; 0 if there is none."""
    nearest = _nearest(ordinary[:SPACING_SAMPLE], ordinary)
    known = nearest[np.isfinite(nearest)]
    return float(np.quantile(known, SPACING_QUANTILE)) if len(known) else 0.0


def _nearest(rows: Doubles, others: Doubles) -> Doubles:
    """(m,) the distance of each row to the nearest of the others that is not the same; infinite if none is."""
    found = np.full(len(rows), np.inf)
    for start in range(0, len(rows), BLOCK_ROWS):
        apart = _distances(rows[start : start + BLOCK_ROWS], others)
        found[start : start + BLOCK_ROWS] = np.where(apart > 0, apart, np.inf).min(1, initial=np.inf)
    return found


def _distances(rows: Doubles, others: Doubles) -> Doubles:
    """(m, r) distances; 0 where only rounding is left of them."""
    middle = others.mean(0) if len(others) else 0.0  # near the origin the squares lose the least
    rows, others = rows - middle, others - middle
    lengths, lengths_other = np.square(rows).sum(1)[:, None], np.square(others).sum(1)
    squares = lengths + lengths_other - 2 * rows @ others.T
    return np.asarray(np.sqrt(np.where(squares > 1e-12 * (lengths + lengths_other), squares, 0)))


def _linked(odd: Doubles, reach: Doubles) -> NDArray[np.int64]:
    """(m,) a label for each odd image, the same for those that pairs of mutual neighbours in both reaches connect."""
    # Copies are one point, or they would fill each other's lists of neighbours.
    points, first, point = np.unique(odd, axis=0, return_index=True, return_inverse=True)
    if len(points) < 2:
        return np.zeros(len(odd), np.int64)
    reach = np.where(np.isfinite(reach), reach, 0)[first]
    pairs = []
    for start in range(0, len(points), BLOCK_ROWS):
        apart = _distances(points[start : start + BLOCK_ROWS], points)
        apart[np.arange(len(apart)), start + np.arange(len(apart))] = np.inf
        nearest = np.argsort(apart, axis=1, kind="stable")[:, :MUTUAL_NEIGHBOURS]
        distance = np.take_along_axis(apart, nearest, 1)
        one, place = np.nonzero(distance <= np.minimum(reach[start : start + BLOCK_ROWS, None], reach[nearest]))
        pairs.append(np.stack([one + start, nearest[one, place]]))
    one, other = np.hstack(pairs)
    graph = coo_matrix((np.ones(len(one), np.int8), (one, other)), shape=(len(points), len(points))).tocsr()
    return np.asarray(connected_components(graph.multiply(graph.T), directed=False)[1][point.ravel()], np.int64)


def _middle(odd: Doubles, places: NDArray[np.int64]) -> int:
    """The place of the image that is nearest to the mean of those at ``places``, the oddest of equals."""
    apart = np.square(odd[places] - odd[places].mean(0)).sum(1)
    return int(places[apart.argmin()])
