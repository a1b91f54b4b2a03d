"""Work on several threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from oddlens.progress import silent

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


def from_both_ends(work: Callable[[T], object], items: Iterable[T], jobs: int) -> None:
    """``work`` of each item: on this thread from the back and, with two or more ``jobs``, on another from the front.

    So what is longest and stands last is most often this thread's. An error or an interrupt on either thread ends both
    with what they are at.
    """
    waiting = deque(items)

    def take_all(take: Callable[[], T]) -> None:
        while True:
            try:
                item = take()
            except IndexError:
                return
            work(item)

    def beside() -> None:
        try:
            with silent():
                take_all(waiting.popleft)
        except BaseException:
            waiting.clear()  # this thread takes no more, and meets the error
            raise

    if jobs == 1:
        take_all(waiting.popleft)
        return
    pool = ThreadPoolExecutor(1)
    try:
        other = pool.submit(beside)
        take_all(waiting.pop)
        other.result()
    finally:
        waiting.clear()  # whoever interrupts waits for no more than the other thread is at
        pool.shutdown(wait=False)
