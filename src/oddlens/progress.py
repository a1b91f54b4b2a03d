"""Progress of long work, reported without an argument that is passed through every layer.

Code that takes long calls :func:`advance`; whoever wants to show it (the command line, a notebook) listens
with :func:`listening`. With no listener, reporting costs two look-ups, but for a notebook, where a bar shows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar

from oddlens import notebook

#: Called with (stage, done, total): the name of the stage, how many units are done, how many there are.
Listener = Callable[[str, int, int], None]

_listener: ContextVar[Listener | None] = ContextVar("oddlens_progress", default=None)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Within the block, every report goes to ``listener``."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def advance(stage: str, done: int, total: int) -> None:
    """Report that ``done`` of ``total`` units of ``stage`` are done."""
    listener = _listener.get() or notebook.bar()
    if listener is not None:
        listener(stage, done, total)


def silent() -> AbstractContextManager[None]:
    """Within the block, nobody is told: of work that is a part of other work."""
    return listening(lambda *_: None)
