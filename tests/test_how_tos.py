"""The pages that one begins with: pasted whole, in an empty folder, they do and print what they say."""

import importlib.util
import re

import pytest

from pasting import DOCS, blocks, paste, require

PAGES = [DOCS / "start.md", *sorted((DOCS / "how-to").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_pasted_block_by_block_does_and_prints_what_it_says(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = page.read_text()
    assert {"python", "sh", "text"} <= {language for language, _ in blocks(text)}
    paste(text)


def test_what_a_page_says_is_printed_is_held_to_it():
    require("a\n...\nd\n", "a\nb\nc\nd\n")
    require("a\n...\n", "a\n")
    for wanted in ("a\n", "a\n...\nc\n", "b\n...\n", "...\na\n"):
        with pytest.raises(AssertionError, match="the page says"):
            require(wanted, "a\nb\nc\nd\n")


def test_every_page_is_in_the_sites_contents():
    index = (DOCS / "index.md").read_text()
    listed = re.findall(r"^([\w*/-]+)$", index, re.MULTILINE)
    found = {path for name in listed for path in DOCS.glob(f"{name}.md")}
    left = {path for path in DOCS.rglob("*.md") if not {"methods", "_build"} & set(path.relative_to(DOCS).parts)}
    assert left - found == {DOCS / "index.md"}, "put the page into a list of docs/index.md"


def test_the_comparison_says_what_the_kept_results_say():
    spec = importlib.util.spec_from_file_location("make_method_pages", DOCS / "make_method_pages.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.comparison() == module.COMPARE.read_text(), "run: make site"
    rows = module.measured()
    text = module.page("detector", "burnout", rows)
    assert "| one class of digits or clothes |" in text
    assert "Burnout(" in text
