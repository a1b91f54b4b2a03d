"""What one image file may take: memory, time, and a process of its own to crash in."""

from __future__ import annotations

import math
from dataclasses import dataclass

from oddlens.errors import OptionError

MOST_PIXELS = 178_000_000  # in one image file; more is taken for a decompression bomb
MOST_SIDE = 65_535  # pixels; each row costs its own memory, and no camera, scanner or screen has so many
MOST_SCANS = 100  # of a JPEG that is stored in several; each costs a pass over the whole image, and encoders make 10
LEAST_MEMORY = 2**20


@dataclass(frozen=True)
class Limits:
    """What decoding one image file may take; what would take more is listed as unreadable, with the reason.

    memory:   bytes, by default 1 GiB.
    seconds:  by default 30. It holds where ``isolate`` does: a thread of this process cannot be stopped.
    isolate:  decode in worker processes, so that a crash or a runaway in a decoder costs one image. The command line
              does unless told not to; in Python nobody expects processes that were not asked for.
    """

    memory: int = 2**30
    seconds: float = 30.0
    isolate: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.memory, int) or self.memory < LEAST_MEMORY:
            raise OptionError(f"The memory that decoding an image may take is a number of bytes, {LEAST_MEMORY} or "
                              f"more, got {self.memory!r}.")
        if not (isinstance(self.seconds, int | float) and math.isfinite(self.seconds) and self.seconds > 0):
            raise OptionError(f"The seconds that decoding an image may take are a number above 0, got "
                              f"{self.seconds!r}.")
