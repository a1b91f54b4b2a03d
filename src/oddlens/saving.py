"""A fitted model as a folder of JSON and safetensors, loaded without running any code from it.

    model.json                      options, names of encoders and detectors and the packages of those that are not
                                    ours, image size, names and sizes of the images, and the name and SHA-256 of every
                                    other file; what a person said of the images, in the order in which it was said
    encoder-<n>-<hash>.safetensors  what each encoder learned
    detector-<n>-<hash>.safetensors
    own-<hash>.safetensors          the fitted images' scores
    known-<hash>.safetensors        digests of their pixels, by which copies of them are known
    features-<hash>.safetensors     their principal components, by which labels teach, and how new ones are found

``model.json`` is replaced last and in one step, so a save that is cut off leaves the old model whole. Encoder
and detector names stand for classes only by way of the registry; nothing in the folder can name code. What
is loaded is checked before it is used: hashes, sizes, shapes, and the indices that compiled code will follow.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import astuple
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import save as save_tensors
from sklearn.utils.validation import check_is_fitted

import oddlens
from oddlens.calibration import Fusion
from oddlens.ensemble import Ensemble, Scored
from oddlens.errors import MissingExtra, OddlensError, OptionError, SavedModelError
from oddlens.files import read_regular, tensors_in, write_atomically
from oddlens.labels import merged
from oddlens.learning.principal_components import Components
from oddlens.model import AnomalyModel
from oddlens.pixels import RESIZES, Collection, Copies, PixelFormat, nothing_of
from oddlens.protocols import LARGEST_SCORE, State
from oddlens.reading.texture import measures
from oddlens.scoring.exact_copies import Known
from oddlens.specifications import described, revived, tail_weight, written
from oddlens.views import View

FORMAT = 7
#: Options that change no score of a view.
WITHOUT_INFLUENCE = frozenset({"n_jobs", "fdr", "contamination"})
CHUNKS = 65_536  # bits of JSON, a number or a comma each, that are written at a time
LARGEST_IMAGE = 2**26  # values in one image that a saved model may ask for
_FILE = re.compile(r"(own|known|features|(?:encoder|detector)-\d{1,3})-[0-9a-f]{16}\.safetensors")


def save_model(model: AnomalyModel, path: str | Path) -> None:
    """Write a fitted model to the folder ``path``, in place of a model that is there already.

    Raises ``OptionError`` for one that cannot be saved (``require_savable`` says so before it is fitted) and for a
    folder with other files in it.
    """
    check_is_fitted(model, "ensemble_")
    folder = Path(path)
    if (folder / "model.json").is_symlink() or (folder.exists() and not _is_ours(folder)):
        raise OptionError(f"{folder} holds other files than a saved model; choose an empty or new folder.")
    states: dict[str, State] = {"own": dict(model.own_), "known": {"digests": model.known_.digests},
                               "features": {"features": model.evidence_.features,
                                            **model.ensemble_.components.get_state()}}
    for number, encoder in enumerate(model.encoders_.values()):
        states[f"encoder-{number}"] = encoder.get_state()
    for number, detector in enumerate(model.detectors_.values()):
        states[f"detector-{number}"] = detector.get_state()
    files = {part: _write_state(folder, part, state) for part, state in states.items()}
    content = {
        "format": FORMAT,
        "oddlens": oddlens.__version__,
        "model": _asked(model),
        **_parts(model.ensemble_),
        "unimodality": model.ensemble_.unimodality,
        "alignment": model.ensemble_.alignment,
        "compared_by": model.ensemble_.compared_by,
        "fusion": {"leads": dict(model.fusion_.leads), "tails": dict(model.fusion_.tails),
                   "sees": dict(model.fusion_.sees)},
        "pixels": {"height": model.format_.height, "width": model.format_.width,
                   "channels": model.format_.channels, "resize": model.format_.resize,
                   "detail": model.format_.detail and list(model.format_.detail),
                   "texture": model.format_.texture and list(model.format_.texture)},
        "names": list(model.names_),
        "unreadable": [list(pair) for pair in model.unreadable_],
        "indices": [int(i) for i in model.indices_],
        "shapes": [[int(side) for side in shape] for shape in model.shapes_],
        "learned": model.learned_,
        "timings": model.timings_,
        "labels": [list(pair) for pair in model.labels_.items()],
        "files": files,
    }
    chunks = json.JSONEncoder(indent=1, ensure_ascii=True).iterencode(content)
    write_atomically(folder / "model.json", iter(lambda: "".join(islice(chunks, CHUNKS)).encode(), b""))
    kept = {file["name"] for file in files.values()}
    for stale in folder.glob("*.safetensors"):
        if _FILE.fullmatch(stale.name) and stale.name not in kept:
            stale.unlink(missing_ok=True)


def require_savable(model: AnomalyModel) -> None:
    """Raise ``OptionError``, before anything is learned, for a model that could not be saved once it is fitted."""
    _parts(model.build())
    _asked(model)


def signature(model: AnomalyModel) -> str:
    """What stands for all that a model's scores rest on beside its images; empty where that cannot be told.

    Its options, encoders and detectors, and the libraries that it computes with.
    """
    try:
        asked = {key: value for key, value in _asked(model).items() if key not in WITHOUT_INFLUENCE}
        parts = _parts(model.build())
    except OptionError:  # an object that does not tell what it is made of
        return ""
    libraries = {name: version(name) for name in ("numpy", "torch", "scipy", "numba", "faiss-cpu", "Pillow")}
    return json.dumps([oddlens.__version__, FORMAT, asked, parts, libraries], sort_keys=True)


def remove_model(path: str | Path) -> None:
    """Remove the saved model in the folder ``path``, if there is one; other files stay."""
    folder = Path(path)
    if folder.is_symlink() or not _is_ours(folder):
        return
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()


def load_model(path: str | Path) -> AnomalyModel:
    """The model in the folder ``path``; raises ``SavedModelError`` if it is not one, or not a sound one.

    It equals the one that was saved: its options, what it learned, the fitted images' names, sizes and scores, and how
    long each stage took.
    """
    folder = Path(path)
    content = _read_json(folder)
    try:
        states = {part: _read_state(folder, part, file) for part, file in content["files"].items()}
        model = AnomalyModel(**{key: revived(value) for key, value in content["model"].items()})
        seen = _seen(content, states)
        fusion = _fusion(content["fusion"], seen)
        names = tuple(str(name) for name in content["names"])
        unreadable = tuple((str(name), str(reason)) for name, reason in content["unreadable"])
        own = {column: _scores(states["own"], column, len(names)) for column in seen.detectors}
        known = Known(states["known"]["digests"])
        if len(known.digests) != len(names):
            raise ValueError(f"{len(known.digests)} digests for {len(names)} names")
        timings = {str(stage): float(seconds) for stage, seconds in content["timings"].items()}
        labels = merged({}, {str(name): str(label) for name, label in content["labels"]}, names)
        scored = Scored(own, _features(states["features"], len(names), seen))
        learned = content.get("learned", len(names))  # which models of before images joined later do not say
        if not isinstance(learned, int) or not 0 <= learned <= len(names):
            raise ValueError(f"{learned} images learned from of {len(names)}")
        model.restore(seen, fusion, scored, known, _images(content, names, unreadable), timings, labels, learned)
        _try_out(model)
    except (SavedModelError, MissingExtra):
        raise
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError,
            OddlensError) as error:
        raise SavedModelError(f"{folder} is not a sound model: {type(error).__name__}: {error}. "
                              "Fit and save it anew.") from error
    return model


def _images(content: dict[str, Any], names: tuple[str, ...], unreadable: tuple[tuple[str, str], ...]) -> Collection:
    """What is known of the fitted images beside their pixels."""
    pixels = content["pixels"]
    size = _size((pixels["height"], pixels["width"], pixels["channels"]))
    indices, shapes = np.array(content["indices"], np.int64), np.array(content["shapes"], np.int32)
    if len(set(names)) < len(names):
        raise ValueError("two images have one name")
    if len(indices) and (indices.min() < 0 or (np.diff(indices) <= 0).any()):
        raise ValueError("indices that are no places of images in their order")
    if pixels["resize"] not in RESIZES:
        raise ValueError(f"images resized by {pixels['resize']!r}")
    if indices.shape != (len(names),) or shapes.shape != (len(names), 2):
        raise ValueError(f"{indices.shape} indices and {shapes.shape} shapes for {len(names)} names")
    channels = pixels["channels"]
    detail, measured_at = (None if pixels[copy] is None else _size((*pixels[copy], channels))
                           for copy in ("detail", "texture"))
    form = PixelFormat(size[0], size[1], channels, str(pixels["resize"]),
                       None if detail is None else (detail[0], detail[1]),
                       None if measured_at is None else (measured_at[0], measured_at[1]))
    return nothing_of(form, names, unreadable, shapes, indices)


def _size(size: tuple[Any, ...]) -> tuple[int, ...]:
    """The shape of an image, if one of it can be scored here."""
    if not all(isinstance(side, int) and side >= 1 for side in size) or np.prod(size, dtype=object) > LARGEST_IMAGE:
        raise ValueError(f"images of {size}")
    return size


def _asked(model: AnomalyModel) -> dict[str, Any]:
    """The model's own options, encoders, detectors and views as they were asked for."""
    return {key: written(value, f"The option {key} of the model")
            for key, value in model.get_params(deep=False).items()}


