"""From names and NAME=VALUE settings, as a command line gives them, to a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sklearn.base import clone

from oddlens import registry
from oddlens.errors import OptionError
from oddlens.given_features import GivenFeatures
from oddlens.methods import named, options_of_named
from oddlens.model import AnomalyModel
from oddlens.protocols import HasOptions
from oddlens.views import View, chosen, parsed


def build_model(
    encoder: str | None = None, detectors: Sequence[str] = (), settings: Mapping[str, Any] | None = None, *,
    views: Sequence[str] = (), effort: str = "default", backbone: str | None = None, encoder_is_given: bool = False,
    **options: Any,
) -> AnomalyModel:
    """An unfitted model from names and NAME=VALUE settings.

    Without encoder, detectors and views it is the default of ``effort``, with a ``backbone`` where one is given. A
    setting goes to the encoders, the detectors or the model, wherever there is an option of that name; ``neighbors.k``
    goes to each of that name alone, and ``dictionary+neighbors.k`` to the one in that view. A detector may be a class
    of scikit-learn or PyOD, ``sklearn.svm.OneClassSVM``, which is ``OneClassSVM`` for short in a setting. Raises
    ``OptionError`` for a setting that nothing takes. encoder_is_given: the model is for features made elsewhere.
    """
    settings = settings or {}
    shared = {key: options[key] for key in ("device", "n_jobs", "random_state") if key in options}
    mine = set(AnomalyModel().get_params(deep=False)) - {"encoder", "detector", "views", "effort", "backbone"}
    taken = mine & set(settings)
    every = set(mine)

    def make(role: registry.Role, name: str, column: str, given: Mapping[str, Any]) -> Any:
        known = options_of_named(role, name)
        every.update(f"{name}.{key}" for key in known)
        values: dict[str, Any] = {**{key: value for key, value in shared.items()
                                     if key in known and value is not None}, **given}
        for setting, value in settings.items():
            owner, dot, option = setting.rpartition(".")
            if option in known and (not dot or owner in (name, column, name.rpartition(".")[2])):
                values[option] = value
                taken.add(setting)
        return named(role, name, **values)

    made = []
    if encoder_is_given and (encoder or views or backbone):
        raise OptionError("Embeddings take the place of --encoder, --view and --backbone: give one or the other.")
    asked = [View(GivenFeatures(), detector) for detector in detectors or ("neighbors",)] if encoder_is_given else None
    for view in asked or _asked(encoder, detectors, views, effort, backbone):
        column = f"{view.encoder}+{view.detector}"
        sees = view.encoder
        made.append(replace(view, encoder=make("encoder", sees, column, view.encoder_options)
                            if isinstance(sees, str) else sees,
                            detector=make("detector", str(view.detector), column, view.options)))
    for setting in settings:
        if setting not in taken:
            raise OptionError.unknown("option", setting, every)
    options.update((setting, value) for setting, value in settings.items() if setting in mine)
    return AnomalyModel(views=made, effort=effort, **options)


def _asked(
    encoder: str | None, detectors: Sequence[str], views: Sequence[str], effort: str, backbone: str | None
) -> Sequence[View]:
    if backbone is not None and (views or encoder or detectors):
        raise OptionError("A backbone adds views to the default; with views, an encoder or detectors of your own name "
                          "it as the encoder: --encoder backbone --set network=NAME_OR_PATH.")
    if views and (encoder or detectors):
        raise OptionError("Give either views, or an encoder and detectors, not both.")
    if views:
        return [parsed(text) for text in views]
    if encoder or detectors:
        return [View(encoder or "dictionary", detector) for detector in detectors or ("neighbors",)]
    return chosen(effort, backbone)


def reseeded(model: AnomalyModel, seed: int) -> AnomalyModel:
    """An unfitted model like this one, with another seed for it and for all that it is made of."""
    fresh: AnomalyModel = clone(model)
    fresh.random_state = seed
    views = [view for view in fresh.views or () if isinstance(view, View)]
    parts: list[Any] = [fresh.encoder, fresh.detector, *(part for v in views for part in (v.encoder, v.detector))]
    for part in parts:
        if isinstance(part, HasOptions) and "random_state" in part.get_params(deep=False):
            part.set_params(random_state=seed)
    return fresh

