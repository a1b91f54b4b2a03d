import re

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from sklearn.exceptions import NotFittedError

from oddlens.errors import OptionError, SavedModelError
from oddlens.explaining import duplicates, orientation
from oddlens.explaining.causes import MEASURES, Causes, parts_of
from oddlens.explaining.duplicates import Thumbnails, tangent_residual, thumbnails, tints
from oddlens.explaining.image_measures import resized
from oddlens.explaining.orientation import ROTATIONS, directions, turns
from oddlens.progress import listening
from oddlens.scoring.exact_copies import digests


def spoiled(images):
    """The digits with one of each cause at a known place, and what these are."""
    images = images.copy()
    soft = gaussian_filter(images[10].astype(float), (2, 2, 0))
    rng = np.random.default_rng(0)
    images[0] = 0
    images[1] = 128 + rng.integers(-1, 2, images[1].shape)
    images[10] = soft.round()
    images[20] = images[20] * 0.3
    images[30] = 255 - (255 - images[30]) * 0.3
    images[40] = 128 + (images[40] - 128.0) * 0.3
    images[50, 12:] = 128
    images[60] = images[61]
    images[70] = (images[71] + rng.normal(0, 4, images[71].shape)).clip(0, 255)
    return images, {0: "blank", 1: "blank", 10: "blurred", 20: "dark", 30: "bright", 40: "faint", 50: "cut",
                    60: "copy", 61: "copy", 70: "near", 71: "near"}


@pytest.fixture(scope="module")
def planted(digits):
    images, causes = spoiled(digits)
    return images, causes, Causes().fit(images)


def kinds_of(causes, row, columns=None):
    return [cause for cause, named in causes.masks(columns).items() if named[row]]


class TestPlanted:
    def test_each_is_named(self, planted):
        _, causes, fitted = planted
        for row, cause in causes.items():
            assert cause in kinds_of(fitted, row), (row, cause)

    def test_the_others_hardly_ever(self, planted):
        images, causes, fitted = planted
        clean = np.setdiff1d(np.arange(len(images)), list(causes))
        for cause, named in fitted.masks().items():
            assert named[clean].mean() <= 0.02, cause

    def test_in_words_with_examples(self, planted):
        _, _, fitted = planted
        assert fitted.named(0)[0].text.startswith("Blank, or nearly: from its darkest to its lightest place")
        assert "spans 0 of 255 levels" in fitted.named(0)[0].text
        blurred = next(reason for reason in fitted.named(10) if reason.text.startswith("Blurred"))
        width, usual = fitted.columns_["edge_width"][10], np.median(fitted.columns_["edge_width"])
        assert f"{width:.1f} pixels wide; {usual:.1f} are usual here" in blurred.text
        assert fitted.named(60)[0].examples == (61,)
        assert fitted.named(61)[0].examples == (60,)
        near = next(reason for reason in fitted.named(70) if reason.text.startswith("A near duplicate"))
        assert near.examples == (71,)

    def test_new_images_get_what_fitted_ones_do(self, planted):
        images, causes, fitted = planted
        rows = [row for row in causes if causes[row] not in ("copy", "near")]
        columns = fitted.measure(images[rows])
        for place, row in enumerate(rows):
            assert causes[row] in kinds_of(fitted, place, columns)
            assert fitted.named_new(columns, place)[0].text.startswith("An exact copy")
            assert fitted.named_new(columns, place)[0].examples[0] == row

    def test_new_images_do_not_depend_on_each_other(self, planted):
        images, _, fitted = planted
        together, alone = fitted.measure(images[:40]), fitted.measure(images[13:14])
        for name, values in alone.items():
            assert values[0] == pytest.approx(together[name][13], rel=1e-5, abs=1e-5), name

    def test_fitting_twice_is_the_same(self, planted):
        images, _, fitted = planted
        again = Causes().fit(images)
        for name, values in fitted.columns_.items():
            assert (again.columns_[name] == values).all(), name


