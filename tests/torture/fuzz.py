"""Feed damaged inputs to every reader, each in a process of its own with bounds of memory and time.

    python tests/torture/fuzz.py --minutes 10 [--targets pixels,npy] [--seed 0] [--engine atheris]

An input passes if it is refused with an ``OddlensError`` or gives a sound result. What does not pass, ends the process,
takes more than 20 seconds or more than 2 GiB beyond the start is kept under ``--findings``; a finding that has been
mended belongs into ``tests/regressions/TARGET/``, which the tests replay. ``random`` (the default) mutates sound inputs
by their structure; ``atheris`` lets coverage of the readers choose among the same mutations.
"""

from __future__ import annotations

import argparse
import faulthandler
import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).parent.parent))

from torture.mutations import mutate

NAMES = ("pixels", "idx", "npy", "npz", "list", "run", "model", "reasons", "archive", "table")
SECONDS = 20  # that one input may take
EXTRA_BYTES = 2 << 30  # of address space that reading may take beyond what the libraries take
FRESH = 0.7  # of inputs are made from a sound one, the others from one that was made before and was taken
SHARED_MEMORY = Path("/dev/shm")
COMPILED = ("oddlens.detectors.forest", "oddlens.detectors.neighbors", "oddlens.scoring.activity",
            "oddlens.scoring.neighborhood", "oddlens.scoring.patterns.scan", "oddlens.kernels",
            "oddlens.learning.lines", "oddlens.reading.texture", "oddlens.scoring.ranked_distances",
            "oddlens.scoring.sampled_neighbors")


def feed(name: str, seconds: float, most: int, seed: int, findings: Path, workplace: Path) -> dict[str, int]:
    """Mutate, read and judge until time or number is up; what fails is written to ``findings``."""
    from torture.targets import targets

    warnings.simplefilter("error")  # as in the tests: a warning is a finding too
    target, random = targets(workplace)[name], Random(f"{name} {seed}")
    for sound in target.seeds:
        (workplace / "input").write_bytes(sound)
        if not target.passes(workplace / "input") and name != "list":
            raise SystemExit(f"{name}: a sound input is refused")
    _bound_memory()
    corpus, counts = list(target.seeds), {"tried": 0, "taken": 0, "findings": 0}
    current, seen, end = workplace / "input", set(), time.monotonic() + seconds
    while counts["tried"] < most and time.monotonic() < end:
        parent = random.choice(target.seeds if random.random() < FRESH else corpus)
        data = mutate(name, parent, random)
        current.write_bytes(data)
        counts["tried"] += 1
        faulthandler.dump_traceback_later(SECONDS, exit=True)
        try:
            taken = target.passes(current)
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            what = f"{type(error).__name__} {where.filename}:{where.lineno}"
            counts["findings"] += 1
            if what not in seen:  # one input for each place
                seen.add(what)
                _keep(findings, name, data, traceback.format_exc())
            continue
        finally:
            faulthandler.cancel_dump_traceback_later()
        counts["taken"] += taken
        if taken and len(corpus) < 400:
            corpus.append(data)
        elif taken:
            corpus[len(target.seeds) + random.randrange(400 - len(target.seeds))] = data
        if counts["tried"] % 200 == 0:
            (workplace / "counts.json").write_text(json.dumps(counts))
    (workplace / "counts.json").write_text(json.dumps(counts))
    return counts


def feed_by_coverage(name: str, seconds: float, seed: int, findings: Path, workplace: Path) -> None:
    """The same with atheris: an input that reaches new lines of the readers is mutated further. Does not return."""
    import atheris

    # It takes whole packages. What numba compiles must stay as it is.
    with atheris.instrument_imports(include=["oddlens", "PIL", "zipfile"], exclude=list(COMPILED)):
        from torture.targets import targets
    target, counts = targets(workplace)[name], {"tried": 0, "taken": 0, "findings": 0}
    corpus = workplace / "corpus"
    corpus.mkdir()
    for number, sound in enumerate(target.seeds):
        (corpus / str(number)).write_bytes(sound)

    def one(data: bytes) -> None:
        (workplace / "input").write_bytes(data)
        counts["tried"] += 1
        try:
            counts["taken"] += target.passes(workplace / "input")
        except Exception:
            counts["findings"] += 1
            _keep(findings, name, data, traceback.format_exc())
        if counts["tried"] % 100 == 0:
            (workplace / "counts.json").write_text(json.dumps(counts))

    def change(data: bytes, most: int, seed: int) -> bytes:
        return mutate(name, data, Random(seed))[:most]

    atheris.Setup([name, str(corpus), f"-max_total_time={int(seconds)}", f"-seed={seed + 1}", "-max_len=65536",
                   f"-timeout={SECONDS}", "-rss_limit_mb=4096", "-verbosity=0", f"-artifact_prefix={findings}/"], one,
                  custom_mutator=change)
    atheris.Fuzz()


