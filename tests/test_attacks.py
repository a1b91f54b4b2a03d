"""Files made to do harm: a saved model that wants to run code, read elsewhere or crash the compiled kernels.

Hostile images, IDX headers and file names are attacked in test_pixels, test_sources and test_report.
"""

import hashlib
import json
import os
import pickle

import numpy as np
import pytest
from safetensors.numpy import load, save

from oddlens import AnomalyModel, load_model, save_model
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
    {"kind": "encoder", "name": "os:system", "options": {}}, {"kind": "source", "name": "x", "options": {}},
    {"kind": "encoder", "name": "pixels", "options": {"no": 1}}, {"kind": ["encoder"], "name": "pixels"}, {"tuple": 7},
    {"dict": [1]}, {"view": {"os": 1}}, {}, {"kind": "encoder", "name": "gone", "options": {}, "package": ["a"]},
    {"kind": "encoder", "name": "gone", "options": {}, "package": [["a"], 7]},
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
