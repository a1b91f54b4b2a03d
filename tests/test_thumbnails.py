"""Thumbnails within their bytes, and those of a ranking: of files when they are shown, of others the strangest."""

import base64
import gc
import io
import pickle
import re
import weakref

import numpy as np
import pytest
from PIL import Image

from oddlens import AnomalyModel
from oddlens.stream import Stream
from oddlens.thumbnails import MOST_BYTES, THUMBNAIL, ThumbnailsLater, data_uri, joined, picture, thumbnails_of


def decoded(made):
    kind, content = re.fullmatch(r"data:image/(\w+);base64,(.*)", made.uri).groups()
    return kind, np.asarray(Image.open(io.BytesIO(base64.b64decode(content))))


def test_tiny_images_keep_every_pixel(digits):
    made = picture("p0", digits[0])
    kind, pixels = decoded(made)
    assert kind == "png"
    assert np.array_equal(pixels, digits[0][..., 0])
    assert made.shown % 28 == 0


def test_photos_are_made_small_in_their_shape():
    rng = np.random.default_rng(0)
    made = picture("p0", rng.integers(0, 256, (400, 800, 3), dtype=np.uint8))
    kind, pixels = decoded(made)
    assert kind in {"webp", "jpeg"}
    assert pixels.shape == (THUMBNAIL // 2, THUMBNAIL, 3)
    assert made.shown is None


def test_jpeg_stands_in_where_pillow_has_no_webp(monkeypatch):
    monkeypatch.setattr("oddlens.thumbnails.features.check", lambda feature: False)
    assert decoded(picture("p0", np.zeros((300, 300, 3), np.uint8)))[0] == "jpeg"


def test_a_picture_keeps_to_its_share():
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    assert len(picture("p0", noise).uri) > 12_000
    assert len(picture("p0", noise, limit=2000).uri) < 4000
    assert len(picture("p0", noise, limit=MOST_BYTES // 4000).uri) < 4000


def test_a_data_uri_holds_the_picture():
    assert data_uri(b"\x89PNG", "png") == "data:image/png;base64,iVBORw=="


KEPT = 30


@pytest.fixture(autouse=True)
def few_are_kept(monkeypatch):
    monkeypatch.setattr("oddlens.thumbnails.KEPT", KEPT)


@pytest.fixture
def folder(images, tmp_path):
    (tmp_path / "photos").mkdir()
    for number, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / "photos" / f"{number:02}.png")
    return tmp_path / "photos"


def fitted(images, **options):
    return AnomalyModel("pixels", "neighbors", n_jobs=1, **options).fit(images)


def shows(uri, image):
    return np.array_equal(np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))), image)


def test_a_model_of_files_reads_those_that_are_shown_when_they_are_shown(folder, images, monkeypatch):
    from oddlens.sources import FileSource

    model = fitted(folder)
    read = []
    before = FileSource.read_near
    monkeypatch.setattr(FileSource, "read_near", lambda self, *asked: read.append(asked[0]) or before(self, *asked))
    ranking = model.rank()
    assert not read
    assert ranking._repr_html_().count("<img") == 10
    assert len(read) == 10
    ranking._repr_html_()
    assert len(read) == 10, "each once"
    assert ranking[50:]._repr_html_().count("<img") == 10, "whatever is looked at"
    assert shows(ranking.thumbnails["07.png"], images[7])


def test_one_that_is_gone_meanwhile_has_none_and_a_name_that_there_is_not_neither(folder):
    ranking = fitted(folder).rank()
    (folder / ranking[0].name).write_bytes(b"")
    assert ranking._repr_html_().count("<img") == 9
    assert "no such" not in ranking.thumbnails
    with pytest.raises(KeyError):
        ranking.thumbnails["no such"]


def test_of_images_in_memory_the_strangest_are_kept_and_no_others(images):
    ranking = fitted(images).rank()
    assert list(ranking.thumbnails) == [image.name for image in ranking.top(KEPT)]
    assert shows(ranking.thumbnails["07"], images[7])
    assert ranking._repr_html_().count("<img") == 10


