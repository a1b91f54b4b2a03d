"""Protocol G: what a person finds who looks through a collection and says what is odd, with and without learning.

Each set of protocols A, C5 and D is fitted once, unlabelled. Then the labels stand in for the person, and what is found
after 20, 50, 100 and 200 looks is counted: by the unlabelled order; by the order that learns from the answers; and
by that with 5 and 10 % of the answers wrong. What was fitted is kept beside the rows, so that other ways of learning
are measured without fitting anew.
"""

from __future__ import annotations

import io
import json
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

import oddlens
from oddlens.errors import MissingExtra, OptionError, OutputError, SourceError
from oddlens.evaluation import plots, replays, results
from oddlens.evaluation.draws import Draw
from oddlens.evaluation.evaluate import Block, asked_blocks
from oddlens.evaluation.fingerprints import FITTING, LEARNING, code_digest, images_digest
from oddlens.feedback import Evidence
from oddlens.files import write_atomically
from oddlens.kernels import resolve_jobs
from oddlens.model import AnomalyModel
from oddlens.progress import advance

PROTOCOLS = ("A", "C5", "D")  # those in which what is fitted is what is looked through
SHARES = (0.01, 0.1)  # odd images per nominal one, of protocol A
WRONG = (0.05, 0.1)  # shares of answers that are wrong
UNLABELLED, FEEDBACK = "unlabelled order", "feedback"
METHODS = (UNLABELLED, FEEDBACK, *(f"feedback, {100 * wrong:g} % wrong" for wrong in WRONG))
FOLDER = "review"  # within the folder of an evaluation
PLOT = "review.png"


@dataclass(frozen=True)
class ReviewEvaluation:
    """What was measured.

    rows:   one of each method and set, see ``replays.Replay.plain``.
    notes:  what was left out and why, one line each.
    files:  label -> path of what was written.
    """

    rows: list[dict[str, Any]]
    notes: list[str] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)

    def groups(self) -> dict[str, dict[str, list[dict[str, Any]]]]:
        """Title of a kind of set -> method -> its rows."""
        found: dict[str, dict[str, list[dict[str, Any]]]] = {}
        for row in self.rows:
            title = f"{row['protocol']} {row['data']}, {100 * row['c']:g} %"
            found.setdefault(title, {}).setdefault(row["method"], []).append(row)
        return found

    def markdown(self) -> str:
        """Three tables: what is found; what is said to be left; when a search is said to be over."""
        return "\n".join([*self._found(), "", *self._ahead(), "", *self._stopped()])

    text = markdown

    def _found(self) -> list[str]:
        heads = " | ".join(METHODS)
        lines = [f"Odd images found after {' / '.join(map(str, replays.LOOKS))} looks, mean over sets.", "",
                 f"| sets | number | odd images | {heads} |", "| --- |" + " --- |" * (len(METHODS) + 2)]
        for title, methods in self.groups().items():
            rows = methods[UNLABELLED]
            cells = [" / ".join(f"{fmean(row['found'][str(looks)] for row in methods[method]):.0f}"
                                for looks in replays.LOOKS) for method in METHODS]
            lines.append(f"| {title} | {len(rows)} | {fmean(row['odd'] for row in rows):.0f} | {' | '.join(cells)} |")
        return lines

    def _ahead(self) -> list[str]:
        lines = ["Odd images among the next 100 as they were said to be and as they were: the mean of both, how far "
                 "off on average, and how often the truth lay within the bounds.", "",
                 "| sets | times asked | said | true | off by | width of the bounds | within |",
                 "| --- |" + " --- |" * 6]
        groups = {title: [one for row in methods[FEEDBACK] for one in row["ahead"]]
                  for title, methods in self.groups().items()}
        groups["all"] = [one for ones in groups.values() for one in ones]
        for title, ones in groups.items():
            if ones:
                _, said, low, high, true = np.array(ones, np.float64).T
                lines.append(f"| {title} | {len(ones)} | {said.mean():.1f} | {true.mean():.1f} | "
                             f"{np.abs(said - true).mean():.1f} | {(high - low).mean():.0f} | "
                             f"{((low <= true) & (true <= high)).mean():.2f} |")
        return lines

    def _stopped(self) -> list[str]:
        lines = ["When 80 % were said to be found: looks, the true share, and how often that was 75 % or more. Beside "
                 "it the number of sets in which it was not said within 1,500 looks or all.", "",
                 "| sets | said | not said | looks | share found | least share | 75 % or more |",
                 "| --- |" + " --- |" * 6]
        groups = {title: methods[FEEDBACK] for title, methods in self.groups().items()}
        groups["all"] = [row for rows in groups.values() for row in rows]
        for title, rows in groups.items():
            ended = [row["stopped"] for row in rows if row["stopped"]]
            if ended:
                looks, shares = zip(*ended, strict=True)
                lines.append(f"| {title} | {len(ended)} | {len(rows) - len(ended)} | {fmean(looks):.0f} | "
                             f"{fmean(shares):.2f} | {min(shares):.2f} | "
                             f"{fmean(share >= 0.75 for share in shares):.2f} |")
            else:
                lines.append(f"| {title} | 0 | {len(rows)} | | | | |")
        return lines

    def summary(self) -> dict[str, Any]:
        """All but the rows in plain values: what ``--json`` prints and ``review/summary.json`` keeps."""
        groups = [{"sets": title, "number": len(methods[UNLABELLED]),
                   "methods": {method: {looks: fmean(row["found"][looks] for row in rows)
                                        for looks in map(str, replays.LOOKS)} for method, rows in methods.items()}}
                  for title, methods in self.groups().items()]
        return {"oddlens": oddlens.__version__, "machine": platform.machine(), "cores": resolve_jobs(None),
                "groups": groups, "notes": self.notes, "files": self.files}


