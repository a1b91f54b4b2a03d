"""Injected oddities: what is changed, where, and that nothing else is."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oddlens.errors import OptionError
from oddlens.evaluation.synthetic_anomalies import ANOMALIES, background, inject, stroke, visible


def made(kind, images, seed=0):
    return inject(kind, images, images, np.random.default_rng(seed))


@pytest.mark.parametrize("kind", ANOMALIES)
def test_the_same_generator_gives_the_same_images_and_the_originals_stay(kind, digits):
    before = digits[:40].copy()
    one, two = made(kind, digits[:40]), made(kind, digits[:40])
    assert one.pixels.shape == before.shape
    assert one.pixels.dtype == np.uint8
    np.testing.assert_array_equal(one.pixels, two.pixels)
    np.testing.assert_array_equal(digits[:40], before)
    assert (one.pixels != made(kind, digits[:40], 1).pixels).any() or kind == "blur"
    assert (one.pixels != before).any((1, 2, 3)).mean() > 0.9


@pytest.mark.parametrize("kind", [kind for kind in ANOMALIES if ANOMALIES[kind].has_place])
def test_only_the_region_is_changed(kind, digits):
    injected = made(kind, digits[:40])
    for image, changed, (top, left, height, width) in zip(digits, injected.pixels, injected.regions, strict=False):
        part = np.zeros((28, 28), bool)
        part[top : top + height, left : left + width] = True
        assert part.sum() == height * width
        np.testing.assert_array_equal(changed[~part], image[~part])


@pytest.mark.parametrize("kind", ["patch", "erased"])
def test_what_is_pasted_or_erased_can_be_seen(kind, digits):
    injected = made(kind, digits[:40])
    changes = [visible(*row) for row in zip(digits, injected.pixels, injected.regions, strict=False)]
    assert min(changes) > 0.4


def test_a_patch_comes_from_the_others(dots):
    others = np.full_like(dots[:1], 200)
    injected = inject("patch", dots[:10], others, np.random.default_rng(0))
    for changed, (top, left, height, width) in zip(injected.pixels, injected.regions, strict=True):
        assert (changed[top : top + height, left : left + width] == 200).all()


def test_a_cut_leaves_a_stroke_on_both_sides():
    image = np.zeros((20, 20, 1), np.uint8)
    image[9:11] = 255
    injected = made("cut", image[None])
    changed, (_, left, height, width) = injected.pixels[0], injected.regions[0]
    assert (height, width) == (5, 5)
    gap = np.flatnonzero(changed[9, :, 0] == 0)
    np.testing.assert_array_equal(gap, np.arange(left, left + 5))
    assert changed[9, 0, 0] == changed[9, 19, 0] == 255


def test_blur_keeps_the_light_and_takes_the_detail(digits):
    blurred = made("blur", digits[:10]).pixels.astype(float)
    sharp = digits[:10].astype(float)
    np.testing.assert_allclose(blurred.mean((1, 2, 3)), sharp.mean((1, 2, 3)), rtol=0.03)
    assert (np.abs(np.diff(blurred, axis=2)).sum((1, 2, 3)) < 0.8 * np.abs(np.diff(sharp, axis=2)).sum((1, 2, 3))).all()


def test_turning_is_by_quarters_and_only_upside_down_where_not_square(digits):
    for image, changed in zip(digits[:20], made("turned", digits[:20]).pixels, strict=True):
        assert any(np.array_equal(changed, np.rot90(image, k)) for k in (1, 2, 3))
    wide = digits[:20, :14]
    np.testing.assert_array_equal(made("turned", wide).pixels, wide[:, ::-1, ::-1])


def test_a_blend_lies_between_its_two_images():
    images, others = np.full((5, 6, 6, 3), 100, np.uint8), np.full((1, 6, 6, 3), 200, np.uint8)
    values = inject("blend", images, others, np.random.default_rng(0)).pixels
    assert ((values >= 140) & (values <= 160)).all()


def test_halves_are_joined_along_all_four_sides():
    images, others = np.zeros((40, 6, 8, 1), np.uint8), np.full((1, 6, 8, 1), 9, np.uint8)
    injected = inject("halves", images, others, np.random.default_rng(0))
    assert {tuple(region) for region in injected.regions.tolist()} == {
        (0, 0, 6, 4), (0, 4, 6, 4), (0, 0, 3, 8), (3, 0, 3, 8)}
    assert ((injected.pixels == 9).mean((1, 2, 3)) == 0.5).all()


def test_background_and_stroke():
    image = np.full((9, 9, 3), 250, np.uint8)
    image[4, 2:7] = (10, 250, 250)
    np.testing.assert_array_equal(background(image), [250, 250, 250])
    assert stroke(image).sum() == 5
    assert not stroke(np.full((5, 5, 1), 3, np.uint8)).any()


@settings(max_examples=60)
@given(kind=st.sampled_from(sorted(ANOMALIES)), height=st.integers(1, 12), width=st.integers(1, 12),
       channels=st.sampled_from([1, 3]), seed=st.integers(0, 5), flat=st.booleans())
def test_any_size_works(kind, height, width, channels, seed, flat):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 1 if flat else 256, (3, height, width, channels), dtype=np.uint8)
    injected = inject(kind, images, images, rng)
    assert injected.pixels.shape == images.shape
    if injected.regions is not None:
        assert (injected.regions[:, 2:] >= 1).all()
        assert (injected.regions[:, :2] >= 0).all()
        assert (injected.regions[:, :2] + injected.regions[:, 2:] <= [height, width]).all()


def test_what_cannot_work_is_said(digits):
    with pytest.raises(OptionError, match="Did you mean 'patch'"):
        made("patsch", digits[:2])
    with pytest.raises(OptionError, match="of one size"):
        inject("patch", digits[:2], digits[:2, :20], np.random.default_rng(0))
    with pytest.raises(OptionError, match="got none"):
        inject("blur", digits[:2], digits[:0], np.random.default_rng(0))
