"""Each damage changes what it says and nothing else."""

import numpy as np
import pytest

from oddlens.evaluation.corruptions import CORRUPTIONS, damage


@pytest.mark.parametrize("kind", sorted(CORRUPTIONS))
def test_every_image_is_changed_and_stays_an_image_and_the_same_seed_gives_the_same(kind, digits):
    before = digits[:8].copy()
    found = damage(kind)(digits[:8], np.random.default_rng(0))
    assert found.shape == before.shape
    assert found.dtype == np.uint8
    assert (found != before).any((1, 2, 3)).all()
    assert np.array_equal(digits[:8], before)
    assert np.array_equal(damage(kind)(digits[:8], np.random.default_rng(0)), found)


def test_an_occlusion_is_a_grey_square_of_9_pixels(digits):
    found = damage("occlusion")(digits[:8], np.random.default_rng(0))
    for before, after in zip(digits[:8, ..., 0], found[..., 0], strict=True):
        rows, columns = np.nonzero(after != before)
        region = after[rows.min() : rows.min() + 9, columns.min() : columns.min() + 9]
        assert np.ptp(rows) < 9
        assert np.ptp(columns) < 9
        assert (after == 128).sum() >= 81 > (region == 0).sum()


def test_a_cut_takes_ink_away_within_7_pixels(digits):
    found = damage("cut")(digits[:8], np.random.default_rng(0))
    for before, after in zip(digits[:8, ..., 0].astype(int), found[..., 0].astype(int), strict=True):
        rows, columns = np.nonzero(after != before)
        assert (after <= before).all()
        assert np.ptp(rows) < 7
        assert np.ptp(columns) < 7
        assert (before - after).max() > 100


def test_blur_keeps_the_mean_and_noise_the_average_of_many(digits):
    blurred = damage("blur")(digits[:40], np.random.default_rng(0))
    assert blurred.mean() == pytest.approx(digits[:40].mean(), rel=0.03)
    noisy = damage("noise")(np.full((20, 28, 28, 1), 128, np.uint8), np.random.default_rng(0))
    assert noisy.mean() == pytest.approx(128, abs=2)
    assert noisy.std() == pytest.approx(50, abs=3)
