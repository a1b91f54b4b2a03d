"""The report in a browser, checked by axe-core: contrast, names, roles, keyboard. Needs Chromium."""

import json

import numpy as np
import pytest

from browsing import browser, checked, needs_browser, too_wide
from oddlens.run import rank_into, score_with
from oddlens.settings import build_model

pytestmark = needs_browser


@pytest.fixture(scope="module")
def folder(dots, tmp_path_factory):
    """A run with flagged images, causes, groups, nodes and an unreadable image, and new images scored with it."""
    folder = tmp_path_factory.mktemp("runs")
    images = np.concatenate([dots, np.full((1, 8, 8, 1), 90, np.uint8), 255 - dots[:3], dots[:1]])
    model = build_model("autoencoder", ["neighbors", "activations"], {"steps": 60}, random_state=0)
    rank_into(images, folder / "ranked", model, check=True)
    score_with(folder / "ranked", images[::10], folder / "scored")
    return folder


@pytest.fixture(scope="module")
def chromium():
    with browser() as started:
        yield started


@pytest.fixture
def opened(chromium):
    """Opens a file in a window so many pixels wide; the page's policy would stop axe too, so it is set aside."""
    contexts = []

    def open_(path, width=1280):
        contexts.append(chromium.new_context(viewport={"width": width, "height": 900}, bypass_csp=True))
        page = contexts[-1].new_page()
        page.goto(path.as_uri())
        return page

    yield open_
    for context in contexts:
        context.close()


@pytest.mark.parametrize("width", [1280, 500])
@pytest.mark.parametrize("run", ["ranked", "scored"])
def test_the_report_has_no_accessibility_violations(folder, opened, run, width):
    page = opened(folder / run / "report.html", width)
    passes, violations = checked(page)
    assert violations == []
    assert passes > 20  # it did look
    assert too_wide(page) <= 0  # nothing runs out of the window


CLICK = """() => {
  const list = document.querySelector(".oddlist")
  const seen = () => [...list.querySelectorAll("tbody tr:not(.cut)")].filter(row => !row.hidden)
    .map(row => row.dataset.c || "").sort()
  return [...document.querySelectorAll("a[data-show]")].map(link => {
    link.click()
    return [link.dataset.show, seen(), document.activeElement.value]
  })
}"""


def test_a_link_at_the_top_shows_the_images_of_its_cause(folder, opened):
    clicked = opened(folder / "ranked" / "report.html").evaluate(CLICK)
    counts = json.loads((folder / "ranked" / "run.json").read_text())
    assert [show for show, _, _ in clicked] == [*counts["causes"], "duplicates"]
    for show, kinds, focused in clicked:
        assert focused == show
        if show == "duplicates":
            assert len(kinds) == counts["duplicates"]["images"] > 1
        else:
            assert len(kinds) == counts["causes"][show]
            assert all(show in kind.split("|") for kind in kinds)


def test_a_page_with_a_fault_is_caught(opened, tmp_path):
    (tmp_path / "bad.html").write_text('<html lang="en"><head><title>x</title></head><body><main><h1>x</h1>'
                                       '<img src="data:,"><p style="color:#ccc">faint</p></main></body></html>')
    _, violations = checked(opened(tmp_path / "bad.html", 800))
    assert {"image-alt", "color-contrast"} <= {each[0] for each in violations}