def _parts(seen: Ensemble) -> dict[str, Any]:
    """The encoders and detectors by name, each with its options and what it is called in the model."""
    return {
        "encoders": [{"called": called, **described("encoder", encoder)} for called, encoder in seen.encoders.items()],
        "detectors": [{"column": column, "sees": seen.sees[column], **described("detector", detector),
                       **_weights(seen.views[column])} for column, detector in seen.detectors.items()],
    }


def _weights(view: View) -> dict[str, Any]:
    return {"lead": view.lead, "tail": list(astuple(view.tail_weights)), "unimodality": view.unimodal,
            "detail": view.detail, "by_place": view.by_place}


def _seen(content: dict[str, Any], states: dict[str, State]) -> Ensemble:
    """The encoders and detectors, each with what it learned, and which detector sees by which encoder."""
    encoders = {str(item["called"]): revived(item).set_state(states[f"encoder-{number}"])
                for number, item in enumerate(content["encoders"])}
    detectors = {str(item["column"]): revived(item).set_state(states[f"detector-{number}"])
                 for number, item in enumerate(content["detectors"])}
    sees = {str(item["column"]): str(item["sees"]) for item in content["detectors"]}
    if not detectors or len(detectors) != len(content["detectors"]) or set(sees.values()) != set(encoders):
        raise ValueError("no detectors, or detectors without encoders")
    asked = {str(item["column"]): View(
        encoders[item["sees"]], detectors[item["column"]], float(item["lead"]),
        tail_weight(item["tail"]), bool(item["unimodality"]), bool(item["detail"]),
        bool(item["by_place"]))
        for item in content["detectors"]}
    weights = [weight for view in asked.values() for weight in (view.lead, *astuple(view.tail_weights))
               if weight is not None]
    structure = float(content["unimodality"]), float(content["alignment"])
    if not all(np.isfinite(weight) and weight >= 0 for weight in (*weights, *structure)):
        raise ValueError("a view whose weight is no number of 0 or more")
    compared_by = str(content["compared_by"])
    if compared_by and compared_by not in encoders:
        raise ValueError(f"images compared by {compared_by!r}, which is no encoder of this model")
    return Ensemble(encoders, detectors, sees, asked, *structure, compared_by=compared_by,
                    components=Components.of_state(states["features"]))


