"""Imports run one way. The files are parsed, imports inside functions included; nothing is run."""

import ast
import re
from pathlib import Path

import pytest

import oddlens

PACKAGE = Path(oddlens.__file__).parent

# From the ground up: a file at the top or a room may import from lower floors only, or from its own where it says so.
FLOORS = [
    {"notebook"},
    {"arrays", "errors", "interruption", "progress", "protocols"},
    {"budget", "csv_text", "files", "folder_lock", "kernels", "labels", "options", "posterior", "registry", "statement",
     "texts", "threads"},
    {"blocks", "calibration", "decisions", "drift", "feedback", "mapped_arrays", "outline", "ranking", "reading",
     "result_marks"},
    {"learning", "pixels", "review_outlook", "scoring", "sources"},
    {"adapters", "detectors", "encoders", "labelled_decisions", "stream", "views"},
    {"ensemble", "methods", "specifications", "thumbnails"},
    {"passing"},
    {"model", "outliers"},
    {"explaining", "given_features", "onnx", "provenance", "saving"},
    {"evaluation"},
    {"report", "run_columns", "run_folder", "settings", "testing"},
    {"job", "run"},
    {"sample_runs", "update"},
    {"estimate"},
    {"review"},
    {"service"},
    {"demo"},
    {"cli"},
    {"__main__"},
]
# Rooms whose files are tested together, and where.
TOGETHER = {"cli": "test_cli.py", "testing": "test_testing.py"}
# Methods are read alone: none imports its sibling.
ALONE = {"detectors", "encoders", "scoring.patterns"}
# And with little beside it: at most so many modules of the package, ``protocols`` and ``errors`` not counted.
LARGEST_RADIUS = 5
WIDER = {"detectors.activations": 8, "detectors.neighbors": 8, "encoders.alterations": 9, "encoders.autoencoder": 6,
         "encoders.backbone": 8, "encoders.conv_autoencoder": 6, "encoders.deep_autoencoder": 6,
         "encoders.dictionary": 7, "encoders.patch_maps": 7, "encoders.statistics": 6, "encoders.transforms": 11}
FLOOR = {name: number for number, floor in enumerate(FLOORS) for name in floor}


def files():
    return sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def home(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def room(path):
    return ".".join(path.relative_to(PACKAGE).parent.parts)


def imported(path):
    """The oddlens modules that a file imports anywhere, as dotted names below the package."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} has a relative import"
            if node.module == "oddlens":
                yield from (f"oddlens.{alias.name}" for alias in node.names)
            else:
                yield node.module


def ours(path):
    names = (name.split(".") for name in imported(path) if name == "oddlens" or name.startswith("oddlens."))
    return [parts[1:] for parts in names if len(parts) > 1 and parts[1] != "__version__"]


@pytest.mark.parametrize("path", [path for path in files() if not path.stem.startswith("__")],
                         ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_file_has_its_tests_at_the_same_place(path):
    tests = Path(__file__).parent
    mirror = tests / path.relative_to(PACKAGE).parent / f"test_{path.name}"
    if room(path) in TOGETHER:
        mirror = tests / TOGETHER[room(path)]
    assert mirror.is_file(), f"write {mirror.relative_to(tests.parent)}"
    assert re.search(r"^ *def test_", mirror.read_text(), re.MULTILINE), f"{mirror.name} tests nothing"


def test_every_file_has_a_floor():
    assert {home(path) for path in files()} <= set(FLOOR), "give the new file a floor in FLOORS"


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down(path):
    for target in ours(path):
        there = ".".join(target[:-1])
        assert not (room(path) in ALONE and room(path) == there), f"{path.name} imports its sibling {'.'.join(target)}"
        at_home = home(path) == target[0]
        assert at_home or FLOOR[target[0]] < FLOOR[home(path)], (
            f"{path.name} may not import {'.'.join(target)}: it stands on the same floor or above")


@pytest.mark.parametrize("path", [path for path in files() if room(path) in ALONE], ids=lambda path: path.stem)
def test_a_method_is_read_with_few_other_files(path):
    name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
    beside = {".".join(target) for target in ours(path)} - {"protocols", "errors"}
    assert len(beside) <= WIDER.get(name, LARGEST_RADIUS), f"{name} imports {sorted(beside)}"


def test_the_picture_has_these_floors():
    page = (PACKAGE.parent.parent / "docs" / "architecture.md").read_text()
    table = page.partition("## The floors")[2].partition("\n## ")[0]
    drawn = [set(re.findall(r"`(\w+)`", row.split("|")[1])) for row in table.splitlines() if row.startswith("| `")]
    assert drawn == FLOORS[::-1], "docs/architecture.md draws the floors from the top down"


def test_there_are_no_cycles():
    graph = {".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__"):
             {".".join(target) for target in ours(path)} for path in files()}
    assert {"testing.asking", "protocols"} <= graph["testing.detector"] | graph["testing"]
    done = set()

    def visit(name, trail):
        assert name not in trail, f"import cycle: {' -> '.join([*trail, name])}"
        if name not in done:
            for target in sorted(graph.get(name, ())):
                visit(target, [*trail, name])
            done.add(name)

    for name in graph:
        visit(name, [])


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_print_outside_the_command_line_and_no_forbidden_imports(path):
    tree = ast.parse(path.read_text())
    calls = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    assert "print" not in calls
    assert not calls & {"eval", "exec"}
    roots = {name.split(".")[0] for name in imported(path)}
    assert not roots & {"pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
    if home(path) != "cli":
        assert not roots & {"click", "rich"}


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_file_uses_what_is_private_to_another(path):
    tree = ast.parse(path.read_text())
    nodes = list(ast.walk(tree))
    own = {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)}
    own |= {node.attr for node in nodes if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
            and isinstance(node.value, ast.Name) and node.value.id == "self"}
    used = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    used -= {"_exit"}  # the standard library's, and documented
    used |= {alias.name for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert not [name for name in used - own if name.startswith("_") and not name.startswith("__")]
