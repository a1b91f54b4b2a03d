"""Files made to do harm: a saved model that wants to run code, read elsewhere or crash the compiled kernels.

Hostile images, IDX headers and file names are attacked in test_pixels, tests/sources and test_report.
"""

import hashlib
import json
import os
import pickle

import numpy as np
import pytest
from safetensors.numpy import load, save

from oddlens import AnomalyModel, load_model, save_model, saving
from oddlens.detectors.forest import Forest
from oddlens.encoders.autoencoder import Autoencoder
from oddlens.errors import SavedModelError


@pytest.fixture
def folder(dots, tmp_path):
    model = AnomalyModel(Autoencoder(latent=4, steps=20), ["reconstruction", "neighbors", Forest(20)]).fit(dots)
    save_model(model, tmp_path / "model")
    return tmp_path / "model"


def edit(folder, change):
    content = json.loads((folder / "model.json").read_text())
    change(content)
    (folder / "model.json").write_text(json.dumps(content))


def replace_file(folder, part, data):
    """Put other bytes in a file of the model and make its hash fit, as an attacker would."""
    def change(content):
        digest = hashlib.sha256(data).hexdigest()
        name = f"{part}-{digest[:16]}.safetensors"
        (folder / name).write_bytes(data)
        content["files"][part] = {"name": name, "sha256": digest}

    edit(folder, change)


def part_of(folder, part):
    return folder / json.loads((folder / "model.json").read_text())["files"][part]["name"]


@pytest.mark.parametrize("name", [
    "os:system", "oddlens.run:rank_into", "../encoders/autoencoder", "__class__", "", 7, None, ["autoencoder"],
])
def test_a_name_cannot_stand_for_code(folder, name):
    edit(folder, lambda content: content["encoders"][0].update(name=name))
    with pytest.raises(SavedModelError):
        load_model(folder)


@pytest.mark.parametrize("name", [
    "../../secret-0123456789abcdef.safetensors", "/etc/passwd", "model.json",
    "encoder-0-0123456789abcdef.safetensors/..",
    "own-0123456789abcdef.safetensors", "encoder-0-0123456789abcdef.safetensors\n", 3, None,
])
def test_a_file_name_cannot_lead_elsewhere(folder, name):
    edit(folder, lambda content: content["files"]["encoder-0"].update(name=name))
    with pytest.raises(SavedModelError):
        load_model(folder)


def test_a_changed_file_is_noticed(folder):
    path = part_of(folder, "encoder-0")
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(SavedModelError, match="changed since it was saved"):
        load_model(folder)


@pytest.mark.parametrize("data", [
    b"", b"\xff" * 8, b"\xff" * 100, b"\x08\0\0\0\0\0\0\0{}{}{}{}", pickle.dumps({"a": 1}),
])
@pytest.mark.parametrize("part", ["encoder-0", "detector-1", "own"])
def test_bytes_that_are_no_safetensors(folder, part, data):
    replace_file(folder, part, data)
    with pytest.raises(SavedModelError):
        load_model(folder)


