"""The quick tests under every Python that pyproject.toml names and that is to be had on this machine.

    python tests/package/pythons.py [3.12 ...]        as make test-pythons does; TESTS="tests/test_cli.py" for others

An interpreter is looked for on PATH, among pyenv's versions and, where uv is installed, by uv, which may fetch it. Each
gets an environment of its own, .venv-3.12, with the versions of constraints.txt. What is not to be had is said.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
# Parsing, compiled kernels, arrays, networks, decoding in processes, the command line: where a new Python breaks first.
QUICK = ("tests/test_arrays.py", "tests/test_decisions.py", "tests/test_interruption.py", "tests/test_kernels.py",
         "tests/test_options.py", "tests/test_public.py", "tests/test_ranking.py", "tests/test_registry.py",
         "tests/test_threads.py", "tests/detectors/test_forest.py", "tests/encoders/test_dictionary.py",
         "tests/learning/test_adam.py", "tests/reading/test_decoding.py", "tests/reading/test_worker.py",
         "tests/report/test_html.py", "tests/scoring/test_neighborhood.py", "tests/sources/test_table.py")
VERSION = "import sys; print('%d.%d' % sys.version_info[:2])"


def versions() -> list[str]:
    """The Pythons that the package says it is for."""
    return re.findall(r'"Programming Language :: Python :: (3\.\d+)"', (ROOT / "pyproject.toml").read_text("utf-8"))


def interpreter(version: str) -> str | None:
    """A Python of that version, if one is to be had."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    kept = sorted(pyenv.glob(f"{version}.*"), key=lambda path: [int(part) for part in re.findall(r"\d+", path.name)])
    found = [f"python{version}", *(str(path / "bin" / "python") for path in reversed(kept))]
    for command in found:
        if _is(command, version):
            return command
    if (uv := shutil.which("uv") or shutil.which("uv", path=Path(sys.executable).parent)) is None:
        return None
    for fetched in (False, True):
        if fetched and subprocess.run([uv, "python", "install", version], capture_output=True).returncode:
            return None
        done = subprocess.run([uv, "python", "find", "--no-python-downloads", version], capture_output=True, text=True)
        if done.returncode == 0 and _is(done.stdout.strip(), version):
            return done.stdout.strip()
    return None


def _is(command: str, version: str) -> bool:
    """Whether the command starts a Python of that version; pyenv's shims are there and start none."""
    try:
        done = subprocess.run([command, "-c", VERSION], capture_output=True, text=True)
    except OSError:
        return False
    return done.stdout.strip() == version


def tried(version: str, python: str) -> bool:
    """Whether the tests pass under that Python."""
    place = ROOT / f".venv-{version}"
    own = place / "bin" / "python"
    if not own.exists():
        subprocess.run([python, "-m", "venv", place], check=True)
    pip = [own, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    installed = (subprocess.run([*pip, "pip>=25.1"]).returncode == 0 and subprocess.run(
        [*pip, "--constraint", "constraints.txt", "--editable", ".[evaluate,pandas,review]",
         "pytest", "hypothesis"], cwd=ROOT).returncode == 0)
    if not installed:
        print(f"Python {version}: what oddlens needs cannot be installed", flush=True)
        return False
    tests = os.environ.get("TESTS", "").split() or QUICK
    return subprocess.run([own, "-m", "pytest", *tests], cwd=ROOT).returncode == 0


def main() -> int:
    """Try each; 1 if any failed. One that is not to be had is no failure, but said."""
    results = {}
    for version in sys.argv[1:] or versions():
        python = interpreter(version)
        print(f"Python {version}: {python or 'not to be had on this machine'}", flush=True)
        results[version] = "not to be had, so not tried" if python is None else (
            "passed" if tried(version, python) else "FAILED")
    for version, result in results.items():
        print(f"Python {version}: {result}")
    return int("FAILED" in results.values())


if __name__ == "__main__":
    sys.exit(main())
