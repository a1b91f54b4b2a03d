"""What a view is called, and what it looks for, in words that a stranger understands.

An encoder or a detector may say so itself, one of ours or of another package: ``plain_name``, what it is called in a
few words ("Brightness and colour"; of a detector as they follow on the encoder's: "compared with its nearest
neighbours"), and of a detector ``seeks``, what it finds strange ("images that ...").
"""

from __future__ import annotations

from oddlens.model import AnomalyModel


def title(model: AnomalyModel, column: str) -> str:
    """A column of the ranking in plain words; the column itself where encoder or detector has none."""
    encoder, detector = model.encoders_[model.sees_[column]], model.detectors_[column]
    names = [getattr(part, "plain_name", None) for part in (encoder, detector)]
    if not all(isinstance(name, str) and name for name in names):
        return column
    twice = [other for other, seen in model.sees_.items() if other != column and _same(model, column, other, seen)]
    return ", ".join(map(str, names)) + (f" ({column})" if twice else "")


def seeks(model: AnomalyModel, column: str) -> str:
    """What the view of a column looks for, in a sentence."""
    return f"It looks for {getattr(model.detectors_[column], 'seeks', 'odd images')}."


def _same(model: AnomalyModel, column: str, other: str, seen: str) -> bool:
    """Whether two columns would have the same words: two encoders of one class, each with the same detector."""
    return (type(model.encoders_[model.sees_[column]]) is type(model.encoders_[seen])
            and type(model.detectors_[column]) is type(model.detectors_[other]))
