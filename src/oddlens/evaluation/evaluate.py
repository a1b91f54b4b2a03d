"""How well oddlens works, measured with labels, beside baselines on the same images in the same process.

This is the only place where labels are read. Nothing that fits or ranks sees them: a method gets images, gives scores,
and only the scores meet the labels. Protocols A to D are described in ``evaluation/draws.py``; a user's own folder with
one subfolder a label is measured like A.
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import oddlens
from oddlens import registry
from oddlens.errors import MissingExtra, OddlensError, OptionError, SourceError
from oddlens.evaluation import datasets, draws, plots, results, tables
from oddlens.evaluation.corruptions import CORRUPTIONS, damage
from oddlens.evaluation.draws import Draw
from oddlens.evaluation.fingerprints import code_digest, images_digest
from oddlens.evaluation.metrics import measure
from oddlens.evaluation.peers import FEATURES, PEERS
from oddlens.files import write_atomically
from oddlens.kernels import resolve_jobs
from oddlens.model import AnomalyModel
from oddlens.pixels import MINIMUM_IMAGES
from oddlens.progress import advance
from oddlens.protocols import Doubles
from oddlens.reading.limits import Limits
from oddlens.views import EFFORTS

OUT = "oddlens-evaluation"
OWN = {"oddlens" if effort == "default" else f"oddlens-{effort}": effort for effort in sorted(EFFORTS)}
METHODS = (*OWN, *PEERS)
PLAIN = ("mnist", "fashion")
DATA = {"A": (*PLAIN, "fashion-train"), "B": PLAIN, "C": PLAIN, "C5": (*PLAIN, "fashion-train"),
        "D": ("foreign", *CORRUPTIONS, "elpv", "emoji", "stamps")}
ON_DEMAND = frozenset({"fashion-train"})  # 6,000 images a class: only where asked for
FOLDERS = {"elpv": 1, "emoji": 8, "stamps": 5}  # collections of protocol D, and how many sets each gives
FEW_ODD, MANY_ODD = 0.02, 0.05  # odd images per nominal one: among digits in D, and in collections and C5
LARGE_CATEGORY = 60  # images from which a category of emoji or stamps is nominal
FITTED_OF_CLASS = 1000  # images of each class of Fashion-MNIST's train split that protocol C fits
WARM_UP_IMAGES = 40  # images that a method meets before it is timed


@dataclass(frozen=True)
class Evaluation:
    """What was measured.

    rows:   one of each method and set; see ``evaluation/results.py``.
    notes:  what was left out and why, one line each.
    files:  label -> path of what was written.
    """

    rows: list[dict[str, Any]]
    notes: list[str] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)

    def groups(self) -> list[tables.Group]:
        """The means over classes and seeds."""
        return tables.summarise(self.rows, METHODS)

    def text(self) -> str:
        """The tables for a terminal."""
        return tables.text(self.groups())

    def markdown(self) -> str:
        """The tables for a page."""
        return tables.markdown(self.groups())

    def summary(self) -> dict[str, Any]:
        """All but the rows in plain values: what ``--json`` prints and ``summary.json`` keeps."""
        return {**results.MARKS, "finished": True, "oddlens": oddlens.__version__, "machine": platform.machine(),
                "cores": resolve_jobs(None), "python": platform.python_version(),
                "groups": tables.plain(self.groups()), "notes": self.notes, "files": self.files}


@dataclass(frozen=True)
class Block:
    """Sets that are drawn together. expected: how many there will be, as far as can be known before."""

    protocol: str
    data: str
    c: float | None
    seed: int
    draws: Callable[[], Iterable[Draw]]
    expected: int = 10


def evaluate(
    protocols: Sequence[str] = ("A",), *, data: Sequence[str] | None = None, contamination: Sequence[float] = (0.1,),
    seeds: Sequence[int] | None = None, classes: Sequence[str] | None = None, methods: Sequence[str] | None = None,
    out: str | Path = OUT, n_jobs: int | None = None,
) -> Evaluation:
    """Measure protocols "A", "B", "C", "C5", "D" or "all" and keep every row in the folder ``out``.

    data:           sets of images; by default all of each protocol but "fashion-train" (full size).
    contamination:  odd images per nominal one, above 0; for protocol A.
    seeds:          0 alone by default, and 0 to 4 for the solar cells.
    classes:        nominal classes (held-out ones in C), by default all.
    methods:        names in ``METHODS`` or ENCODER+DETECTOR; by default all in ``METHODS``.

    Rows that are kept there and still hold are not measured again. What is not installed is left out with a note.
    Raises ``OptionError`` before any work for names that there are not.
    """
    asked = list(DATA) if "all" in protocols else list(protocols)
    for protocol in asked:
        if protocol not in DATA:
            raise OptionError.unknown("protocol", protocol, [*DATA, "all"])
    blocks = asked_blocks(asked, data, contamination, seeds)
    _check_methods(methods, n_jobs)
    with results.claimed(Path(out)) as place:
        return _run(blocks, methods, place, n_jobs, [], classes)


def asked_blocks(
    protocols: Sequence[str], data: Sequence[str] | None, contamination: Sequence[float], seeds: Sequence[int] | None
) -> list[Block]:
    """The blocks of known protocols; raises ``OptionError`` for a data set that they have not, or a wrong share."""
    offered = {name for protocol in protocols for name in DATA[protocol]}
    for name in data or ():
        if name not in offered:
            raise OptionError.unknown(f"data set of protocol {', '.join(protocols)}", name, offered)
    for share in contamination:
        check_share(share)
    return [block for protocol in protocols for name in DATA[protocol]
            if (name in data if data else name not in ON_DEMAND)
            for block in blocks_of(protocol, name, contamination, seeds)]


def evaluate_folder(
    folder: str | Path, *, odd: str | None = None, contamination: Sequence[float] | None = None,
    seeds: Sequence[int] | None = None, classes: Sequence[str] | None = None, methods: Sequence[str] | None = None,
    out: str | Path = OUT, n_jobs: int | None = None, limits: Limits | None = None,
) -> Evaluation:
    """Measure a folder with one subfolder a label, and keep every row in the folder ``out``.

    With ``odd`` the images of that label are odd among all others, as many as there are or, with ``contamination``,
    so many per nominal one. Without it each label with 10 images or more is nominal in turn, with 0.1 (or
    ``contamination``) others per image drawn from the rest. limits: what decoding an image may take. The
    other options are those of :func:`evaluate`.
    """
    for share in contamination or ():
        check_share(share)
    _check_methods(methods, n_jobs)
    with results.claimed(Path(out), Path(folder)) as place:
        return _measured(place, Path(folder), odd, contamination, seeds, classes, methods, n_jobs, limits)


def _measured(
    place: Path, folder: Path, odd: str | None, contamination: Sequence[float] | None, seeds: Sequence[int] | None,
    classes: Sequence[str] | None, methods: Sequence[str] | None, n_jobs: int | None,
    limits: Limits | None,
) -> Evaluation:
    """Measure a user's folder into a place that is claimed."""
    images, labels, notes = datasets.labelled_folder(folder, n_jobs, limits)
    known = np.unique(labels).tolist()
    for name in [*([odd] if odd is not None else []), *(classes or ())]:
        if name not in known:
            raise OptionError.unknown(f"label in {folder}", name, known)
    large = datasets.groups(labels, MINIMUM_IMAGES)
    few = [name for name in known if name not in large]
    if odd is None and few:
        notes.append(f"never nominal, fewer than {MINIMUM_IMAGES} images: {', '.join(few)}")

    def drawn(c: float | None, seed: int) -> Iterable[Draw]:
        if odd is not None:
            return [draws.named_odd(images, labels, odd, c, seed)]
        return (draw for draw in draws.one_class(images, labels, c or 0.1, seed) if draw.case in large)

    shares: Sequence[float | None] = contamination or ((None,) if odd is not None else (0.1,))
    name = folder.resolve().name or "images"
    blocks = [Block("labels", name, c, seed, partial(drawn, c, seed), 1 if odd is not None else len(large))
              for c in shares for seed in seeds or (0,)]
    return _run(blocks, methods, place, n_jobs, notes, classes if odd is None else None)


