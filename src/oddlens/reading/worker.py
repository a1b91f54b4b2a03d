"""A process that decodes images for another, with limits of memory and time, and may crash.

It hears and answers by pipes. A question is one line of JSON, and after it the image's content where that lies in no
file of its own. An answer begins with one byte: "=" an image, "-" a reason why there is none, "?" asks to be alone with
a large image and waits for any byte. What goes wrong beyond that ends it.
"""

from __future__ import annotations

import faulthandler
import json
import os
import signal
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from oddlens.errors import UnreadableImage
from oddlens.reading.decoding import decode

RESULT = struct.Struct("<5q")  # height, width, channels; height and width of the whole
READY = b"+"
FORBIDDEN = ("subprocess.", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.system", "pty.", "socket.")
SPARE_BYTES = 2**26  # beside what decoding may take: Python's own coming and going


def main() -> None:
    """Answer until there is nobody to ask."""
    memory, seconds = int(sys.argv[1]), float(sys.argv[2])
    # The pipes are kept apart from where a library might print.
    hear, say = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole group; the one who asks decides
    _bind(memory)
    say.write(READY)
    say.flush()

    @contextmanager
    def alone() -> Iterator[None]:
        _alarm(0)
        say.write(b"?")
        say.flush()
        if not hear.read(1):
            os._exit(0)
        _alarm(seconds)
        yield

    for line in hear:
        asked = json.loads(line)
        data = Path(asked["path"]) if "path" in asked else hear.read(asked["bytes"])
        _alarm(seconds)
        try:
            image, shape = decode(data, "", asked["side"], page=asked["page"], memory=memory, alone=alone)
            say.write(b"=" + RESULT.pack(*image.shape, *shape))
            say.write(np.ascontiguousarray(image).data)
        except UnreadableImage as error:
            reason = error.reason.encode("utf-8", "backslashreplace")
            say.write(b"-" + struct.pack("<q", len(reason)) + reason)
        _alarm(0)
        say.flush()


def _alarm(seconds: float) -> None:
    """End this process after so long, whatever it is doing then; 0: do not."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, seconds)  # its signal is not handled, so the system ends the process
    elif seconds:
        faulthandler.dump_traceback_later(seconds, exit=True)
    else:
        faulthandler.cancel_dump_traceback_later()


def _bind(memory: int) -> None:
    """Limits that the system keeps, where it knows them: memory, no file written, no memory dump, no other process."""
    sys.addaudithook(_refuse)
    with suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        held = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_DATA, (held + memory + SPARE_BYTES,) * 2)


def _refuse(event: str, _: tuple[Any, ...]) -> None:
    if event.startswith(FORBIDDEN):
        raise RuntimeError(f"decoding an image does not {event}")


if __name__ == "__main__":
    main()
