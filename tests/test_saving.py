import json

import numpy as np
import pytest

from instant import InstantEncoder
from oddlens import AnomalyModel, load_model, save_model
from oddlens.detectors.forest import Forest
from oddlens.encoders.autoencoder import Autoencoder
from oddlens.errors import OptionError, SavedModelError


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
    assert len(list((tmp_path / "model").iterdir())) == 5


def test_a_save_that_is_cut_off_leaves_the_old_model_whole(model, dots, tmp_path, monkeypatch):
    import oddlens.saving as saving

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


def test_what_is_not_registered_cannot_be_saved(dots, tmp_path):
    with pytest.raises(OptionError, match=r"entry point of the group oddlens\.encoders"):
        save_model(AnomalyModel(InstantEncoder()).fit(dots), tmp_path / "model")


def test_a_folder_that_is_no_model_is_named(tmp_path):
    with pytest.raises(SavedModelError, match=r"no model\.json"):
        load_model(tmp_path)
    (tmp_path / "model.json").write_text(json.dumps({"format": 99}))
    with pytest.raises(SavedModelError, match="format 99"):
        load_model(tmp_path)
