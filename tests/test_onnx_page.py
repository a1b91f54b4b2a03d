"""The page on ONNX: its examples are run as a reader would paste them."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from oddlens import registry
from oddlens.cli import cli
from oddlens.onnx.encoders import ENCODERS

PAGE = (Path(__file__).parent.parent / "docs" / "onnx.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_the_examples_run(digits, tmp_path, monkeypatch, capsys, hurried):
    pytest.importorskip("onnx")
    monkeypatch.chdir(tmp_path)
    np.save("digits.npy", digits[:100, ..., 0])
    for line in (line for block in blocks("sh") for line in block.splitlines() if line.startswith("oddlens")):
        done = CliRunner().invoke(cli, shlex.split(line.replace("photos", "digits.npy"))[1:], catch_exceptions=False)
        assert done.exit_code == 0, done.output
    assert (tmp_path / "onnx" / "model.onnx").is_file()
    [code] = blocks("python")
    capsys.readouterr()
    exec(compile(code, "onnx.md", "exec"), {})
    assert capsys.readouterr().out.splitlines() == ["('dictionary.embedding', 'subspace.score')", "True"]


def test_every_encoder_is_in_the_table():
    for name in registry.names("encoder"):
        row = next((row for row in PAGE.splitlines() if row.startswith("|") and f"`{name}`" in row), None)
        assert row is not None, name
        assert (registry.find("encoder", name) in ENCODERS) == ("refused" not in row), name
