"""Mutation testing of the core: small changes to a file, each of which its tests should notice.

    python benchmarks/mutants.py                            40 places of each file
    python benchmarks/mutants.py --sample 0 decisions       every mutant of the files whose path has this word
    python benchmarks/mutants.py --table [decisions]        what was measured, and each change that went unnoticed

A place is a number, a comparison, an operator, a boolean word, a condition, a loop or an exception's name; not in
annotations, decorators and what only type checkers read. The changes are cosmic-ray's, less those that only change a
type (an operator of bits for one of numbers, ``is`` for ``<``): they fail as soon as the line runs and would flatter
the score. One change is drawn at each drawn place. Random tests have a fixed seed: a second run finds the same.

Each change is made in a copy of src, never in the checkout, and judged by those of the file's own tests, and of MORE,
that were seen to run the line; by all of them where none was, as in compiled code and at a module's top. It is killed
if one of them fails, or if they take too long. A survivor that changes nothing that anybody could see is written
into results/mutants-equivalent.txt, with the reason, as it is printed here; it is then left out of the score.

One process loads the libraries, and a fork of it judges one mutant each; so it must load nothing of oddlens itself, and
start no thread.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import inspect
import json
import math
import multiprocessing
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results" / "mutants.json"
EQUIVALENT = RESULTS.with_name("mutants-equivalent.txt")
CORE = ("calibration", "decisions", "statement", "explaining/causes", "explaining/duplicates", "explaining/rules",
        "pixels", "reading/decoding", "saving", "scoring/agreement", "scoring/exact_copies", "scoring/structure",
        "ensemble", "specifications", "views", "detectors/*", "scoring/neighborhood")
MORE = {  # tests of a file that stand elsewhere
    "ensemble": ("test_model",),
    "explaining/duplicates": ("explaining/test_causes",),
    "explaining/rules": ("explaining/test_causes", "explaining/test_duplicates"),
    "reading/decoding": ("test_pixels", "sources/test_folder"),
    "saving": ("test_attacks",),
    "scoring/neighborhood": ("detectors/test_burnout", "detectors/test_self_training"),
    "scoring/structure": ("detectors/test_burnout",),
    "specifications": ("test_saving", "test_model", "test_attacks"),
}
# Not pyarrow nor pandas: they start a thread.
LIBRARIES = ("faiss", "hypothesis", "jinja2", "numba", "PIL.Image", "rich.progress", "safetensors.numpy",
             "scipy.linalg", "scipy.stats", "sklearn.ensemble", "sklearn.neighbors", "torch")
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
# Kinds of operators: one is changed into another of its kind only.
KINDS = [set(kind.split()) for kind in (
    "Add Sub Mul Div FloorDiv Mod Pow", "RShift LShift BitOr BitAnd BitXor", "Eq NotEq Lt LtE Gt GtE", "Is IsNot")]
ANNOTATIONS = {("annassign", ":"), ("tfpdef", ":"), ("funcdef", "->")}  # where they stand in cosmic-ray's trees
MEMORY = 16 << 30  # bytes of addresses for one mutant: the libraries take a few gigabytes, the machine must not run out
Change = tuple[int, str, str]  # line, text before, text after


def telling(operator: str) -> bool:
    """Whether an operator of cosmic-ray's makes changes that say something about tests."""
    kind, *change = operator.removeprefix("core/").split("_")
    if kind == "ReplaceUnaryOperator":
        return change[0] == "Delete"
    if kind in ("ReplaceBinaryOperator", "ReplaceComparisonOperator"):
        return any(set(change) <= kind for kind in KINDS)
    return kind != "RemoveDecorator" and not get_operator(operator).arguments()


