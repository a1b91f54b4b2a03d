"""A run in plain values: what ``--json`` prints and ``run.json`` keeps."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import oddlens
from oddlens import registry
from oddlens.model import AnomalyModel
from oddlens.ranking import Ranking
from oddlens.report.counts import cause_counts, duplicate_counts
from oddlens.statement import Finding


def finding(model: AnomalyModel, ranking: Ranking, new: bool = False) -> Finding:
    """What a fitted model found among its own images, or among new ones."""
    flagged = 0 if ranking.flagged is None else int(ranking.flagged.sum())
    beyond = int((ranking.scores > model.lesson_.scores.max()).sum()) if new else 0
    return replace(model.decision_.finding, count=len(ranking), flagged=flagged, asked=model.contamination, new=new,
                   beyond=beyond)


def summary(
    model: AnomalyModel, ranking: Ranking, *, images: str, command: str = "", top: int = 20, skipped: int = 0,
    new: bool = False, duplicates: Sequence[Sequence[int]] = (), check: Mapping[str, Any] | None = None,
    files: Mapping[str, str] | None = None, passed_over: Mapping[str, int] | None = None, kept: int = 0,
    update: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The run as JSON takes it.

    images:      what was looked at, in words or as a path.
    top:         how many of the strangest are listed.
    new:         whether the images are others than the fitted ones.
    passed_over: what was found beside the images and left, in words, and how often.
    duplicates:  groups of copies and near duplicates, as rows of the ranking.
    kept:        images that were done already by a run that was cut off.
    update:      what joined the run later, and what became of the collection.
    """
    form, found = model.format_, finding(model, ranking, new)
    return {
        "finished": True,
        "oddlens": oddlens.__version__,
        "command": command,
        "images": images,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "found": len(ranking) + len(ranking.unreadable),
        "read": len(ranking),
        "kept": kept,
        "skipped": skipped,
        "passed_over": dict(passed_over or {}),
        "unreadable": [{"name": name, "reason": reason} for name, reason in ranking.unreadable],
        "learned_at": {"height": form.height, "width": form.width, "channels": form.channels, "resize": form.resize},
        "seed": model.random_state,
        "seconds": {stage: round(seconds, 3) for stage, seconds in model.timings_.items()},
        "statement": found.statement,
        "verdict": found.verdict,
        "flagged": found.flagged,
        "worth_looking": found.worth_looking,
        "fdr": model.fdr if model.contamination is None else None,
        "share_anomalous": {"value": found.share, "low": found.low, "high": found.high},
        "causes": cause_counts(ranking.causes),
        "duplicates": duplicate_counts(duplicates),
        "check": check,
        "update": None if update is None else dict(update),
        "top": [{"rank": i.rank, "name": i.name, "score": i.score, "p_value": i.p_value, "flagged": i.flagged,
                 "causes": ranking.causes[i.index] if ranking.causes else "", **i.members} for i in ranking.top(top)],
        "parameters": _parameters(model),
        "versions": _versions(),
        "files": dict(files or {}),
    }


def _parameters(model: AnomalyModel) -> dict[str, dict[str, Any]]:
    own = {key: value for key, value in model.get_params(deep=False).items()
           if key not in ("encoder", "detector", "views")}
    parts: dict[str, Any] = {f"Encoder {name}": encoder for name, encoder in model.encoders_.items()}
    parts |= {f"Detector {column}": detector for column, detector in model.detectors_.items()}
    listed = {title: registry.options_of(part) for title, part in parts.items()}
    return {title: {key: value if isinstance(value, int | float | str | None) else f"{value!r:.200}"
                    for key, value in options.items()}
            for title, options in {"Model": own, **listed}.items() if options}


def _versions() -> dict[str, str]:
    packages = ("faiss-cpu", "numba", "numpy", "pillow", "scikit-learn", "torch")
    return {"oddlens": oddlens.__version__, "Python": platform.python_version(),
            **{package: version(package) for package in packages}}
