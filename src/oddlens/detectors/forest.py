"""Isolation Forest: an image that a few random cuts set apart from the rest is strange.

A tree takes a small sample of the images and cuts it in two, on a random feature at a random place, again
and again until every image stands alone. Odd images stand alone early. The average depth at which an image is
isolated, over many trees, is the paper's measure; the normalised score of Liu et al. puts it in 0..1.

Liu, Ting, Zhou, *Isolation Forest*, 2008.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from oddlens.arrays import read_only
from oddlens.errors import OptionError, SavedModelError
from oddlens.kernels import helper, kernel, threads
from oddlens.progress import advance
from oddlens.protocols import Doubles, Encoded, State
from oddlens.scoring.features import checked_features

LARGEST_SAMPLE = 2**16
BATCH = 2**16  # rows between two reports of progress
BLOCK = 256  # rows that stay in the cache while all trees pass over them
GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # the step of SplitMix64's counter


class Forest(BaseEstimator):
    """Scores an image by how early random cuts of the embedding isolate it.

    n_estimators:  how many trees; 2,000 as in the paper.
    max_samples:   images in a tree's sample, 2 to 65,536, and never more than there are.
    score:         "normalized", 2^(-depth / expected depth), in 0..1; or "depth", minus the average isolation
                   depth. The ranking is the same.
    random_state:  fixes samples and cuts; the same on any number of threads, to the last digit.
    n_jobs:        threads; by default one for each core.

    Every tree judges every image, as in the paper. A tree that has an image in its sample is not told by it what is
    ordinary; it shows how early that image can be set apart, and a tree without it cannot isolate it at all
    (measured: docs/lab/forest.md). Features are compared in single precision.

    Fitted: ``depths_`` (n,), the fitted images' average isolation depths.

    >>> ring = np.stack([np.sin(np.arange(40.0)), np.cos(np.arange(40.0))], 1)
    >>> ring[3] = 5, 5
    >>> int(Forest(n_estimators=100).fit(Encoded(embedding=ring)).score_own().argmax())
    3
    """

    # A tree is kept as a complete binary tree of fixed height: node i has the children 2i+1 and 2i+2, so no
    # index is stored, a walk always ends, and it takes the same steps for every image. Where a branch ends
    # early, the cut is at infinity and all that is below on the left is that leaf. Leaves are single-precision
    # depths of 1 or more, so their sums in double precision are exact and have no order to depend on.
    needs = frozenset({"embedding"})
    judges = "by how soon random cuts set it apart"
    seeks = "images whose learned features a few random cuts set apart from the rest"

    def __init__(
        self,
        n_estimators: int = 2000,
        max_samples: int = 256,
        score: str = "normalized",
        random_state: int = 0,
        n_jobs: int | None = None,
    ) -> None:
        self.n_estimators = n_estimators
        self.max_samples = max_samples
        self.score = score
        self.random_state = random_state
        self.n_jobs = n_jobs

    def fit(self, encoded: Encoded) -> Self:
        """Grow the trees and find the fitted images' depths."""
        self._check()
        rows = read_only(checked_features(encoded, self))
        if len(rows) < 2:
            raise OptionError(f"Forest needs 2 images or more, got {len(rows)}.")
        self.sample_, self.columns_ = min(self.max_samples, len(rows)), rows.shape[1]
        nodes = 2 ** height(self.sample_) - 1
        features = np.zeros((self.n_estimators, nodes), np.int32)
        cuts = np.full((self.n_estimators, nodes), np.inf, np.float32)
        leaves = np.zeros((self.n_estimators, nodes + 1), np.float32)
        with threads(self.n_jobs):
            grow(rows, np.uint64(self.random_state), expected_depths(self.sample_), features, cuts, leaves)
        self.features_, self.cuts_, self.leaves_ = read_only(features), read_only(cuts), read_only(leaves)
        self.depths_ = self._depth_sums(rows) / self.n_estimators
        return self

    def score_own(self) -> Doubles:
        """(n,) the fitted images' scores, by all trees."""
        check_is_fitted(self, "depths_")
        return self._score(self.depths_)

    def score_new(self, encoded: Encoded) -> Doubles:
        """(m,) other images' scores, by all trees."""
        check_is_fitted(self, "depths_")
        rows = read_only(checked_features(encoded, self))
        if rows.shape[1] != self.columns_:
            raise OptionError(f"Forest was fitted to {self.columns_} features, got {rows.shape[1]}.")
        return self._score(self._depth_sums(rows) / self.n_estimators)

    def get_state(self) -> State:
        """The trees and the fitted images' depths."""
        check_is_fitted(self, "depths_")
        return {
            "features": self.features_,
            "cuts": self.cuts_,
            "leaves": self.leaves_,
            "depths": self.depths_,
            "shape": np.array([self.sample_, self.columns_]),
        }

    def set_state(self, state: State) -> Self:
        """Take back what ``get_state`` gave; every index that compiled code will follow is checked."""
        try:
            self._check()
        except OptionError as error:
            raise SavedModelError(f"The saved forest has options that cannot work: {error}") from error
        wrong = flaw(state, self.n_estimators)
        if wrong:
            raise SavedModelError(f"The saved forest does not hold sound trees: {wrong}.")
        self.features_, self.cuts_ = read_only(state["features"]), read_only(state["cuts"])
        self.leaves_, self.depths_ = read_only(state["leaves"]), state["depths"]
        self.sample_, self.columns_ = (int(value) for value in state["shape"])
        return self

    def _depth_sums(self, rows: NDArray[np.float32]) -> Doubles:
        """(n,) the sum of each row's depths over all trees."""
        sums = np.empty(len(rows))
        for start in range(0, len(rows), BATCH):
            batch = slice(start, min(start + BATCH, len(rows)))
            with threads(self.n_jobs):
                sums[batch] = walk(read_only(rows[batch]), self.features_, self.cuts_, self.leaves_)
            advance("forest", batch.stop, len(rows))
        return sums

    def _score(self, depths: Doubles) -> Doubles:
        if self.score == "depth":
            return -depths
        return np.asarray(2.0 ** (-depths / expected_depths(self.sample_)[self.sample_]))

    def _check(self) -> None:
        for name, least, most in (
            ("n_estimators", 1, 10**6),
            ("max_samples", 2, LARGEST_SAMPLE),
            ("random_state", 0, 2**63),
        ):
            value = getattr(self, name)
            if not isinstance(value, int | np.integer) or not least <= value <= most:
                raise OptionError(f"{name} must be a whole number from {least} to {most}, got {value!r}.")
        if self.score not in ("normalized", "depth"):
            raise OptionError.unknown("score of the forest", self.score, ("normalized", "depth"))



