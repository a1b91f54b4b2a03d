"""Ctrl-C ends the command within a second, whatever it is doing."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

EXIT_CODE = 130  # as shells give it
GRACE_SECONDS = 0.8  # for the usual way out, which takes unfinished results away
INTERRUPTED = ("oddlens: interrupted. No finished result was changed; the same command goes on where it was.")
_said = threading.Event()


def say_interrupted() -> None:
    """Say it, once."""
    if not _said.is_set():
        _said.set()
        with suppress(OSError, ValueError):
            sys.stderr.write(INTERRUPTED + "\n")
            sys.stderr.flush()


@contextmanager
def interruptible() -> Iterator[None]:
    """Within the block, an interrupt that Python cannot act on, because compiled code runs, ends the process anyway.

    Python hears of a signal between two steps of its own; the system writes it into a pipe at once, and a thread
    that waits there gives the usual way out a moment, then leaves.
    """
    if os.name == "nt" or threading.current_thread() is not threading.main_thread():  # no pipe may be waited for there
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
                time.sleep(GRACE_SECONDS)
                say_interrupted()
                os._exit(EXIT_CODE)
        os.close(listen)
