import io

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter, shift

from oddlens.demo import DIGITS, LABELS
from oddlens.explaining import duplicates
from oddlens.explaining.causes import Causes
from oddlens.explaining.duplicates import Thumbnails, limit, tangent_residual, thumbnails, tints
from oddlens.explaining.image_measures import resized as resized_mean
from oddlens.reading.array_files import read_idx
from oddlens.scoring.exact_copies import digests

pytestmark = pytest.mark.usefixtures("hurried")


class TestTangentResidual:
    """On pictures whose difference is known."""

    SIDE = 12

    def waves(self):
        down, across = np.mgrid[: self.SIDE, : self.SIDE] / self.SIDE * 2 * np.pi
        return (100 + 20 * np.sin(2 * down) * np.cos(across) + 15 * np.cos(3 * across))[None].astype(np.float32)

    def slowly(self, one, other, rounds):
        """By ordinary least squares: what of the difference slopes, the mean picture and a tone leave."""
        moved, shift = other, np.zeros(2)
        for left in range(rounds, 0, -1):
            middle = (one + moved) / 2
            basis = np.stack([*np.gradient(middle), middle, np.ones_like(middle)]).reshape(4, -1).astype(np.float64)
            gram = basis @ basis.T
            weights = np.linalg.solve(gram + 1e-5 * np.trace(gram) * np.eye(4), basis @ (one - moved).ravel())
            weights[:2], weights[2] = weights[:2].clip(-2, 2), weights[2].clip(-0.8, 0.8)
            if left > 1:
                shift = (shift + weights[:2]).clip(-2, 2)
                down, across = shift[:, None].astype(np.float32)
                moved = duplicates._moved(duplicates._moved(other[None], down, 1), across, 2)[0]
        return np.square((one - moved).ravel() - weights @ basis).mean()

    @pytest.mark.parametrize("rounds", [1, 2, 3])
    def test_is_what_least_squares_leaves(self, rounds):
        rng = np.random.default_rng(0)
        noise = gaussian_filter(rng.normal(0, 40, (4, self.SIDE, self.SIDE)), (0, 1, 1)).astype(np.float32)
        one = self.waves() + noise
        other = np.stack([shift(self.waves()[0], by, order=1, mode="nearest") for by in
                          ((0.4, -0.7), (1.6, 0), (-3, 2.5), (0, 0))]) + noise[::-1] / 3
        expected = [self.slowly(a, b, rounds) for a, b in zip(one, other.astype(np.float32), strict=True)]
        assert tangent_residual(one, other.astype(np.float32), rounds) == pytest.approx(expected, rel=2e-3)

    def test_a_tone_and_a_contrast_are_explained_within_their_bound(self):
        picture = self.waves()
        variance = picture.var()
        assert tangent_residual(picture, picture, 1) == pytest.approx([0], abs=1e-6)
        assert tangent_residual(picture, picture + 30, 1) < 0.02 * 30**2
        picture -= picture.mean()
        assert tangent_residual(picture, picture / 2, 1) < 1e-3 * variance
        # a tenth of it: 1.64 times the mean of the two would explain it, and .8 leaves .9 - .8 * .55 of the picture
        assert tangent_residual(picture, picture / 10, 1) == pytest.approx([variance * 0.46**2], rel=1e-3)
        # a blank picture is no faded one: .8 of a half leaves .6
        assert tangent_residual(picture, 0 * picture, 1) == pytest.approx([variance * 0.6**2], rel=1e-3)


class TestMoved:
    def test_by_whole_and_half_pixels_and_the_rim_goes_on(self):
        image = np.array([[[0, 1, 3, 7]] * 4], np.float32)
        for by, row in ((0, [0, 1, 3, 7]), (1, [1, 3, 7, 7]), (-1, [0, 0, 1, 3]), (0.5, [0.5, 2, 5, 7]),
                        (1.25, [1.5, 4, 7, 7]), (2, [3, 7, 7, 7]), (-2, [0, 0, 0, 1])):
            assert duplicates._moved(image, np.array([by], np.float32), 2).tolist() == [[row] * 4], by
            turned = duplicates._moved(image.transpose(0, 2, 1), np.array([by], np.float32), 1)
            assert turned.transpose(0, 2, 1).tolist() == [[row] * 4], by

    def test_each_by_its_own(self):
        images = np.array([[[0, 1], [0, 1]]] * 3, np.float32)
        found = duplicates._moved(images, np.array([0, 1, -1], np.float32), 2)
        assert found[:, 0].tolist() == [[0, 1], [1, 1], [0, 0]]


