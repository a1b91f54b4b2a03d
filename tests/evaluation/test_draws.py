"""The draws are those behind the published tables; the digests were taken from the code that made them."""

import hashlib

import numpy as np
import pytest

from oddlens.errors import SourceError
from oddlens.evaluation import datasets, draws
from oddlens.evaluation.corruptions import CORRUPTIONS, damage

ONE_CLASS = {
    ("mnist", 0.1, 0): ["f6cdc35bc28f6779", "df41db9afea6630e", "f6c69e4397dd0b9f"],
    ("mnist", 0.01, 3): ["117db3f196852888", "17eaf94a753ec0a1", "36913a06215943e7"],
    ("mnist", 0.5, 1): ["4cd4436190a306e0", "5d3000b0e474457e", "d30af1ae84db27af"],
    ("fashion", 0.1, 0): ["1d857a4dd020c650", "8354695c473d8981", "87091527aa1342da"],
}
CORRUPTED = {"blur": "d9c8ce1ad158bd8e", "noise": "c0ea2223373b7f4a", "occlusion": "86a313b8c2351ea4",
             "rotation": "df062381b2486ed9", "cut": "271ec4799b4ac52a"}


def digest(*arrays):
    return hashlib.blake2b(b"".join(np.ascontiguousarray(array).tobytes() for array in arrays),
                           digest_size=8).hexdigest()


def load(name):
    try:
        return datasets.load(name)
    except SourceError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize(("name", "c", "seed"), ONE_CLASS)
def test_one_class_draws_are_the_known_ones(name, c, seed):
    made = {draw.case: draw for draw in draws.one_class(*load(name), c, seed)}
    assert list(made) == [str(k) for k in range(10)]
    assert [digest(made[k].fitted, made[k].odd) for k in "039"] == ONE_CLASS[name, c, seed]
    assert all(draw.scored is None for draw in made.values())


def test_leaving_one_class_out_is_as_before():
    mnist = load("mnist")
    clean = list(draws.leave_one_out(*draws.halved(*mnist, 0)))
    assert [digest(clean[k].fitted, clean[k].scored, clean[k].odd) for k in (0, 9)] == [
        "106687f0cae6d7ea", "9e3d372418628cb9"]
    mixed = list(draws.leave_one_out_contaminated(*mnist, 0.05, 0))
    assert [digest(mixed[k].fitted, mixed[k].odd) for k in (0, 9)] == ["3f3eb0050f79d40b", "e405f1a053373a38"]


def test_one_class_clean_fits_that_class_alone_and_scores_everything():
    images = np.arange(40, dtype=np.uint8).reshape(40, 1, 1, 1)
    labels = np.arange(40) % 4
    made = list(draws.one_class_clean((images, labels), (images[::-1], labels[::-1])))
    assert [draw.case for draw in made] == ["0", "1", "2", "3"]
    for number, draw in enumerate(made):
        assert (draw.fitted.ravel() % 4 == number).all()
        assert (draw.odd == (draw.scored.ravel() % 4 != number)).all()


def test_foreign_and_corrupted_digits_are_the_known_ones():
    images = load("mnist")[0]
    for kind, known in CORRUPTED.items():
        draw = draws.corrupted(images, damage(kind), 0.02, 0)
        assert digest(draw.fitted, draw.odd) == known, kind
        changed = (draw.fitted != images).any((1, 2, 3))
        assert draw.odd.sum() == 200
        assert not changed[~draw.odd].any()
        assert changed[draw.odd].all()
    draw = draws.foreign(images, load("fashion")[0], 0.02, 0)
    assert digest(draw.fitted, draw.odd) == "45832ff471273613"


def test_every_corruption_is_drawn_anew_for_each_seed():
    images = load("mnist")[0][:500]
    for kind in CORRUPTIONS:
        one, other = (draws.corrupted(images, damage(kind), 0.02, seed).fitted for seed in (0, 1))
        assert (one != other).any()


