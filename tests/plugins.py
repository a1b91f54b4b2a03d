"""Packages of others, installed for a test: a folder on ``sys.path`` with a module and what pip writes beside it."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

DOCS = Path(__file__).parent.parent / "docs"


def install(monkeypatch, folder, module, code, group, name, value, package="a-package", version="1.0"):
    """Put a module and the entry point of its package where Python finds them."""
    folder.mkdir(exist_ok=True)
    (folder / f"{module}.py").write_text(code)
    info = folder / f"{package.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(f"[oddlens.{group}]\n{name} = {value}\n")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, module, raising=False)


def blocks(page, language):
    """The code of one language in a page of the documents."""
    return re.findall(rf"```{language}\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)


def install_example(monkeypatch, folder, page):
    """Install what a page shows: its first block of Python, as its block of TOML says. Gives the module's name."""
    project = tomllib.loads(blocks(page, "toml")[0])["project"]
    (group, points), = project["entry-points"].items()
    (name, value), = points.items()
    module = value.partition(":")[0]
    install(monkeypatch, folder, module, blocks(page, "python")[0], group.removeprefix("oddlens."), name, value,
            project["name"], project["version"])
    return module