@pytest.mark.usefixtures("hurried")
class TestCommonThingsAreNoCause:
    def test_all_blank(self):
        causes = Causes().fit(np.full((50, 9, 9, 1), 7, np.uint8))
        assert [cause for cause, named in causes.masks().items() if named.any()] == ["copy"]

    @pytest.mark.parametrize("spoil", [lambda x: x // 5, lambda x: 200 + x // 5, lambda x: 128 + x // 5])
    def test_all_dark_bright_or_faint(self, digits, spoil):
        kinds = Causes().fit(spoil(digits)).masks()
        assert not any(kinds[cause].any() for cause in ("dark", "bright", "faint", "blank", "blurred"))

    def test_a_seventh_is_dark(self, digits):
        images = digits.copy()
        images[::7] //= 5
        assert not Causes().fit(images).masks()["dark"].any()


@pytest.mark.usefixtures("hurried")
class TestACauseIsSeenInTheImageItself:
    """Far out in the collection is not enough: the image by itself must look so."""

    @staticmethod
    def strokes(rng, n=300):
        images = np.full((n, 32, 32, 1), 255, np.uint8)
        for image in images:  # rings, bars and crosses that fill much of the picture
            top, left = rng.integers(2, 6, 2)
            image[top : top + 22, left : left + 22] = 0
            image[top + 5 : top + 17, left + rng.integers(3, 6) : left + 17] = 255
        return images

    def test_a_thin_stroke_is_not_blank(self):
        images = self.strokes(np.random.default_rng(0))
        images[7], images[8] = 255, 254
        images[7, 6:26, 15] = 0
        kinds = Causes().fit(images).masks()
        assert np.flatnonzero(kinds["blank"]).tolist() == [8]

    def test_what_reaches_white_as_the_others_do_is_not_dark(self):
        rng = np.random.default_rng(0)
        images = np.full((200, 24, 24, 3), 255, np.uint8)
        for image in images:
            image[6:18, 6:18] = rng.integers(150, 250, 3)
        images[3, 2:22, 2:22] = (90, 60, 40)  # a large brown thing on white
        images[4], images[5] = images[4] // 4, (255, 0, 0)
        images[5, 6:18, 6:18] = (230, 20, 0)
        kinds = Causes().fit(images).masks()
        assert np.flatnonzero(kinds["dark"]).tolist() == [4]

    def test_every_printed_number_differs_from_the_usual(self, planted):
        _, _, fitted = planted
        compared = 0
        for row in range(len(fitted.thumbs_)):
            for reason in fitted.named(row):
                if "usual here" in reason.text:
                    here, usual = (float(re.search(r"[\d.]+", part)[0]) for part in
                                   reason.text.replace(" of 255", "").rsplit(";", 1))
                    assert abs(here - usual) >= max(0.25 * max(here, usual), 0.5), reason.text
                    compared += 1
        assert compared >= 6

    def test_a_sharp_picture_among_pixel_art_is_not_blurred(self):
        rng = np.random.default_rng(0)
        images = rng.integers(0, 256, (200, 8, 8, 1), dtype=np.uint8).repeat(4, 1).repeat(4, 2)
        drawn = np.clip(255 * (14 - np.hypot(*np.mgrid[-16:16, -16:16])), 0, 255)  # a disc with an edge of a pixel
        images[3, ..., 0] = drawn
        images[4, ..., 0] = gaussian_filter(drawn, 2.5)
        kinds = Causes().fit(images).masks()
        assert np.flatnonzero(kinds["blurred"]).tolist() == [4]

    def test_other_colours_are_no_near_duplicate(self):
        rng = np.random.default_rng(0)
        images = gaussian_filter(rng.uniform(0, 255, (200, 24, 24, 3)), (0, 3, 3, 0))
        images = ((images - 127.5) * 6 + 127.5).clip(0, 255).astype(np.uint8)
        light = images[1] @ np.array([0.299, 0.587, 0.114])
        images[0] = np.stack([light, light, light], 2)
        images[2] = (images[3] + rng.normal(0, 3, images[3].shape)).clip(0, 255)
        kinds = Causes().fit(images).masks()
        assert np.flatnonzero(kinds["near"]).tolist() == [2, 3]


@pytest.mark.usefixtures("hurried")
class TestSizesAndColours:
    def test_sizes(self, digits):
        shapes = np.tile([480, 640], (len(digits), 1))
        shapes[1], shapes[2], shapes[3], shapes[4] = (48, 64), (4800, 6400), (200, 1500), (1500, 200)
        kinds = Causes().fit(digits, shapes).masks()
        for cause, row in (("small", 1), ("large", 2), ("wide", 3), ("tall", 4)):
            assert np.flatnonzero(kinds[cause]).tolist() == [row], cause

    def test_grey_among_colour_and_the_other_way_round(self):
        rng = np.random.default_rng(0)
        colour = rng.integers(0, 256, (120, 8, 8, 3), dtype=np.uint8)
        colour[5] = colour[5, ..., :1]
        assert np.flatnonzero(Causes().fit(colour).masks()["grey"]).tolist() == [5]
        grey = np.repeat(colour[..., :1], 3, 3)
        grey[7] = rng.integers(0, 256, (8, 8, 3))
        kinds = Causes().fit(grey).masks()
        assert np.flatnonzero(kinds["coloured"]).tolist() == [7]
        assert not kinds["grey"].any()

    def test_grey_pixels_say_nothing_of_colour(self, digits):
        assert "colour" not in Causes().fit(digits[:50]).columns_


class TestTurned:
    def test_features_of_a_turned_image_are_the_same_in_another_order(self):
        image = np.random.default_rng(0).uniform(0, 255, (1, 28, 28)).astype(np.float32)
        features = directions(image)[0]
        for order, (quarters, mirrored, _) in zip(turns(), ROTATIONS, strict=True):
            lying = np.rot90(image[0, :, ::-1] if mirrored else image[0], quarters)
            assert np.allclose(directions(lying[None].copy())[0], features[order], atol=1e-5), (quarters, mirrored)

    def test_a_lying_letter_is_named_and_what_to_do_said(self):
        rng = np.random.default_rng(0)
        images = np.zeros((300, 16, 16, 1), np.uint8)
        for image in images:  # the letter L, of many sizes and places
            top, left, height, width = rng.integers(0, 4), rng.integers(0, 4), rng.integers(8, 12), rng.integers(5, 8)
            image[top : top + height, left : left + 2] = 255
            image[top + height - 2 : top + height, left : left + width] = 255
        images[3], images[4] = np.rot90(images[3]), images[4, :, ::-1]
        causes = Causes().fit(images)
        kinds = causes.masks()
        assert kinds["rotated"][3]
        assert kinds["mirrored"][4]
        assert (kinds["rotated"] | kinds["mirrored"]).sum() <= 4
        text = next(reason for reason in causes.named(3) if reason.text.startswith("Rotated"))
        assert re.search(r"this one: [\d.]+ % of what varies", text.text)
        assert "a quarter to the right" in text.text
        assert len(text.examples) == 1
        assert "mirrored left to right" in " ".join(reason.text for reason in causes.named(4))

    def test_where_images_lie_anyhow_none_is_turned(self, digits):
        rng = np.random.default_rng(0)
        images = np.stack([np.rot90(image[:, ::-1] if rng.integers(2) else image, rng.integers(4)) for image in digits])
        kinds = Causes().fit(images).masks()
        assert (kinds["rotated"] | kinds["mirrored"]).mean() <= 0.01

    def test_of_few_images_nothing_is_learned(self, digits):
        causes = Causes().fit(digits[:60])
        assert not causes.columns_["rotation_odds"].any()


@pytest.mark.usefixtures("hurried")
class TestDuplicates:
    def test_a_shift_is_explained_and_another_digit_is_not(self, digits):
        images = gaussian_filter(digits[:, :, :, 0].astype(np.float32), (0, 0.7, 0.7))
        shifted = np.roll(images, 1, 2)
        own, other = tangent_residual(images, shifted, 2), tangent_residual(images, np.roll(images, 1, 0), 2)
        assert np.median(own) < 0.01 * np.median(other)
        assert np.median(own) < 0.05 * np.median(np.square(images - shifted).mean((1, 2)))

    def test_similar_ones_are_no_near_duplicates(self):
        from oddlens.demo import DIGITS, LABELS
        from oddlens.reading.array_files import read_idx

        ones = read_idx(DIGITS)[read_idx(LABELS, dimensions=(1,)) == 1][..., None]
        kinds = Causes().fit(ones).masks()
        assert kinds["near"].mean() <= 0.005
        assert kinds["copy"].sum() == 0

    def test_all_copies_are_found(self, digits):
        images = np.concatenate([digits[:40], digits[:3], digits[:1]])
        causes = Causes().fit(images)
        assert np.flatnonzero(causes.masks()["copy"]).tolist() == [0, 1, 2, 40, 41, 42, 43]
        assert causes.named(0)[0].examples == (40, 43)
        assert causes.named(43)[0].examples == (0, 40)

    def test_in_large_collections_only_the_nearest_cells_are_searched(self, digits, monkeypatch):
        rng = np.random.default_rng(0)
        noisy = (digits[:30] + rng.normal(0, 4, digits[:30].shape)).clip(0, 255).astype(np.uint8)
        images = np.concatenate([digits, noisy])
        parts = thumbnails(images[..., 0].astype(np.float32)), tints(images), digests(images)
        exact = Thumbnails(*parts).nearest(*parts)
        monkeypatch.setattr(duplicates, "MOST_EXACT", 100)
        cells = Thumbnails(*parts)
        assert cells.index.nlist > 50
        found = cells.nearest(*parts)
        assert (found.row[-30:] == np.arange(30)).all()
        assert (found.row == exact.row).mean() > 0.8

    def test_resized_keeps_the_mean(self):
        images = np.random.default_rng(0).uniform(0, 255, (3, 17, 40)).astype(np.float32)
        assert np.allclose(resized(images, 8).mean((1, 2)), images.mean((1, 2)), rtol=1e-5)


class TestState:
    def test_there_and_back(self, planted):
        images, _, fitted = planted
        back = Causes().set_state({key: value.copy() for key, value in fitted.get_state().items()})
        assert [back.named(row) for row in range(80)] == [fitted.named(row) for row in range(80)]
        new = images[100:110, ::-1]
        for name, values in fitted.measure(new).items():
            assert (back.measure(new)[name] == values).all(), name

    @pytest.mark.parametrize(("key", "spoil", "reason"), [
        ("thumbs", lambda a: a[:-1], "shapes"), ("thumbs", lambda a: a[:, :-1], "shapes"),
        ("tints", lambda a: np.zeros((len(a), 32), np.uint8), "shapes"), ("hashes", lambda a: a[:, :8], "shapes"),
        ("columns", lambda a: a[:-1], "shapes"), ("features", lambda a: a[:, :-1], "shapes"),
        ("features", lambda a: a[:-1], "shapes"), ("nets", lambda a: a[:, :-1], "shapes"),
        ("rows", lambda a: a[:, None], "shapes"), ("limits", lambda a: a[:2], "shapes"),
        ("limits", lambda a: a[:, :-1], "shapes"), ("form", lambda a: a * [-1, 1, 1], "shapes"),
        ("form", lambda a: a * [1, 0, 1], "shapes"), ("form", lambda a: a * [1, 1, 2], "shapes"),
        ("form", lambda a: a[:2], "as they are saved"), ("form", lambda a: a[None], "as they are saved"),
        ("features", lambda a: a.astype(np.float64), "as they are saved"),
        ("rows", lambda a: a.astype(np.int32), "as they are saved"),
        ("columns", lambda a: a * np.nan, "not finite"), ("features", lambda a: a + np.float32(np.inf), "not finite"),
        ("nets", lambda a: a * np.inf, "not finite"), ("limits", lambda a: a * np.nan, "not finite"),
        ("limits", lambda a: np.full_like(a, 1e4), "measures that no image has"),
        ("limits", lambda a: np.full_like(a, np.inf), "measures that no image has"),
        ("rows", lambda a: a + len(a), "images that are not there"),
        ("rows", lambda a: a - 5, "images that are not there"),
        ("rows", lambda a: a[::-1].copy(), "images that are not there"),
        ("rows", lambda a: np.append(a[:-1], a[-2]), "images that are not there"),
        ("nets", lambda a: a[:1], "1 networks for 600 images"),
    ])
    def test_hostile_states_are_refused(self, planted, key, spoil, reason):
        state = planted[2].get_state()
        with np.errstate(invalid="ignore"):
            state[key] = spoil(state[key])
        with pytest.raises(SavedModelError, match=reason):
            Causes().set_state(state)

    @pytest.mark.parametrize(("name", "value", "reason"), [
        ("copy_of", 600, "images that are not there"), ("copy_of", -2, "images that are not there"),
        ("near_duplicate_of", 600, "images that are not there"), ("near_duplicate_of", -2, "images that are not there"),
        ("rotation_partner", 600, "images that are not there"), ("rotation_partner", -2, "images that are not there"),
        ("turn", 8, "turns that there are not"), ("turn", -1, "turns that there are not"),
        ("copy_of", 599, None), ("copy_of", -1, None), ("turn", 7, None), ("turn", 0, None),
    ])
    def test_what_a_column_may_point_at(self, planted, name, value, reason):
        state = planted[2].get_state()
        state["columns"] = state["columns"].copy()
        state["columns"][[measure for measure in MEASURES if measure != "colour"].index(name), 300] = value
        if reason is None:
            assert Causes().set_state(state).columns_[name][300] == value
        else:
            with pytest.raises(SavedModelError, match=reason):
                Causes().set_state(state)

    def test_no_images_are_no_state(self):
        state = Causes().fit(np.zeros((3, 8, 8, 1), np.uint8)).get_state()
        for key, length in (("thumbs", 0), ("tints", 0), ("hashes", 0), ("features", 0), ("rows", 0)):
            state[key] = state[key][:length]
        with pytest.raises(SavedModelError, match="shapes"):
            Causes().set_state(state | {"columns": state["columns"][:, :0]})
        state = Causes().fit(np.zeros((3, 8, 8, 1), np.uint8)).get_state()
        with pytest.raises(SavedModelError, match="not finite"):
            Causes().set_state(state | {"features": state["features"][:0], "rows": state["rows"][:0]})

    def test_colours_there_and_back(self):
        images = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3), dtype=np.uint8)
        fitted = Causes().fit(images)
        back = Causes().set_state(fitted.get_state())
        assert list(back.columns_) == list(MEASURES)
        assert all(np.array_equal(back.columns_[name], fitted.columns_[name]) for name in MEASURES)
        assert back.form_ == (8, 8, 3)

    def test_a_state_must_be_whole(self, planted):
        state = planted[2].get_state()
        del state["nets"]
        with pytest.raises(SavedModelError, match="nets"):
            Causes().set_state(state)