def _fusion(item: dict[str, Any], seen: Ensemble) -> Fusion:
    parts = [{str(view): float(weight) for view, weight in item[part].items()} for part in ("leads", "tails")]
    weights = [weight for part in parts for weight in part.values()]
    if not parts[0] or not all(np.isfinite(weight) and weight >= 0 for weight in weights):
        raise ValueError("a fusion without weights")
    sees = {str(view): str(kind) for view, kind in item["sees"].items()}
    if not {*parts[0], *parts[1], *sees} <= set(seen.detectors):
        raise ValueError("a fusion of other views")
    return Fusion(parts[0], parts[1], sees)


def _try_out(model: AnomalyModel) -> None:
    """Send one blank image all the way, so that parts that do not fit each other are found now."""
    form = model.format_
    blank = np.zeros((1, form.height, form.width, form.channels), np.uint8)
    detail = None if form.detail is None else np.zeros((1, *form.detail, form.channels), np.uint8)
    texture = None if form.texture is None else np.zeros((1, *measures(*form.texture, form.channels)), np.uint8)
    model.ensemble_.score(Copies(blank, detail, texture))


def _scores(own: State, column: str, count: int) -> Any:
    scores = own[column]
    if scores.dtype != np.float64 or scores.shape != (count,) or not (np.abs(scores) <= LARGEST_SCORE).all():
        raise ValueError(f"scores of {column} are {scores.dtype} {scores.shape}, not {count} numbers within bounds")
    return scores


