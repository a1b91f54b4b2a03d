"""The frames of a video in the order in which they are shown, by their numbers. Needs PyAV, with FFmpeg in it.

Which frames there are is told from the packets, which are not decoded for it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oddlens.errors import MissingExtra, UnreadableImage
from oddlens.files import open_regular
from oddlens.reading.bounds import over_memory
from oddlens.reading.limits import Limits

SUFFIXES = (".avi", ".flv", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ogv", ".webm", ".wmv")
# A file's demuxer is told by its first bytes and named: a file must not be taken for a list of addresses to fetch.
DEMUXERS = ((4, b"ftyp", "mov"), (4, b"moov", "mov"), (4, b"mdat", "mov"), (4, b"wide", "mov"), (4, b"free", "mov"),
            (0, b"\x1aE\xdf\xa3", "matroska"), (8, b"AVI ", "avi"), (0, b"OggS", "ogg"), (0, b"FLV", "flv"),
            (0, b"\0\0\1\xba", "mpeg"), (0, b"\x30\x26\xb2\x75", "asf"))
PIXEL_BYTES = 40  # that one pixel takes, with the frames that others are predicted from
PICTURES = (b"avif", b"avis", b"heic", b"heix", b"mif1", b"msf1")  # brands of the same container that hold pictures
PATIENCE = 64


def is_video(head: bytes) -> bool:
    """Whether a file begins as a video does."""
    return _demuxer(head) is not None and not (head[4:8] == b"ftyp" and head[8:12] in PICTURES)


class Video:
    """The frames of the first video stream of a file."""

    patience = PATIENCE

    def __init__(self, path: Path, limits: Limits) -> None:
        self.path = path
        with self._opened() as (container, stream):
            width, height = stream.codec_context.width, stream.codec_context.height
            if (needed := PIXEL_BYTES * width * height) > limits.memory:
                raise UnreadableImage(path.name, over_memory(width, height, needed, limits.memory))
            times = [packet.pts for packet in container.demux(stream) if packet.size]
        self.count = len(times)
        # Without times frames can be counted, but not be jumped to.
        self._times: list[int] = [] if None in times or len(set(times)) < len(times) else sorted(times)
        if not self.count:
            raise UnreadableImage(path.name, "it has no frames")

    def frames(self, start: int) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """Numbers and frames as uint8 (height, width, 3), from one at or before ``start`` on."""
        with self._opened() as (container, stream):
            if self._times and start:
                container.seek(self._times[start], stream=stream)
            for number, frame in enumerate(container.decode(stream)):
                if self._times:
                    number = bisect_left(self._times, frame.pts if frame.pts is not None else -1)
                if number < self.count:
                    yield number, _upright(frame)

    @contextmanager
    def _opened(self) -> Iterator[tuple[Any, Any]]:
        try:
            import av
        except ImportError as error:
            raise MissingExtra.named("PyAV", "video", "Reading videos") from error
        with open_regular(self.path) as file:
            demuxer = _demuxer(file.read(16))
            file.seek(0)
            if demuxer is None:
                raise UnreadableImage(self.path.name, "it does not begin as a video of a kind that is read here")
            try:
                container = av.open(file, format=demuxer)
            except Exception as error:
                raise UnreadableImage(self.path.name, f"damaged ({error})") from error
            with container:
                if not container.streams.video:
                    raise UnreadableImage(self.path.name, "it has no pictures, only sound")
                yield container, container.streams.video[0]


def _demuxer(head: bytes) -> str | None:
    return next((name for at, mark, name in DEMUXERS if head[at : at + len(mark)] == mark), None)


def _upright(frame: Any) -> NDArray[np.uint8]:
    """A frame as a player shows it: cameras that were held upright only note that they were."""
    image = frame.to_ndarray(format="rgb24")
    turns = round(getattr(frame, "rotation", 0) / 90) % 4
    return np.ascontiguousarray(np.rot90(image, turns) if turns else image)
