"""Work on several threads whose results come in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def in_order(work: Callable[[int], T], n: int, jobs: int, ahead: int = 4) -> Iterator[T]:
    """``work`` of 0..n-1 in order, on ``jobs`` threads, with at most ``ahead`` results a thread waiting."""
    if jobs == 1:
        yield from map(work, range(n))
        return
    pool = ThreadPoolExecutor(jobs)
    waiting: deque[Future[T]] = deque()
    try:
        for index in range(n):
            waiting.append(pool.submit(work, index))
            if len(waiting) >= ahead * jobs:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # whoever interrupts does not wait for an image that takes long