def _features(state: State, count: int, seen: Ensemble) -> Any:
    features = state["features"]
    if features.dtype != np.float16 or features.shape != (count, seen.components.axes.shape[1]):
        raise ValueError(f"features are {features.dtype} {features.shape}, not {count} of {seen.components.axes.shape}")
    if not np.isfinite(features).all():
        raise ValueError("features that are no numbers")
    return features


def _write_state(folder: Path, part: str, state: State) -> dict[str, str]:
    try:  # not ascontiguousarray, which gives an array without axes one
        content = save_tensors({key: np.asarray(value, order="C") for key, value in state.items()})
    except (SafetensorError, TypeError, ValueError, KeyError, AttributeError) as error:
        raise OptionError(f"What get_state of {part} gave cannot be saved; it must be a dict of arrays of numbers: "
                          f"{type(error).__name__}: {error}.") from error
    digest = hashlib.sha256(content).hexdigest()
    name = f"{part}-{digest[:16]}.safetensors"
    write_atomically(folder / name, content)
    return {"name": name, "sha256": digest}


def _read_state(folder: Path, part: str, file: dict[str, str]) -> State:
    name = file["name"]
    if not isinstance(name, str) or not _FILE.fullmatch(name) or not name.startswith(f"{part}-"):
        raise SavedModelError(f"{folder / 'model.json'} names {name!r}, which is not a file of a saved model.")
    try:
        content = read_regular(folder / name)
        if hashlib.sha256(content).hexdigest() != file["sha256"]:
            raise SavedModelError(f"{folder / name} has changed since it was saved: its SHA-256 is another.")
    except OSError as error:
        raise SavedModelError(f"{folder / name} cannot be loaded: {error}.") from error
    try:
        return tensors_in(content)
    except SavedModelError as error:
        raise SavedModelError(f"{folder / name} cannot be loaded: {error}") from error


def _read_json(folder: Path) -> dict[str, Any]:
    path = folder / "model.json"
    try:
        content = json.loads(read_regular(path), parse_constant=_no_number)
    except FileNotFoundError as error:
        raise SavedModelError(f"{folder} is not a saved model: it has no model.json.") from error
    except (OSError, ValueError, RecursionError) as error:
        raise SavedModelError(f"{path} cannot be read: {error}.") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        got = content.get("format") if isinstance(content, dict) else type(content).__name__
        raise SavedModelError(f"{path} has format {got!r}; oddlens {oddlens.__version__} reads format {FORMAT}.")
    return content


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no number")


def _is_ours(folder: Path) -> bool:
    return folder.is_dir() and all(
        path.name == "model.json" or _FILE.fullmatch(path.name) or path.name.endswith(".part")
        for path in folder.iterdir()
    )
