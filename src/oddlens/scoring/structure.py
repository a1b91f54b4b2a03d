"""How a collection is made, without labels: of one kind of image or many, in one frame or not.

In a collection of one kind the distance to a near neighbour is about as large as the distance to the middle of all; in
one of many kinds every image has neighbours of its own kind, and the middle is far from all of them. Where all pictures
show the same thing in the same frame, each place has a look of its own.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from oddlens.kernels import one_blas_thread

SAMPLED_ROWS = 1000  # rows that are compared with each other
NEAR_RANK = 10  # the neighbour whose distance is compared with that to the middle
# The ratio of these distances: 0.80 to 0.85 in ten classes of digits or clothes, 0.85 to 1.04 in one class.
MULTIMODAL_RATIO, UNIMODAL_RATIO = 0.85, 0.93
NEIGHBOUR_SHARE = 0.045  # neighbours as a share of a collection of one kind
USUAL_NEIGHBOURS, MOST_NEIGHBOURS = 50, 500  # neighbours used by default, and at most
ALIGNED_IMAGES = 2000  # whose places are compared


def unimodality(embedding: NDArray[np.float32]) -> float:
    """0 (a collection of many kinds of image) to 1 (of one kind), from (n, d) features.

    The median distance to the 10th neighbour among 1,000 rows over their median distance to the mean, from 0.85 (0)
    to 0.93 (1). The bounds were set on the default features of digits and clothes (docs/lab/dictionary.md).
    """
    rows = embedding[np.sort(np.random.default_rng(0).permutation(len(embedding))[:SAMPLED_ROWS])].astype(np.float64)
    if len(rows) <= NEAR_RANK:
        return 0.0
    squares = (rows**2).sum(1)
    with one_blas_thread():
        apart = np.maximum(squares[:, None] + squares - 2 * rows @ rows.T, 0)
    near = float(np.median(np.sqrt(np.partition(apart, NEAR_RANK, axis=1)[:, NEAR_RANK])))  # 0 is the row itself
    middle = float(np.median(np.linalg.norm(rows - rows.mean(0), axis=1)))
    if not middle > 0:
        return 0.0
    return float(np.clip((near / middle - MULTIMODAL_RATIO) / (UNIMODAL_RATIO - MULTIMODAL_RATIO), 0, 1))


def alignment(maps: NDArray[np.float16]) -> float:
    """0 (what is where changes from picture to picture) to 1 (it is the same in all), from (n, rows, columns, d) maps.

    The share of the features' variance that lies between the means of the places, less what chance puts there; among
    the places, each image has its own number taken out: a picture that is lighter as a whole is aligned all the same.
    """
    n = min(len(maps), ALIGNED_IMAGES)
    if n < 2:
        return 0.0
    some = np.sort(np.random.default_rng(0).permutation(len(maps))[:n])
    total = between = 0.0
    for feature in range(maps.shape[3]):
        values = maps[some, :, :, feature].reshape(n, -1).astype(np.float64)
        values -= values.mean(1, keepdims=True)
        whole, places = values.var(), values.mean(0).var()
        total += whole
        between += max(0.0, places - (whole - places) / (n - 1))
    return float(np.clip(between / total, 0, 1)) if total > 0 else 0.0


def neighbour_count(n: int, unimodal: float) -> int:
    """How many neighbours to use in a collection of n images, ``unimodal`` being its :func:`unimodality`.

    50, and a twentieth of n where that is fewer: enough that a few odd images of one kind do not make each other look
    ordinary. In a large collection of one kind the odd ones grow in number with it, so the neighbours do too, to a
    share of .045.
    """
    grown = min(max(NEIGHBOUR_SHARE * n / USUAL_NEIGHBOURS, 1.0), MOST_NEIGHBOURS / USUAL_NEIGHBOURS)
    return int(min(round(USUAL_NEIGHBOURS * grown**unimodal), max(1, n // 20)))
