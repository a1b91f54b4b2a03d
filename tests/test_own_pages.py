"""The pages for those who bring models of their own: their Python runs, as a reader would paste it."""

import re
import shlex
from pathlib import Path

import numpy as np
import pyarrow
import pytest
from click.testing import CliRunner
from PIL import Image
from pyarrow import parquet

from oddlens.cli import cli

DOCS = Path(__file__).parent.parent / "docs"


def blocks(page, language="python"):
    return re.findall(rf"```{language}\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)


@pytest.mark.parametrize("page", ["own_models.md", "scikit-learn.md"])
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


def test_the_commands_of_the_page_on_own_models_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    rng = np.random.default_rng(0)
    for i in range(40):
        Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(f"photos/{i:02}.png")
    features = rng.normal(size=(40, 16))
    np.save("features.npy", features)
    names = [f"{i:02}.png" for i in range(40)]
    parquet.write_table(pyarrow.table({"name": names, "features": features.tolist()}), "features.parquet")
    commands = [line for block in blocks("own_models.md", "sh") for line in block.splitlines()]
    assert len(commands) >= 2
    for line in commands:
        done = CliRunner().invoke(cli, [*shlex.split(line)[1:], "--overwrite"], catch_exceptions=False)
        assert done.exit_code == 0, f"{line}\n{done.output}"


def test_what_the_page_on_own_models_says_is_printed_is_printed(capsys):
    known = {}
    for block in blocks("own_models.md"):
        exec(block, known)
        said = re.findall(r"print\(.*\)  # (.*)", block)
        assert capsys.readouterr().out.splitlines() == said
