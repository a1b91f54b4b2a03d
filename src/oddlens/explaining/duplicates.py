"""Exact copies and near duplicates: images that are there twice, or but for noise, a slight shift or other light.

Exact copies have equal hashes. For near ones, thumbnails are compared by tangent distance: what is left of their
difference once the part is taken out that a small shift, a lighter tone or more contrast could have made, and how far
their colours go apart. It is taken as a share of the image's own variance, and beside it stands the same of the tenth
candidate: two ones of the same slant are much alike, but so are the next ten. Of a near duplicate there are few; or
there are many and then a gap, and the tenth is counted from the gap.

How much nearer than the tenth the first is by chance follows from the distances of random points, whatever the images:
see ``limit``. It is read from the lower half, so that it holds though many of a collection are there twice.

Simard, Le Cun, Denker, *Efficient pattern recognition using a new transformation distance*, 1993; Lowe, *Distinctive
image features from scale-invariant keypoints*, 2004 (the distance to the nearest over that to another).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import faiss
import numpy as np
from numpy.typing import NDArray

from oddlens.explaining.image_measures import lightness, resized, smoothed
from oddlens.protocols import Doubles, Pixels

THUMBNAIL_SIDE = 28  # pixels of a thumbnail, compared closely: a stroke is still wider than a slight shift
COARSE_SIDE = 14  # pixels of the thumbnails that candidates are first compared by
CANDIDATE_SIDE = 8  # pixels of the thumbnails that candidates are found by
CANDIDATES = 32  # candidates that are found for an image
CROWD_CANDIDATES = 160  # and where all of these are nearly as near, as among many copies
CROWDED_RESIDUAL = 0.03  # share of the variance up to which a candidate counts as nearly as near
COARSE_FACTOR = 3  # pairs whose coarse residual exceeds their bound by this factor are not compared closely
USUAL_RANK = 10  # the candidate whose distance counts as usual for an image
CLOSE_CANDIDATES = 3  # candidates that are compared closely
COLOUR_CELLS = 4  # cells a side that colours are compared in
LARGEST_SHIFT = 2.0  # pixels of the thumbnail; a larger shift is no slight one
CONTRAST_TOLERANCE = 0.8  # share of two images' mean contrast that may differ: a factor of up to 2.3
MOST_EXACT = 20_000  # images up to which the search is exhaustive; beyond, only the nearest cells are searched
CELL_FACTOR, PROBED_CELLS = 4, 16  # cells, in multiples of the root of n, and how many of them are searched
BATCH_COARSE = 16_384  # images whose thumbnails are made smaller at a time
BATCH_IMAGES = 512  # images whose candidates are compared at a time
ROUNDING_NOISE = 0.5  # squared levels that a thumbnail's difference has by rounding
TINT_NOISE = 40.0  # squared levels in a cell below which colours do not count: compression changes them first
FALSE_RATE = 1e-3  # share of the images taken for near duplicates where there are none


def thumbnails(grey: NDArray[np.float32]) -> NDArray[np.uint8]:
    """(m, 784) small, slightly smoothed copies of (m, height, width) greys: smooth enough to have slopes."""
    return np.rint(smoothed(resized(grey, THUMBNAIL_SIDE), 1)).clip(0, 255).astype(np.uint8).reshape(len(grey), -1)


def tints(pixels: Pixels) -> NDArray[np.uint8]:
    """(m, 32) how red and how blue beside green each of 4 x 4 cells of RGB images is; (m, 0) of grey ones."""
    if pixels.shape[3] == 1:
        return np.zeros((len(pixels), 0), np.uint8)
    values = pixels.astype(np.float32)
    parts = [resized(values[..., channel] - values[..., 1], COLOUR_CELLS).reshape(len(pixels), -1)
             for channel in (0, 2)]
    return np.rint(np.hstack(parts) / 2 + 128).clip(0, 255).astype(np.uint8)


@dataclass(frozen=True)
class Nearest:
    """The nearest other image of each, (m,) all.

    row:       which of the fitted images it is; -1 if there is none.
    residual:  the tangent distance, squared, as a share of the image's own variance, and the difference in colour.
    usual:     the same of the tenth candidate, not counting those before a gap; of the last where there are fewer.
    """

    row: NDArray[np.int64]
    residual: Doubles
    usual: Doubles


class Thumbnails:
    """Finds the nearest of (n, 784) thumbnails and (n, 32 or 0) tints, and tells copies by their (n, 16) digests."""

    def __init__(self, thumbs: NDArray[np.uint8], tints: NDArray[np.uint8], hashes: NDArray[np.uint8]) -> None:
        self.thumbs, self.tints, self.hashes = thumbs, tints, hashes
        self.codes = _codes(hashes)

    @cached_property
    def order(self) -> NDArray[np.int64]:
        """(n,) the images by their codes, so that copies stand together."""
        return np.argsort(self.codes, kind="stable")

    @cached_property
    def rows(self) -> NDArray[np.int64]:
        """(m,) one image of each code: copies would crowd the others out."""
        return np.unique(self.codes, return_index=True)[1]

    @cached_property
    def index(self) -> faiss.Index:
        """What finds candidates; made when it is first asked, for it takes its time and many never ask."""
        coarse = np.empty((len(self.rows), CANDIDATE_SIDE * CANDIDATE_SIDE), np.float32)
        for start in range(0, len(coarse), BATCH_COARSE):  # as numbers that can be averaged, all would fill the memory
            part = slice(start, start + BATCH_COARSE)
            coarse[part] = _coarse(self.thumbs[self.rows[part]])
        return _index(coarse)

    def copies(self, digest: NDArray[np.uint8]) -> NDArray[np.int64]:
        """The fitted images whose pixels have this (16,) digest, in order."""
        code = _codes(digest[None])
        low, high = (np.searchsorted(self.codes, code, side, sorter=self.order)[0] for side in ("left", "right"))
        return self.order[low:high]

    def copy_of(self, hashes: NDArray[np.uint8], own: NDArray[np.int64] | None) -> NDArray[np.int64]:
        """(m,) the first fitted image with the same pixels, not counting ``own``, the images' own rows; -1 for none."""
        codes = _codes(hashes)
        first, after = (np.searchsorted(self.codes, codes, side, sorter=self.order) for side in ("left", "right"))
        padded = np.append(self.order, -1)
        found = np.where(after > first, padded[first], -1)
        if own is None:
            return found
        other = np.where(after > first + 1, padded[np.minimum(first + 1, len(self.order))], -1)
        return np.where(found == own, other, found)

    def nearest(self, thumbs: NDArray[np.uint8], tints: NDArray[np.uint8], hashes: NDArray[np.uint8]) -> Nearest:
        """Of (m, 784) thumbnails the nearest fitted image that is not an exact copy (so nor the image itself)."""
        m = len(thumbs)
        row, residual, usual = np.full(m, -1), np.full(m, np.inf), np.full(m, np.inf)
        codes = _codes(hashes)
        for start in range(0, m, BATCH_IMAGES):
            part = np.arange(start, min(start + BATCH_IMAGES, m))
            found, coarse = self._candidates(thumbs[part], codes[part], CANDIDATES)
            row[part], residual[part], usual[part] = self._nearest(thumbs[part], tints[part], found, coarse)
            farthest = np.where(np.isfinite(coarse), coarse, -1).max(1)
            crowded = part[(farthest >= 0) & (farthest < CROWDED_RESIDUAL)]
            for few in np.array_split(crowded, max(1, len(crowded) // 64)) if len(self.rows) > CANDIDATES else ():
                if len(few):
                    wide = self._candidates(thumbs[few], codes[few], CROWD_CANDIDATES)
                    row[few], residual[few], usual[few] = self._nearest(thumbs[few], tints[few], *wide)
        return Nearest(row, residual, usual)

    def links(self, rows: NDArray[np.int64], bounds: Doubles) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(pairs,) twice: fitted images and others among their candidates that differ by less than (m,) bounds.

        The other of a pair is one of a set of exact copies, the first.
        """
        ones, others = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        for start in range(0, len(rows), BATCH_IMAGES):
            part, bound = rows[start : start + BATCH_IMAGES], bounds[start : start + BATCH_IMAGES]
            found, coarse = self._candidates(self.thumbs[part], self.codes[part], CANDIDATES)
            at, place = np.nonzero(coarse < COARSE_FACTOR * bound[:, None])
            if not len(at):
                continue
            one, other, bound = part[at], found[at, place], bound[at]
            for first in range(0, len(one), BATCH_IMAGES):  # where all are alike there are many pairs
                some = slice(first, first + BATCH_IMAGES)
                apart = (self._apart(self.thumbs[one[some]], other[some, None], THUMBNAIL_SIDE)
                         + _tints_apart(self.tints[one[some]], self.tints[other[some, None]]))[:, 0]
                ones.append(one[some][apart < bound[some]])
                others.append(other[some][apart < bound[some]])
        return np.concatenate(ones), np.concatenate(others)

    def _candidates(
        self, thumbs: NDArray[np.uint8], codes: NDArray[np.uint64], count: int
    ) -> tuple[NDArray[np.int64], Doubles]:
        """(m, count) candidates found by the smallest thumbnails, by ascending coarse residual, and that residual."""
        places = self.index.search(_coarse(thumbs), min(len(self.rows), count))[1]
        found = self.rows[places]
        other = (places >= 0) & (self.codes[found] != codes[:, None])
        coarse = np.where(other, self._apart(thumbs, found, COARSE_SIDE), np.inf)
        order = coarse.argsort(1, kind="stable")
        return np.take_along_axis(found, order, 1), np.take_along_axis(coarse, order, 1)

    def _nearest(
        self, thumbs: NDArray[np.uint8], tints: NDArray[np.uint8], found: NDArray[np.int64], coarse: Doubles
    ) -> tuple[NDArray[np.int64], Doubles, Doubles]:
        """Of a batch and its candidates: the nearest of three by fine residual, that residual and the tenth's."""
        known = np.isfinite(coarse)
        place = np.minimum(_before_gap(coarse) + USUAL_RANK - 1, np.maximum(known.sum(1), 1)) - 1
        chosen = np.hstack([found[:, :CLOSE_CANDIDATES], np.take_along_axis(found, place[:, None], 1)])
        apart = self._apart(thumbs, chosen, THUMBNAIL_SIDE) + _tints_apart(tints, self.tints[chosen])
        fine = np.where(known[:, :CLOSE_CANDIDATES], apart[:, :-1], np.inf)
        best = fine.argmin(1)
        every = np.arange(len(best))
        row = np.where(known.any(1), chosen[every, best], -1)
        return row, fine[every, best], np.maximum(apart[:, -1], fine[every, best])

    def _apart(self, thumbs: NDArray[np.uint8], found: NDArray[np.int64], side: int) -> Doubles:
        """(m, k) the residuals of each image and its candidates, at one size, as shares of the image's variance."""
        one = _small(thumbs, side)
        variance = one.var((1, 2))[:, None] + ROUNDING_NOISE
        columns = [tangent_residual(one, _small(self.thumbs[column], side), 1 if side < THUMBNAIL_SIDE else 2)
                   for column in found.T]
        return np.asarray((np.stack(columns, 1) + ROUNDING_NOISE) / variance, np.float64)


def limit(gains: Doubles) -> float:
    """How many times nearer than the tenth candidate, in logs, 1 in 1,000 of ordinary images would be.

    Of points spread evenly in d dimensions, d / 2 times the log of the tenth's squared distance over the first's is
    distributed as the largest of nine exponential numbers. So its quartile and its median say how far its tail goes,
    and farther where there are kinds within kinds.
    """
    def place(quantile: float) -> float:
        return -float(np.log(-np.expm1(np.log(quantile) / (USUAL_RANK - 1))))

    quartile, middle = (float(value) for value in np.quantile(gains, [0.25, 0.5]))
    return middle + (middle - quartile) * (place(1 - FALSE_RATE) - place(0.5)) / (place(0.5) - place(0.25))


def _before_gap(coarse: Doubles) -> NDArray[np.int64]:
    """(m,) how many of (m, k) candidates, nearest first, come before the widest gap; 1 if that is not a near one."""
    if coarse.shape[1] < 2:
        return np.ones(len(coarse), np.int64)
    logs = np.log(np.where(np.isfinite(coarse), coarse, np.nan))
    count = np.nan_to_num(np.diff(logs, axis=1), nan=-1.0).argmax(1) + 1
    return np.where(coarse[np.arange(len(coarse)), count - 1] < CROWDED_RESIDUAL, count, 1)


def _tints_apart(one: NDArray[np.uint8], others: NDArray[np.uint8]) -> Doubles:
    """(m, k) the share of the colour in (m, 32) that is not in (m, k, 32), however strong; 0 of grey images."""
    if not one.shape[1]:
        return np.zeros(others.shape[:2])
    a, b = one[:, None].astype(np.float64) - 128, others.astype(np.float64) - 128
    own, theirs, both = np.square(a).sum(2), np.square(b).sum(2), (a * b).sum(2)
    strength = np.clip(both / np.maximum(theirs, 1), 1 / (1 + CONTRAST_TOLERANCE), 1 + CONTRAST_TOLERANCE)
    left = own - 2 * strength * both + np.square(strength) * theirs
    return np.asarray(np.maximum(left, 0) / (np.maximum(own, theirs) + TINT_NOISE * one.shape[1]))


def tangent_residual(one: NDArray[np.float32], other: NDArray[np.float32], rounds: int) -> NDArray[np.float32]:
    """(m,) the mean square of what of ``one - other`` no small shift, tone or contrast explains.

    A shift is a sum of slopes only while it is small: in each further round ``other`` is first moved by what was found.
    """
    moved, shift = other, np.zeros((len(one), 2), np.float32)
    while True:
        middle = (one + moved) / 2
        down, across = np.gradient(middle, axis=(1, 2))
        basis = np.stack([down, across, middle, np.ones_like(middle)], 1).reshape(len(one), 4, -1)
        difference = (one - moved).reshape(len(one), -1)
        gram = basis @ basis.transpose(0, 2, 1)
        size = np.maximum(np.trace(gram, axis1=1, axis2=2), 1)
        gram += 1e-5 * size[:, None, None] * np.eye(4, dtype=np.float32)
        weights = np.linalg.solve(gram, basis @ difference[..., None])
        weights[:, :2] = weights[:, :2].clip(-LARGEST_SHIFT, LARGEST_SHIFT)
        # or a blank image would be anything, faded to nothing
        weights[:, 2] = weights[:, 2].clip(-CONTRAST_TOLERANCE, CONTRAST_TOLERANCE)
        rounds -= 1
        if not rounds:
            rest = difference - (basis * weights).sum(1)
            return np.asarray(np.square(rest).mean(1))
        shift = (shift + weights[:, :2, 0]).clip(-LARGEST_SHIFT, LARGEST_SHIFT)
        moved = _moved(_moved(other, shift[:, 0], 1), shift[:, 1], 2)


def _moved(images: NDArray[np.float32], by: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    """(m, side, side) each image moved along an axis by its own part of pixels; the rim goes on as it ends."""
    size = images.shape[1]
    whole = np.floor(by).astype(np.int64)
    part = (by - whole)[:, None, None]
    shape = (len(images), size, 1) if axis == 1 else (len(images), 1, size)
    first = np.clip(np.arange(size) + whole[:, None], 0, size - 1)
    second = np.clip(np.arange(size) + whole[:, None] + 1, 0, size - 1)
    return (np.take_along_axis(images, first.reshape(shape), axis) * (1 - part)
            + np.take_along_axis(images, second.reshape(shape), axis) * part)


def _small(thumbs: NDArray[np.uint8], side: int) -> NDArray[np.float32]:
    images = thumbs.astype(np.float32).reshape(-1, THUMBNAIL_SIDE, THUMBNAIL_SIDE)
    return images if side == THUMBNAIL_SIDE else resized(images, side)


def _coarse(thumbs: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(m, 64) what candidates are found by: smooth, and whatever the light."""
    return np.ascontiguousarray(lightness(_small(thumbs, CANDIDATE_SIDE)), np.float32)


def _index(rows: NDArray[np.float32]) -> faiss.Index:
    flat = faiss.IndexFlatL2(rows.shape[1])
    if len(rows) <= MOST_EXACT:
        flat.add(rows)
        return flat
    cells = int(CELL_FACTOR * len(rows) ** 0.5)
    index = faiss.IndexIVFFlat(flat, rows.shape[1], cells)
    index.cp.seed = 0
    index.cp.max_points_per_centroid = 64
    index.cp.min_points_per_centroid = 1
    index.train(rows)
    index.add(rows)
    index.nprobe = PROBED_CELLS
    return index


def _codes(hashes: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """(m,) the first half of each digest as a number: 64 bits tell any collection's images apart."""
    return np.ascontiguousarray(hashes[:, :8]).view("<u8").ravel()