def test_a_model_does_not_hold_an_array_that_nobody_else_holds():
    images = np.random.default_rng(0).integers(0, 60, (60, 8, 8), dtype=np.uint8)
    model, held = fitted(images), weakref.ref(images)
    ranking = model.rank(images)
    del images
    gc.collect()
    assert held() is None
    assert len(model.rank().thumbnails) == len(ranking.thumbnails) == KEPT


def test_what_labels_bring_to_the_fore_has_its_picture(images):
    model = fitted(images)
    model.give_feedback({image.name: "normal" for image in model.rank().top(5)})
    assert model.rank()._repr_html_().count("<img") == 10


def test_new_images_and_images_as_they_were_read_have_theirs(images, folder):
    model = fitted(images)
    new = 255 - images[:20]
    assert shows(model.rank(new).thumbnails["03"], new[3])
    assert model.rank(folder)._repr_html_().count("<img") == 10
    collection = model.read(images)
    assert shows(model.fit(collection).rank().thumbnails["07"], images[7])
    assert shows(model.rank(Stream.of(model.read_new(new))).thumbnails["03"], new[3])


def test_photos_that_were_read_are_shown_in_the_detail_there_is():
    photos = np.random.default_rng(0).integers(0, 256, (20, 120, 100, 1), dtype=np.uint8)
    model = AnomalyModel("patch_maps", "places", n_jobs=1)
    ranking = model.fit(model.read(photos)).rank()
    shown = Image.open(io.BytesIO(base64.b64decode(next(iter(ranking.thumbnails.values())).partition(",")[2])))
    assert max(shown.size) == 128


def test_images_that_join_are_shown_and_one_that_takes_an_others_place_is_not_shown_as_that(images, folder):
    model = fitted(images)
    later = 255 - images[:11]  # named as the first eleven are
    model.extend(later)
    assert shows(model.rank().thumbnails["00"], later[0])
    model = fitted(folder)
    for name, image in {"00.png": later[0], "new.png": later[1]}.items():
        (folder.parent / "later").mkdir(exist_ok=True)
        Image.fromarray(image).save(folder.parent / "later" / name)
    model.extend(folder.parent / "later")
    shown = model.rank().thumbnails
    assert shows(shown["00.png"], later[0])
    assert shows(shown["new.png"], later[1])
    assert shows(shown["07.png"], images[7])
    assert joined({}, {"a": "an earlier image"}, ["a"])["a"] == ""


def test_pictures_are_neither_pickled_with_a_model_nor_read_from_elsewhere_by_a_pickled_ranking(images, folder):
    for source in (images, folder):
        model = fitted(source)
        again = pickle.loads(pickle.dumps(model))
        assert not again.rank().thumbnails
        np.testing.assert_array_equal(again.rank().scores, model.rank().scores)
        assert b"data:image" not in pickle.dumps(model)
    ranking = model.rank()
    ranking[:2]._repr_html_()
    passed_on = pickle.loads(pickle.dumps(ranking))
    assert passed_on.thumbnails == {image.name: ranking.thumbnails[image.name] for image in ranking.top(2)}
    assert "img" in passed_on._repr_html_()


def test_a_model_that_is_not_fitted_is_pickled_too():
    assert pickle.loads(pickle.dumps(AnomalyModel("pixels"))).encoder == "pixels"


def test_later_thumbnails_are_a_mapping():
    later = ThumbnailsLater(("a", "b"), lambda row: np.full((9, 9, 1), row, np.uint8))
    assert list(later) == ["a", "b"]
    assert len(later) == 2
    assert shows(later["b"], np.ones((9, 9), np.uint8))


def test_of_a_source_that_reads_files_all_and_of_another_the_strangest(folder, images):
    from oddlens.sources import open_source

    names, scores = [f"{number:02}.png" for number in range(60)], np.arange(60.0)
    assert len(thumbnails_of(open_source(folder), names, range(60), scores)) == 60
    assert list(thumbnails_of(open_source(images), names, range(60), scores)) == names[:-KEPT - 1:-1]
