"""Write the table of licences in docs/dependencies.md anew, from what the installed packages say of themselves.

    python docs/make_licences.py [--check]

All packages that ``pip install oddlens`` brings, those that they need in turn included; ``--check`` only compares.
"""

from __future__ import annotations

import re
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

PAGE = Path(__file__).parent / "dependencies.md"
BEGIN, END = "<!-- licences: begin -->\n", "<!-- licences: end -->\n"
LONGEST = 120  # characters of a licence's name; some packages put its whole text there


def needed(root: str = "oddlens") -> dict[str, Distribution]:
    """The packages below ``root`` that are needed on this machine, without extras."""
    found: dict[str, Distribution] = {}
    waiting = [root]
    while waiting:
        for text in distribution(waiting.pop()).requires or ():
            requirement = Requirement(text)
            name = re.sub(r"[-_.]+", "-", requirement.name).lower()
            if name in found or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
                continue
            try:
                found[name] = distribution(name)
            except PackageNotFoundError:  # a build of torch without CUDA names it and does without
                continue
            waiting.append(name)
    return dict(sorted(found.items()))


def licence(package: Distribution) -> str:
    """What a package says that its licence is: the expression, else the short field, else the classifiers."""
    about = package.metadata
    classifiers = [value.rpartition(" :: ")[2] for value in about.get_all("Classifier") or ()
                   if value.startswith("License :: ")]
    stated = [about.get("License-Expression"), ", ".join(classifiers), about.get("License")]
    named = [text for text in stated if text and len(text.splitlines()[0]) <= LONGEST and text != "OSI Approved"]
    return named[0].splitlines()[0] if named else "none stated"


def table() -> str:
    """The table, in Markdown."""
    lines = ["| package | licence |", "| --- | --- |"]
    lines += [f"| {name} | {licence(package)} |" for name, package in needed().items()]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Write the table or compare it."""
    page = PAGE.read_text("utf-8")
    before, rest = page.split(BEGIN)
    after = rest.split(END)[1]
    new = before + BEGIN + table() + END + after
    if "--check" in sys.argv:
        return int(new != page)
    PAGE.write_text(new, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
