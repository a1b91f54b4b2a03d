"""A real browser for tests: Debian's Chromium, driven by Playwright, with axe-core to look at what it shows."""

import importlib.util
import shutil
from contextlib import contextmanager

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
MISSING = [name for name in ("playwright", "axe_playwright_python") if importlib.util.find_spec(name) is None]
needs_browser = pytest.mark.skipif(CHROMIUM is None or bool(MISSING),
                                   reason="needs chromium, playwright and axe-playwright-python")


@contextmanager
def browser():
    """The browser; a test is skipped where it cannot even start: that says nothing about a page."""
    from playwright.sync_api import Error, sync_playwright

    with sync_playwright() as driver:
        try:
            started = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"])
        except Error as error:
            pytest.skip(f"{CHROMIUM} does not start: {error}")
        try:
            yield started
        finally:
            started.close()


def checked(page):
    """What axe finds: how many rules a page keeps, and which it breaks, with the first places of each."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response
    return len(found["passes"]), [[each["id"], each["help"], [node["html"] for node in each["nodes"][:3]]]
                                  for each in found["violations"]]


def too_wide(page):
    """By how many pixels a page runs out of its window; 0 or less where it does not."""
    return page.evaluate("document.documentElement.scrollWidth - innerWidth")