def height(sample: int) -> int:
    """The height at which trees stop growing, ceil(log2 sample): about the average depth of a leaf."""
    return (sample - 1).bit_length()


def expected_depths(largest: int) -> Doubles:
    """(largest + 1,) c(m): the average depth of an unsuccessful search in a binary tree of m images.

    With the harmonic numbers themselves, where the paper has ln(m - 1) + 0.5772.
    """
    sizes = np.arange(largest + 1, dtype=np.float64)
    harmonic = np.concatenate([[0.0], np.cumsum(1 / sizes[1:])])  # H(m)
    depths = np.zeros(largest + 1)
    depths[2:] = 2 * harmonic[1:-1] - 2 * (sizes[2:] - 1) / sizes[2:]
    return depths


def flaw(state: Mapping[str, NDArray[Any]], trees: int) -> str:
    """What makes a saved state no forest of so many trees; empty if nothing does."""
    types = {"features": np.int32, "cuts": np.float32, "leaves": np.float32, "depths": np.float64, "shape": np.int64}
    for key, dtype in types.items():
        if key not in state or state[key].dtype != dtype:
            return f"{key} is missing or not {np.dtype(dtype)}"
    features, cuts, leaves, depths, shape = (state[key] for key in types)
    if shape.shape != (2,) or not 2 <= shape[0] <= LARGEST_SAMPLE or shape[1] < 1:
        return f"no forest has the shape {shape.tolist()}"
    nodes = 2 ** height(int(shape[0])) - 1
    if features.shape != (trees, nodes) or cuts.shape != (trees, nodes) or leaves.shape != (trees, nodes + 1):
        return f"features {features.shape}, cuts {cuts.shape} and leaves {leaves.shape} for {trees} trees"
    if features.min() < 0 or features.max() >= shape[1]:
        return f"a cut is on feature {features.min()} or {features.max()} of {shape[1]}"
    if np.isnan(cuts).any() or not (np.isfinite(leaves) & (leaves >= 0)).all():
        return "a cut or a leaf is not a number"
    if depths.ndim != 1 or not len(depths) or not (np.isfinite(depths) & (depths >= 0)).all():
        return "the fitted images' depths are not one number each"
    return ""


@helper
def random_bits(seed: Any, counter: Any) -> Any:
    """The 64 random bits of a counter (SplitMix64; Steele, Lea, Flood 2014): no state, so no order either."""
    z = seed + np.uint64(counter) * GOLDEN
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@helper
def below(bits: Any, bound: Any) -> Any:
    """Random bits as a whole number in 0..bound-1."""
    return np.int64((bits >> np.uint64(32)) * np.uint64(bound) >> np.uint64(32))


@njit
def draw(seed: Any, n: Any, members: Any) -> Any:
    """Fill members with different numbers in 0..n-1 (Floyd's sampling); it takes the counters 0..len(members)-1."""
    size = len(members)
    taken = np.zeros(n, np.bool_)
    for j in range(size):
        pick = below(random_bits(seed, j), n - size + j + 1)
        if taken[pick]:
            pick = n - size + j
        taken[pick] = True
        members[j] = pick


