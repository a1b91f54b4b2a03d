"""Photographs are also read larger, and views of fine detail see that copy, through the whole of the product."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from oddlens import AnomalyModel, load_model, save_model
from oddlens.calibration import Fusion
from oddlens.encoders.alterations import Alterations
from oddlens.encoders.patch_maps import PatchMaps
from oddlens.errors import OptionError
from oddlens.explaining.explainer import Explainer, NewExplainer
from oddlens.pixels import PixelFormat, look, read_pixels
from oddlens.reading.texture import texture_of
from oddlens.scoring.agreement import answer_weights
from oddlens.settings import build_model
from oddlens.sources import open_source
from oddlens.views import View

QUICK = {"atoms": 12, "places": 16, "latent": 8}
VIEWS = ["pixels+neighbors", "patch_maps+places"]


def photographs(n=40, height=120, width=160):
    """The same scene in slightly other light, noise on it; the sixth has a scratch two pixels wide."""
    rng = np.random.default_rng(0)
    down, across = np.mgrid[:height, :width]
    scene = 110 + 40 * np.sin(across / 9) + 30 * (((down // 20) + (across // 20)) % 2)
    images = scene + rng.normal(0, 4, (n, 1, 1)) + rng.normal(0, 3, (n, height, width))
    images[5, 70:72, 30:60] = 10
    return images.clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def images():
    return photographs()


@pytest.fixture(scope="module")
def model(images):
    return build_model(views=VIEWS, settings=QUICK).fit(images)


def test_a_larger_copy_is_read_where_the_images_are_large_and_a_view_wants_it(images):
    source = open_source(images)
    assert look(source, detail=None) == PixelFormat(48, 64, 1, detail=(96, 128))
    assert look(source, detail=256).detail == (192, 256)
    assert look(source, detail=0).detail is None
    assert look(open_source(images[:, :72, :96]), detail=None).detail is None
    assert look(open_source(images[:, :72, :97]), detail=None).detail == (95, 128)
    assert build_model(views=VIEWS[:1]).read(images).detail is None
    with pytest.raises(OptionError, match="detail must be 32 to 1024"):
        build_model(views=VIEWS, settings={"detail": 16}).fit(images)


def test_of_few_images_the_copy_is_larger(images, monkeypatch):
    few = build_model(views=VIEWS, settings=QUICK)
    assert few.read(images).detail.shape == (40, 120, 160, 1)  # as many as there are, up to 256
    assert few.read(images.repeat(2, 1).repeat(2, 2)).detail.shape == (40, 192, 256, 1)
    monkeypatch.setattr(PatchMaps, "detail_images", 39)
    assert few.read(images[1:]).detail.shape == (39, 120, 160, 1)
    assert few.read(images).detail.shape == (40, 96, 128, 1)


def test_of_many_images_it_sees_no_more_though_another_makes_use_of_more(images, monkeypatch):
    class Other(PatchMaps):
        detail_images = 1000

    monkeypatch.setattr(PatchMaps, "detail_images", 39)
    encoders = PatchMaps(atoms=12, places=16, latent=8), Other(atoms=12, places=16, latent=4)
    model = AnomalyModel(views=[(encoder, "places") for encoder in encoders]).fit(images)
    assert model.format_.detail == (120, 160)
    assert [encoder.shape_ for encoder in model.encoders_.values()] == [(96, 128, 1), (120, 160, 1)]
    new = images[:5] ^ 1
    alone = np.concatenate([model.rank(new[row : row + 1]).scores for row in range(5)])  # one is few
    assert np.array_equal(model.rank(new).scores, alone)


def test_both_copies_are_the_same_images(images):
    collection = read_pixels(open_source(images), PixelFormat(48, 64, 1, detail=(96, 128)))
    assert collection.pixels.shape == (40, 48, 64, 1)
    assert collection.detail.shape == (40, 96, 128, 1)
    assert collection.copies.parts == (collection.detail,)
    halved = collection.detail.reshape(40, 48, 2, 64, 2).mean((2, 4))
    assert np.abs(halved - collection.pixels[..., 0]).max() < 40
    assert np.abs(halved - collection.pixels[..., 0]).mean() < 2


def test_a_scratch_that_is_gone_in_the_small_copy_is_found(model):
    ranking = model.rank()
    assert ranking.members["patch_maps+places"].argmax() == 5
    assert ranking.top(1)[0].index == 5


def test_the_default_looks_at_detail_only_where_there_is_some(images):
    small = AnomalyModel(random_state=0).fit(images[:, ::4, ::4])
    assert "patch_maps+places" not in small.detectors_
    assert "patch_maps" not in small.encoders_
    asked_for = build_model(views=VIEWS, settings=QUICK).fit(images[:, ::4, ::4])
    assert "patch_maps+places" in asked_for.detectors_  # it sees the images as they are


def test_texture_is_measured_at_the_images_own_size_where_they_are_large_and_a_view_wants_it(images):
    source = open_source(images)
    assert look(source, texture=True) == PixelFormat(48, 64, 1, texture=(120, 160))
    assert look(open_source(images[:, :72, :96]), texture=True).texture is None
    assert look(open_source(np.zeros((12, 60, 5000), np.uint8)), texture=True).texture == (49, 4096)
    collection = build_model(views=["texture+places"]).read(images)
    assert np.array_equal(collection.texture, np.stack([texture_of(image[..., None]) for image in images]))
    assert collection.detail is None
    assert build_model(views=VIEWS).read(images).texture is None
    assert build_model(views=["texture+places"], settings={"detail": 0}).read(images).texture is None


def test_a_hair_that_no_copy_keeps_is_found_and_is_no_copy(tmp_path):
    rng = np.random.default_rng(0)
    images = rng.normal(140, 5, (30, 700, 900)).clip(0, 255).astype(np.uint8)
    images[29] = images[11]
    images[11, 300:301, 400:460] -= 60
    model = build_model(views=["texture+places", "texture+burnout"]).fit(images)
    assert model.rank().top(1)[0].index == 11
    assert model.known_.first()[29] == 29
    save_model(model, tmp_path / "model")
    again = load_model(tmp_path / "model")
    assert again.format_ == model.format_
    assert (again.ensemble_.alignment, again.fusion_) == (model.ensemble_.alignment, model.fusion_)
    new = images[8:14].copy()
    new[:, 0, 0] ^= 1
    assert again.rank(new).scores.argmax() == 3
    assert np.array_equal(again.rank(new).scores, model.rank(new).scores)
    assert np.array_equal(again.rank(new).scores[:2], again.rank(new[:2]).scores)
    assert np.array_equal(again.rank(images[11:12]).scores, model.rank().scores[11:12])  # the fitted image itself


def test_pictures_in_one_frame_are_known_for_it(images):
    rng = np.random.default_rng(0)
    steady = build_model(views=["texture+places"]).fit(images)
    tops, lefts = rng.integers(0, 100, 40), rng.integers(0, 100, 40)
    whole = photographs(6, 220, 260)[0]
    moving = np.stack([whole[t : t + 120, left : left + 160] for t, left in zip(tops, lefts, strict=True)])
    assert steady.ensemble_.alignment > 0.5
    assert build_model(views=["texture+places"]).fit(moving).ensemble_.alignment < 0.3


def test_what_is_not_compared_by_place_has_no_say_in_it(images):
    by_place = View("texture", "places", by_place=True)
    others = View("alterations", "places", encoder_options={"steps": 1})
    told = [AnomalyModel(views=views).fit(images).ensemble_.alignment
            for views in ([by_place], [by_place, others], [replace(by_place, by_place=False), others])]
    assert told[0] == told[1] > told[2]


def test_it_is_saved_and_judges_new_images_as_before(model, images, tmp_path):
    save_model(model, tmp_path / "model")
    again = load_model(tmp_path / "model")
    assert again.format_ == model.format_
    new = photographs(6)[::-1].copy()
    new[:, 0, 0] ^= 1
    assert np.array_equal(again.rank(new).scores, model.rank(new).scores)
    assert np.array_equal(again.rank(new).scores[:2], again.rank(new[:2]).scores)
    assert again.rank(new).scores.argmax() == 0


def test_images_that_differ_in_detail_alone_are_no_copies(images):
    both = np.concatenate([images, images[:1]])
    both[-1, 71, 101] ^= 255
    model = build_model(views=VIEWS, settings=QUICK).fit(both)
    assert len(set(model.known_.first().tolist())) == 41


def test_the_heat_is_where_the_view_says(model, images):
    explainer = Explainer(model, model.read(images), model.rank())
    heat = explainer.why(5).heat
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    assert 60 < row * 120 / heat.shape[0] < 82
    assert 20 < column * 160 / heat.shape[1] < 70


def test_of_an_ordinary_picture_too_the_view_says_where(model, images, monkeypatch):
    ranking = model.rank()
    explainer = Explainer(model, model.read(images), ranking)
    monkeypatch.setattr(model, "score_pixels", None)  # no part of it is exchanged
    row = int(ranking.order()[len(images) // 2])
    heat, _ = explainer.heat(row)
    places = model.detectors_["patch_maps+places"].places_own(row)
    smooth = gaussian_filter(np.maximum(places - np.median(places), 0), 0.045 * np.array(places.shape), mode="nearest")
    assert np.allclose((np.array(np.unravel_index(heat.argmax(), heat.shape)) + 0.5) / heat.shape,
                       (np.array(np.unravel_index(smooth.argmax(), smooth.shape)) + 0.5) / smooth.shape, atol=0.05)


@pytest.mark.parametrize(("views", "has_heat"), [(["lines+places"], True), (["texture+places"], True),
                                                 (["texture+burnout"], False), (["lines+burnout"], False)])
def test_views_of_detail_alone_explain_fitted_and_new_images(images, views, has_heat):
    model = AnomalyModel(views=views).fit(images)
    collection = model.read(images)
    explainer = Explainer(model, collection, model.rank())
    why = explainer.why(5)
    assert (why.heat is not None) == has_heat
    assert len(why.nearest) == 3
    assert len(explainer.groups.rows) == 20
    new = photographs()[:12, ::-1].copy()
    later = NewExplainer(model, model.read_new(new), model.rank(new), explainer.memory())
    assert len(later.why(3).nearest) == 3
    assert len(later.groups.rows) == 12
    assert not model.judges_pixels
    with pytest.raises(OptionError, match=r"All views that lead look at images in more detail \(.*add a view"):
        model.score_pixels(collection.pixels[:1])


def test_beside_a_view_of_the_small_copy_that_leads_parts_are_exchanged(images):
    model = AnomalyModel(views=["texture+burnout", "pixels+burnout"]).fit(images)
    assert model.judges_pixels
    assert len(model.score_pixels(model.read(images).pixels[:3])) == 3


@pytest.fixture(scope="module")
def altered(images):
    """Fitted with a view by lines and one by the network that finds altered places, in few steps."""
    return AnomalyModel(views=[View("lines", "places"), View("alterations", "places", lead=3.0,
                                                             encoder_options={"steps": 2})]).fit(images)


def peak(model, images, row):
    heat = Explainer(model, model.read(images), model.rank()).heat(row)[0]
    return tuple((np.array(np.unravel_index(heat.argmax(), heat.shape)) + 0.5) / heat.shape)


def test_the_network_itself_says_where_beside_the_view_of_its_features(altered, images, monkeypatch):
    def told(self, pixels):
        found = np.zeros((len(pixels), 24, 32), np.float32)
        found[:, 18, 8] = 1
        return found

    monkeypatch.setattr(Alterations, "tell_places", told)
    assert peak(altered, images, 7) == pytest.approx((18.5 / 24, 8.5 / 32), abs=0.03)


def test_a_view_that_leads_more_has_more_say_where(altered, images, monkeypatch):
    def spike(down, across):
        places = np.zeros((24, 32))
        places[down, across] = 1
        return lambda row: places

    monkeypatch.setattr(Alterations, "tell_places", lambda self, pixels: np.zeros((1, 24, 32), np.float32))
    monkeypatch.setattr(altered.detectors_["lines+places"], "places_own", spike(5, 5), raising=False)
    monkeypatch.setattr(altered.detectors_["alterations+places"], "places_own", spike(18, 26), raising=False)
    rare = {column: SimpleNamespace(raw=lambda scores: np.array([0.1])) for column in altered.detectors_}
    monkeypatch.setattr(Explainer, "_nulls", rare)  # both find it as rare
    assert peak(altered, images, 7) == pytest.approx((18.5 / 24, 26.5 / 32), abs=0.03)
    swapped = Fusion({"lines+places": 0.75, "alterations+places": 0.25}, {})
    monkeypatch.setattr(altered, "fusion_", swapped)
    assert peak(altered, images, 7) == pytest.approx((5.5 / 24, 5.5 / 32), abs=0.03)


def test_photographs_are_decided_by_weights_of_their_own(images, monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr("oddlens.model.answer_weights", lambda *given: asked.append(given) or answer_weights(*given))
    views = [View("pixels", "neighbors"), View("patch_maps", "places", detail=True, encoder_options=QUICK),
             View("statistics", "forest", lead=0, tail_weight=0.1, options={"n_estimators": 20})]
    fitted = AnomalyModel(views=views).fit(images)
    assert asked == [(1, fitted.ensemble_.unimodality, True)]
    save_model(fitted, tmp_path / "model")
    again = load_model(tmp_path / "model")
    assert np.array_equal(again.decide(0.2).flagged, fitted.decide(0.2).flagged)
    assert {given[2] for given in asked} == {True}
    AnomalyModel(views=views).fit(images[:, ::2, ::2])
    assert asked[-1][2] is False, "without detail"