def evaluate_review(
    protocols: Sequence[str] = PROTOCOLS, *, data: Sequence[str] | None = None,
    contamination: Sequence[float] = SHARES, seeds: Sequence[int] | None = None, classes: Sequence[str] | None = None,
    out: str | Path = "oddlens-evaluation", n_jobs: int | None = None,
) -> ReviewEvaluation:
    """Replay reviews of the sets of protocols "A", "C5" and "D", and keep every row in the folder ``out``.

    The options are those of ``evaluate``. Raises ``OptionError`` before any work for names that there are not.
    """
    for protocol in protocols:
        if protocol not in PROTOCOLS:
            raise OptionError.unknown("protocol of a review", protocol, PROTOCOLS)
    blocks = asked_blocks(protocols, data, contamination, seeds)
    resolve_jobs(n_jobs)
    with results.claimed(Path(out)) as place:
        return _run(blocks, place / FOLDER, classes, n_jobs)


def kept_review(out: str | Path) -> ReviewEvaluation:
    """What was measured into the folder ``out`` so far."""
    rows = results.Results(Path(out) / FOLDER).rows()
    if not rows:
        raise OptionError(f"No review is measured in {out} yet: run oddlens evaluate --review --out {out} first.")
    return ReviewEvaluation(rows)


def _run(blocks: Sequence[Block], out: Path, classes: Sequence[str] | None, n_jobs: int | None) -> ReviewEvaluation:
    """Replay all sets, keep each row as it comes, and write the summary and the plot."""
    store, rows, notes, done = results.Results(out), [], [], 0
    total = sum(block.expected for block in blocks)
    for block in blocks:
        try:
            sets = list(block.draws())
        except SourceError as error:
            notes.append(f"left out: {error}")
            continue
        for draw in sets:
            if not classes or not draw.case or draw.case in classes:
                rows += _replayed(block, draw, store, out, n_jobs)
                done += 1
                advance("sets", done, max(total, done))
    if not rows:
        raise OptionError("There is nothing to measure." + "".join(f"\n{note}" for note in notes))
    result = ReviewEvaluation(rows, notes, {"rows": str(out), "summary": str(out / results.SUMMARY)})
    try:
        plots.write_curves(out / PLOT, [
            plots.Curves(title, replays.EVERY, {method: np.mean([row["curve"] for row in found], 0).tolist()
                                                for method, found in methods.items()})
            for title, methods in result.groups().items()])
        result.files["plot"] = str(out / PLOT)
    except MissingExtra as error:
        notes.append(f"left out: {error}")
    write_atomically(out / results.SUMMARY, (json.dumps(result.summary(), indent=1) + "\n").encode())
    return result


def _replayed(
    block: Block, draw: Draw, store: results.Results, out: Path, n_jobs: int | None
) -> list[dict[str, Any]]:
    """The rows of all methods on one set, replayed where none is kept that still holds."""
    digest = images_digest(draw.fitted, draw.odd)
    settings = f"oddlens {oddlens.__version__}, code {code_digest(starts=(*FITTING, *LEARNING))}"
    rows, evidence = [], None
    for method in METHODS:
        key = {"protocol": block.protocol, "data": block.data, "c": block.c, "case": draw.case, "seed": block.seed,
               "method": method}
        row = store.find(key, digest, settings)
        if row is None:
            evidence = evidence or fitted_evidence(draw, block.seed, digest, out, n_jobs)
            row = {**key, "set": digest, "settings": settings, "images": len(draw.odd), "odd": int(draw.odd.sum()),
                   **_replay(method, evidence, draw, block.seed).plain()}
            store.keep(row)
        rows.append(row)
    return rows


def _replay(method: str, evidence: Evidence, draw: Draw, seed: int) -> replays.Replay:
    if method == UNLABELLED:
        return replays.unlabelled(evidence, draw.odd)
    wrong = (0.0, *WRONG)[METHODS.index(method) - 1]
    return replays.with_feedback(evidence, draw.odd, wrong, seed, to_the_end=not wrong)


def fitted_evidence(draw: Draw, seed: int, digest: str, out: Path, n_jobs: int | None) -> Evidence:
    """What the default model, fitted to a set, knows of its images; kept in a file of the folder ``out``."""
    path = out / f"evidence-{digest}-{seed}-{code_digest(starts=FITTING)}.npz"
    if path.exists():
        try:
            with np.load(path, allow_pickle=False) as kept:
                return Evidence(kept["scores"], kept["members"], kept["features"].astype(np.float32))
        except (OSError, ValueError, KeyError) as error:
            raise OutputError(f"{path} cannot be read ({error}). Move it away to fit anew.") from error
    evidence = AnomalyModel(random_state=seed, n_jobs=n_jobs).fit(draw.fitted).evidence_
    content = io.BytesIO()
    np.savez(content, scores=evidence.scores, members=evidence.members, features=evidence.features.astype(np.float16))
    write_atomically(path, content.getvalue())
    return evidence