@njit
def choose(rows: Any, members: Any, order: Any, seed: Any, counter: Any) -> Any:
    """A random feature that varies among the members and a random cut between its extremes; -1 if none varies."""
    d = len(order)
    column, cut = -1, np.float32(0)
    for j in range(d):  # features in random order until one varies here
        swap = j + below(random_bits(seed, counter + j), d - j)
        order[j], order[swap] = order[swap], order[j]
        low = high = rows[members[0], order[j]]
        for member in members:
            low = min(low, rows[member, order[j]])
            high = max(high, rows[member, order[j]])
        if high > low:
            column = order[j]
            share = np.float64(random_bits(seed, counter + d) >> np.uint64(11)) / 2.0**53
            cut = np.float32(np.float64(low) + share * (np.float64(high) - np.float64(low)))
            cut = cut if low <= cut < high else low  # rounding to single precision may have met the upper end
            break
    return column, cut


@njit
def grow_tree(rows: Any, seed: Any, expected: Any, features: Any, cuts: Any, leaves: Any) -> None:
    """Grow one tree on a sample of its own, with random numbers of its own."""
    nodes, d = len(features), rows.shape[1]
    members = np.empty(len(expected) - 1, np.int64)  # a node's images are members[first[node]:last[node]]
    draw(seed, len(rows), members)
    first, last = np.zeros(2 * nodes + 1, np.int64), np.zeros(2 * nodes + 1, np.int64)
    last[0] = len(members)
    ended = np.full(2 * nodes + 1, -1.0)  # the depth of the leaf that the node is or is below, or -1
    order = np.arange(d)
    depth, level_end = 0, 1
    for node in range(nodes):
        if node == level_end:
            depth, level_end = depth + 1, 2 * level_end + 1
        left, right = 2 * node + 1, 2 * node + 2
        start, stop = first[node], last[node]
        column, cut = -1, np.float32(0)
        if ended[node] < 0 and stop - start > 1:
            column, cut = choose(rows, members[start:stop], order, seed, len(members) + node * (d + 1))
        if column < 0:
            if ended[node] < 0:
                ended[node] = depth + expected[stop - start]
            ended[left] = ended[right] = ended[node]
            continue
        features[node], cuts[node] = column, cut
        middle = start
        for m in range(start, stop):
            if rows[members[m], column] <= cut:
                members[middle], members[m] = members[m], members[middle]
                middle += 1
        first[left], last[left], first[right], last[right] = start, middle, middle, stop
    for node in range(nodes, 2 * nodes + 1):
        lone = depth + 1 + expected[last[node] - first[node]]
        leaves[node - nodes] = ended[node] if ended[node] >= 0 else lone


@kernel
def grow(rows: Any, seed: Any, expected: Any, features: Any, cuts: Any, leaves: Any) -> None:
    """Grow all trees on samples of len(expected) - 1 images; what one draws does not depend on the others."""
    forest_seed = random_bits(np.uint64(0), seed + np.uint64(1))
    for tree in prange(len(features)):
        own_seed = random_bits(forest_seed, tree + 1)
        grow_tree(rows, own_seed, expected, features[tree], cuts[tree], leaves[tree])


@njit
def walk_block(rows: Any, features: Any, cuts: Any, leaves: Any, sums: Any) -> None:
    """Add to each of up to BLOCK rows its depths over all trees."""
    size, d = rows.shape
    trees, nodes = features.shape
    levels = 0
    while 2**levels - 1 < nodes:
        levels += 1
    columns = np.zeros(d * BLOCK, np.float32)  # column by column, so that rows go down a tree side by side
    for r in range(size):
        for c in range(d):
            columns[c * BLOCK + r] = rows[r, c]
    node = np.empty(BLOCK, np.uint32)
    for tree in range(trees):
        feature, cut, leaf = features[tree], cuts[tree], leaves[tree]
        node[:] = 0
        for _ in range(levels):
            # Unsigned indices spare a check for negative ones, and the loop becomes vector code.
            for r in range(BLOCK):
                i = node[r]
                at = np.uint32(feature[i]) * np.uint32(BLOCK) + np.uint32(r)
                node[r] = np.uint32(2) * i + np.uint32(1) + np.uint32(columns[at] > cut[i])
        for r in range(size):
            sums[r] += leaf[node[r] - np.uint32(nodes)]


@kernel
def walk(rows: Any, features: Any, cuts: Any, leaves: Any) -> Any:
    """(n,) the sum of each row's depths over all trees."""
    sums = np.zeros(len(rows))
    for number in prange((len(rows) + BLOCK - 1) // BLOCK):
        start, stop = number * BLOCK, min(len(rows), (number + 1) * BLOCK)
        walk_block(rows[start:stop], features, cuts, leaves, sums[start:stop])
    return sums