class TestGap:
    @pytest.mark.parametrize(("coarse", "before"), [
        ([0.001, 0.002, 0.02, 0.5, 0.6], 3), ([0.001, 0.5, 0.6, 0.7, 0.8], 1), ([0.02, 0.029, 0.3, 0.4, 0.5], 2),
        ([0.02, 0.031, 0.9, 0.95, 1.0], 1), ([0.001, 0.002, np.inf, np.inf, np.inf], 1),
        ([0.01, 0.02, 0.025, np.inf, np.inf], 1), ([0.5, np.inf, np.inf, np.inf, np.inf], 1),
        ([0.01, 0.02, 0.2, 0.25, np.inf], 2), ([np.inf] * 5, 1), ([0.01, 0.011, 0.012, 0.013, 0.02], 4),
    ])
    def test_how_many_come_before_it(self, coarse, before):
        assert duplicates._before_gap(np.array([coarse])).tolist() == [before]

    def test_of_one_and_of_two(self):
        assert duplicates._before_gap(np.array([[0.1], [np.inf]])).tolist() == [1, 1]
        assert duplicates._before_gap(np.array([[0.1, 0.2], [0.001, np.inf]])).tolist() == [1, 1]


class TestColours:
    def test_how_red_and_how_blue_beside_green(self):
        picture = np.zeros((2, 8, 8, 3), np.uint8)
        picture[0, :, :4] = 200, 100, 50  # the left half: 100 more red than green, 50 less blue
        found = duplicates.tints(picture)
        assert found.shape == (2, 32)
        assert found[0, :16].reshape(4, 4).tolist() == [[178, 178, 128, 128]] * 4
        assert found[0, 16:].reshape(4, 4).tolist() == [[103, 103, 128, 128]] * 4
        assert (found[1] == 128).all()
        ends = duplicates.tints(np.array([[[[255, 0, 255]]], [[[0, 255, 0]]]], np.uint8).repeat(4, 1).repeat(4, 2))
        assert ends[:, 0].tolist() == [255, 0]
        assert duplicates.tints(np.zeros((3, 8, 8, 1), np.uint8)).shape == (3, 0)

    def test_how_far_they_are_apart(self):
        one = np.full((1, 32), 128, np.uint8)
        one[0, :2] = 128 + 30, 128 - 40  # of the square 2500
        others = np.full((6, 32), 128, np.uint8)
        others[0] = one
        others[1, :2] = 128 + 20, 128 - 26  # weaker, about as .66 : the factor may be 1.8
        others[2, :2] = 128 + 3, 128 - 4  # a tenth: the factor 1.8 leaves .82 of it
        others[3, :2] = 128 + 60, 128 - 80  # twice: the factor 1 / 1.8 leaves 1.11 - 1
        others[5, :2] = 128 - 30, 128 + 40  # the opposite
        square = 2500
        left = [0, square * (1 - 1640**2 / 1076 / square), square * 0.82**2, square * (2 / 1.8 - 1) ** 2, square,
                square * (1 + 1 / 1.8) ** 2]
        larger = np.array([square, square, square, 4 * square, square, square])
        expected = np.array(left) / (larger + 40 * 32)
        assert duplicates._tints_apart(one, others[None])[0] == pytest.approx(expected, abs=1e-9)
        grey = duplicates._tints_apart(np.zeros((2, 0), np.uint8), np.zeros((2, 3, 0), np.uint8))
        assert grey.tolist() == [[0] * 3] * 2


    def test_of_the_same_colour_in_any_strength_nothing_is_left_and_never_less(self):
        colours = np.random.default_rng(0).integers(-9, 10, (200, 32))
        for factor in (5, 7, 11):
            one, other = (128 + colours * times for times in (7, factor))
            left = duplicates._tints_apart(one.astype(np.uint8), other.astype(np.uint8)[:, None])
            assert left.min() >= 0
            assert left.max() < 1e-9


