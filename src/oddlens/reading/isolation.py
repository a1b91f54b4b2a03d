"""Decoding in worker processes, so that a crash or a runaway in a decoder costs one image and not the run."""

from __future__ import annotations

import atexit
import json
import os
import signal
import struct
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

import oddlens
from oddlens.errors import SourceError, UnreadableImage
from oddlens.reading.decoding import decode, large_image
from oddlens.reading.limits import Limits
from oddlens.reading.worker import READY, RESULT

Decoded = tuple[NDArray[np.uint8], tuple[int, int]]


def decode_within(data: bytes | Path, name: str, side: int | None, page: int, limits: Limits) -> Decoded:
    """An image file, or what one holds, decoded within limits: in a worker process where these say so, or here."""
    return (decode_isolated if limits.isolate else decode_here)(data, name, side, page, limits)


def decode_here(data: bytes | Path, name: str, side: int | None, page: int, limits: Limits) -> Decoded:
    """In this process, where no time limit holds."""
    return decode(data, name, side, page=page, memory=limits.memory)


def decode_isolated(data: bytes | Path, name: str, side: int | None, page: int, limits: Limits) -> Decoded:
    """In a worker process; one that ends over it is replaced, and its image unreadable."""
    worker = _pool.take(limits)
    try:
        result = worker.decode(data, side, page)
    except _Ended as ended:
        worker.stop()
        raise UnreadableImage(name, ended.reason) from None
    except BaseException:  # an interrupt: what the worker would say next is not for anybody
        worker.stop()
        raise
    _pool.give_back(worker)
    if isinstance(result, str):
        raise UnreadableImage(name, result)
    return result


class _Ended(Exception):
    """A worker ended before it answered."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class _Worker:
    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        places = [str(Path(oddlens.__file__).parent.parent), *(place for place in sys.path if place)]
        # -P, and no empty place: nothing is imported from the folder that the command was started in.
        quiet = {"PYTHONPATH": os.pathsep.join(places), "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        try:
            self.process = subprocess.Popen(  # noqa: S603  our own interpreter and module
                [sys.executable, "-P", "-m", "oddlens.reading.worker", str(limits.memory), str(limits.seconds)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={**os.environ, **quiet})
            begun = self._out.read(1)
        except OSError as error:
            raise SourceError(f"No process can be started to decode images in: {error}. Decode them in this one with "
                              "--no-isolate (Limits(isolate=False)).") from error
        if begun != READY:
            self.stop()
            raise SourceError("The process to decode images in does not start. Decode them in this one with "
                              "--no-isolate (Limits(isolate=False)).")

    @property
    def _in(self) -> IO[bytes]:
        assert self.process.stdin is not None  # noqa: S101  asked for as a pipe
        return self.process.stdin

    @property
    def _out(self) -> IO[bytes]:
        assert self.process.stdout is not None  # noqa: S101  asked for as a pipe
        return self.process.stdout

    def decode(self, data: bytes | Path, side: int | None, page: int) -> Decoded | str:
        """An image, or the reason why there is none."""
        if isinstance(data, bytes):
            question: dict[str, object] = {"bytes": len(data), "side": side, "page": page}
        else:
            question = {"path": os.path.abspath(data), "side": side, "page": page}  # noqa: PTH100  keeps links
        self._say(json.dumps(question).encode() + b"\n" + (data if isinstance(data, bytes) else b""))
        answer = self._hear(1)
        if answer == b"?":
            with large_image:
                self._say(b"!")
                return self._answer(self._hear(1))
        return self._answer(answer)

    def _answer(self, kind: bytes) -> Decoded | str:
        if kind == b"=":
            height, width, channels, *whole = RESULT.unpack(self._hear(RESULT.size))
            content = np.frombuffer(self._hear(height * width * channels), np.uint8)
            return content.reshape(height, width, channels), (whole[0], whole[1])
        (length,) = struct.unpack("<q", self._hear(8))
        return self._hear(length).decode()

    def _say(self, content: bytes) -> None:
        try:
            self._in.write(content)
            self._in.flush()
        except OSError:
            raise self._ended() from None

    def _hear(self, count: int) -> bytes:
        content = self._out.read(count)
        if len(content) < count:
            raise self._ended()
        return content

    def _ended(self) -> _Ended:
        code = self.process.wait()
        alarm = getattr(signal, "SIGALRM", None)
        if (alarm is not None and code == -alarm) or (alarm is None and code == 1):
            return _Ended(f"decoding took longer than {self.limits.seconds:g} seconds")
        if code < 0:
            with suppress(ValueError):
                return _Ended(f"the decoder crashed ({signal.Signals(-code).name})")
        return _Ended(f"the decoder ended unasked (exit code {code})")

    def stop(self) -> None:
        """End it now."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()


class _Pool:
    """Workers that wait for the next image; as many as were ever busy at once."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.idle: list[_Worker] = []

    def take(self, limits: Limits) -> _Worker:
        with self.lock:
            for place, worker in enumerate(self.idle):
                if worker.limits == limits:
                    return self.idle.pop(place)
        return _Worker(limits)

    def give_back(self, worker: _Worker) -> None:
        with self.lock:
            self.idle.append(worker)

    def stop(self) -> None:
        """End all that wait."""
        with self.lock:
            waiting, self.idle = self.idle, []
        for worker in waiting:
            worker.stop()


_pool = _Pool()
atexit.register(_pool.stop)
if hasattr(os, "register_at_fork"):  # a child that shares our pipes would hear answers that are not its own
    os.register_at_fork(after_in_child=lambda: _pool.idle.clear())
