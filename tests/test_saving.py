import hashlib
import json
from dataclasses import fields, is_dataclass

import numpy as np
import pytest
from PIL import Image

from instant import InstantEncoder
from oddlens import AnomalyModel, load_model, save_model, saving
from oddlens.detectors.forest import Forest
from oddlens.detectors.neighbors import Neighbors
from oddlens.detectors.subspace import Subspace
from oddlens.encoders.autoencoder import Autoencoder
from oddlens.encoders.hog import Hog
from oddlens.errors import OptionError, SavedModelError
from oddlens.saving import remove_model
from oddlens.views import TailWeight, View


@pytest.fixture(scope="module")
def model(dots):
    return AnomalyModel(Autoencoder(latent=4, steps=30), ["reconstruction", "neighbors", Forest(30)]).fit(dots)


def test_everything_comes_back(model, dots, tmp_path):
    save_model(model, tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    assert loaded.rank().names == model.rank().names
    for column, scores in model.rank().members.items():
        assert np.array_equal(loaded.rank().members[column], scores)
        assert np.allclose(loaded.rank(dots).members[column], model.rank(dots).members[column], rtol=0, atol=1e-6)
    assert loaded.offset_ == model.offset_
    assert loaded.encoder_.get_params() == model.encoder_.get_params()


def same(one, other):
    """Whether two options, states or results are equal, encoders and detectors by class and options."""
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other)
    if is_dataclass(one) and not isinstance(one, type):
        return type(one) is type(other) and all(
            same(getattr(one, field.name), getattr(other, field.name)) for field in fields(one))
    if isinstance(one, list | tuple):
        return type(one) is type(other) and len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if hasattr(one, "get_params"):
        return type(one) is type(other) and same(one.get_params(), other.get_params())
    return type(one) is type(other) and one == other