def runs(node: Any) -> bool:
    """Whether a node of a tree is part of what runs."""
    while (parent := node.parent) is not None:
        before = node.get_previous_sibling()
        if (parent.type, getattr(before, "value", "")) in ANNOTATIONS or parent.type == "decorator":
            return False
        called = parent.get_previous_sibling() if parent.type == "trailer" else None
        if getattr(called, "value", "") == "isinstance":  # types and no more
            return False
        if parent.type == "if_stmt" and parent.children[1].get_code().strip() == "TYPE_CHECKING":
            return False
        node = parent
    return True


def places(source: str) -> list[list[tuple[str, int]]]:
    """For each place of a file the changes that can be made there: an operator and which of its occurrences."""
    tree, found = get_ast(source), defaultdict(list)
    for name in filter(telling, operator_names()):
        operator = get_operator(name)()
        spans = ((node, span) for node in ast_nodes(tree) for span in operator.mutation_positions(node))
        for occurrence, (node, span) in enumerate(spans):
            if runs(node):
                found[span].append((name, occurrence))
    return [found[span] for span in sorted(found)]


def mutants(source: str, sample: int, draw: random.Random) -> Iterator[str]:
    """The source with one change each: one at each of so many places, or with 0 every change at every place."""
    order = places(source)
    if sample:
        draw.shuffle(order)
        order = [[draw.choice(changes)] for changes in order]
    left = sample or -1
    for name, occurrence in (change for changes in order for change in changes):
        if left == 0:
            return
        mutant = mutate_code(source, get_operator(name)(), occurrence)
        try:
            compile(mutant, "mutant", "exec")
        except SyntaxError:  # the bare star of a signature is no product
            continue
        left -= 1
        yield mutant


def difference(before: str, after: str) -> Change:
    """Where two texts differ, and the lines there."""
    old, new = before.splitlines(), after.splitlines()
    start = next(at for at, lines in enumerate(zip(old, new, strict=False)) if lines[0] != lines[1])
    same = next(at for at, lines in enumerate(zip(old[::-1], new[::-1], strict=False)) if lines[0] != lines[1])
    same = min(same, len(old) - start - 1, len(new) - start - 1)
    return start + 1, *("\n".join(line.strip() for line in part[start:len(part) - same]) for part in (old, new))


class Watch:
    """To pytest: notes which tests and fixtures run which lines of a file's functions, and what each test needs."""

    def __init__(self, path: Path) -> None:
        self.path, self.who = str(path), ""
        self.ran: dict[int, set[str]] = defaultdict(set)
        self.needs: dict[str, tuple[float, list[str]]] = {}  # test -> its processor time and its fixtures

    def follow(self, frame: Any, event: str, _: object) -> Any:
        """What Python calls at each call and line."""
        code = frame.f_code
        if event == "call" and not (code.co_filename == self.path and code.co_flags & inspect.CO_OPTIMIZED):
            return None
        if event == "line":
            self.ran[frame.f_lineno].add(self.who)
        return self.follow

    def watched(self, who: str) -> Generator[None, Any, Any]:
        """Around a test or a fixture, which may be made within another's."""
        before, self.who = self.who, who
        threading.settrace(self.follow)
        sys.settrace(self.follow)
        try:
            return (yield)
        finally:
            self.who = before
            if not before:
                sys.settrace(None)
                threading.settrace(None)

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any]) -> Generator[None, Any, Any]:
        """What a fixture runs counts for every test that needs it: it may be made once for all."""
        return (yield from self.watched(fixturedef.argname))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Function) -> Generator[None, Any, Any]:
        """What a test runs."""
        return (yield from self.watched(item.nodeid))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Function) -> Generator[None, Any, Any]:
        """The whole of a test."""
        start = time.process_time()
        result = yield
        self.needs[item.nodeid] = time.process_time() - start, list(item.fixturenames)
        return result