def parts_of(images):
    return (thumbnails(images[..., :3].mean(3, dtype=np.float32)), tints(images), digests(images))


class TestNearest:
    """On collections so small that all others are candidates."""

    def pictures(self, n=30, channels=1, seed=0):
        rng = np.random.default_rng(seed)
        smooth = gaussian_filter(rng.normal(0, 1, (n, 28, 28, channels)), (0, 3, 3, 0))
        return (128 + 40 * smooth / smooth.std()).clip(0, 255).astype(np.uint8)

    def residuals(self, thumbs, colours, row, others, side):
        def small(rows):
            images = thumbs[rows].reshape(-1, 28, 28).astype(np.float32)
            return images if side == 28 else resized_mean(images, side)

        one = np.repeat(small([row]), len(others), 0)
        apart = tangent_residual(one, small(others), 2 if side == 28 else 1)
        shares = (apart + 0.5) / (small([row]).var() + 0.5)
        if side == 28 and colours.shape[1]:
            shares = shares + duplicates._tints_apart(colours[[row]], colours[others][None])[0]
        return shares

    @pytest.mark.parametrize("channels", [1, 3])
    def test_the_nearest_of_three_and_the_tenth(self, channels):
        images = self.pictures(channels=channels)
        images[1] = (images[0] + np.random.default_rng(1).normal(0, 3, images[0].shape)).clip(0, 255)
        images[29] = images[28]  # exact copies are not compared
        thumbs, colours, hashes = parts_of(images)
        found = Thumbnails(thumbs, colours, hashes).nearest(thumbs, colours, hashes)
        for row in range(30):
            others = np.array([i for i in range(29) if i != row and not (row == 29 and i == 28)])
            coarse = self.residuals(thumbs, colours, row, others, 14)
            order = others[coarse.argsort(kind="stable")]
            fine = self.residuals(thumbs, colours, row, order, 28)
            best = fine[:3].argmin()
            assert found.row[row] == order[best]
            assert found.residual[row] == pytest.approx(fine[best], rel=1e-4)
            assert found.usual[row] == pytest.approx(max(fine[9], fine[best]), rel=1e-4)
        assert found.row[0] == 1
        assert found.row[1] == 0

    def test_of_fewer_than_ten_others_the_last_is_usual(self):
        thumbs, colours, hashes = parts_of(self.pictures(5))
        found = Thumbnails(thumbs, colours, hashes).nearest(thumbs, colours, hashes)
        for row in range(5):
            others = np.array([i for i in range(5) if i != row])
            coarse = self.residuals(thumbs, colours, row, others, 14)
            last = self.residuals(thumbs, colours, row, others[coarse.argsort()], 28)[-1]
            assert found.usual[row] == pytest.approx(max(last, found.residual[row]), rel=1e-4)

    def test_of_none_there_is_none(self):
        for images in (self.pictures(1), self.pictures(1).repeat(4, 0)):
            parts = parts_of(images)
            assert (Thumbnails(*parts).nearest(*parts).row == -1).all()

    def test_among_many_near_copies_the_tenth_is_counted_from_the_gap(self):
        pictures = self.pictures(20)
        copies = pictures[[0] * 40] + np.random.default_rng(1).normal(0, 3, (40, 28, 28, 1))
        parts = parts_of(np.concatenate([pictures, copies.clip(0, 255).astype(np.uint8)]))
        found = Thumbnails(*parts).nearest(*parts)
        assert (found.residual[20:] < 0.03).all()
        assert (found.usual[20:] > 0.2).all(), "of 32 candidates all would be copies"

    def test_batches_make_no_difference(self, monkeypatch):
        parts = parts_of(self.pictures(30))
        whole = Thumbnails(*parts).nearest(*parts)
        monkeypatch.setattr(duplicates, "BATCH_IMAGES", 7)
        part = Thumbnails(*parts).nearest(*parts)
        assert np.array_equal(whole.row, part.row)
        assert part.residual == pytest.approx(whole.residual, rel=1e-5)
        assert part.usual == pytest.approx(whole.usual, rel=1e-5)

    @pytest.mark.parametrize("batch", [512, 7])
    def test_links_are_the_pairs_within_a_bound(self, monkeypatch, batch):
        monkeypatch.setattr(duplicates, "BATCH_IMAGES", batch)
        images = np.tile(self.pictures(10, 3), (3, 1, 1, 1)).astype(float)
        images += np.random.default_rng(1).normal(0, 1, images.shape) * np.linspace(1, 20, 30)[:, None, None, None]
        thumbs, colours, hashes = parts_of(images.clip(0, 255).astype(np.uint8))
        index, bounds = Thumbnails(thumbs, colours, hashes), np.linspace(0.05, 0.3, 30)
        rows = np.arange(29, -1, -2)
        pairs = set(zip(*(side.tolist() for side in index.links(rows, bounds[rows])), strict=True))
        expected = set()
        for row in rows.tolist():
            others = np.array([i for i in range(30) if i != row])
            near = (self.residuals(thumbs, colours, row, others, 28) < bounds[row]) & (
                self.residuals(thumbs, colours, row, others, 14) < 3 * bounds[row])
            expected |= {(row, other) for other in others[near].tolist()}
        assert pairs == expected
        assert len(pairs) > 20
        assert [len(side) for side in index.links(rows[:0], bounds[:0])] == [0, 0]

    def test_copies(self):
        images = self.pictures(6)[[0, 1, 2, 1, 3, 1, 0]]
        parts = parts_of(images)
        index = Thumbnails(*parts)
        assert [index.copies(digest).tolist() for digest in parts[2]] == [
            [0, 6], [1, 3, 5], [2], [1, 3, 5], [4], [1, 3, 5], [0, 6]]
        assert index.copy_of(parts[2], np.arange(7)).tolist() == [6, 3, -1, 1, -1, 1, 0]
        assert index.copy_of(parts[2], None).tolist() == [0, 1, 2, 1, 4, 1, 0]
        unknown = parts_of(self.pictures(3, seed=9))[2]
        assert index.copy_of(unknown, None).tolist() == [-1] * 3
        assert index.copies(unknown[0]).tolist() == []