def kept(out: str | Path = OUT) -> Evaluation:
    """What was measured into the folder ``out`` so far, whatever the options were."""
    rows = results.Results(Path(out)).rows()
    if not rows:
        raise OptionError(f"Nothing is measured in {out} yet: run oddlens evaluate --out {out} first.")
    notes = []
    for method in sorted({row["method"] for row in rows if ": " not in row["method"]}):
        versions = {row["settings"] for row in rows if row["method"] == method}
        if len(versions) > 1:
            notes.append(f"{method} was measured in {len(versions)} versions: {'; '.join(sorted(versions))}. "
                         "Run oddlens evaluate again with the same options to bring its rows up to date.")
    return Evaluation(rows, notes)


def _check_methods(methods: Sequence[str] | None, n_jobs: int | None) -> None:
    """Refuse names that there are not and threads that cannot be, before a folder is claimed."""
    resolve_jobs(n_jobs)
    for method in methods or ():
        if method not in PEERS:
            _own_model(method, 0, n_jobs)


def check_share(share: float) -> None:
    """Refuse what is no share of odd images."""
    if not 0 < share <= 1:
        raise OptionError(f"contamination is a number of odd images per nominal one, above 0 and at most 1, "
                          f"got {share!r}.")


def blocks_of(
    protocol: str, data: str, contamination: Sequence[float], seeds: Sequence[int] | None
) -> Iterator[Block]:
    """The blocks of one protocol and data set."""
    in_d = MANY_ODD if data in FOLDERS else FEW_ODD
    shares = {"A": contamination, "C5": (MANY_ODD,), "D": (in_d,)}.get(protocol, (0.0,))
    expected = 10 if protocol != "D" else FOLDERS.get(data, 1)
    for seed in seeds if seeds is not None else range(5) if data == "elpv" else (0,):
        for c in shares:
            yield Block(protocol, data, c, seed, partial(_drawn, protocol, data, c, seed), expected)