class Choice:
    """To pytest: runs only these tests, the quick ones of a file first."""

    def __init__(self, seconds: dict[str, float]) -> None:
        self.seconds = seconds

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Keep the order of files, which share fixtures."""
        files = list(dict.fromkeys(item.path for item in items))
        items[:] = sorted((item for item in items if item.nodeid in self.seconds),
                          key=lambda item: (files.index(item.path), self.seconds[item.nodeid])) or items


def judge(copy: Path, tests: list[Path], seconds: int, plugin: Watch | Choice) -> None:
    """In a fork: the tests on the copy of the package; the exit status is pytest's. Output goes to a file."""
    os.setsid()  # what a test starts can be ended with it
    with (copy / "output").open("wb") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    sys.dont_write_bytecode = isinstance(plugin, Choice)
    sys.path[:0] = [str(copy / "src"), str(copy / "tests")]
    os.environ["PYTHONPATH"] = str(copy / "src")
    os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = str(copy / "examples")  # else one mutant's examples kill the next
    os.chdir(copy)
    status = pytest.main(["-x", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning",
                          "--hypothesis-seed=0", f"--basetemp={copy / 'scratch'}", *map(str, tests)], [plugin])
    if isinstance(plugin, Watch):
        ran = {line: sorted(who) for line, who in plugin.ran.items()}
        (copy / "watched").write_text(json.dumps([ran, plugin.needs]))
    sys.exit(status)


def outcome(copy: Path, tests: list[Path], seconds: int, plugin: Watch | Choice) -> str:
    """passed, failed or timed out: by processor time, or by ten times that on the clock."""
    shutil.rmtree(copy / "examples", ignore_errors=True)
    fork = multiprocessing.get_context("fork").Process(target=judge, args=(copy, tests, seconds, plugin))
    fork.start()
    try:
        fork.join(10 * seconds)
        alive = fork.is_alive()
    finally:
        if fork.is_alive():
            os.killpg(fork.pid, signal.SIGKILL)
            fork.join()
    return "timed out" if alive or fork.exitcode in (-signal.SIGXCPU, -signal.SIGKILL) else (
        "failed" if fork.exitcode else "passed")


def statement(source: str, line: int) -> range:
    """The lines of the innermost statement around a line, a block's head alone; empty outside of functions."""
    nodes = list(ast.walk(ast.parse(source)))
    functions = (node for node in nodes if isinstance(node, ast.FunctionDef))
    if not any(node.body[0].lineno <= line <= node.end_lineno for node in functions):
        return range(0)
    spans = (range(node.lineno, 1 + (max(node.lineno, node.body[0].lineno - 1) if hasattr(node, "body")
                                     else node.end_lineno)) for node in nodes if isinstance(node, ast.stmt))
    return max((span for span in spans if line in span), key=lambda span: span.start, default=range(line, line + 1))


def measure(copy: Path, name: str, sample: int, seed: int) -> dict[str, Any]:
    """All that was found of one file."""
    path = copy / "src" / "oddlens" / f"{name}.py"
    own = path.relative_to(copy / "src" / "oddlens").with_name(f"test_{path.name}")
    tests = [test for test in (copy / "tests" / own, *(copy / "tests" / f"{more}.py" for more in MORE.get(name, ())))
             if test.exists()]
    if not tests or outcome(copy, tests, 600, Watch(path)) != "passed":
        raise SystemExit(f"{name}: {(copy / 'output').read_text() if tests else 'no tests'}\nnothing can be said of it")
    ran, needs = json.loads((copy / "watched").read_text())
    Path(importlib.util.cache_from_source(path)).unlink()  # it could be taken for a mutant of the same size
    source, known = path.read_text(), equivalents()
    found: dict[str, Any] = {"tests": [str(test.relative_to(copy)) for test in tests], "places": len(places(source)),
                             "drawn": 0, "failed": 0, "timed out": 0, "survived": [], "equivalent": []}
    for mutant in mutants(source, sample, random.Random(f"{seed} {name}")):
        change = difference(source, mutant)
        who = {test for line in statement(source, change[0]) for test in ran.get(str(line), ())}
        judges = {test: seconds for test, (seconds, fixtures) in needs.items() if not who or {test, *fixtures} & who}
        path.write_text(mutant)
        result = outcome(copy, tests, 20 + 3 * math.ceil(sum(judges.values())), Choice(judges))
        found["drawn"] += 1
        if result == "passed":
            found["equivalent" if (name, *change[1:]) in known else "survived"].append(change)
        else:
            found[result] += 1
    path.write_text(source)
    found["survived"].sort()
    return found


