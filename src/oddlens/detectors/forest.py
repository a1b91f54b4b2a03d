"""Isolation Forest: an image that a few random cuts set apart from the rest is strange.

A tree takes a small sample of the images and cuts it in two, on a random feature at a random place, again
and again until every image stands alone. Odd images stand alone early. The average depth at which an image is
isolated, over many trees, is the paper's measure; the normalised score of Liu et al. puts it in 0..1.

Liu, Ting, Zhou, *Isolation Forest*, 2008.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numba import prange
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from oddlens.errors import OptionError, SavedModelError
from oddlens.kernels import helper, kernel, threads
from oddlens.protocols import Doubles, Encoded, State

LARGEST_SAMPLE = 2**16


class Forest(BaseEstimator):
    """Scores an image by how early random cuts of the embedding isolate it.

    n_estimators:  how many trees; 2,000 as in the paper.
    max_samples:   images in a tree's sample, 2 to 65,536. Never more than half of the collection, so that every
                   image is judged by the many trees that did not see it (with 2 or 3 images: by all trees).
    score:         "normalized", 2^(-depth / expected depth), in 0..1; or "depth", minus the average isolation
                   depth. The ranking is the same.
    random_state:  fixes samples and cuts; the same on any number of threads, to the last digit.
    n_jobs:        threads; by default one for each core.

    Fitted: ``depths_`` (n,), the fitted images' average isolation depths.

    >>> ring = np.stack([np.sin(np.arange(40.0)), np.cos(np.arange(40.0))], 1)
    >>> ring[3] = 5, 5
    >>> int(Forest(n_estimators=100).fit(Encoded(embedding=ring)).score_own().argmax())
    3
    """

    # A tree is kept as a complete binary tree of fixed height: node i has the children 2i+1 and 2i+2, so no
    # index is stored, a walk always ends, and it takes the same steps for every image. Where a branch ends
    # early, the cut is at infinity and all that is below on the left is that leaf.
    needs = frozenset({"embedding"})

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
        rows = self._rows(encoded)
        if len(rows) < 2:
            raise OptionError(f"A forest needs 2 images or more, got {len(rows)}.")
        sample = min(self.max_samples, max(2, len(rows) // 2))
        height = int(np.ceil(np.log2(sample)))
        nodes, leaves = 2**height - 1, 2**height
        self.features_ = np.zeros((self.n_estimators, nodes), np.int32)
        self.cuts_ = np.full((self.n_estimators, nodes), np.inf, np.float32)
        self.leaves_ = np.zeros((self.n_estimators, leaves), np.float32)
        self.sample_, self.columns_ = sample, rows.shape[1]
        seen = np.empty((self.n_estimators, sample), np.int64)
        with threads(self.n_jobs):
            grow(rows, np.uint64(self.random_state), expected_depths(sample), self.features_, self.cuts_,
                 self.leaves_, seen)
            total, count = walk(rows, self.features_, self.cuts_, self.leaves_)
            leave_out(rows, self.features_, self.cuts_, self.leaves_, seen, total, count)
        judged = count > 0
        if not judged.all():  # seen by every tree: judged by all of them
            again, trees = walk(rows[~judged], self.features_, self.cuts_, self.leaves_)
            total[~judged], count[~judged] = again, trees
        self.depths_ = total / count
        return self

    def score_own(self) -> Doubles:
        """(n,) the fitted images' scores, each by the trees that did not see it."""
        self._require_fit()
        return self._score(self.depths_)

    def score_new(self, encoded: Encoded) -> Doubles:
        """(m,) other images' scores, by all trees."""
        self._require_fit()
        rows = self._rows(encoded)
        if rows.shape[1] != self.columns_:
            raise OptionError(f"The forest was fitted to {self.columns_} features, got {rows.shape[1]}.")
        with threads(self.n_jobs):
            total, count = walk(rows, self.features_, self.cuts_, self.leaves_)
        return self._score(total / count)

    def get_state(self) -> State:
        """The trees and the fitted images' depths."""
        self._require_fit()
        return {"features": self.features_, "cuts": self.cuts_, "leaves": self.leaves_, "depths": self.depths_,
                "shape": np.array([self.sample_, self.columns_])}

    def set_state(self, state: State) -> Self:
        """Take back what ``get_state`` gave; every index that compiled code will follow is checked."""
        try:
            self._check()
            sample, columns = (int(value) for value in state["shape"])
            features, cuts, leaves, depths = (state[key] for key in ("features", "cuts", "leaves", "depths"))
            height = int(np.ceil(np.log2(sample))) if 2 <= sample <= LARGEST_SAMPLE else -1
            sound = (
                height >= 1 and columns >= 1 and depths.ndim == 1
                and features.shape == cuts.shape == (self.n_estimators, 2**height - 1)
                and leaves.shape == (self.n_estimators, 2**height) and len(depths) > 0
                and [a.dtype.str for a in (features, cuts, leaves, depths)] == ["<i4", "<f4", "<f4", "<f8"]
                and bool((features >= 0).all() and (features < columns).all() and not np.isnan(cuts).any())
                and bool(np.isfinite(leaves).all() and np.isfinite(depths).all())
            )
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise SavedModelError(f"The saved forest does not hold its trees: {error!r}.") from error
        if not sound:
            raise SavedModelError("The saved forest's arrays do not make up trees.")
        self.features_, self.cuts_, self.leaves_, self.depths_ = features, cuts, leaves, depths
        self.sample_, self.columns_ = sample, columns
        return self

    def _score(self, depths: Doubles) -> Doubles:
        if self.score == "depth":
            return -depths
        return np.asarray(2.0 ** (-depths / expected_depths(self.sample_)[self.sample_]))

    def _check(self) -> None:
        for name, least, most in (("n_estimators", 1, 10**6), ("max_samples", 2, LARGEST_SAMPLE),
                                  ("random_state", 0, 2**63)):
            value = getattr(self, name)
            if not isinstance(value, int | np.integer) or not least <= value <= most:
                raise OptionError(f"{name} must be a whole number from {least} to {most}, got {value!r}.")
        if self.score not in ("normalized", "depth"):
            raise OptionError.unknown("score of the forest", self.score, ("normalized", "depth"))

    def _require_fit(self) -> None:
        if not hasattr(self, "depths_"):
            raise NotFittedError("This Forest has seen no images yet: call fit first.")

    @staticmethod
    def _rows(encoded: Encoded) -> NDArray[np.float32]:
        if encoded.embedding is None or encoded.embedding.ndim != 2 or not encoded.embedding.shape[1]:
            raise OptionError("Forest needs an embedding of (n, d) features, got none.")
        rows = np.ascontiguousarray(encoded.embedding, np.float32)
        if not np.isfinite(rows).all():
            raise OptionError("Forest needs finite features; the embedding holds nan or infinity.")
        return rows