def _drawn(protocol: str, data: str, c: float, seed: int) -> Iterable[Draw]:
    """The sets of one block; raises ``SourceError`` where the data set is not installed."""
    if protocol == "D":
        return _foreign(data, c, seed)
    if protocol == "A":
        return draws.one_class(*datasets.load(data), c, seed)
    if protocol == "C5":
        return draws.leave_one_out_contaminated(*datasets.load(data), c, seed)
    if data == "mnist":  # there are 10,000 digits: half of each class is fitted, the rest scored
        fit, test = draws.halved(*datasets.load("mnist"), seed)
    else:
        fit, test = datasets.load("fashion-train"), datasets.load("fashion")
    if protocol == "B":
        return draws.one_class_clean(fit, test)
    return draws.leave_one_out(fit if data == "mnist" else draws.some_of_each(*fit, FITTED_OF_CLASS, seed), test)


def _foreign(data: str, share: float, seed: int) -> Iterator[Draw]:
    """One row of protocol D."""
    if data == "elpv":
        yield replace(draws.beside(*datasets.solar_cells(), "sound", share, seed), case="")
    elif data in FOLDERS:
        images, labels = datasets.emoji() if data == "emoji" else datasets.stamps()
        for nominal in datasets.groups(labels, LARGE_CATEGORY):
            yield draws.beside(images, labels, nominal, share, seed)
    elif data == "foreign":
        yield draws.foreign(datasets.load("mnist")[0], datasets.load("fashion")[0], share, seed)
    else:
        yield draws.corrupted(datasets.load("mnist")[0], damage(data), share, seed)


def _run(
    blocks: Sequence[Block], methods: Sequence[str] | None, out: Path, n_jobs: int | None, notes: list[str],
    classes: Sequence[str] | None,
) -> Evaluation:
    """Measure all blocks, keep each row as it comes, and write the summary and the plot."""
    bench = Bench(methods, results.Results(out), n_jobs, notes)
    rows: list[dict[str, Any]] = []
    done, total = 0, sum(len(classes) if classes and block.expected == 10 else block.expected for block in blocks)
    for block in blocks:
        try:
            sets = list(block.draws())
        except SourceError as error:
            bench.note(f"left out: {error}")
            sets = []
        if classes and any(draw.case for draw in sets):
            named = [draw for draw in sets if draw.case in classes]
            sets = named if named or block.protocol != "D" else sets
        for draw in sets:
            rows += bench.measure(block, draw)
            done += 1
            advance("sets", done, max(total, done))
    if not rows:
        raise OptionError("There is nothing to measure." + "".join(f"\n{note}" for note in bench.notes))
    result = Evaluation(rows, bench.notes, {"rows": str(out), "summary": str(out / results.SUMMARY)})
    try:
        plots.write_plot(out / "evaluation.png", panels(result.groups()))
        result.files["plot"] = str(out / "evaluation.png")
    except MissingExtra as error:
        bench.note(f"left out: {error}")
    write_atomically(out / results.SUMMARY, (json.dumps(result.summary(), indent=1) + "\n").encode())
    return result


def panels(groups: Sequence[tables.Group]) -> list[plots.Bars]:
    """What the picture shows: the bars of each group of sets."""
    return [plots.Bars(f"{group.protocol}: {group.title}",
                       {entry.method: (*entry.means["average_precision"], entry.means["auroc"][0])
                        for entry in group.entries if entry.seconds is not None}) for group in groups]