@pytest.mark.parametrize(("most", "cells"), [(100, None), (99, 40), (36, 40)])
def test_beyond_the_largest_exact_collection_cells_are_searched(monkeypatch, most, cells):
    monkeypatch.setattr(duplicates, "MOST_EXACT", most)
    index = duplicates._index(np.random.default_rng(0).normal(size=(100, 64)).astype(np.float32))
    assert getattr(index, "nlist", None) == cells
    assert getattr(index, "nprobe", None) == (16 if cells else None)
    assert index.ntotal == 100


def test_twenty_thousand_are_compared_exactly():
    assert not hasattr(duplicates._index(np.zeros((20_000, 2), np.float32)), "nlist")


def test_candidates_are_found_by_64_numbers_whatever_the_light():
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 100, (1, 784), dtype=np.uint8)
    found = duplicates._coarse(np.concatenate([picture, picture + 100, 2 * picture, 0 * picture]))
    assert found.shape == (4, 64)
    assert found[1] == pytest.approx(found[0], abs=1e-5)
    assert found[2] == pytest.approx(found[0], abs=1e-5)
    assert np.linalg.norm(found, axis=1) == pytest.approx([1, 1, 1, 0], abs=1e-5)


def test_thumbnails_are_small_and_slightly_smooth():
    grey = np.zeros((2, 56, 56), np.float32)
    grey[0, 20:22, 30:32] = 160  # one pixel of the thumbnail, at 10 and 15
    grey[1] = 400
    small = thumbnails(grey).reshape(2, 28, 28)
    assert small[0, 9:12, 14:17].tolist() == [[10, 20, 10], [20, 40, 20], [10, 20, 10]]
    assert small[0].sum() == 160
    assert (small[1] == 255).all()


def test_the_limit_by_its_formula():
    gains = np.linspace(1, 3, 101)  # the quartile 1.5, the median 2
    place = {p: -np.log(1 - p ** (1 / 9)) for p in (0.999, 0.5, 0.25)}
    assert limit(gains) == pytest.approx(2 + 0.5 * (place[0.999] - place[0.5]) / (place[0.5] - place[0.25]))


