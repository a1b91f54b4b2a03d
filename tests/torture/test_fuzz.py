"""A short run of the fuzzer with a fixed seed, in this process, and every finding of longer ones again.

``make torture`` is the long run, each target in a process of its own with bounds of memory and time.
"""

import re
from pathlib import Path
from random import Random

import pytest

import oddlens
from torture.fuzz import COMPILED, NAMES
from torture.mutations import mutate
from torture.targets import targets

REGRESSIONS = sorted(path for path in (Path(__file__).parent.parent / "regressions").glob("*/*") if path.is_file())
TRIED = {"pixels": 400, "model": 40, "reasons": 100}


@pytest.fixture(scope="module")
def readers(tmp_path_factory):
    return targets(tmp_path_factory.mktemp("fuzz"))


def test_every_target_is_tried(readers):
    assert tuple(readers) == NAMES


@pytest.mark.parametrize("name", [name for name in NAMES if name != "list"])
def test_sound_inputs_are_taken(readers, name, tmp_path):
    for sound in readers[name].seeds:
        (tmp_path / "input").write_bytes(sound)
        assert readers[name].passes(tmp_path / "input")


@pytest.mark.parametrize("name", NAMES)
def test_damaged_inputs_are_refused_or_read(readers, name, tmp_path):
    random, taken, tried = Random(name), 0, TRIED.get(name, 200)
    for _ in range(tried):
        (tmp_path / "input").write_bytes(mutate(name, random.choice(readers[name].seeds), random))
        taken += readers[name].passes(tmp_path / "input")  # raises where the input is neither
    assert taken < tried  # some are refused: what is fed is damaged indeed


@pytest.mark.parametrize("path", REGRESSIONS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_what_was_found_once_is_refused_or_read(readers, path, tmp_path):
    (tmp_path / "input").write_bytes(path.read_bytes())
    readers[path.parent.name].passes(tmp_path / "input")


def test_the_same_seed_gives_the_same_input(readers):
    for name, target in readers.items():
        one, two = (mutate(name, target.seeds[0], Random(7)) for _ in range(2))
        assert one == two


def test_what_numba_compiles_is_never_instrumented():
    package = Path(oddlens.__file__).parent
    files = [path.relative_to(package.parent).with_suffix("") for path in package.rglob("*.py")
             if re.search(r"^@(kernel|helper|njit)|numba\.njit", path.read_text(), re.MULTILINE)]
    compiled = {".".join(file.parts) for file in files}
    assert compiled
    assert compiled <= set(COMPILED)
