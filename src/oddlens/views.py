"""Which views make the score: pairs of an encoder and a detector, chosen because they fail differently.

No view is good at everything. The dictionary of patches tells one kind of image from another better than any other
view here, but is blind to blur, noise and whatever lies outside the patches that it knows. Global statistics see just
these, and edge directions see broken structure in small collections. So the dictionary leads, and the other views count
only in their tails (docs/lab/fusion.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from oddlens.calibration import Fusion
from oddlens.errors import OptionError
from oddlens.protocols import Detector, Encoder
from oddlens.registry import name_of

if TYPE_CHECKING:
    from oddlens.learning.pretrained import Given


@dataclass(frozen=True)
class TailWeight:
    """The weight of a view's squared surprisal beside the lead, by what the collection is.

    one, many:   of grey images of one kind, where the lead is at its best; of many kinds.
    colour:      of images in colour, where the lead is weaker.
    photograph:  of grey photographs, in which views of detail lead too; ``None``: what it is of other images, and the
                 less the more the others lead.
    """

    one: float
    many: float
    colour: float
    photograph: float | None = None

    def of(self, channels: int, unimodality: float, few: float = 1.0, detail: bool = False) -> float:
        """Of a collection with so many channels, 1 or 3, and ``unimodality`` from 0 (many kinds) to 1.

        few:     the part of the leads that views of the small copy hold, if any lead; else 1.
        detail:  whether views of detail lead: these are photographs.
        """
        if detail and channels == 1 and self.photograph is not None:
            return self.photograph
        # The cube: a collection half-way to many kinds is still one kind to the lead, and the lead does well there.
        return few * (self.colour if channels == 3 else self.one + (self.many - self.one) * (1 - unimodality) ** 3)


@dataclass(frozen=True)
class View:
    """An encoder and a detector on its features.

    encoder, detector:  names (``oddlens list`` shows them) or objects.
    lead:               its share in the leading score, relative to the other leads; 0: it does not lead. Leads by the
                        same encoder are averaged, those of different ones added in squares.
    unimodal:           it leads in proportion to the collection's unimodality.
    tail_weight:        the weight of its squared surprisal beside the lead; squared, it counts only in its far tail. A
                        number, or a ``TailWeight``, which is less where views of detail lead too, or its own there.
    detail:             it is for images in more detail alone; where they have none, it is left out.
    by_place:           it compares each place with the same place in the others; in a collection of pictures in one
                        frame the other views lead the less for it.
    encoder_options, options:  of the encoder and of the detector, for names.
    """

    encoder: str | Encoder
    detector: str | Detector
    lead: float = 1.0
    tail_weight: float | TailWeight = 0.0
    unimodal: bool = False
    detail: bool = False
    by_place: bool = False
    encoder_options: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def tail_weights(self) -> TailWeight:
        """``tail_weight`` for each kind of collection."""
        weight = self.tail_weight
        return weight if isinstance(weight, TailWeight) else TailWeight(weight, weight, weight)


FAST = (View("dictionary", "burnout"),)
DEFAULT = (
    View("dictionary", "burnout"),
    View("dictionary", "self_training", unimodal=True),
    View("dictionary", "subspace", lead=0, tail_weight=TailWeight(0.025, 0.02, 0.8), options={"share": 0.8}),
    View("pixels", "forest", lead=0, tail_weight=TailWeight(0.05, 0.05, 1.0), encoder_options={"side": 14},
         options={"n_estimators": 500}),
    View("pixels", "subspace", lead=0, tail_weight=TailWeight(0.025, 0.02, 1.0), encoder_options={"side": 14},
         options={"share": 0.99}),
    View("statistics", "burnout", lead=0, tail_weight=TailWeight(0.0125, 0.2, 1.0, 0.1), options={"local": 0.0}),
    View("statistics", "forest", lead=0, tail_weight=TailWeight(0.0, 0.15, 0.5, 0.05), options={"n_estimators": 500}),
    View("patch_maps", "places", detail=True, by_place=True),
    View("texture", "places", detail=True, by_place=True),
    View("texture", "burnout", tail_weight=0.1, detail=True, options={"local": 0.0}),
    View("alterations", "places", lead=2.0, tail_weight=0.1, detail=True),  # what it sees hardly knows of a frame
    View("lines", "places", tail_weight=0.1, detail=True),  # a line may run anywhere: that is not a matter of the frame
    View("lines", "burnout", tail_weight=0.1, detail=True, options={"local": 0.0}),
    # In photographs alone: the others are blind to all of a picture being darker, or find it the more ordinary.
    View("pixels", "burnout", lead=0, tail_weight=0.1, detail=True, encoder_options={"side": 14},
         options={"local": 0.0}),
    View("hog", "burnout", lead=0, tail_weight=TailWeight(0.05, 0.02, 0.5), options={"local": 0.0}),
)
# Dictionaries of other patches find no more on average, but what they find depends less on the seed
# (docs/lab/fusion.md).
THOROUGH = (
    *DEFAULT,
    *(replace(view, encoder_options={"random_state": seed}) for seed in (1001, 1002) for view in DEFAULT[:2]),
)
EFFORTS: dict[str, tuple[View, ...]] = {"fast": FAST, "default": DEFAULT, "thorough": THOROUGH}


#: Beside these, where a pretrained network is given (docs/lab/maps.md).
BACKBONE = (
    View("backbone", "places", lead=5.0, detail=True, by_place=True, options={"share": 0.05}),
    View("backbone", "neighbors", lead=0, tail_weight=0.2, options={"k": 5}),
)


def chosen(effort: str, backbone: Given | None = None) -> tuple[View, ...]:
    """The views of an effort, with those of a backbone where one is given; ``OptionError`` where there is no such."""
    if effort not in EFFORTS:
        raise OptionError.unknown("effort", effort, EFFORTS)
    if backbone is None:
        return EFFORTS[effort]
    from oddlens.learning.pretrained import require

    require(backbone)  # now, not when thousands of images have been read
    return *EFFORTS[effort], *(replace(view, encoder_options={"network": backbone}) for view in BACKBONE)


def parsed(text: str) -> View:
    """The view that ENCODER+DETECTOR names."""
    encoder, plus, detector = (part.strip() for part in text.partition("+"))
    if not (encoder and plus and detector):
        raise OptionError(f"A view is written ENCODER+DETECTOR, like dictionary+neighbors; got {text!r}.")
    return View(encoder, detector)


def fusion(views: Mapping[str, View], channels: int, unimodality: float, alignment: float = 0.0) -> Fusion:
    """How the views of a collection are combined, from what is known of it without labels.

    channels:     1 or 3.
    unimodality:  0 (many kinds of image) to 1 (one), as ``structure.unimodality`` finds it.
    alignment:    0 to 1 (the same thing in the same frame), as ``structure.alignment`` finds it.
    """
    frame = 1 - alignment if any(view.by_place and view.lead for view in views.values()) else 1.0
    asked = {name: view.lead * (unimodality if view.unimodal else 1.0) for name, view in views.items()}
    leads = {name: lead * (1.0 if views[name].by_place else frame) for name, lead in asked.items()}
    total = sum(leads.values())
    if not total > 0:
        raise OptionError("No view leads: give one at least a lead above 0.")
    # Weights by kind of collection were found beside the few views that lead in small images. Where those of detail
    # lead too, a tail weighs as much beside each of them as it did.
    few = sum(lead for name, lead in asked.items() if not views[name].detail) / sum(asked.values()) or 1.0
    detail = detail_leads(views)
    tails = {name: view.tail_weight.of(channels, unimodality, few, detail) if isinstance(view.tail_weight, TailWeight)
             else view.tail_weight for name, view in views.items()}
    shares = {name: lead / total for name, lead in leads.items() if lead}
    return Fusion(shares, {name: tail for name, tail in tails.items() if tail},
                  {name: kind for name, kind in _kinds(views).items() if name in shares})


def detail_leads(views: Mapping[str, View]) -> bool:
    """Whether views of detail lead: what they see are photographs, for of other images they are left out."""
    return any(view.lead > 0 for view in views.values() if view.detail)


def _kinds(views: Mapping[str, View]) -> dict[str, str]:
    """What kind of features each reads: the encoder's name, whatever its options; of an object without one, itself."""
    found = {}
    for column, view in views.items():
        name = view.encoder if isinstance(view.encoder, str) else name_of("encoder", view.encoder)
        found[column] = name or next(other for other, one in views.items() if one.encoder is view.encoder)
    return found


def columns(names: Sequence[tuple[str, str]]) -> list[str]:
    """What each pair of an encoder's and a detector's name is called: by the detector where all share an encoder."""
    if len({encoder for encoder, _ in names}) == 1:
        return [detector for _, detector in names]
    return [f"{encoder}+{detector}" for encoder, detector in names]