@pytest.mark.parametrize("options", [
    {"detector": "forest", "image_size": (8, 6), "channels": 3, "resize": "pad", "random_state": 3},
    {"encoder": Hog(orientations=5), "detector": [Neighbors(k=3), "forest"], "contamination": 0.1},
    {"views": ["pixels+neighbors", ("hog", Subspace(share=0.7)),
               View("statistics", "neighbors", lead=0.0, tail_weight=TailWeight(0.5, 0.25, 1.0, 0.3),
                    options={"k": 2, "combine": "mean"}),
               View("pixels", "subspace", lead=2.0, unimodal=True)], "n_jobs": 1},
    {"effort": "fast", "fdr": 0.2},
])
def test_what_comes_back_equals_what_was_saved(options, dots, tmp_path):
    model = AnomalyModel(**options).fit(dots)
    save_model(model, tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    assert same(loaded.get_params(deep=False), model.get_params(deep=False))
    for name in ("names_", "unreadable_", "indices_", "shapes_", "timings_", "own_", "format_", "fusion_", "decision_",
                 "offset_", "sees_"):
        assert same(getattr(loaded, name), getattr(model, name)), name
    for parts in ("encoders_", "detectors_"):
        one, other = getattr(loaded, parts), getattr(model, parts)
        assert same(one, other), parts
        assert all(same(sorted(one[name].get_state().items()), sorted(other[name].get_state().items()))
                   for name in other), parts
    assert loaded.ensemble_.unimodality == model.ensemble_.unimodality
    for column, view in model.ensemble_.views.items():
        found = loaded.ensemble_.views[column]
        assert (found.lead, found.tail_weights, found.unimodal) == (view.lead, view.tail_weights, view.unimodal)
    assert same(loaded.fit(dots).rank().scores, model.rank().scores), "and it learns again as it did"


def test_the_images_that_could_not_be_read_come_back(dots, tmp_path):
    (tmp_path / "images").mkdir()
    for number, image in enumerate(dots[:20]):
        Image.fromarray(image[..., 0]).resize((8 + number, 8)).save(tmp_path / "images" / f"{number:02}.png")
    (tmp_path / "images" / "05b.png").write_text("not an image")
    model = AnomalyModel(effort="fast").fit(tmp_path / "images")
    save_model(model, tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    assert loaded.unreadable_ == model.unreadable_
    assert loaded.unreadable_[0][0] == "05b.png"
    assert loaded.indices_.tolist() == [*range(6), *range(7, 21)]
    assert same(loaded.shapes_, model.shapes_)
    assert loaded.shapes_[3].tolist() == [8, 11]


def test_a_state_without_axes_comes_back_without_axes(dots, tmp_path):
    content = {"mean": np.array(3.5), "rows": np.arange(6).reshape(2, 3)[:, ::-1]}
    file = saving._write_state(tmp_path, "encoder-0", content)
    found = saving._read_state(tmp_path, "encoder-0", file)
    assert all(same(found[key], value) for key, value in content.items())


def test_a_state_that_is_no_array_is_named(tmp_path):
    for bad in ({"words": np.array(["a", "b"])}, {"words": np.array([None])}, {"words": object()}, None,
                {"ragged": [[1], [1, 2]]}, {1: np.zeros(2)}, {"complex": np.zeros(2, np.clongdouble)}):
        with pytest.raises(OptionError, match=r"get_state of detector-1 gave cannot be saved"):
            saving._write_state(tmp_path, "detector-1", bad)
    assert not list(tmp_path.iterdir())


def test_a_file_is_named_by_its_part_and_the_start_of_its_hash(tmp_path):
    file = saving._write_state(tmp_path, "own", {"a": np.arange(3)})
    digest = hashlib.sha256((tmp_path / file["name"]).read_bytes()).hexdigest()
    assert file == {"name": f"own-{digest[:16]}.safetensors", "sha256": digest}
    for other in ("known", "encoder-0"):
        with pytest.raises(SavedModelError, match=f"names '{file['name']}', which is not a file of a saved model"):
            saving._read_state(tmp_path, other, file)
    (tmp_path / file["name"]).unlink()
    with pytest.raises(SavedModelError, match="cannot be loaded"):
        saving._read_state(tmp_path, "own", file)


def test_names_that_are_hardly_text_come_back(model, tmp_path):
    named = AnomalyModel(Autoencoder(latent=4, steps=3)).fit(np.zeros((12, 8, 8), np.uint8))
    named.names_ = ("a\nb", "é\u202e", '"quote"', *named.names_[3:])
    save_model(named, tmp_path / "model")
    assert load_model(tmp_path / "model").names_ == named.names_


def test_saving_again_replaces_the_old_model_and_leaves_no_rubbish(model, dots, tmp_path):
    save_model(model, tmp_path / "model")
    other = AnomalyModel(Autoencoder(latent=3, steps=30)).fit(dots)
    save_model(other, tmp_path / "model")
    assert np.array_equal(load_model(tmp_path / "model").rank().scores, other.rank().scores)
    assert len(list((tmp_path / "model").iterdir())) == 6


def test_a_save_that_is_cut_off_leaves_the_old_model_whole(model, dots, tmp_path, monkeypatch):
    save_model(model, tmp_path / "model")
    write, writes = saving.write_atomically, []

    def cut(path, content):
        writes.append(path)
        if len(writes) == 3:
            raise KeyboardInterrupt
        write(path, content)

    monkeypatch.setattr(saving, "write_atomically", cut)
    with pytest.raises(KeyboardInterrupt):
        save_model(AnomalyModel(Autoencoder(latent=3, steps=30)).fit(dots), tmp_path / "model")
    assert np.array_equal(load_model(tmp_path / "model").rank().scores, model.rank().scores)


def test_other_files_are_never_overwritten(model, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(OptionError, match="other files"):
        save_model(model, tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_only_what_a_saved_model_holds_is_replaced_or_removed(model, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()  # an empty one will do
    save_model(model, folder)
    content = json.loads((folder / "model.json").read_text())
    assert content["format"] == 7, "raise it with every change that older versions cannot read"
    named = {file["name"] for file in content["files"].values()}
    assert {file.name for file in folder.iterdir()} == {"model.json", *named}
    (folder / ".model.json.x.part").write_text("a save that was cut off")
    (folder / "own-0123456789abcdef.safetensors").write_text("of a model before")
    save_model(model, folder)
    assert load_model(folder).names_ == model.names_
    assert not (folder / "own-0123456789abcdef.safetensors").exists()
    for other in ("own.safetensors", "notes.txt", "encoder-1234-0123456789abcdef.safetensors"):
        (folder / other).write_text("mine")
        with pytest.raises(OptionError, match="other files"):
            save_model(model, folder)
        remove_model(folder)
        assert (folder / other).read_text() == "mine"
        (folder / other).unlink()
    (tmp_path / "link").symlink_to(folder)
    remove_model(tmp_path / "link")
    assert (folder / "model.json").exists()
    remove_model(folder)
    remove_model(folder)  # there is none any more
    assert not folder.exists()
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OptionError, match="other files"):
        save_model(model, tmp_path / "file")
    remove_model(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_link_is_never_written_through(model, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    folder = tmp_path / "model"
    folder.mkdir()
    for target in (tmp_path / "thesis.txt", tmp_path / "nowhere"):
        (folder / "model.json").symlink_to(target)
        with pytest.raises(OptionError, match="other files"):
            save_model(model, folder)
        (folder / "model.json").unlink()
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_what_is_not_registered_cannot_be_saved(dots, tmp_path):
    with pytest.raises(OptionError, match=r"entry point of the group oddlens\.encoders"):
        save_model(AnomalyModel(InstantEncoder()).fit(dots), tmp_path / "model")


def test_a_folder_that_is_no_model_is_named(tmp_path):
    with pytest.raises(SavedModelError, match=r"no model\.json"):
        load_model(tmp_path)
    (tmp_path / "model.json").write_text(json.dumps({"format": 99}))
    with pytest.raises(SavedModelError, match="format 99"):
        load_model(tmp_path)
    for text, message in (("[4]", "format 'list'"), ("{}", "format None"), ("{", "cannot be read"),
                          ("[" * 200_000, "cannot be read")):
        (tmp_path / "model.json").write_text(text)
        with pytest.raises(SavedModelError, match=message):
            load_model(tmp_path)
    (tmp_path / "model.json").unlink()
    (tmp_path / "model.json").mkdir()
    with pytest.raises(SavedModelError, match="cannot be read"):
        load_model(tmp_path)


def test_labels_come_back_in_their_order_and_teach_the_same(dots, tmp_path):
    model = AnomalyModel(effort="fast").fit(dots)
    names = model.names_
    model.give_feedback({names[9]: "normal", names[3]: "odd"}).give_feedback({names[9]: "odd"})
    save_model(model, tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    assert list(loaded.labels_.items()) == [(names[3], "odd"), (names[9], "odd")]
    assert same(loaded.rank().scores, model.rank().scores)
    assert same(loaded.rank().flagged, model.rank().flagged)
    assert loaded.decision_.statement == model.decision_.statement
    assert loaded.evidence_.features.shape == model.evidence_.features.shape


@pytest.mark.parametrize("wrong", ["compared_by", "labels", "label", "shape", "nan", "axes"])
def test_what_labels_are_learned_from_is_checked(wrong, dots, tmp_path):
    model = AnomalyModel(effort="fast").fit(dots)
    save_model(model, tmp_path)
    content = json.loads((tmp_path / "model.json").read_text())
    features = {"features": model.evidence_.features.astype(np.float16), **model.ensemble_.components.get_state()}
    if wrong == "compared_by":
        content["compared_by"] = "another"
    elif wrong == "labels":
        content["labels"] = [["nobody", "odd"]]
    elif wrong == "label":
        content["labels"] = [[model.names_[0], "strange"]]
    elif wrong == "shape":
        features["features"] = features["features"][:5]
    elif wrong == "nan":
        features["features"][3, 0] = np.nan
    else:
        features["axes"] = features["axes"][:, :2]
    content["files"]["features"] = saving._write_state(tmp_path, "features", features)
    (tmp_path / "model.json").write_text(json.dumps(content))
    with pytest.raises(SavedModelError, match="not a sound model"):
        load_model(tmp_path)
