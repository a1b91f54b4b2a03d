import io

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import shift

from oddlens.demo import DIGITS, LABELS
from oddlens.explaining.causes import Causes
from oddlens.explaining.duplicates import limit
from oddlens.reading.array_files import read_idx


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
