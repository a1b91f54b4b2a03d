"""What oddlens needs, and whether it may be used: the table in docs/dependencies.md says both."""

import importlib.util
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
PERMISSIVE = re.compile(r"0BSD|Apache|BSD|BSL|CC0|ISC|MIT|PSF|Zlib")
SPEC = importlib.util.spec_from_file_location("make_licences", ROOT / "docs" / "make_licences.py")
licences = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(licences)


def test_all_that_is_needed_is_under_a_permissive_licence():
    needed = licences.needed()
    assert len(needed) > 20
    for name, package in needed.items():
        if name.startswith(("nvidia-", "cuda-")):  # beside torch's CUDA build; the page says so
            continue
        for part in re.split(r" AND | OR |, ", licences.licence(package)):
            assert PERMISSIVE.search(part), f"{name}: {part}"
            assert "GPL" not in part, f"{name}: {part}"


def test_every_dependency_of_ours_is_in_the_table_and_has_its_reason():
    page = licences.PAGE.read_text()
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    listed = page.split(licences.BEGIN)[1].split(licences.END)[0]
    for requirement in wanted:
        name = re.split(r"[><=~!]", requirement)[0]
        assert f"| {name} |" in listed, f"{name}: run make licences"
        assert f"| {name} |" in page.split(licences.BEGIN)[0], f"{name} has no line that says what for"
