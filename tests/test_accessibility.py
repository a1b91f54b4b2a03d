"""The report in a browser, checked by axe-core: contrast, names, roles, keyboard. Needs Chromium."""

import importlib.util
import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import numpy as np
import pytest

from oddlens.run import rank_into, score_with
from oddlens.settings import build_model

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
AXE = importlib.util.find_spec("axe_core_python")
pytestmark = pytest.mark.skipif(CHROMIUM is None or AXE is None, reason="needs chromium and axe-core-python")

CHECK = """
axe.run({resultTypes: ["violations"]}).then(found => {
  const kept = {passes: found.passes.length, wide: document.documentElement.scrollWidth - innerWidth,
                violations: found.violations.map(v => [v.id, v.help, v.nodes.slice(0, 3).map(n => n.html)])};
  const said = document.createElement("pre");
  said.id = "axe"; said.textContent = JSON.stringify(kept); document.body.append(said);
});
"""


@pytest.fixture(scope="module")
def folder(dots, tmp_path_factory):
    """A run with flagged images, causes, groups, nodes and an unreadable image, and new images scored with it."""
    folder = tmp_path_factory.mktemp("runs")
    images = np.concatenate([dots, np.full((1, 8, 8, 1), 90, np.uint8), 255 - dots[:3], dots[:1]])
    model = build_model("autoencoder", ["neighbors", "activations"], {"steps": 60}, random_state=0)
    rank_into(images, folder / "ranked", model, check=True)
    score_with(folder / "ranked", images[::10], folder / "scored")
    return folder


def opened(address: str, width: int, place: Path) -> str:
    """The page as it stands once its scripts have run."""
    return subprocess.run(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
         "--disable-background-networking", f"--user-data-dir={place / 'profile'}", f"--window-size={width},900",
         "--virtual-time-budget=60000", "--dump-dom", address],
        capture_output=True, text=True, timeout=180, check=True).stdout


@pytest.fixture(scope="module", autouse=True)
def starts(tmp_path_factory):
    """A browser that cannot even start here says nothing about the report."""
    try:
        assert "<p>here</p>" in opened("data:text/html,<p>here</p>", 800, tmp_path_factory.mktemp("browser"))
    except (subprocess.SubprocessError, OSError) as error:
        pytest.skip(f"{CHROMIUM} does not start: {error}")


def browsed(page: Path, width: int, place: Path) -> dict[str, object]:
    """What axe finds on a page in a window so many pixels wide."""
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page.read_text())  # it would stop axe too
    script = (Path(AXE.submodule_search_locations[0]) / "axe.min.js").read_text().replace("</script", "<\\/script")
    copy = place / "page.html"
    copy.write_text(text.replace("</body>", f"<script>{script}</script><script>{CHECK}</script></body>"))
    shown = opened(copy.as_uri(), width, place)
    found = re.search(r'<pre id="axe">(.*?)</pre>', shown, re.DOTALL)
    assert found, "axe did not finish"
    return json.loads(unescape(found[1]))


@pytest.mark.parametrize("width", [1280, 500])
@pytest.mark.parametrize("run", ["ranked", "scored"])
def test_the_report_has_no_accessibility_violations(folder, tmp_path, run, width):
    found = browsed(folder / run / "report.html", width, tmp_path)
    assert found["violations"] == []
    assert found["passes"] > 20  # it did look
    assert found["wide"] <= 0  # nothing runs out of the window


CLICK = """
const said = document.createElement("pre"), list = document.querySelector(".oddlist")
const seen = () => [...list.querySelectorAll("tbody tr:not(.cut)")].filter(row => !row.hidden)
  .map(row => row.dataset.c || "").sort()
said.id = "clicked"
said.textContent = JSON.stringify([...document.querySelectorAll("a[data-show]")].map(link => {
  link.click()
  return [link.dataset.show, seen(), document.activeElement.value]
}))
document.body.append(said)
"""


def test_a_link_at_the_top_shows_the_images_of_its_cause(folder, tmp_path):
    page = folder / "ranked" / "report.html"
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page.read_text())
    (tmp_path / "page.html").write_text(text.replace("</body>", f"<script>{CLICK}</script></body>"))
    found = re.search(r'<pre id="clicked">(.*?)</pre>', opened((tmp_path / "page.html").as_uri(), 1280, tmp_path), re.S)
    counts = json.loads((folder / "ranked" / "run.json").read_text())
    clicked = json.loads(unescape(found[1]))
    assert [show for show, _, _ in clicked] == [*counts["causes"], "duplicates"]
    for show, kinds, focused in clicked:
        assert focused == show
        if show == "duplicates":
            assert len(kinds) == counts["duplicates"]["images"] > 1
        else:
            assert len(kinds) == counts["causes"][show]
            assert all(show in kind.split("|") for kind in kinds)


def test_a_page_with_a_fault_is_caught(tmp_path):
    (tmp_path / "bad.html").write_text('<html lang="en"><head><title>x</title></head><body><main><h1>x</h1>'
                                       '<img src="data:,"><p style="color:#ccc">faint</p></main></body></html>')
    found = browsed(tmp_path / "bad.html", 800, tmp_path)["violations"]
    assert {"image-alt", "color-contrast"} <= {each[0] for each in found}