@pytest.fixture(scope="module")
def pictures():
    """30 smooth grey images, each of its own kind."""
    smooth = gaussian_filter(np.random.default_rng(0).normal(0, 1, (30, 16, 16, 1)), (0, 2, 2, 0))
    return (128 + 40 * smooth / smooth.std()).clip(0, 255).astype(np.uint8)


class TestColumns:
    """Of few small images, by what the columns are said to be."""

    def test_comparisons(self, pictures):
        images = pictures.copy()
        images[4] = (images[0] + np.random.default_rng(1).normal(0, 2, images[0].shape)).clip(0, 255)
        images[9] = images[8]
        columns = Causes().fit(images).columns_
        assert columns["near_duplicate_of"][[0, 4]].tolist() == [4, 0]
        assert (columns["near_duplicate_residual"][[0, 4]] < 0.03).all()
        assert columns["near_duplicate_gain"] == pytest.approx(
            np.log(columns["tenth_residual"] / columns["near_duplicate_residual"]))
        assert (columns["near_duplicate_gain"][[0, 4]] > 2).all()
        assert np.flatnonzero(columns["copy_of"] >= 0).tolist() == [8, 9]
        assert columns["copy_of"][[8, 9]].tolist() == [9, 8]
        for name, value in (("rotation_partner", -1), ("rotation_residual", 1), ("rotation_odds", 0),
                            ("rotation_gain", 0)):
            assert (columns[name] == value).all(), "from so few nothing is learned"

    def test_where_there_is_nothing_to_compare_with(self, pictures):
        for images in (pictures[:1], pictures[[0, 0, 0]]):
            columns = Causes().fit(images).columns_
            for name, value in (("near_duplicate_of", -1), ("near_duplicate_residual", 1), ("tenth_residual", 1),
                                ("near_duplicate_gain", 0)):
                assert (columns[name] == value).all(), name

    def test_sizes_are_the_original_ones(self, pictures):
        shapes = np.tile([10, 40], (30, 1))
        shapes[3] = 1, 1
        columns = Causes().fit(pictures, shapes).columns_
        assert columns["side"].tolist() == [20, 20, 20, 1, *[20] * 26]
        assert columns["aspect"].tolist() == [4, 4, 4, 1, *[4] * 26]
        columns = Causes().fit(pictures[:, :4]).columns_
        assert (columns["side"][0], columns["aspect"][0]) == (8, 4)
        shapes[3] = 0, 1
        with pytest.raises(OptionError, match="height and width"):
            Causes().fit(pictures, shapes)

    def test_new_images_are_measured_against_fitted_ones(self, pictures):
        fitted = Causes().fit(pictures)
        columns = fitted.measure(pictures[[7, 3]], np.array([[9, 4], [16, 16]]))
        assert columns["copy_of"].tolist() == [7, 3]
        assert columns["side"].tolist() == [6, 16]
        assert [kind for kind, mask in fitted.masks(columns).items() if mask[0]] == ["copy", "small", "tall"]
        assert fitted.masks()["copy"].sum() == 0

    def test_five_copies_are_shown(self, pictures):
        fitted = Causes().fit(np.concatenate([pictures, pictures[[6] * 8]]))
        assert fitted.named(6)[0].examples == (30, 31, 32, 33, 34)
        assert fitted.named(31)[0].examples == (6, 30, 32, 33, 34)
        columns = fitted.measure(pictures[[6]])
        assert fitted.named_new(columns, 0)[0].examples == (6, 30, 31, 32, 33)

    def test_groups_the_largest_first(self, pictures):
        images = np.concatenate([pictures, pictures[[5, 2, 5, 9]]])
        images[20] = (images[2] + np.random.default_rng(1).normal(0, 2, images[2].shape)).clip(0, 255)
        images[21] = (images[2] + np.random.default_rng(2).normal(0, 2, images[2].shape)).clip(0, 255)
        assert Causes().fit(images).groups() == [[2, 20, 21, 31], [5, 30, 32], [9, 33]]
        assert Causes().fit(pictures[:3]).groups() == []

    def test_a_twentieth_and_no_more_may_be_named(self, pictures):
        rng = np.random.default_rng(0)
        images = np.concatenate([pictures, pictures[:, ::-1], pictures[:, :, ::-1], pictures[:, ::-1, ::-1]])
        images = (images + rng.normal(0, 3, images.shape)).clip(0, 255).astype(np.uint8)[:80]
        for count, dark in ((4, [0, 1, 2, 3]), (5, [])):
            these = images.copy()  # as dark as each other, and yet no copies
            these[:4] = [np.rot90(pictures[0] // 3, quarters) for quarters in range(4)]
            these[4:count] = pictures[0, :, ::-1] // 3
            assert np.flatnonzero(Causes().fit(these).masks()["dark"]).tolist() == dark

    def test_progress_ends_at_the_total(self, pictures, monkeypatch):
        monkeypatch.setattr("oddlens.explaining.image_measures.BATCH_VALUES", 256 * 12)
        told = []
        with listening(lambda *report: told.append(report)):
            Causes().fit(pictures)
        assert told == [("causes", done, total) for done, total in ((12, 30), (24, 30), (30, 30), (1, 2), (2, 2))]


class TestMisuse:
    def test_not_fitted(self):
        with pytest.raises(NotFittedError):
            Causes().named(0)

    def test_other_pixels(self, planted):
        with pytest.raises(OptionError, match="fitted to"):
            planted[2].measure(np.zeros((3, 8, 8, 1), np.uint8))
        for pixels in (np.zeros((3, 28, 28, 1)), np.zeros((3, 28, 28), np.uint8), np.zeros((3, 28, 28, 3), np.uint8)):
            with pytest.raises(OptionError, match=r"fitted to uint8 \(n, 28, 28, 1\)"):
                planted[2].measure(pixels)
        for pixels in (np.zeros((3, 8, 8, 1)), np.zeros((3, 8, 8), np.uint8), np.zeros((3, 8, 8, 2), np.uint8),
                       np.zeros((3, 8, 8, 4), np.uint8), np.zeros((0, 8, 8, 1), np.uint8)):
            with pytest.raises(OptionError, match="uint8"):
                Causes().fit(pixels)

    def test_other_shapes(self, planted):
        with pytest.raises(OptionError, match="height and width"):
            Causes().fit(planted[0], np.ones((3, 2), int))

    def test_no_such_row(self, planted):
        for row in (600, 10_000, -1):
            with pytest.raises(OptionError, match=f"There are 600 fitted images, no row {row}"):
                planted[2].named(row)
        assert isinstance(planted[2].named(599), tuple)

    @pytest.mark.parametrize("n", [1, 2, 12])
    def test_few_images_of_odd_shapes(self, n):
        images = np.random.default_rng(0).integers(0, 256, (n, 3, 50, 3), dtype=np.uint8)
        causes = Causes().fit(images)
        assert all(len(values) == n and np.isfinite(values).all() for values in causes.columns_.values())
        assert isinstance(causes.named(0), tuple)


@pytest.mark.usefixtures("hurried")
def test_a_blank_image_is_not_a_near_duplicate_of_everything():
    digits = np.random.default_rng(3).integers(0, 256, (60, 20, 20, 1)).astype(np.uint8)
    digits[5] = 0
    kinds = Causes().fit(digits).masks()
    assert kinds["blank"][5]
    assert not kinds["near"].any()


def test_features_may_be_taken_where_they_are_asked_for_and_measures_are_kept_once(digits, monkeypatch):
    class Taken:
        def __init__(self, rows):
            self.rows, self.most = rows, 0

        def __len__(self):
            return len(self.rows)

        def __getitem__(self, which):
            found = self.rows[which]
            self.most = max(self.most, len(found))
            return found

    images = digits[:300]
    parts = parts_of(images)
    monkeypatch.setattr(orientation, "BATCH_IMAGES", 64)
    monkeypatch.setattr(orientation, "MOST_LEARNED", 120)
    whole, taken = Causes().fit_parts(parts), Taken(parts["features"])
    again = Causes().fit_parts({**parts, "features": taken})
    assert taken.most == 120
    for name, values in whole.columns_.items():
        assert np.array_equal(again.columns_[name], values), name
    state = again.get_state()
    assert all(np.shares_memory(state["columns"], values) for values in again.columns_.values())
    back = Causes().set_state(state)
    assert {name: values.tolist() for name, values in back.columns_.items()} == {
        name: values.tolist() for name, values in again.columns_.items()}
