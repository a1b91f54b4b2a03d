"""What a run keeps of its images, so that new ones can be explained beside them: ``reasons.safetensors``.

The saved model scores new images but holds no pictures. Here are some that were ordinary, as the model saw them, and
what the simple causes learned of all, down to a thumbnail of each.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from oddlens.errors import SavedModelError
from oddlens.explaining.causes import Causes
from oddlens.explaining.duplicates import THUMBNAIL_SIDE
from oddlens.explaining.heatmap import REFERENCE_IMAGES, ordinary
from oddlens.mapped_arrays import mapped_arrays, write_arrays
from oddlens.protocols import Doubles, Pixels

MOST_BYTES = 2**26  # bytes of ordinary images that are kept
FEWEST_KEPT = 16  # ordinary images that are kept however large they are


def kept_at_most(shape: tuple[int, ...]) -> int:
    """Of how many ordinary images of (height, width, channels) the pixels are kept."""
    return min(REFERENCE_IMAGES, max(FEWEST_KEPT, MOST_BYTES // int(np.prod(shape))))


@dataclass(frozen=True, eq=False)
class Memory:
    """Some ordinary images of a collection and its simple causes.

    causes:  fitted to the collection.
    rows:    (m,) which of the fitted images are kept, in order.
    pixels:  (m, height, width, channels) uint8.
    """

    causes: Causes
    rows: NDArray[np.int64]
    pixels: Pixels

    @classmethod
    def of(cls, causes: Causes, scores: Doubles, pixels: Pixels) -> Memory:
        """Keep up to 256 of the less strange half, in 64 MiB."""
        rows = ordinary(scores, kept_at_most(pixels.shape[1:]))
        return cls(causes, rows, np.asarray(pixels[rows]))

    def picture(self, row: int) -> NDArray[np.uint8]:
        """(height, width, channels) a fitted image: as the model saw it if it is kept, else as a grey thumbnail."""
        at = int(np.searchsorted(self.rows, row))
        if at < len(self.rows) and self.rows[at] == row:
            return np.asarray(self.pixels[at])
        return np.asarray(self.causes.thumbs_[row].reshape(THUMBNAIL_SIDE, THUMBNAIL_SIDE, 1))

    def save(self, path: str | Path) -> None:
        """Write it into one file."""
        state = {**{f"causes.{key}": value for key, value in self.causes.get_state().items()},
                 "rows": self.rows, "pixels": self.pixels}
        write_arrays(path, state)

    @classmethod
    def load(cls, path: str | Path, shape: tuple[int, int, int] | None, count: int) -> Memory:
        """Open it for a model of ``count`` images of (height, width, channels); it is mapped, not read.

        shape:  None: whatever the images are.

        Raises ``SavedModelError`` if the file is damaged or of other images.
        """
        try:
            state, _ = mapped_arrays(path)
            rows, pixels = state.pop("rows"), state.pop("pixels")
            causes = Causes().set_state({key.removeprefix("causes."): value for key, value in state.items()})
            shape = shape or (causes.form_[0], causes.form_[1], causes.form_[2])
            if causes.form_ != shape or len(causes.thumbs_) != count:
                raise SavedModelError(f"It is of {len(causes.thumbs_)} images of {causes.form_}, the model of {count} "
                                      f"of {shape}.")
            if pixels.dtype != np.uint8 or rows.dtype != np.int64 or pixels.shape != (len(rows), *shape):
                raise SavedModelError("Its ordinary images are not images.")
            if not len(rows) or rows[0] < 0 or rows[-1] >= count or (np.diff(rows) <= 0).any():
                raise SavedModelError("Its ordinary images are not of the collection.")
        except (OSError, KeyError, IndexError, SavedModelError) as error:
            raise SavedModelError(f"{path} does not fit its model: {error} Delete it to score without reasons, or rank "
                                  "the images anew.") from error
        return cls(causes, rows, pixels)