def expected_depths(largest: int) -> Doubles:
    """(largest + 1,) c(m): the average depth of an unsuccessful search in a binary tree of m images."""
    sizes = np.arange(largest + 1, dtype=np.float64)
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.maximum(sizes[1:], 1))])  # H(m)
    depths = np.zeros(largest + 1)
    depths[2:] = 2 * harmonic[1:-1] - 2 * (sizes[2:] - 1) / sizes[2:]
    return depths


@helper
def mixed(counter: Any) -> Any:
    """A 64-bit number that looks random for each counter (SplitMix64; Steele, Lea, Flood 2014)."""
    z = (counter ^ (counter >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@helper
def below(value: Any, bound: Any) -> Any:
    """A 64-bit random number as a whole number in 0..bound-1."""
    return np.int64((value >> np.uint64(32)) * np.uint64(bound) >> np.uint64(32))


@kernel
def grow(
    rows: Any, seed: Any, expected: Any, features: Any, cuts: Any, leaves: Any, seen: Any
) -> None:
    """Grow each tree on a sample of its own; every tree draws from a generator of its own."""
    n, d = rows.shape
    trees, nodes = features.shape
    sample = seen.shape[1]
    gamma = np.uint64(0x9E3779B97F4A7C15)
    for tree in prange(trees):
        state = mixed(seed + gamma) + mixed(np.uint64(tree) + np.uint64(1)) * gamma
        members = np.empty(sample, np.int64)
        for j in range(sample):  # Floyd's sampling without replacement
            state += gamma
            pick = below(mixed(state), n - sample + j + 1)
            for other in range(j):
                if members[other] == pick:
                    pick = n - sample + j
                    break
            members[j] = pick
        seen[tree] = members
        first = np.zeros(2 * nodes + 1, np.int64)  # node -> its images are members[first:last]
        last = np.zeros(2 * nodes + 1, np.int64)
        last[0] = sample
        ended = np.full(2 * nodes + 1, -1.0)  # node -> its depth, where the branch ended above
        order = np.arange(d)
        depth, level_end = 0, 1
        for node in range(nodes):
            if node == level_end:
                depth, level_end = depth + 1, 2 * level_end + 1
            start, stop = first[node], last[node]
            left, right = 2 * node + 1, 2 * node + 2
            cut = np.float32(0)
            column = -1
            if ended[node] < 0 and stop - start > 1:
                # Features in random order until one varies here.
                for j in range(d):
                    state += gamma
                    swap = j + below(mixed(state), d - j)
                    order[j], order[swap] = order[swap], order[j]
                    low = high = rows[members[start], order[j]]
                    for m in range(start + 1, stop):
                        low = min(low, rows[members[m], order[j]])
                        high = max(high, rows[members[m], order[j]])
                    if high > low:
                        column = order[j]
                        state += gamma
                        share = np.float64(mixed(state) >> np.uint64(11)) / 9007199254740992.0
                        cut = np.float32(np.float64(low) + share * (np.float64(high) - np.float64(low)))
                        if cut >= high or cut < low:
                            cut = low
                        break
            if column < 0:
                if ended[node] < 0:
                    ended[node] = depth + expected[stop - start]
                ended[left] = ended[node]
                ended[right] = ended[node]
                continue
            features[tree, node] = column
            cuts[tree, node] = cut
            middle = start
            for m in range(start, stop):
                if rows[members[m], column] <= cut:
                    members[middle], members[m] = members[m], members[middle]
                    middle += 1
            first[left], last[left] = start, middle
            first[right], last[right] = middle, stop
        for leaf in range(nodes + 1):
            node = nodes + leaf
            if ended[node] < 0:
                ended[node] = depth + 1 + expected[last[node] - first[node]]
            leaves[tree, leaf] = ended[node]


@kernel
def walk(rows: Any, features: Any, cuts: Any, leaves: Any) -> Any:
    """(n,) the sum of each row's depths over all trees, and (n,) how many trees that is."""
    n, d = rows.shape
    trees, nodes = features.shape
    height = 0
    while 2**height - 1 < nodes:
        height += 1
    total = np.zeros(n)
    block = 256  # rows that stay in the cache, column by column, while every tree passes over them
    for number in prange((n + block - 1) // block):
        start = number * block
        size = min(block, n - start)
        columns = np.zeros(d * block, np.float32)
        for r in range(size):
            for c in range(d):
                columns[c * block + r] = rows[start + r, c]
        sums = np.zeros(block)
        node = np.empty(block, np.uint32)
        for tree in range(trees):
            feature, cut, leaf = features[tree], cuts[tree], leaves[tree]
            node[:] = 0
            for _ in range(height):
                # Unsigned indices spare a check for negative ones, and the loop becomes vector code.
                for r in range(block):
                    i = node[r]
                    at = np.uint32(feature[i]) * np.uint32(block) + np.uint32(r)
                    node[r] = np.uint32(2) * i + np.uint32(1) + np.uint32(columns[at] > cut[i])
            for r in range(block):
                sums[r] += leaf[node[r] - np.uint32(nodes)]
        for r in range(size):
            total[start + r] = sums[r]
    return total, np.full(n, trees)


@kernel
def leave_out(
    rows: Any, features: Any, cuts: Any, leaves: Any, seen: Any, total: Any, count: Any
) -> None:
    """Take from each row's sum the depths in trees that were grown on it."""
    n = rows.shape[0]
    trees, nodes = features.shape
    parts = 16  # each takes the rows of its own range, tree by tree, so the order of the sum is fixed
    for part in prange(parts):
        start, stop = part * n // parts, (part + 1) * n // parts
        for tree in range(trees):
            for row in seen[tree]:
                if start <= row < stop:
                    node = 0
                    while node < nodes:
                        node = 2 * node + 1 + (rows[row, features[tree, node]] > cuts[tree, node])
                    total[row] -= leaves[tree, node - nodes]
                    count[row] -= 1