class Bench:
    """The methods, side by side on one set after the other.

    Each has met a few images before it is timed, so that loading and compiling do not count.
    """

    def __init__(
        self, methods: Sequence[str] | None, kept_rows: results.Results, n_jobs: int | None, notes: list[str]
    ) -> None:
        resolve_jobs(n_jobs)
        self.results, self.n_jobs, self.notes = kept_rows, n_jobs, notes
        self.warm: set[str] = set()
        self.settings: dict[str, str] = {}
        for method in dict.fromkeys(methods or METHODS):
            if method in PEERS:
                if lacking := PEERS[method].lacks():
                    self.note(f"left out: {method} needs {' and '.join(lacking)}: {PEERS[method].install}")
                    continue
                self.settings[method] = PEERS[method].settings()
            else:
                _own_model(method, 0, n_jobs)  # refuses a name that there is not
                self.settings[method] = f"oddlens {oddlens.__version__}, code {code_digest()}"

    def note(self, line: str) -> None:
        """Say a thing once."""
        if line not in self.notes:
            self.notes.append(line)

    def measure(self, block: Block, draw: Draw) -> list[dict[str, Any]]:
        """The rows of all methods on one set, measured where none is kept that still holds."""
        digest = images_digest(draw.fitted, draw.scored, draw.odd)
        rows: list[dict[str, Any]] = []
        seen: dict[str, _Features] = {}
        for method, settings in self.settings.items():
            key = {"protocol": block.protocol, "data": block.data, "c": block.c, "case": draw.case,
                   "seed": block.seed, "method": method}
            found = self.results.find(key, digest, settings)
            if found is None:
                fixed = {"set": digest, "settings": settings, "fitted": len(draw.fitted), "scored": len(draw.odd),
                         "odd": int(draw.odd.sum())}
                new = [{**key, **fixed, **values} for values in self._measured(method, block, draw, seen)]
                if new:
                    self.results.keep(*new)
                rows += new
            else:
                rows += [found, *self.results.parts(key, digest, settings)]
        return rows

    def _measured(
        self, method: str, block: Block, draw: Draw, seen: dict[str, _Features]
    ) -> list[dict[str, Any]]:
        """What differs in the rows of one method: it itself, and the members of its score if it has several."""
        try:
            if method not in self.warm:
                first = slice(WARM_UP_IMAGES)
                few = Draw(draw.fitted[first], None if draw.scored is None else draw.scored[first], draw.odd[first])
                self._score(method, few, block.seed, {})
                self.warm.add(method)
            scores, members, seconds, cpu = self._score(method, draw, block.seed, seen)
            rows = [{"method": method, **measure(draw.odd, scores), "seconds": seconds, "cpu_seconds": cpu}]
            return rows + [{"method": f"{method}: {column}", **measure(draw.odd, own), "seconds": None,
                            "cpu_seconds": None} for column, own in members.items()]
        except OddlensError:
            raise
        except Exception as error:  # a baseline that fails must not end a run of hours
            if method not in PEERS:
                raise
            failure = f"left out: {method} failed, {type(error).__name__}: {error}"
            if not any(line.startswith(failure) for line in self.notes):
                where = " ".join(filter(None, [block.protocol, block.data, draw.case, f"seed {block.seed}"]))
                self.note(f"{failure} (first on {where})")
            return []

    def _score(
        self, method: str, draw: Draw, seed: int, seen: dict[str, _Features]
    ) -> tuple[Doubles, dict[str, Doubles], float, float]:
        """Scores, members where there are several, and seconds by the wall and of the processor."""
        if method not in PEERS:
            watch = _Watch()
            model = _own_model(method, seed, self.n_jobs).fit(draw.fitted)
            ranking = model.rank(draw.scored)
            members = dict(ranking.members) if len(ranking.members) > 1 else {}
            return ranking.scores, members, *watch.read()
        peer = PEERS[method]
        if peer.features not in seen:
            watch, encode = _Watch(), FEATURES[peer.features]
            seen[peer.features] = _Features(encode(draw.fitted), None if draw.scored is None else encode(draw.scored),
                                            *watch.read())
        features, watch = seen[peer.features], _Watch()
        scores = peer.score(features.fitted, features.scored, seed, self.n_jobs)
        seconds, cpu = watch.read()
        return scores, {}, features.seconds + seconds, features.cpu_seconds + cpu


@dataclass(frozen=True)
class _Features:
    """The features of a set that several baselines share, and their cost, which each is charged in full."""

    fitted: Any
    scored: Any
    seconds: float
    cpu_seconds: float


class _Watch:
    """Seconds by the wall and of the processor, all threads of this process together."""

    def __init__(self) -> None:
        self.wall, self.cpu = time.perf_counter(), time.process_time()

    def read(self) -> tuple[float, float]:
        return time.perf_counter() - self.wall, time.process_time() - self.cpu


def _own_model(method: str, seed: int, n_jobs: int | None) -> AnomalyModel:
    """An unfitted model of ours; raises ``OptionError`` for a name that there is not."""
    if method in OWN:
        return AnomalyModel(effort=OWN[method], random_state=seed, n_jobs=n_jobs)
    encoder, plus, detector = method.partition("+")
    if not plus:
        raise OptionError.unknown("method", method, [*METHODS, "ENCODER+DETECTOR"])
    registry.find("encoder", encoder)
    registry.find("detector", detector)
    return AnomalyModel(encoder, detector, random_state=seed, n_jobs=n_jobs)
