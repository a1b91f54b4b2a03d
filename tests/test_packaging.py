"""What is said of the package where it is found: its page on an index, its licence, its versions."""

import importlib.util
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import oddlens

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
HOOK = PROJECT["tool"]["hatch"]["metadata"]["hooks"]["custom"]
NAMED = HOOK | {"repository": "https://example.org/oddlens/"}


@pytest.fixture(scope="module")
def hatch_build():
    pytest.importorskip("hatchling", reason="hatchling is not installed: make package")
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_links_to_files_are_absolute_where_the_repository_is_named(hatch_build):
    text = "![A page](docs/a.png) and [b](docs/b.md#part), [c](https://example.org/c), [d](#below)"
    assert hatch_build.absolute(text, NAMED, "1.2") == (
        "![A page](https://example.org/oddlens/raw/v1.2/docs/a.png) and "
        "[b](https://example.org/oddlens/blob/v1.2/docs/b.md#part), [c](https://example.org/c), [d](#below)")


def test_links_to_files_are_their_text_where_it_is_not(hatch_build):
    text = "![A page](docs/a.png) and [b](docs/b.md#part), [c](https://example.org/c)"
    assert hatch_build.absolute(text, HOOK | {"repository": ""}, "1.2") == (
        "*A page* and b, [c](https://example.org/c)")


@pytest.mark.parametrize("repository", ["", "https://example.org/oddlens"])
def test_the_page_on_an_index_has_no_link_that_leads_nowhere(hatch_build, repository):
    hook = hatch_build.IndexPage(str(ROOT), HOOK | {"repository": repository})
    metadata = {}
    hook.update(metadata)
    page = metadata["readme"]["text"]
    assert len(re.findall(r"\]\((https://[^)\s]+)\)", page)) >= 20 * bool(repository)
    assert not [link for link in re.findall(r"\]\(([^)\s]+)\)", page) if not link.startswith(("https://", "#"))]
    assert ("Source" in metadata["urls"]) == bool(repository)


def test_the_licence_names_the_digits_licence_too():
    assert PROJECT["project"]["license"] == "Apache-2.0 AND CC-BY-SA-3.0"
    assert "CC BY-SA 3.0" in (ROOT / "src" / "oddlens" / "data" / "ATTRIBUTION.md").read_text()
    for name in PROJECT["project"]["license-files"]:
        assert (ROOT / name).is_file()


def test_the_citation_is_of_this_version():
    citation = (ROOT / "CITATION.cff").read_text()
    assert re.search(r"^version: (.+)$", citation, re.MULTILINE)[1] == oddlens.__version__
    assert PROJECT["project"]["authors"][0]["name"] in citation


def test_every_python_that_is_named_is_allowed_and_the_lowest_is_named():
    named = re.findall(r"Python :: (3\.\d+)", " ".join(PROJECT["project"]["classifiers"]))
    assert f">={named[0]}" == PROJECT["project"]["requires-python"]
    assert named == [f"3.{11 + i}" for i in range(len(named))]


def test_every_target_that_contributing_names_is_there():
    targets = re.findall(r"^make ([\w-]+)", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE)
    makefile = (ROOT / "Makefile").read_text()
    assert len(targets) > 4
    assert not [target for target in targets if f"\n{target}:" not in makefile]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shells_of_the_page_on_installing_complete_commands(shell):
    page = (ROOT / "docs" / "install.md").read_text()
    assert f"_ODDLENS_COMPLETE={shell}_source oddlens" in page
    words = {"COMP_WORDS": "oddlens r", "COMP_CWORD": "r" if shell == "fish" else "1"}
    program = "import sys; sys.argv[0] = 'oddlens'; from oddlens.cli import cli; cli(prog_name='oddlens')"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True,
                          env=os.environ | {"_ODDLENS_COMPLETE": f"{shell}_complete"} | words)
    assert {"rank", "review"} <= set(re.findall(r"\w+", told.stdout)), told.stderr
    assert "export" not in told.stdout


def test_every_extra_is_on_the_page_on_installing():
    page = (ROOT / "docs" / "install.md").read_text()
    assert not [extra for extra in PROJECT["project"]["optional-dependencies"] if f"oddlens[{extra}]" not in page]
