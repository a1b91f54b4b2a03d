"""Which views of the images make the score: pairs of an encoder and a detector that fail in different ways.

No view is good at everything. The dictionary of patches tells one kind of image from another better than any other
view here, and is blind to blur, noise and whatever lies outside the patches that it knows; global statistics see just
these, and edge directions see broken structure in small collections. So the dictionary leads, and the others are heard
where they are loud (docs/lab/fusion.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from oddlens.calibration import Fusion
from oddlens.errors import OptionError
from oddlens.protocols import Detector, Encoder

LOUD = 250  # images: up to so many the other views count in full, for the distances of the lead need many images
QUIET_ONE, QUIET_MANY, QUIET_COLOUR = 0.05, 0.125, 0.3  # and at least so much: of one kind, of many kinds, in colour


@dataclass(frozen=True)
class View:
    """An encoder and a detector on its features.

    encoder, detector:  names (``oddlens list`` shows them) or objects.
    lead:               its share in the leading score, in proportion to the other leads; 0: it does not lead.
    one_kind:           it leads only so far as the collection is of one kind of image.
    tail:               the weight of its squared surprise beside the lead; it speaks only in its far tail.
    encoder_options, options:  of the encoder and of the detector, for names.
    """

    encoder: str | Encoder
    detector: str | Detector
    lead: float = 1.0
    tail: float = 0.0
    one_kind: bool = False
    encoder_options: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)


FAST = (View("dictionary", "neighbors", options={"local": "auto"}),)
DEFAULT = (
    View("dictionary", "neighbors", options={"local": "auto"}),
    View("dictionary", "self_training", one_kind=True),
    View("dictionary", "subspace", lead=0, tail=0.8, options={"share": 0.8}),
    View("pixels", "subspace", lead=0, tail=0.5, encoder_options={"side": 14}, options={"share": 0.99}),
    View("statistics", "neighbors", lead=0, tail=0.7),
    View("hog", "subspace", lead=0, tail=1.0, options={"share": 0.8}),
)
# Dictionaries of other patches find no more on average, but what they find depends less on the seed
# (docs/lab/fusion.md).
THOROUGH = (
    *DEFAULT,
    *(replace(view, encoder_options={"random_state": seed}) for seed in (1001, 1002) for view in DEFAULT[:2]),
)
EFFORTS: dict[str, tuple[View, ...]] = {"fast": FAST, "default": DEFAULT, "thorough": THOROUGH}


def chosen(effort: str) -> tuple[View, ...]:
    """The views of an effort; raises ``OptionError`` for one that there is not."""
    if effort not in EFFORTS:
        raise OptionError.unknown("effort", effort, EFFORTS)
    return EFFORTS[effort]


def parsed(text: str) -> View:
    """The view that ENCODER+DETECTOR names."""
    encoder, plus, detector = (part.strip() for part in text.partition("+"))
    if not (encoder and plus and detector):
        raise OptionError(f"A view is written ENCODER+DETECTOR, like dictionary+neighbors; got {text!r}.")
    return View(encoder, detector)


def fusion(views: Mapping[str, View], n: int, channels: int, one_kind: float) -> Fusion:
    """How the views of a collection are put together, from what can be known of it without labels.

    n:         how many images were fitted.
    channels:  1 or 3.
    one_kind:  0 (many kinds of image) to 1 (one), as ``modes.one_mode`` finds it.
    """
    leads = {name: view.lead * (one_kind if view.one_kind else 1.0) for name, view in views.items()}
    total = sum(leads.values())
    if not total > 0:
        raise OptionError("No view leads: give one at least a lead above 0.")
    quiet = QUIET_COLOUR if channels == 3 else QUIET_MANY + (QUIET_ONE - QUIET_MANY) * one_kind
    heard = max(min(1.0, (LOUD / max(n, 1)) ** 2), quiet)
    return Fusion({name: lead / total for name, lead in leads.items() if lead},
                  {name: view.tail * heard for name, view in views.items() if view.tail})


def columns(names: Sequence[tuple[str, str]]) -> list[str]:
    """What each pair of an encoder's and a detector's name is called: by the detector where all share an encoder."""
    if len({encoder for encoder, _ in names}) == 1:
        return [detector for _, detector in names]
    return [f"{encoder}+{detector}" for encoder, detector in names]
