"""What the service counted, as Prometheus reads it: its text format, version 0.0.4."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter

KIND = "text/plain; version=0.0.4; charset=utf-8"
BOUNDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)  # seconds


class Metrics:
    """Counts of requests and images. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: Counter[tuple[str, int]] = Counter()
        self._images: Counter[str] = Counter({"ordinary": 0, "flagged": 0, "unreadable": 0})
        self._buckets = [0] * (len(BOUNDS) + 1)
        self._seconds = 0.0

    def answered(self, path: str, status: int, seconds: float) -> None:
        """A request was answered; ``path`` is one of a few, or "other"."""
        with self._lock:
            self._requests[path, status] += 1
            self._buckets[bisect_left(BOUNDS, seconds)] += 1
            self._seconds += seconds

    def judged(self, result: str) -> None:
        """An image was found "ordinary", "flagged" or "unreadable"."""
        with self._lock:
            self._images[result] += 1

    def text(self, inside: int, most: int) -> str:
        """All of it; ``inside`` requests wait or are worked on, of ``most`` that may."""
        with self._lock:
            requests, images = dict(self._requests), dict(self._images)
            buckets, seconds = list(self._buckets), self._seconds
        lines = [*_about("oddlens_requests_total", "counter", "Requests that were answered."),
                 *(f'oddlens_requests_total{{path="{path}",status="{status}"}} {count}'
                   for (path, status), count in sorted(requests.items())),
                 *_about("oddlens_images_total", "counter", "Images that were judged."),
                 *(f'oddlens_images_total{{result="{result}"}} {count}' for result, count in sorted(images.items())),
                 *_about("oddlens_request_seconds", "histogram", "From the first byte to the answer.")]
        total = 0
        for bound, count in zip((*BOUNDS, "+Inf"), buckets, strict=True):
            total += count
            lines.append(f'oddlens_request_seconds_bucket{{le="{bound}"}} {total}')
        lines += [f"oddlens_request_seconds_sum {seconds:.6f}", f"oddlens_request_seconds_count {total}",
                  *_about("oddlens_queue_requests", "gauge", "Requests that wait or are worked on."),
                  f"oddlens_queue_requests {inside}",
                  *_about("oddlens_queue_limit", "gauge", "Requests that may wait or be worked on."),
                  f"oddlens_queue_limit {most}"]
        return "\n".join(lines) + "\n"


def _about(name: str, kind: str, says: str) -> tuple[str, str]:
    return f"# HELP {name} {says}", f"# TYPE {name} {kind}"
