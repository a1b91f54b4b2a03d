"""One writer a folder: a second run into it is told and leaves.

The lock is the system's on an open file, so it goes with its process however that ends, and is never stale.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from oddlens.errors import OutputError

LOCK = ".oddlens-lock"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Within the block no other process writes into the folder, which is there; ``OutputError`` where one does."""
    path = folder / LOCK
    try:
        handle = _take(path)
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(f"Cannot write {path}: {reason}. Choose another place with --out.") from error
    if handle is None:
        with suppress(OSError):
            number = path.read_text()[:20].strip()
            raise OutputError(f"Another oddlens (process {number}) is writing into {folder}: wait until it has ended, "
                              "or choose another place with --out.")
        raise OutputError(f"Another oddlens is writing into {folder}: wait until it has ended.")
    try:
        os.ftruncate(handle, 0)
        os.write(handle, f"{os.getpid()}\n".encode())
        yield
    finally:
        path.unlink(missing_ok=True)  # while the lock is still ours
        os.close(handle)


def _take(path: Path) -> int | None:
    """The open and locked file; None where another process has it."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
        try:
            if not _lock(handle):
                os.close(handle)
                return None
            # The one who had it may have removed the file between the opening and the locking.
            if os.path.samestat(os.fstat(handle), os.stat(path)):  # noqa: PTH116
                return handle
        except FileNotFoundError:
            pass
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _lock(handle: int) -> bool:
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        except OSError:
            return False
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
