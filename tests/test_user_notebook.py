"""The notebook of the documentation runs from top to bottom, and looks as it should."""

import importlib.util
from pathlib import Path

import pytest

import browsing

pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")
pytest.importorskip("polars")
nbconvert = pytest.importorskip("nbconvert")

DOCS = Path(__file__).parent.parent / "docs"
SPEC = importlib.util.spec_from_file_location("make_notebook", DOCS / "make_notebook.py")
make_notebook = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(make_notebook)


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(DOCS.parent / "src"))
        return make_notebook.executed(folder=tmp_path_factory.mktemp("notebook"))


def shown(notebook, kind):
    """What its cells show of a kind, cell by cell."""
    return [output.data[kind] for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs
            if kind in output.get("data", {})]


def test_every_cell_runs_and_shows_no_warning(ran):
    assert not [output for cell in ran.cells if cell.cell_type == "code" for output in cell.outputs
                if output.output_type in ("error", "stream")]


def test_what_the_file_shows_is_what_running_it_shows(ran):
    kept = make_notebook.nbformat.read(make_notebook.NOTEBOOK, as_version=4)
    assert [cell.source for cell in kept.cells] == [cell.source for cell in ran.cells]
    first, again = (shown(notebook, "text/html")[0] for notebook in (kept, ran))
    assert first.count("<img") == again.count("<img") == 10
    assert first.partition(".")[0] == again.partition(".")[0], "as many images, as many of them flagged"
    assert max(map(len, shown(ran, "text/plain"))) < 2000, "a ranking fills no screen"


def test_every_ranking_shows_a_picture_of_each_image(ran):
    rankings = [text for text in shown(ran, "text/html") if "rank 1<br>" in text]
    assert len(rankings) == 5, "as it was ranked, a slice, after feedback, new images, methods of others"
    assert all(text.count("<img") == text.count("score ") > 0 for text in rankings)


def test_the_bar_went_when_its_cell_was_done(ran):
    assert not [text for text in shown(ran, "text/html") if "<progress" in text]


@browsing.needs_browser
def test_its_picture_has_the_cards_side_by_side_and_one_marked(ran, tmp_path):
    page, _ = nbconvert.HTMLExporter(embed_images=True).from_notebook_node(ran)
    (tmp_path / "notebook.html").write_text(page)
    with browsing.browser() as browser:
        sheet = browser.new_page(viewport={"width": 1100, "height": 900})
        sheet.goto((tmp_path / "notebook.html").as_uri())
        cards = sheet.locator("div.jp-RenderedHTMLCommon >> css=div > img").all()[:10]
        boxes = [card.bounding_box() for card in cards]
        assert len(boxes) == 10
        assert all(box["width"] == box["height"] == 120 for box in boxes)
        assert len({box["y"] for box in boxes}) <= 3, "several in a row"
        assert all(sheet.evaluate("image => image.naturalWidth > 0", card.element_handle()) for card in cards)
        borders = [card.evaluate("image => getComputedStyle(image.parentElement).borderTopColor") for card in cards]
        assert borders.count("rgb(198, 40, 40)") == 1, "the flagged one is framed"
        assert sheet.locator("strong", has_text="flagged").first.is_visible(), "and said to be"
        assert browsing.too_wide(sheet) <= 0
