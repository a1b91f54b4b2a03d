"""The quick tests under every Python that pyproject.toml names and that is to be had on this machine.

    python tests/package/pythons.py [3.12 ...]        as make test-pythons does; TESTS="tests/test_cli.py" for others

An interpreter is looked for on PATH, among pyenv's versions and, where uv is installed, by uv, which may fetch it. Each
gets an environment of its own, .venv-3.12, with the versions of constraints.txt. What is not to be had is said.

On Linux torch must be its build for processors: the other brings gigabytes of CUDA. Such a build is taken from where
pip looks for packages (PIP_FIND_LINKS may name a folder of wheels), or by uv from PyTorch's own index. Where neither
has one for a Python, everything else is installed there, and the tests run that need no torch.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
# Parsing, compiled kernels, arrays, networks, decoding in processes, the command line: where a new Python breaks first.
QUICK = ("tests/test_arrays.py", "tests/test_decisions.py", "tests/test_interruption.py", "tests/test_kernels.py",
         "tests/test_options.py", "tests/test_public.py", "tests/test_ranking.py", "tests/test_registry.py",
         "tests/test_threads.py", "tests/detectors/test_forest.py", "tests/encoders/test_dictionary.py",
         "tests/learning/test_adam.py", "tests/reading/test_decoding.py", "tests/reading/test_worker.py",
         "tests/report/test_html.py", "tests/scoring/test_neighborhood.py", "tests/sources/test_table.py")
# Of these and their like, those that import no torch; they run without conftest.py, which does.
WITHOUT_TORCH = (
    "tests/test_arrays.py", "tests/test_calibration.py", "tests/test_decisions.py", "tests/test_files.py",
    "tests/test_interruption.py", "tests/test_options.py", "tests/test_posterior.py", "tests/test_ranking.py",
    "tests/test_statement.py", "tests/test_threads.py", "tests/detectors/test_forest.py",
    "tests/reading/test_decoding.py", "tests/reading/test_worker.py", "tests/report/test_html.py",
    "tests/scoring/test_neighborhood.py")
EXTRAS = ("evaluate", "pandas", "review")
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
    if (uv := _uv()) is None:
        return None
    for fetched in (False, True):
        if fetched and subprocess.run([uv, "python", "install", version], capture_output=True).returncode:
            return None
        done = subprocess.run([uv, "python", "find", "--no-python-downloads", version], capture_output=True, text=True)
        if done.returncode == 0 and _is(done.stdout.strip(), version):
            return done.stdout.strip()
    return None


def _uv() -> str | None:
    return shutil.which("uv") or shutil.which("uv", path=Path(sys.executable).parent)


def _is(command: str, version: str) -> bool:
    """Whether the command starts a Python of that version; pyenv's shims are there and start none."""
    try:
        done = subprocess.run([command, "-c", VERSION], capture_output=True, text=True)
    except OSError:
        return False
    return done.stdout.strip() == version


def tried(version: str, python: str) -> str:
    """What came of the tests under that Python."""
    place = ROOT / f".venv-{version}"
    own = place / "bin" / "python"
    if not own.exists():
        subprocess.run([python, "-m", "venv", place], check=True)
    pip = [own, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    # Of a build that brings CUDA nothing may be fetched, so torch comes first and everything else after.
    whole = subprocess.run([*pip, "pip>=25.1"]).returncode == 0 and has_torch(own, pip)
    wanted = [text for text in requirements() if whole or not text.startswith("torch")]
    if subprocess.run([*pip, "--constraint", "constraints.txt", *wanted, "pytest", "hypothesis"],
                      cwd=ROOT).returncode or subprocess.run([*pip, "--no-deps", "--editable", "."],
                                                             cwd=ROOT).returncode:
        return "FAILED: what oddlens needs cannot be installed"
    asked = os.environ.get("TESTS", "").split()
    tests = asked or (QUICK if whole else ("--noconftest", *WITHOUT_TORCH))
    failed = subprocess.run([own, "-m", "pytest", *tests], cwd=ROOT).returncode != 0
    without = "" if whole else ", without torch, of which no build for processors is to be had"
    return f"{'FAILED' if failed else 'passed'}{without}"


def has_torch(own: Path, pip: list[str | Path]) -> bool:
    """Whether torch is there or could be installed, without CUDA."""
    if subprocess.run([own, "-c", "import torch"], capture_output=True).returncode == 0:
        return True
    if sys.platform != "linux":
        return subprocess.run([*pip, "torch"]).returncode == 0  # elsewhere there is no other build
    # Only the build for processors has a version that ends so, and only "==" asks for it.
    if subprocess.run([*pip, f"{torch()}+cpu"], capture_output=True).returncode == 0:
        return True
    uv = _uv()
    return uv is not None and subprocess.run(
        [uv, "pip", "install", "--quiet", "--python", own, "--torch-backend", "cpu", torch()],
        capture_output=True).returncode == 0


def torch() -> str:
    """The version of torch that the tests ran with."""
    return next(line for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines()
                if line.startswith("torch=="))


def requirements() -> list[str]:
    """All that oddlens needs, and its extras that the tests ask for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return [*project["dependencies"], *(text for extra in EXTRAS for text in project["optional-dependencies"][extra])]


def main() -> int:
    """Try each; 1 if any failed. One that is not to be had is no failure, but said."""
    results = {}
    for version in sys.argv[1:] or versions():
        python = interpreter(version)
        print(f"Python {version}: {python or 'not to be had on this machine'}", flush=True)
        results[version] = "not to be had, so not tried" if python is None else tried(version, python)
    for version, result in results.items():
        print(f"Python {version}: {result}")
    return int(any(result.startswith("FAILED") for result in results.values()))


if __name__ == "__main__":
    sys.exit(main())
