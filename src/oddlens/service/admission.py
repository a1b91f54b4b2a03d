"""Who is let in, and one after another: compiled loops that use all cores must not run in several threads at once."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")
LONGEST_WAIT = 60  # seconds that one who is turned away is told to wait, at most


class Full(Exception):
    """As many are inside as may be. ``seconds``: when to come back."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"full: come back in {seconds} s")
        self.seconds = seconds


class Admission:
    """A bounded number of requests, whose work is done by one thread in their order. Used within one event loop.

    most:  requests that may be inside, their bodies being received, waiting or worked on.
    """

    def __init__(self, most: int) -> None:
        self.most, self.inside = most, 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="oddlens-score")
        self._took = 1.0  # seconds, of the last work

    @contextmanager
    def place(self) -> Iterator[None]:
        """A place inside; raises ``Full``."""
        if self.inside >= self.most:
            raise Full(min(LONGEST_WAIT, max(1, math.ceil(self._took * self.inside))))
        self.inside += 1
        try:
            yield
        finally:
            self.inside -= 1

    async def do(self, work: Callable[[], T]) -> T:
        """Have it done when its turn comes; who is cancelled while waiting has it not done."""

        def timed() -> T:
            start = time.perf_counter()
            try:
                return work()
            finally:
                self._took = time.perf_counter() - start

        return await asyncio.wrap_future(self._thread.submit(timed))

    def close(self) -> None:
        """Do nothing more than what is being done."""
        self._thread.shutdown(cancel_futures=True)
