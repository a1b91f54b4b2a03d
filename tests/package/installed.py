"""Build wheel and sdist, check them, install the wheel where nothing else is, and use it there.

    python tests/package/installed.py        as make package does

The environment holds the package and what it declares to need, linked from the environment that runs this: quick, and
without a network; and a dependency that is imported but not declared is missing there.
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from email import message_from_bytes
from importlib.metadata import Distribution
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
DIST = ROOT / "dist"
IN_WHEEL = ("oddlens/py.typed", "oddlens/data/mnist-10k-images-idx3-ubyte.gz", "oddlens/report/templates/report.html",
            "oddlens/review/static/review.js", "oddlens/review/templates/review.html")
IN_SDIST = ("README.md", "CITATION.cff", "CONTRIBUTING.md", "LICENSE", "hatch_build.py", "constraints.txt", "Makefile",
            "tests/conftest.py", "docs/conf.py", "benchmarks/robustness.py")
LEFT_OUT = re.compile(r"\.pyc$|__pycache__|^\.venv|/_build/|/methods/")
SMOKE = """
import sys
import numpy, oddlens
from oddlens.demo import DIGITS
from oddlens.reading.array_files import read_idx

assert oddlens.__file__.startswith(sys.prefix), oddlens.__file__
digits = read_idx(DIGITS)[:200]
digits[7] = 255 - digits[7]
ranking = oddlens.rank(digits, effort="fast", random_state=0)
assert len(ranking) == 200 and ranking.top(1)[0].name == "007", ranking.top(3)
numpy.save("digits.npy", digits)
print(ranking)
"""


def main() -> None:
    """All of it; the first thing that is wrong ends it."""
    for old in (*DIST.glob("oddlens-*.whl"), *DIST.glob("oddlens-*.tar.gz")):
        old.unlink()
    _run(sys.executable, "-m", "build", "--no-isolation", "--outdir", DIST, ROOT, quiet=True)
    wheel, sdist = next(DIST.glob("*.whl")), next(DIST.glob("*.tar.gz"))
    _run(sys.executable, "-m", "twine", "check", "--strict", wheel, sdist)
    check_contents(wheel, sdist)
    with tempfile.TemporaryDirectory() as folder:
        use(wheel, Path(folder))


def check_contents(wheel: Path, sdist: Path) -> None:
    """Nothing missing, nothing that does not belong, and a page for an index on which every link leads somewhere."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        about = next(name for name in names if name.endswith(".dist-info/METADATA"))
        metadata = message_from_bytes(archive.read(about))
    with tarfile.open(sdist) as archive:
        sources = [name.partition("/")[2] for name in archive.getnames()]
    _expect(not (missing := set(IN_WHEEL) - set(names)), f"the wheel lacks {missing}")
    _expect(not (missing := set(IN_SDIST) - set(sources)), f"the sdist lacks {missing}")
    _expect(not (extra := [name for name in (*names, *sources) if LEFT_OUT.search(name)]), f"shipped: {extra[:5]}")
    page = str(metadata.get_payload())
    broken = [link for link in re.findall(r"\]\(([^)\s]+)\)", page) if not link.startswith(("https://", "#"))]
    _expect(not broken, f"links that lead nowhere on an index: {broken}")
    licences = metadata.get_all("License-File") or []
    _expect(len(licences) == 2, f"licence files: {licences}")
    print(f"{wheel.name}: {len(names)} files, {wheel.stat().st_size / 2**20:.1f} MiB; "
          f"{sdist.name}: {len(sources)} files, {sdist.stat().st_size / 2**20:.1f} MiB")


def use(wheel: Path, folder: Path) -> None:
    """Install it in an environment of its own, and run it as a newcomer would."""
    _run(sys.executable, "-m", "venv", "--without-pip", folder / "env")
    python = folder / "env" / "bin" / "python"
    site = next((folder / "env" / "lib").glob("python*")) / "site-packages"
    for package in _needed().values():
        _link(package, site)
    _run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--disable-pip-version-check",
         "--no-index", "--no-deps", wheel)
    command = folder / "env" / "bin" / "oddlens"
    _run(command, "--version", cwd=folder)
    _run(command, "list", cwd=folder, quiet=True)
    _run(python, "-c", SMOKE, cwd=folder)
    _run(command, "rank", "digits.npy", "--fast", "--top", "3", "--out", "run", cwd=folder)
    _run(command, "score", "run", "digits.npy", "--top", "3", cwd=folder, quiet=True)
    shown = subprocess.run([command], env=os.environ | {"_ODDLENS_COMPLETE": "bash_source"}, cwd=folder,
                           capture_output=True, text=True, check=True).stdout
    _expect("complete -o nosort -F _oddlens_completion oddlens" in shown, "no completion for bash")
    print("installed from the wheel, run and used")


def _needed() -> dict[str, Distribution]:
    """What the package needs, as docs/make_licences.py finds it."""
    spec = importlib.util.spec_from_file_location("make_licences", ROOT / "docs" / "make_licences.py")
    if spec is None or spec.loader is None:
        raise ImportError("docs/make_licences.py is gone")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: dict[str, Distribution] = module.needed()
    return found


def _link(package: Distribution, site: Path) -> None:
    """Make the top-level folders and modules of an installed package importable from there."""
    for name in {file.parts[0] for file in package.files or () if file.parts[0] not in ("..", "__pycache__")}:
        if not (site / name).exists():
            (site / name).symlink_to(str(package.locate_file(name)))


def _run(*command: object, cwd: Path = ROOT, quiet: bool = False) -> None:
    words = [str(word) for word in command]
    # Warnings aside: this environment's variables must not lead Python back to the sources.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(words, cwd=cwd, env=environment, capture_output=quiet, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(words[:6])} ended with {done.returncode}\n{done.stdout or ''}{done.stderr or ''}")


def _expect(holds: bool, complaint: str) -> None:
    if not holds:
        sys.exit(complaint)


if __name__ == "__main__":
    main()