@pytest.fixture(scope="module")
def threes():
    return read_idx(DIGITS)[read_idx(LABELS, dimensions=(1,)) == 3][..., None]


def moved(image, rng):
    return shift(image[..., 0].astype(float), rng.uniform(-0.8, 0.8, 2), order=1)


def lit(image, rng):
    return image[..., 0] * rng.uniform(0.85, 1.15) + rng.uniform(-8, 8)


def compressed(image, rng):
    file = io.BytesIO()
    Image.fromarray(image[..., 0]).save(file, "JPEG", quality=int(rng.integers(50, 90)))
    return np.asarray(Image.open(file))


def resized(image, rng):
    side = round(28 * rng.uniform(0.65, 0.9))
    small = Image.fromarray(image[..., 0]).resize((side, side), Image.Resampling.BICUBIC)
    return np.asarray(small.resize((28, 28), Image.Resampling.BICUBIC))


def nearly(images, seed=0):
    """(m, 28, 28, 1) near duplicates, a quarter of them in each way."""
    rng, ways = np.random.default_rng(seed), (moved, lit, compressed, resized)
    return np.stack([np.rint(ways[i % 4](image, rng)).clip(0, 255).astype(np.uint8) for i, image in
                     enumerate(images)])[..., None]


def test_sixty_pairs_among_eight_hundred(threes):
    causes = Causes().fit(np.concatenate([threes[:740], nearly(threes[:60])]))
    near = causes.masks()["near"]
    assert near[740:].sum() >= 57
    assert near[60:740].sum() <= 6
    assert sum(len(group) == 2 for group in causes.groups()) >= 55


@pytest.mark.parametrize("copies", [2, 10, 40])
def test_many_near_copies_of_one_image(threes, copies):
    rows = [300] * (copies - 1)
    causes = Causes().fit(np.concatenate([threes[:500], nearly(threes[rows], seed=1)]))
    near = causes.masks()["near"]
    assert near[500:].all()
    assert near[300]
    assert near[:500].sum() <= 4
    assert causes.groups()[0] == [300, *range(500, 499 + copies)]


def test_exact_copies_however_many_and_their_groups(threes):
    causes = Causes().fit(np.concatenate([threes[:200], threes[:100], threes[:1], threes[:1]]))
    assert causes.masks()["copy"].sum() == 202
    groups = causes.groups()
    assert groups[0] == [0, 200, 300, 301]
    assert sorted(map(len, groups[1:])) == [2] * 99


def test_exact_copies_do_not_hide_a_near_one(threes):
    causes = Causes().fit(np.concatenate([threes[:400], np.repeat(threes[:1], 50, 0), nearly(threes[:1])]))
    assert causes.masks()["near"][-1]
    assert len(causes.groups()[0]) == 52


def test_the_limit_is_what_random_points_reach_once_in_a_thousand():
    rng = np.random.default_rng(0)
    gains = rng.exponential(size=(100_000, 9)).max(1) * 0.2
    assert np.mean(gains > limit(gains)) == pytest.approx(1e-3, rel=0.5)


@pytest.mark.parametrize(("by", "expected"), [
    (-1.5, [0, 0, 0.5, 2]), (-1, [0, 0, 1, 3]), (0, [0, 1, 3, 7]), (0.5, [0.5, 2, 5, 7]), (1.5, [2, 5, 7, 7])])
def test_the_rim_goes_on_as_it_ends_to_either_side(by, expected):
    rows = np.broadcast_to(np.array([0, 1, 3, 7], np.float32), (1, 4, 4))
    assert np.allclose(duplicates._moved(rows, np.array([by], np.float32), 2)[0], expected)
    columns = rows.transpose(0, 2, 1)
    assert np.allclose(duplicates._moved(columns, np.array([by], np.float32), 1)[0].T, expected)


def test_there_may_be_no_pair_within_the_bounds(digits):
    images = digits[:60]
    grey = images[..., 0].astype(np.float32)
    found = Thumbnails(thumbnails(grey), tints(images), digests(images))
    ones, others = found.links(np.arange(60), np.zeros(60))
    assert len(ones) == len(others) == 0
