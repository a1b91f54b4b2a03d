"""The pages for those who bring models of their own: their Python runs, as a reader would paste it."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parent.parent / "docs"


def blocks(page, language="python"):
    return re.findall(rf"```{language}\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)


@pytest.mark.parametrize("page", ["scikit-learn.md"])
def test_the_python_of_a_page_runs_in_its_order(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    known = {}
    assert blocks(page)
    for block in blocks(page):
        exec(compile(block, page, "exec"), known)


def test_what_the_page_for_scikit_learn_says_is_found_is_found(tmp_path, monkeypatch):
    known = {}
    first = blocks("scikit-learn.md")[0]
    exec(first, known)
    assert str(known["np"].flatnonzero(known["found"].labels_)) in first
    assert repr(known["found"].predict(known["rows"][:3] + 0.1)) in first