def main() -> int:
    """Start one process for each target, again where one was ended, and count."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--minutes", type=float, default=10.0, help="for all targets together")
    parser.add_argument("--targets", default=",".join(NAMES))
    parser.add_argument("--most", type=int, default=10**9, help="inputs of each target")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--engine", choices=("random", "atheris"), default="random")
    parser.add_argument("--findings", type=Path, default=Path("findings"))
    parser.add_argument("--feed", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.findings.mkdir(parents=True, exist_ok=True)
    names = options.targets.split(",")
    seconds = options.minutes * 60 / len(names)
    if options.feed:
        workplace = Path(options.feed)
        if options.engine == "atheris":
            feed_by_coverage(names[0], seconds, options.seed, options.findings, workplace)
        feed(names[0], seconds, options.most, options.seed, options.findings, workplace)
        return 0
    total, failed = 0, 0
    for name in names:
        counts = _watched(name, seconds, options)
        total, failed = total + counts["tried"], failed + counts["findings"]
        print(f"{name:<8} {counts['tried']:>9,} tried  {counts['taken']:>9,} taken  {counts['findings']:>6,} findings",
              flush=True)
    print(f"{total:,} inputs, {failed:,} findings" + (f" in {options.findings}" if failed else ""))
    return 1 if failed else 0


def _watched(name: str, seconds: float, options: argparse.Namespace) -> dict[str, int]:
    """Feed a target in another process; if that is ended, its last input is a finding and the next one goes on."""
    counts, end, seed = {"tried": 0, "taken": 0, "findings": 0}, time.monotonic() + seconds, options.seed
    shared = SHARED_MEMORY if SHARED_MEMORY.is_dir() else None
    while counts["tried"] < options.most and (left := end - time.monotonic()) > 0:
        with tempfile.TemporaryDirectory(dir=shared) as workplace:
            command = [sys.executable, __file__, "--feed", workplace, "--targets", name, "--minutes", str(left / 60),
                       "--most", str(options.most - counts["tried"]), "--seed", str(seed), "--engine", options.engine,
                       "--findings", str(options.findings)]
            ended = subprocess.run(command, capture_output=True, text=True, errors="replace")
            try:
                some = json.loads((Path(workplace) / "counts.json").read_text())
            except FileNotFoundError:
                some = {}
            counts = {key: counts[key] + some.get(key, 0) for key in counts}
            if ended.returncode == 0:
                break
            last = Path(workplace) / "input"
            if not some and not last.exists():
                raise SystemExit(f"{name} cannot be fuzzed:\n{ended.stderr}")
            counts["findings"] += 1
            _keep(options.findings, name, last.read_bytes(), f"ended with {ended.returncode}\n{ended.stderr[-5000:]}")
            seed += 1000
    return counts


def _keep(findings: Path, name: str, data: bytes, why: str) -> None:
    digest = hashlib.sha256(data).hexdigest()[:12]
    (findings / f"{name}-{digest}").write_bytes(data)
    (findings / f"{name}-{digest}.txt").write_text(why)


def _bound_memory() -> None:
    """Bound the address space of this process to what it takes now and a little more."""
    status = Path("/proc/self/statm")
    if status.exists():  # elsewhere there is no telling what the libraries take
        taken = int(status.read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        resource.setrlimit(resource.RLIMIT_AS, (taken + EXTRA_BYTES, taken + EXTRA_BYTES))


if __name__ == "__main__":
    sys.exit(main())
