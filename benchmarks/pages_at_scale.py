"""The review page and the report of a large run in a browser: seconds until they are there, and what they take.

    python benchmarks/pages_at_scale.py RUN [SCREENSHOTS]

RUN is the folder of a finished run of any size (``python benchmarks/scale.py --into RUN 1000000`` makes one of a
million); labels are given, so give a copy. Told is, from the start of the command, when the address is printed, when
the page is read (DOMContentLoaded), when it is first painted and when the first picture is there; then how long each
further step takes from the key or click to the next picture, of which so many processor seconds in the server; the
memory that the server holds of its own; how long ranking anew takes; the exports; and the report, opened from the disk.
SCREENSHOTS: a folder for a picture of each page.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Page, sync_playwright

from oddlens.feedback import learn
from oddlens.review.opened_run import OpenedRun

LABELS = (20, 100, 300)
CHROMIUM = "/usr/bin/chromium"
PAINTED = "performance.getEntriesByName('first-contentful-paint').map(each => each.startTime)[0] || 0"
READ = "performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"
TICKS = os.sysconf("SC_CLK_TCK")


class Server:
    """``oddlens review`` in a process of its own."""

    def __init__(self, run: Path) -> None:
        self.begun = time.perf_counter()
        self.process = subprocess.Popen([sys.executable, "-m", "oddlens", "review", str(run)], stdout=subprocess.PIPE,
                                        text=True)
        assert self.process.stdout is not None
        self.address = next(found[1] for line in self.process.stdout if (found := re.search(r"Open (http\S+)", line)))
        self.ready = time.perf_counter() - self.begun

    def cpu(self) -> float:
        """Processor seconds until now."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def memory(self) -> str:
        """MiB of its own, and of what it has open of files."""
        told = Path(f"/proc/{self.process.pid}/status").read_text()
        own, mapped = (int(re.search(rf"{name}:\s+(\d+)", told)[1]) // 1024  # type: ignore[index]
                       for name in ("RssAnon", "RssFile"))
        return f"{own} MiB of its own and {mapped} MiB of files"

    def end(self) -> None:
        self.process.terminate()
        self.process.wait(30)


def decoded(page: Page) -> None:
    """Wait for the large picture."""
    page.wait_for_function("document.getElementById('picture')?.complete")
    page.evaluate("document.getElementById('picture').decode().catch(() => null)")


def review(run: Path, browser: Any, shots: Path | None) -> None:
    """Open the page and go through all that it offers."""
    server = Server(run)
    page = browser.new_page(viewport={"width": 1280, "height": 860})
    before = time.perf_counter() - server.begun
    page.goto(server.address)
    decoded(page)
    there = time.perf_counter() - server.begun
    read, painted = (before + page.evaluate(each) / 1000 for each in (READ, PAINTED))
    print(f"address after {server.ready:.2f} s, page read after {read:.2f}, painted after {painted:.2f}, picture there "
          f"after {there:.2f}; {server.cpu():.2f} s of processor; {server.memory()}", flush=True)
    keep(page, shots, "review")

    def step(what: str, do: Callable[[], Any]) -> None:
        used, start = server.cpu(), time.perf_counter()
        do()
        print(f"{what}: {time.perf_counter() - start:.2f} s, {server.cpu() - used:.2f} s of processor; "
              f"{server.memory()}", flush=True)
        keep(page, shots, re.sub(r"\W+", "-", what))

    def label(key: str) -> None:
        row = page.get_attribute("#stage", "data-row")
        page.keyboard.press(key)
        page.wait_for_selector(f'#stage:not([data-row="{row}"])')
        decoded(page)

    def opened(path: str) -> None:
        page.goto(server.address + path)

    for number, key in enumerate("onnonnonnonn", start=1):
        step(f"label {number}", lambda key=key: label(key))
    wait_for_lesson(page, server)
    step("label after a lesson", lambda: label("n"))
    step("undo", lambda: label("u"))
    cause = page.evaluate("[...document.querySelectorAll('select[name=cause] option')].map(each => each.value)[1]")
    for what, path in (("filter by cause", f"?cause={cause}"), ("filter by name", "?text=0123"),
                       ("all images by name", "?label=any&text=99"), ("grid", "grid"),
                       ("grid, page 100", "grid?page=100"), ("grid of copies", "grid?cause=duplicates&label=any"),
                       ("export page", "export"), ("map", "map")):
        step(what, lambda path=path: opened(path))
    step("map, laid out", lambda: page.wait_for_selector(".map a", timeout=120_000))  # it asks again by itself
    server.end()


def wait_for_lesson(page: Page, server: Server) -> None:
    """Until the page says that something was learned."""
    start, used = time.perf_counter(), server.cpu()
    while "Learned from" not in page.inner_text("main") and time.perf_counter() - start < 300:
        time.sleep(0.5)
        page.reload()
    print(f"learned from what was said after {time.perf_counter() - start:.1f} s more, {server.cpu() - used:.1f} s of "
          f"processor with the pages asked for meanwhile; {server.memory()}", flush=True)


def keep(page: Page, shots: Path | None, name: str) -> None:
    """A picture of the page, if any are wanted."""
    if shots is not None:
        shots.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=shots / f"{name}.png")


def exports(run: Path) -> None:
    """All files of ``oddlens export``."""
    with tempfile.TemporaryDirectory() as place:
        start = time.perf_counter()
        process = subprocess.Popen([sys.executable, "-m", "oddlens", "export", str(run), "--out", f"{place}/out"],
                                   stdout=subprocess.DEVNULL)
        _, code, usage = os.wait4(process.pid, 0)
        print(f"export of all files: {time.perf_counter() - start:.0f} s, {usage.ru_utime + usage.ru_stime:.0f} s of "
              f"processor, peak {usage.ru_maxrss // 1024} MiB, status {code}")
        for path in sorted(Path(place, "out").iterdir()):
            print(f"  {path.name}: {path.stat().st_size / 1e6:,.1f} MB")


def report(run: Path, browser: Any, shots: Path | None) -> None:
    """The report from the disk."""
    page = browser.new_page(viewport={"width": 1280, "height": 860})
    page.goto((run / "report.html").resolve().as_uri())
    print(f"report.html ({(run / 'report.html').stat().st_size / 1e6:.1f} MB): page read after "
          f"{page.evaluate(READ) / 1000:.2f} s, painted after {page.evaluate(PAINTED) / 1000:.2f} s")
    keep(page, shots, "report")


def lessons(run: Path) -> None:
    """Ranking all anew by labels of some, without a page."""
    opened = OpenedRun(run)
    order = opened.ranking.order()
    _ = opened.evidence.placed  # what is read and placed once
    for count in LABELS:
        rows = [*order[: count // 2], *order[np.linspace(count, len(order) - 1, count - count // 2).astype(int)]]
        used = time.process_time()
        learn(opened.evidence, {int(row): place < count // 2 for place, row in enumerate(rows)})
        print(f"ranked anew by {count} labels: {time.process_time() - used:.2f} s of processor")


def main() -> None:
    run, shots = Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        report(run, browser, shots)
        review(run, browser, shots)
        browser.close()
    lessons(run)
    exports(run)


if __name__ == "__main__":
    main()
