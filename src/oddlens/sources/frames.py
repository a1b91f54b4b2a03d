"""The frames of an animation or a video as images, named ``clip.mp4``, ``clip.mp4#2``, ``clip.mp4#3`` and so on.

Frames are decoded in this process, one file at a time, in order as far as they are asked for in order.
"""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict, deque
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from oddlens.errors import SourceError, UnreadableImage
from oddlens.reading.decoding import as_seen, opened_picture, shrunk
from oddlens.reading.limits import Limits

ANIMATED = (".apng", ".gif", ".png", ".webp")
MOST_FRAMES = 1_000_000
KEPT_BYTES = 2**26  # of the frames decoded last, for readers that are somewhat out of step
MOST_RUNNING = 4  # files that are decoded by turns before the one not asked for longest is let go


class Reel(Protocol):
    """A file of frames."""

    count: int
    patience: int  # frames that are decoded on the way to a later one before it is jumped to

    def frames(self, start: int) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """Numbers and frames (height, width, 1 or 3), from one at or before ``start`` on."""


class FrameSource:
    """The frames of one file."""

    root: Path | None = None

    def __init__(self, path: Path, reel: Reel) -> None:
        self.path = path
        self._reel = reel
        self._lock = threading.Lock()
        self._kept: OrderedDict[int, NDArray[np.uint8]] = OrderedDict()
        self._running: Iterator[tuple[int, NDArray[np.uint8]]] = iter(())
        self._next = reel.count

    @property
    def folders(self) -> set[Path]:
        """The folder of an animation, as of any picture; that a video lies in one makes it no folder of images."""
        return {self.path.parent} if isinstance(self._reel, Animation) else set()

    def __len__(self) -> int:
        return self._reel.count

    def name(self, index: int) -> str:
        """The file's name, from the second frame on with its number."""
        return f"{self.path.name}#{index + 1}" if index else self.path.name

    def stamp(self, index: int) -> tuple[str | int, ...]:  # noqa: ARG002  all frames are of one file
        """The file's size and when it was last changed."""
        try:
            status = self.path.stat()
        except OSError:
            return ()
        return status.st_size, status.st_mtime_ns

    def read(self, index: int) -> NDArray[np.uint8]:
        """A frame at full size; those before it, back to one that stands alone, are decoded for it."""
        with self._lock:
            if index not in self._kept:
                self._decode(index)
            return self._kept[index]

    def read_near(self, index: int, side: int) -> tuple[NDArray[np.uint8], tuple[int, int]]:
        """A frame reduced as a picture would be, and its (height, width)."""
        frame = self.read(index)
        return shrunk(frame, side), (frame.shape[0], frame.shape[1])

    def _decode(self, index: int) -> None:
        """Go on to a frame, from where it stands or from anew."""
        try:
            if not self._next <= index < self._next + self._reel.patience:
                self._running = self._reel.frames(index)
                self._wake()
            for number, frame in self._running:
                self._next = number + 1
                self._keep(number, frame)
                if number >= index:
                    break
        except UnreadableImage as error:
            self._rest()
            raise UnreadableImage(self.name(index), error.reason) from error
        except Exception as error:  # decoders let nearly anything through when a file is broken
            self._rest()
            raise UnreadableImage(self.name(index), f"damaged ({error or type(error).__name__})") from error
        if self._next >= self._reel.count:
            self._running, self._next = iter(()), self._reel.count
        if index not in self._kept:
            raise UnreadableImage(self.name(index), "the frame cannot be decoded")

    def _keep(self, number: int, frame: NDArray[np.uint8]) -> None:
        self._kept[number] = frame
        while len(self._kept) > max(2, KEPT_BYTES // frame.nbytes):
            self._kept.popitem(last=False)

    def _wake(self) -> None:
        """Let the file go that was not asked for longest, where too many are open."""
        RUNNING.append(weakref.ref(self))
        while len(RUNNING) > MOST_RUNNING:
            other = RUNNING.popleft()()
            if other is not None and other is not self and other._lock.acquire(blocking=False):
                try:
                    other._rest()
                finally:
                    other._lock.release()

    def _rest(self) -> None:
        self._running, self._next = iter(()), self._reel.count
        self._kept.clear()


RUNNING: deque[weakref.ref[FrameSource]] = deque()  # those that have a file open, the longest first


class Animation:
    """The frames of a GIF, a WebP or an APNG, each drawn over those before it."""

    def __init__(self, path: Path, limits: Limits) -> None:
        self.path, self.limits = path, limits
        with opened_picture(path, path.name, limits.memory) as picture:
            self.count = self.patience = min(int(getattr(picture, "n_frames", 1)), MOST_FRAMES)

    def frames(self, start: int) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """From ``start`` on."""
        with opened_picture(self.path, self.path.name, self.limits.memory) as picture:
            for number in range(start, self.count):
                picture.seek(number)
                yield number, as_seen(picture, self.path.name)


def open_animation(path: Path, limits: Limits | None = None) -> FrameSource | None:
    """The frames of an animation; None where a file has one picture or cannot be read, which is said later."""
    try:
        reel = Animation(path, limits or Limits())
    except UnreadableImage:
        return None
    return FrameSource(path, reel) if reel.count > 1 else None


def open_video(path: Path, limits: Limits | None = None) -> FrameSource:
    """The frames of a video; needs PyAV. Raises ``SourceError`` for one that cannot be decoded."""
    from oddlens.reading.video import Video

    try:
        return FrameSource(path, Video(path, limits or Limits()))
    except UnreadableImage as error:
        raise SourceError(f"{path} cannot be read as a video: {error.reason}.") from error