def test_a_group_stands_beside_others_of_all_the_rest():
    labels = np.repeat(["cat", "dog", "sea"], [100, 60, 40])
    images = np.arange(200, dtype=np.uint8).reshape(200, 1, 1, 1)
    draw = draws.beside(images, labels, "cat", 0.05, 0)
    assert draw.odd.sum() == 5
    assert (draw.fitted[~draw.odd].ravel() < 100).all()
    assert (draw.fitted[draw.odd].ravel() >= 100).all()


def test_there_are_never_more_odd_images_than_there_are_and_never_none():
    labels = np.repeat(["a", "b"], [50, 3])
    images = np.zeros((53, 2, 2, 1), np.uint8)
    assert [draw.odd.sum() for draw in draws.one_class(images, labels, 0.5, 0)] == [3, 2]
    assert [draw.odd.sum() for draw in draws.one_class(images, labels, 0.001, 0)] == [1, 1]
    assert draws.named_odd(images, labels, "b", None, 0).odd.sum() == 3
    assert draws.named_odd(images, labels, "b", 0.02, 0).odd.sum() == 1
    draw = draws.named_odd(np.arange(53, dtype=np.uint8).reshape(53, 1, 1, 1), labels, "b", None, 0)
    assert (draw.odd == (draw.fitted.ravel() >= 50)).all()


def test_what_is_not_installed_is_said_with_the_line_that_installs_it(tmp_path, monkeypatch):
    for variable, what, read in [("FASHION_DIR", "dataset-fashion-mnist", lambda: datasets.load("fashion")),
                                 ("ELPV_DIR", "pip install elpv-dataset", datasets.solar_cells),
                                 ("EMOJI_DIR", "emoji-datasource-google", datasets.emoji),
                                 ("STAMPS_DIR", "tuxpaint-stamps-default", datasets.stamps)]:
        monkeypatch.setenv(variable, str(tmp_path))
        with pytest.raises(SourceError, match=what) as error:
            read()
        assert variable in str(error.value)


def test_pictures_are_read_on_white_and_group_by_group(tmp_path, monkeypatch):
    import json

    from PIL import Image

    folder = tmp_path / "img" / "google" / "64"
    folder.mkdir(parents=True)
    entries = [("a.png", "Food"), ("b.png", "Flags"), ("c.png", "Food"), ("gone.png", "Food")]
    for name, shade in (("a.png", 10), ("b.png", 20), ("c.png", 30)):
        Image.new("RGBA", (64, 64), (shade, 0, 0, 255 if name != "c.png" else 0)).save(folder / name)
    listed = [{"image": name, "category": group} for name, group in entries]
    (tmp_path / "emoji.json").write_text(json.dumps(listed))
    monkeypatch.setenv("EMOJI_DIR", str(tmp_path))
    images, labels = datasets.emoji()
    assert images.shape == (3, 64, 64, 3)
    assert labels.tolist() == ["Food", "Food", "Flags"]
    assert images[:, 0, 0].tolist() == [[10, 0, 0], [255, 255, 255], [20, 0, 0]]


def test_solar_cells_are_the_sure_ones_of_one_kind(tmp_path, monkeypatch):
    from PIL import Image

    (tmp_path / "images").mkdir()
    lines = []
    for number, (probability, kind) in enumerate([(0.0, "mono"), (1.0, "mono"), (0.33, "mono"), (1.0, "poly")]):
        Image.new("L", (300, 300), 50 * (number + 1)).save(tmp_path / "images" / f"{number}.png")
        lines.append(f"images/{number}.png {probability}   {kind}")
    (tmp_path / "labels.csv").write_text("\n".join(lines) + "\n")
    monkeypatch.setenv("ELPV_DIR", str(tmp_path))
    images, labels = datasets.solar_cells()
    assert labels.tolist() == ["sound", "defective"]
    assert images.shape == (2, 128, 128, 1)
    assert np.unique(images[0]) == 50
    assert np.unique(images[1]) == 100