@pytest.mark.parametrize("part", ["encoder-0", "detector-1", "detector-2", "own"])
@pytest.mark.parametrize("poison", [np.nan, np.inf, -1, 2**31 - 1])
def test_poisoned_arrays_never_reach_compiled_code(folder, part, poison, dots):
    arrays = load(part_of(folder, part).read_bytes())
    for key, array in arrays.items():
        if not np.issubdtype(array.dtype, np.floating) and not np.isfinite(poison):
            continue
        hostile = array.copy().reshape(-1)
        if not len(hostile):
            continue
        hostile[:: max(1, len(hostile) // 7)] = np.asarray(poison).astype(array.dtype)
        replace_file(folder, part, save({**arrays, key: hostile.reshape(array.shape)}))
        # Refused, or harmless: scored without a crash, a hang or a read out of bounds.
        try:
            load_model(folder).rank(dots[:5])
        except SavedModelError:
            continue


@pytest.mark.parametrize("part", ["encoder-0", "detector-0", "detector-1", "detector-2", "own"])
def test_missing_and_misshapen_arrays_are_refused(folder, part):
    arrays = load(part_of(folder, part).read_bytes())
    for key, array in arrays.items():
        rest = {other: value for other, value in arrays.items() if other != key}
        for hostile in (rest, {**rest, key: array[None]}, {**rest, key: array[..., :0]}):
            replace_file(folder, part, save({name: np.ascontiguousarray(value) for name, value in hostile.items()}))
            with pytest.raises(SavedModelError):
                load_model(folder)


@pytest.mark.parametrize("change", [
    lambda c: c.pop("names"),
    lambda c: c.update(names=c["names"][:-1]),
    lambda c: c.update(pixels={"height": 10**9, "width": 10**9, "channels": 3, "resize": "squash"}),
    lambda c: c.update(detectors=[]),
    lambda c: c.update(model={"no_such_option": 1}),
    lambda c: c["encoders"][0]["options"].update(latent=10**12),
    lambda c: c["encoders"][0]["options"].update(latent="many"),
    lambda c: c.update(files=[]),
    lambda c: c.update(unreadable=[["one"]]),
    lambda c: c.update(indices=["a"]),
])
def test_a_model_json_that_lies_is_refused(folder, change):
    edit(folder, change)
    with pytest.raises(SavedModelError):
        load_model(folder)


@pytest.mark.parametrize(("change", "message"), [
    (lambda c: c["detectors"].append(c["detectors"][0]), "detector-3"),
    (lambda c: c["detectors"][1].update(column="reconstruction"), "no detectors, or detectors without encoders"),
    (lambda c: c["files"].update({"encoder-1": c["files"]["encoder-0"]}), "not a file of a saved model"),
    (lambda c: c["detectors"][0].update(sees="another"), "no detectors, or detectors without encoders"),
    (lambda c: c.update(detectors=[]), "no detectors, or detectors without encoders"),
    (lambda c: c["fusion"].update(leads={}), "a fusion without weights"),
    (lambda c: c["fusion"]["leads"].update(forest=float("inf")), "Infinity is no number"),
    (lambda c: c["fusion"]["tails"].update(forest=float("nan")), "NaN is no number"),
    (lambda c: c["fusion"]["tails"].update(forest=-0.5), "a fusion without weights"),
    (lambda c: c["fusion"]["tails"].update(other=0.5), "a fusion of other views"),
    (lambda c: c["fusion"]["leads"].update(other=0.5), "a fusion of other views"),
    (lambda c: c["fusion"]["sees"].update(other="pixels"), "a fusion of other views"),
    (lambda c: c.update(shapes=[[1, 2]]), r"\(120,\) indices and \(1, 2\) shapes for 120 names"),
    (lambda c: c.update(shapes=[[1, 2, 3]] * 120), r"\(120, 3\) shapes"),
    (lambda c: c.update(indices=[0]), r"\(1,\) indices"),
    (lambda c: c.update(shapes=[[2**40, 1]] * 120), "OverflowError"),
    (lambda c: c.update(timings=None), "AttributeError"),
    (lambda c: c.update(files=[]), "AttributeError"),
    (lambda c: c.update(unreadable=[["one"]]), "ValueError"),
    (lambda c: c.update(names=7), "TypeError"),
    (lambda c: c.pop("names"), "KeyError"),
    (lambda c: c.update(model={"encoder": {"role": "encoder", "name": "gone", "options": {}}}), "OptionError"),
])
def test_a_model_json_that_contradicts_itself_is_refused_for_that(folder, change, message):
    edit(folder, change)
    with pytest.raises(SavedModelError, match=message):
        load_model(folder)


def test_an_encoder_that_nobody_sees_by_is_refused(folder):
    data = part_of(folder, "encoder-0").read_bytes()
    edit(folder, lambda content: content["encoders"].append({**content["encoders"][0], "called": "idle"}))
    replace_file(folder, "encoder-1", data)
    with pytest.raises(SavedModelError, match="detectors without encoders"):
        load_model(folder)


def test_an_image_of_64_million_values_may_be_asked_for_and_no_larger_one():
    def asked(*size):
        pixels = {**dict(zip(("height", "width", "channels"), size, strict=True)), "resize": "squash", "detail": None,
                  "texture": None}
        return saving._images({"pixels": pixels, "indices": [0], "shapes": [[1, 1]]}, ("a",), ()).pixels.shape

    assert asked(8192, 8192, 1) == (0, 8192, 8192, 1)
    assert asked(1, 1, 1) == (0, 1, 1, 1)
    for size in ((8192, 8193, 1), (2**40, 2**40, 2**40), (0, 8, 1), (8, -1, 1), (8, 8, 0), (8.0, 8, 1), ("8", 8, 1)):
        with pytest.raises(ValueError, match="images of"):
            asked(*size)


@pytest.mark.parametrize(("part", "key", "bad", "message"), [
    ("known", "digests", np.zeros((119, 16), np.uint8), "119 digests for 120 names"),
    ("known", "digests", np.zeros((121, 16), np.uint8), "121 digests for 120 names"),
    ("known", "digests", np.zeros((120, 16), np.int8), "digests"),
    ("own", "forest", np.zeros(120, np.float32), r"forest are float32 \(120,\), not 120 numbers within bounds"),
    ("own", "forest", np.zeros(119), r"float64 \(119,\)"), ("own", "forest", np.zeros((120, 1)), r"\(120, 1\)"),
    ("own", "forest", np.r_[np.zeros(119), np.inf], "not 120 numbers within"),
])
def test_what_is_said_of_the_fitted_images_must_be_of_all(folder, part, key, bad, message):
    arrays = load(part_of(folder, part).read_bytes())
    replace_file(folder, part, save({**arrays, key: bad}))
    with pytest.raises(SavedModelError, match=message):
        load_model(folder)


def test_parts_that_do_not_fit_each_other_are_found_before_the_first_image(folder, dots, tmp_path):
    save_model(AnomalyModel(Autoencoder(latent=3, steps=5), ["neighbors"]).fit(dots), tmp_path / "other")
    replace_file(folder, "encoder-0", part_of(tmp_path / "other", "encoder-0").read_bytes())
    edit(folder, lambda content: content["encoders"][0]["options"].update(latent=3))
    with pytest.raises(SavedModelError, match="features"):
        load_model(folder)


@pytest.mark.parametrize("change", [
    lambda c: c["detectors"][0].update(lead=float("nan")), lambda c: c["detectors"][0].update(lead=-1),
    lambda c: c["detectors"][0].update(tail=[float("inf"), 0, 0]), lambda c: c.update(unimodality=float("nan")),
    lambda c: c["pixels"].update(resize="stretch"), lambda c: c["pixels"].update(resize=None),
    lambda c: c["names"].__setitem__(1, c["names"][0]),
    lambda c: c["indices"].__setitem__(0, -1), lambda c: c["indices"].__setitem__(0, 5),
])
def test_values_that_no_fit_can_give_are_refused(folder, change):
    edit(folder, change)
    with pytest.raises(SavedModelError):
        load_model(folder)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
def test_numbers_that_json_does_not_have_are_refused(folder, value):
    path = folder / "model.json"
    path.write_text(path.read_text().replace('"fdr": 0.1', f'"fdr": {value}'))
    with pytest.raises(SavedModelError, match="is no number"):
        load_model(folder)


@pytest.mark.parametrize("part", ["model.json", "encoder-0"])
def test_a_pipe_in_the_place_of_a_file_is_refused_and_not_waited_for(folder, part):
    path = folder / part if part == "model.json" else part_of(folder, part)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(SavedModelError, match="not a file"):
        load_model(folder)


def test_json_made_to_exhaust_the_reader(folder):
    (folder / "model.json").write_text("[" * 200_000)
    with pytest.raises(SavedModelError):
        load_model(folder)


@pytest.mark.parametrize(("key", "value"), [
    ("shapes", [[1, 2]]), ("shapes", "all"), ("shapes", [[2**40, 1]] * 120), ("shapes", [1] * 240), ("shapes", None),
    ("indices", [0]), ("timings", {"reading": "long"}), ("timings", None), ("timings", []),
    ("pixels", {"height": 2**20, "width": 2**20, "channels": 3, "resize": "squash"}),
    ("pixels", {"height": 0, "width": 8, "channels": 1, "resize": "squash"}),
    ("pixels", {"height": 8.0, "width": 8, "channels": 1, "resize": "squash"}),
])
def test_what_is_said_of_the_images_is_checked(folder, key, value):
    edit(folder, lambda content: content.update({key: value}))
    with pytest.raises(SavedModelError):
        load_model(folder)


@pytest.mark.parametrize("value", [
    {"role": "encoder", "name": "os:system", "options": {}}, {"role": "source", "name": "x", "options": {}},
    {"role": "encoder", "name": "pixels", "options": {"no": 1}}, {"role": ["encoder"], "name": "pixels", "options": {}},
    {"tuple": 7}, {"dict": [1]}, {"view": {"os": 1}}, {},
    {"role": "encoder", "name": "gone", "options": {}, "package": ["a"]},
    {"role": "encoder", "name": "gone", "options": {}, "package": [["a"], 7]},
])
def test_what_was_asked_for_is_made_by_the_registry_alone(folder, value):
    edit(folder, lambda content: content["model"].update(encoder=value))
    with pytest.raises(SavedModelError):
        load_model(folder)


def test_options_nested_without_end_are_refused(folder):
    path = folder / "model.json"
    content = path.read_text()
    assert '"encoder": {' in content
    nested = '{"tuple": [' * 400 + "1" + "]}" * 400
    path.write_text(content.replace('"fdr": 0.1', f'"fdr": {nested}'))
    with pytest.raises(SavedModelError):
        load_model(folder)
