"""The review page at work: 300 labels by keyboard, 10,000 requests at once, 60,000 images ranked anew.

    python benchmarks/review.py [labels] [requests] [lessons]

labels:    1,000 sevens of the bundled digits with 100 other digits among them are ranked by the default and reviewed in
           Chromium by a person who knows the right answer and needs no time to think: o or n, 300 times. Told is how
           long the page takes between a key and the next image, how many were found, and how many of the first 300 of
           the ranking without labels were odd.
requests:  10,000 from 1,000 connections at a time, a third of them labels; each that was confirmed must be in the
           history, and no other.
lessons:   learning from 20 to 300 labels among 60,000 images with 9 views and 60 features.
"""

from __future__ import annotations

import asyncio
import resource
import sys
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
from PIL import Image

import oddlens
from oddlens.feedback import Evidence, learn
from oddlens.model import AnomalyModel
from oddlens.ranking import Ranking
from oddlens.reading.array_files import read_idx
from oddlens.review.labels import LabelStore
from oddlens.review.server import serving
from oddlens.run import rank_into

LABELS, REQUESTS, CONNECTIONS = 300, 10_000, 1000


def digits(folder: Path) -> Path:
    """A run of sevens with a tenth of other digits; what is odd is said by the file's name."""
    data = Path(oddlens.__file__).parent / "data"
    images = read_idx(data / "mnist-10k-images-idx3-ubyte.gz")
    kinds = read_idx(data / "mnist-10k-labels-idx1-ubyte.gz", (1,))
    rng = np.random.default_rng(0)
    rows = np.concatenate([np.flatnonzero(kinds == 7)[:1000], rng.permutation(np.flatnonzero(kinds != 7))[:100]])
    photos = folder / "digits"
    photos.mkdir()
    for number, row in enumerate(rng.permutation(rows)):
        Image.fromarray(images[row]).save(photos / f"{number:04}-{'seven' if kinds[row] == 7 else 'other'}.png")
    rank_into(photos, folder / "run", AnomalyModel())
    return folder / "run"


def served(run: Path):
    """The page in a thread of its own: its address, and what ends it."""
    context = serving(run, name="Ada")
    server, listening, address = context.__enter__()
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()

    def end() -> None:
        server.should_exit = True
        thread.join()
        context.__exit__(None, None, None)

    return address, end


def labels(run: Path) -> None:
    """Label by keyboard."""
    from playwright.sync_api import sync_playwright

    ranking = Ranking.from_csv(run / "scores.csv")
    before = sum("other" in image.name for image in ranking.top(LABELS))
    address, end = served(run)
    waits, found, marks = [], 0, {}
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(address)
        start = time.perf_counter()
        for number in range(1, LABELS + 1):
            row = page.get_attribute("#stage", "data-row")
            odd = "other" in page.get_attribute("#stage", "data-name")
            pressed = time.perf_counter()
            page.keyboard.press("o" if odd else "n")
            page.wait_for_selector(f'#stage:not([data-row="{row}"])')
            page.evaluate("document.getElementById('picture').decode().catch(() => null)")
            waits.append(time.perf_counter() - pressed)
            found += odd
            if number in (20, 50, 100, 200, 300):
                marks[number] = found
        took = time.perf_counter() - start
        page.wait_for_timeout(3000)
        page.reload()
        said = page.inner_text(".progress").replace("\n", " ")
        browser.close()
    end()
    store = LabelStore(run / "review.sqlite")
    kept = len(store.current())
    store.close()
    quantiles = np.quantile(waits, (0.5, 0.95, 1.0))
    print(f"{LABELS} labels in {took:.0f} s: from a key to the next image {quantiles[0]:.2f} s in the median, "
          f"{quantiles[1]:.2f} s at the 95th percentile, {quantiles[2]:.2f} s at most; {kept} are kept")
    print(f"odd found after {marks}; of the first {LABELS} without labels {before} are odd, of 100 in all")
    print(said)


async def storm(address: str) -> tuple[int, dict[int, int]]:
    """The requests, and how many labels were confirmed."""
    parts = urlsplit(address)
    statuses: dict[int, int] = {}
    confirmed = 0
    room = asyncio.Semaphore(CONNECTIONS)

    async def one(number: int) -> None:
        nonlocal confirmed
        row = number % 1000
        body = f"row={row}&label={('odd', 'normal')[number % 2]}".encode()
        path, method = (("label", "POST"), (f"small/{row}", "GET"), ("", "GET"))[number % 3]
        head = f"{method} {parts.path}{path} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n"
        if method == "POST":
            head += f"Origin: http://{parts.netloc}\r\nContent-Length: {len(body)}\r\n"
        async with room:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", parts.port)
                writer.write(head.encode() + b"\r\n" + (body if method == "POST" else b""))
                answer = await reader.read()
                writer.close()
                status = int(answer.split()[1])
            except (OSError, IndexError):
                status = 0  # refused or cut off: nothing was confirmed
        statuses[status] = statuses.get(status, 0) + 1
        confirmed += method == "POST" and status == 303

    await asyncio.gather(*map(one, range(REQUESTS)))
    return confirmed, statuses


def requests(run: Path) -> None:
    """Very many requests at once."""
    def history() -> int:
        store = LabelStore(run / "review.sqlite")
        count = len(list(store.history()))
        store.close()
        return count

    before = history()
    address, end = served(run)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    confirmed, statuses = asyncio.run(storm(address))
    took = time.perf_counter() - start
    again = asyncio.run(_alive(address))
    end()
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory) / 1024
    print(f"{REQUESTS} requests in {took:.0f} s: answered {dict(sorted(statuses.items()))} (0: cut off); {confirmed} "
          f"labels were confirmed, {history() - before} lines are new in the history; {grown:.0f} MiB more memory, the "
          f"client's included; the page answers {again} after it")


async def _alive(address: str) -> int:
    parts = urlsplit(address)
    reader, writer = await asyncio.open_connection("127.0.0.1", parts.port)
    writer.write(f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    return int(answer.split()[1])


def lessons() -> None:
    """All images ranked anew."""
    rng = np.random.default_rng(0)
    evidence = Evidence(rng.gamma(2, size=60_000), rng.gamma(1, size=(60_000, 9)).astype(np.float32),
                        rng.normal(size=(60_000, 60)).astype(np.float32))
    rows = rng.permutation(60_000)
    learn(evidence, {0: True})  # what is found out of the images once
    for count in (20, 50, 100, 200, 300):
        took, worked = [], []
        for _ in range(5):
            start, before = time.perf_counter(), time.process_time()
            learn(evidence, {int(row): number % 3 == 0 for number, row in enumerate(rows[:count])})
            took.append(time.perf_counter() - start)
            worked.append(time.process_time() - before)
        print(f"60,000 images, {count} labels: {np.median(worked):.2f} s of processor time in the median, "
              f"{min(took):.2f} s at best by the clock")


def main() -> None:
    """Run what was asked for, by default all."""
    asked = sys.argv[1:] or ["lessons", "labels", "requests"]
    if "lessons" in asked:
        lessons()
    if {"labels", "requests"} & set(asked):
        with tempfile.TemporaryDirectory() as folder:
            run = digits(Path(folder))
            if "labels" in asked:
                labels(run)
            if "requests" in asked:
                requests(run)


if __name__ == "__main__":
    main()
