"""Which images are the same pixels: a new image that is one of the fitted ones must be known for it.

The fitted images are scored each without itself. A new image is scored with all of them, so a copy of a fitted one
would find itself and look ordinary. It is recognised by a digest of its pixels, as they were brought to the model's
size; saved models hold the digests and not the pixels.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oddlens.errors import SavedModelError

BYTES = 16  # length of a digest


class Known:
    """The images that were seen before, told by their pixels.

    digests:  (n, 16) uint8, as ``digests`` gives them.

    >>> images = np.arange(3, dtype=np.uint8)[[0, 1, 0], None, None, None] * np.ones((2, 2, 1), np.uint8)
    >>> known = Known(digests(images))
    >>> known.first(), known.find(images[1:] + 1)
    (array([0, 1, 0]), array([-1,  1]))
    """

    def __init__(self, digests: NDArray[np.uint8]) -> None:
        if digests.dtype != np.uint8 or digests.ndim != 2 or digests.shape[1] != BYTES:
            raise SavedModelError(f"The digests of n images are (n, {BYTES}) uint8, got {digests.dtype} of shape "
                                  f"{digests.shape}.")
        self.digests = digests
        # Sorted numbers and not a dictionary, which would take ten times as much memory. Of equal digests the first
        # row comes first.
        first, second = _halves(digests)
        self._order = np.lexsort((second, first))
        self._sorted = first[self._order], second[self._order]

    def first(self) -> NDArray[np.int64]:
        """(n,) the row of the first image that is the same as each of the known ones."""
        return self.rows_of(self.digests)

    def find(self, *parts: NDArray[Any]) -> NDArray[np.int64]:
        """(m,) the row of the first known image that is the same as each of m, in the same copies; -1: none."""
        return self.rows_of(digests(*parts))

    def rows_of(self, wanted: NDArray[np.uint8]) -> NDArray[np.int64]:
        """The same by their digests."""
        found = np.full(len(wanted), -1, np.int64)
        if not len(self.digests):
            return found
        first, second = _halves(wanted)
        place, left = np.searchsorted(self._sorted[0], first), np.arange(len(wanted))
        while len(left):  # once, but where digests differ in their second half alone
            left = left[place[left] < len(self._order)]
            left = left[self._sorted[0][place[left]] == first[left]]
            same = self._sorted[1][place[left]] == second[left]
            found[left[same]] = self._order[place[left[same]]]
            left = left[~same]
            place[left] += 1
        return found


def _halves(digests: NDArray[np.uint8]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """(n,) twice: digests as two numbers each."""
    numbers = np.ascontiguousarray(digests).view(np.uint64)
    return numbers[:, 0], numbers[:, 1]


def digests(*parts: NDArray[Any]) -> NDArray[np.uint8]:
    """(n, 16) BLAKE2b of each of n rows: images, in one copy or several, or features."""
    found = [blake2b(b"".join(part.tobytes() for part in row), digest_size=BYTES).digest()
             for row in zip(*parts, strict=True)]
    return np.frombuffer(b"".join(found), np.uint8).reshape(-1, BYTES)
