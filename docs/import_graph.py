"""Which modules of the package import which: the numbers in docs/architecture.md.

    python docs/import_graph.py            # of the package here
    python docs/import_graph.py FOLDER     # of another state of it: the folder ``oddlens`` of a checkout

An arrow is a pair of modules of the package of which the first imports the second, anywhere in the file, functions
included. ``from oddlens import pixels`` and ``from oddlens.pixels import Collection`` are the same arrow.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "src" / "oddlens"
GROUND = ("protocols", "errors")  # what every method leans on, and what its author reads once


def modules(package: Path = PACKAGE) -> dict[str, Path]:
    """Dotted name below the package -> file; a room's ``__init__`` has the room's name."""
    return {".".join(path.relative_to(package).with_suffix("").parts).removesuffix(".__init__"): path
            for path in sorted(package.rglob("*.py"))}


def arrows(package: Path = PACKAGE) -> dict[str, list[str]]:
    """Module -> the other modules of the package that it imports."""
    known = modules(package)
    found: dict[str, list[str]] = {}
    for name, path in known.items():
        wanted: set[str] = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                wanted |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                for alias in node.names:
                    whole = f"{node.module}.{alias.name}"
                    wanted.add(whole if whole.removeprefix("oddlens.") in known else node.module)
        inside = {"__init__" if target == "oddlens" else target.removeprefix("oddlens.") for target in wanted
                  if target.partition(".")[0] == "oddlens"}
        found[name] = sorted((inside & set(known)) - {name})
    return found


def radius(room: str, package: Path = PACKAGE) -> str:
    """A Markdown table of the files of a room, each with how many modules of the package it imports, and which."""
    rows = [f"| `{room}/` | radius | imports, beside `{'` and `'.join(GROUND)}` |", "| --- | --- | --- |"]
    for name, targets in arrows(package).items():
        if name.startswith(f"{room}."):
            beside = [target for target in targets if target not in GROUND]
            listed = ", ".join(f"`{target}`" for target in beside)
            rows.append(f"| `{name.removeprefix(room + '.')}` | {len(beside)} | {listed or 'nothing'} |")
    return "\n".join(rows)


def lines(path: Path) -> int:
    """How many lines a file has."""
    return len(path.read_text().splitlines())


def counts(package: Path = PACKAGE) -> str:
    """The size of the package in a line."""
    files = modules(package)
    top = [name for name, path in files.items() if path.parent == package]
    longest = max(files.values(), key=lines)
    return (f"{len(files)} modules, {len(top)} of them at the top; {sum(map(len, arrows(package).values()))} arrows; "
            f"longest file {longest.relative_to(package)} with {lines(longest)} lines")


if __name__ == "__main__":
    sys.stdout.write(counts(Path(sys.argv[1]) if len(sys.argv) > 1 else PACKAGE) + "\n")
