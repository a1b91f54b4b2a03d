"""The plain words for a view: what it is called, and what it looks for.

They come from the encoder and the detector, ours or of another package: ``LooksAt``, ``Judges`` and ``Seeks`` of
``protocols``.
"""

from __future__ import annotations

from oddlens.model import AnomalyModel
from oddlens.protocols import Judges, LooksAt, Seeks


def title(model: AnomalyModel, column: str) -> str:
    """A column of the ranking in plain words; the column itself where encoder or detector has none."""
    encoder, detector = model.encoders_[model.sees_[column]], model.detectors_[column]
    if not (isinstance(encoder, LooksAt) and isinstance(detector, Judges)):
        return column
    twice = [other for other, seen in model.sees_.items() if other != column and _same(model, column, other, seen)]
    words = f"{encoder.looks_at}, {detector.judges}"
    return words[:1].upper() + words[1:] + (f" ({column})" if twice else "")


def seeks(model: AnomalyModel, column: str) -> str:
    """What the view of a column looks for, in a sentence."""
    detector = model.detectors_[column]
    return f"It looks for {detector.seeks if isinstance(detector, Seeks) else 'odd images'}."


def _same(model: AnomalyModel, column: str, other: str, seen: str) -> bool:
    """Whether two columns would have the same words: two encoders of one class, each with the same detector."""
    return (type(model.encoders_[model.sees_[column]]) is type(model.encoders_[seen])
            and type(model.detectors_[column]) is type(model.detectors_[other]))