def equivalents() -> set[tuple[str, str, str]]:
    """What a person judged to change nothing that anybody could see: the file's name, the lines before and after."""
    found = set()
    for entry in EQUIVALENT.read_text().split("\n\n") if EQUIVALENT.exists() else ():
        lines = [line for line in entry.splitlines() if not line.startswith("#")]
        if lines:
            before, after = ("\n".join(line[2:] for line in lines if line[0] == sign) for sign in "-+")
            found.add((lines[0].split(".py:")[0], before, after))
    return found


def interval(part: int, whole: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share."""
    z = 1.96
    middle, reach = part + z * z / 2, z * math.sqrt(part * (whole - part) / whole + z * z / 4)
    return (middle - reach) / (whole + z * z), (middle + reach) / (whole + z * z)


def table(results: dict[str, Any]) -> str:
    """One row a file, the whole with its interval, and each survivor as a difference."""
    columns = ("places", "drawn", "failed", "timed out", "survived", "equivalent")
    lines = ["| file | places | mutants | killed by a failure | by the clock | survived | equivalent | score |",
             "| --- " * 8 + "|"]
    rows = {name: [len(value) if isinstance(value := found[column], list) else value for column in columns]
            for name, found in results.items()}
    rows["all"] = [sum(column) for column in zip(*rows.values(), strict=True)]
    for name, row in rows.items():
        killed, judged = row[2] + row[3], sum(row[2:5])
        lines.append("| " + " | ".join([name, *map(str, row), f"{killed / judged:.0%}" if judged else "-"]) + " |")
    low, high = interval(killed, judged)
    lines.append(f"\n{killed} of {judged} killed: {killed / judged:.1%}, 95 % interval {low:.1%} to {high:.1%}.")
    for name, found in results.items():
        for line, *texts in found["survived"]:
            change = (f"{sign} {text}" for sign, part in zip("-+", texts, strict=True) for text in part.split("\n"))
            lines.append("\n".join(["", f"{name}.py:{line}", *change]))
    return "\n".join(lines)


def main() -> None:
    """Measure the files named, or all, each kept as it comes, and print what was found."""
    parser = argparse.ArgumentParser(description="mutation testing of the core")
    parser.add_argument("words", nargs="*", help="of the core's files only those whose path has one of these in it")
    parser.add_argument("--sample", type=int, default=40, help="places of each file; 0: every change everywhere")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--table", action="store_true", help="print what was measured, measure nothing")
    options = parser.parse_args()
    package = ROOT / "src" / "oddlens"
    core = [path.relative_to(package).with_suffix("").as_posix() for pattern in CORE
            for path in sorted(package.glob(f"{pattern}.py")) if path.stat().st_size]
    core = [name for name in core if any(word.removesuffix(".py") in name for word in options.words or [""])]
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    if not options.table:
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # the copy goes whatever ends this
        os.environ.update(dict.fromkeys(THREADS, "1"))  # read when a library is loaded
        for library in LIBRARIES:
            importlib.import_module(library)
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder)
            for part in ("src", "tests", "docs"):
                shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
            shutil.copy(ROOT / "pyproject.toml", copy)
            os.environ["NUMBA_CACHE_DIR"] = str(copy / "compiled")
            for name in core:
                start = time.monotonic()
                kept[name] = measure(copy, name, options.sample, options.seed)
                RESULTS.write_text(json.dumps(dict(sorted(kept.items())), indent=1) + "\n")
                print(f"{name}: {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
    print(table({name: kept[name] for name in core if name in kept}))


if __name__ == "__main__":
    main()
