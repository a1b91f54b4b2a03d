"""Files that others may have put in the way, or may read while they are written.

Reading never waits: a pipe or a device in the place of a file is an error. Writing leaves, after a crash, the old file
or the new one, never half of either.
"""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Iterable
from io import BufferedReader
from pathlib import Path

from safetensors import SafetensorError
from safetensors.numpy import load

from oddlens.errors import OutputError, SavedModelError
from oddlens.protocols import State


def open_regular(path: str | Path) -> BufferedReader:
    """A file opened to be read; ``OSError`` for a pipe, which would be waited for, and a device, which has no end."""
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "it is not a file", str(path))
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def read_regular(path: str | Path) -> bytes:
    """All that a file holds; ``OSError`` for what is none."""
    with open_regular(path) as file:
        return file.read()


def tensors_in(content: bytes) -> State:
    """The arrays that the content of a safetensors file holds; raises ``SavedModelError`` for a damaged one."""
    try:
        found: State = load(content)
    except (SafetensorError, ValueError, OverflowError, KeyError) as error:  # numpy's errors: a shape that no array has
        raise SavedModelError(f"it holds no arrays that can be read: {error}") from error
    return found


def write_atomically(path: str | Path, content: bytes | Iterable[bytes | memoryview]) -> None:
    """Replace the file at ``path`` by ``content`` in one step; raises ``OutputError`` if that cannot be done.

    content:  all of it, or its parts, which are asked for one after the other.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                for part in [content] if isinstance(content, bytes) else content:
                    file.write(part)
                file.flush()
                os.fsync(file.fileno())
            # mkstemp makes files private; a result is as readable as any file its owner makes.
            umask = os.umask(0)
            os.umask(umask)
            temporary.chmod(0o666 & ~umask)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(f"Cannot write {path}: {reason}. Choose another place with --out.") from error
