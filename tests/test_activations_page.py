"""The page on the pattern of active nodes: its examples run as a reader would paste them, on a brief training."""

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from oddlens.cli import cli
from oddlens.encoders.deep_autoencoder import DeepAutoencoder

PAGE = (Path(__file__).parent.parent / "docs" / "activations.md").read_text()


@pytest.fixture
def photos(dots, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for number, image in enumerate(dots[:40]):
        Image.fromarray(255 - image[..., 0] if number == 13 else image[..., 0]).save(f"photos/{number:02}.png")


def test_the_commands_run_one_after_the_other(photos):
    [block] = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    for line in block.splitlines():
        done = CliRunner().invoke(cli, [*shlex.split(line, comments=True)[1:], "--set", "steps=20"],
                                  catch_exceptions=False)
        assert done.exit_code == 0, f"{line}\n{done.output}"
    assert "13.png" in done.output.splitlines()[0]
    assert "Why these?" in Path("by-hamming/report.html").read_text()


def test_the_python_tells_the_nodes_that_made_an_image_strange(photos, capsys, monkeypatch):
    defaults = tuple(20 if value == 2000 else value for value in DeepAutoencoder.__init__.__defaults__)
    monkeypatch.setattr(DeepAutoencoder.__init__, "__defaults__", defaults)
    assert DeepAutoencoder().steps == 20
    [block] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(compile(block, "activations.md", "exec"), {})
    told = capsys.readouterr().out.splitlines()
    assert told
    assert all(re.fullmatch(r"node \S+ \d+ is (on|off), as in .* as in \[.*\.png.*\]", line) for line in told), told
