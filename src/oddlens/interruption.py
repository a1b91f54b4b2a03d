"""Ctrl-C ends the command within a second, whatever it is doing, and a page or service that it is offered to end."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

EXIT_CODE = 130  # as shells give it
GRACE_SECONDS = 0.8  # for the usual way out, which takes unfinished results away
INTERRUPTED = ("oddlens: interrupted. No finished result was changed; the same command goes on where it was.")


def _complain(words: str) -> None:
    sys.stderr.write(words + "\n")
    sys.stderr.flush()


@dataclass
class _WayOut:
    """What an interrupt leads to: what is said, and how; the exit code; how long the usual way out may take."""

    words: str
    say: Callable[[str], None]
    code: int
    seconds: float
    said: bool = False

    def tell(self) -> None:
        """Say it, once, whichever thread comes first."""
        with _telling:
            if not self.said:
                self.said = True
                with suppress(OSError, ValueError):
                    self.say(self.words)


_telling = threading.Lock()
_USUAL = _WayOut(INTERRUPTED, _complain, EXIT_CODE, GRACE_SECONDS)
_way_out = _USUAL  # the thread that waits for an interrupt goes by it


def say_interrupted() -> int:
    """Say it, once; give the exit code."""
    _way_out.tell()
    return _way_out.code


@contextmanager
def ended_by_interrupt(
    words: str, say: Callable[[str], None], seconds: float, end: Callable[[], None],
) -> Iterator[None]:
    """Within the block an interrupt is the end that a person was offered, and no failure: ``words``, and exit code 0.

    An interrupt is noted, ``end`` makes the block end, and ``KeyboardInterrupt`` is raised then; the next one at once.
    At once it may come where Python passes none on (in a destructor, say), but prints it and drops it.

    seconds:  that work under way may take to end, before the process leaves without it.
    end:      has what runs in the block come to its end soon; called once, between any two steps.
    """
    global _way_out
    _way_out, interrupted = _WayOut(words, say, 0, seconds), False

    def hear(*_: object) -> None:
        nonlocal interrupted
        if interrupted:  # asked for again: at once
            raise KeyboardInterrupt
        interrupted = True
        end()

    heard_before = signal.signal(signal.SIGINT, hear) if _hears() else None
    try:
        try:
            yield
        finally:
            if _hears():
                signal.signal(signal.SIGINT, heard_before or signal.SIG_DFL)
        if interrupted:
            raise KeyboardInterrupt
    except KeyboardInterrupt:  # what was offered holds for what is closed on the way out too
        interrupted = True
        raise
    finally:
        if not interrupted:
            _way_out = _USUAL


def _hears() -> bool:
    """Whether signals are this thread's to hear."""
    return threading.current_thread() is threading.main_thread()


@contextmanager
def interruptible() -> Iterator[None]:
    """Within the block, an interrupt that Python cannot act on, because compiled code runs, ends the process anyway.

    Python hears of a signal between two steps of its own; the system writes it into a pipe at once, and a thread
    that waits there gives the usual way out a moment, then leaves.
    """
    if os.name == "nt" or not _hears():  # no pipe may be waited for there
        yield
        return
    listen, tell = os.pipe()
    os.set_blocking(tell, False)
    before = signal.set_wakeup_fd(tell, warn_on_full_buffer=False)
    threading.Thread(target=_leave, args=(listen,), daemon=True).start()
    try:
        yield
    finally:
        # An interrupt that is on its way out keeps its watcher; else the thread ends with the pipe.
        signal.set_wakeup_fd(before)
        os.close(tell)


def _leave(listen: int) -> None:
    with suppress(OSError):
        while received := os.read(listen, 1):
            if received[0] == signal.SIGINT:
                way_out = _way_out
                time.sleep(way_out.seconds)
                way_out.tell()
                os._exit(way_out.code)
        os.close(listen)
