"""What this process holds in memory while it works, stage by stage: its own, and what of mapped files is there.

Linux keeps the largest resident size since it was last asked to forget it, so that no short peak is missed, though the
stages are looked at only fifty times a second.
"""

from __future__ import annotations

import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from oddlens.progress import listening

STATUS, FORGET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
RESET_PEAK = "5"  # what makes Linux forget the largest resident size
PERIOD = 0.02  # seconds between two looks
FRAMES = 4  # innermost functions that are named of each thread


class MemoryByStage:
    """The largest resident size in each stage, in MiB, and what the process did when it was largest of all.

    stages:  stage -> "all", the largest resident size; "own" and "files", the largest parts of it that were seen.
    peak:    of all stages; doing: the functions that ran then.
    """

    def __init__(self) -> None:
        self.stages: dict[str, dict[str, int]] = {}
        self.peak, self.doing, self._stage = 0, "", "start"
        self._done = threading.Event()

    @contextmanager
    def watching(self) -> Iterator[MemoryByStage]:
        """Watch while the block runs."""
        watcher = threading.Thread(target=self._watch, daemon=True)
        watcher.start()
        try:
            with listening(self._entered):
                yield self
        finally:
            self._done.set()
            watcher.join()

    def _entered(self, stage: str, done: int, total: int) -> None:  # noqa: ARG002  what a listener is called with
        self._stage = stage

    def _watch(self) -> None:
        while not self._done.wait(PERIOD):
            self._look()
        self._look()

    def _look(self) -> None:
        told = dict(line.split(":", 1) for line in STATUS.read_text().splitlines())
        largest, own, files = (int(told[name].split()[0]) // 1024 for name in ("VmHWM", "RssAnon", "RssFile"))
        FORGET.write_text(RESET_PEAK)
        before = self.stages.setdefault(self._stage, {"all": 0, "own": 0, "files": 0})
        for name, now in (("all", largest), ("own", own), ("files", files)):
            before[name] = max(before[name], now)
        if largest > self.peak:
            self.peak, self.doing = largest, _doing()


def _doing() -> str:
    """What each thread but this one is at, innermost first."""
    told = []
    for thread, frame in sys._current_frames().items():
        if thread != threading.get_ident():
            lines = [f"{Path(one.filename).name}:{one.lineno} {one.name}" for one in traceback.extract_stack(frame)]
            told.append(" < ".join(lines[: -FRAMES - 1 : -1]))
    return "; ".join(told)
