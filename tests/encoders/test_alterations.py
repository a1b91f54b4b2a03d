import numpy as np
import pytest
import torch

from oddlens.detectors.places import Places
from oddlens.encoders.alterations import FEATURES, FEWEST_STEPS, LEAST_SCALE, STEPS_AN_IMAGE, Alterations
from oddlens.errors import OptionError, SavedModelError

MAPS = frozenset({"maps"})


@pytest.fixture(scope="module")
def grain():
    """Eighty pictures of stripes that run down; in the first four a square of them runs sidewards."""
    rng = np.random.default_rng(0)
    across = np.arange(64) + rng.uniform(0, 6, (80, 1))
    images = 120 + 50 * np.sin(2 * np.pi * across / 6)[:, None] + rng.normal(0, 8, (80, 64, 64))
    for row in range(4):
        images[row, 20:40, 24:44] = images[row, 20:40, 24:44].T
    return images.clip(0, 255).astype(np.uint8)[..., None]


@pytest.fixture(scope="module")
def fitted(grain):
    return Alterations(steps=300).fit(grain)


def test_a_place_is_four_pixels_or_as_many_as_make_about_32_of_the_longer_side(fitted, grain):
    assert fitted.encode(grain, MAPS).maps.shape == (80, 16, 16, 64)
    wide = np.random.default_rng(0).integers(0, 256, (12, 49, 250, 3), dtype=np.uint8)
    maps = Alterations(steps=1).fit(wide).encode(wide, MAPS).maps
    assert maps.shape == (12, 7, 32, 64)  # of 25 x 125 pixels, two a side averaged to one
    assert maps.dtype == np.float16


def test_large_images_are_averaged_down_to_about_128_pixels():
    large = np.random.default_rng(0).integers(0, 256, (12, 256, 250, 1), dtype=np.uint8)
    encoder = Alterations(steps=1).fit(large)
    maps = encoder.encode(large, MAPS).maps
    assert maps.shape == (12, 32, 32, 64)  # the 125 columns make 31 places and a part
    means = large.reshape(12, 128, 2, 125, 2).mean((2, 4)).astype(np.float32)
    with torch.inference_mode():
        seen = encoder.network_.layers(torch.from_numpy(means / 255)[:, None])
    assert np.allclose(maps[..., -1] * encoder.scale_[-1].numpy() + encoder.middle_[-1].numpy(), seen[-1][:, -1],
                       atol=0.01)
    narrow = np.ascontiguousarray(large[:, :16])
    assert Alterations(steps=1).fit(narrow).encode(narrow, MAPS).maps.shape == (12, 2, 32, 64)
    assert Alterations(steps=1).fit(narrow[:, :15]).encode(narrow[:, :15], MAPS).maps.shape == (12, 4, 63, 64)


def test_it_tells_itself_which_places_were_altered(fitted, grain):
    told = fitted.tell_places(grain)
    assert told.shape == (80, 16, 16)
    assert told.dtype == np.float32
    for row in range(4):
        down, across = np.unravel_index(told[row].argmax(), (16, 16))
        assert 4 <= down <= 10
        assert 5 <= across <= 11
    assert np.array_equal(fitted.tell_places(grain[1:2])[0], told[1])
    again = Alterations(steps=300).set_state(fitted.get_state())
    assert np.array_equal(again.tell_places(grain), told)


def test_what_it_learned_shows_where_a_piece_was_put_in(fitted, grain):
    def contrast(encoder):
        """How much stranger the square is than the rest, in each of the four."""
        strange = Places().fit(encoder.encode(grain, MAPS)).own_places_[:4]
        inside = strange[:, 5:10, 6:11].mean((1, 2))
        return inside * (16 * 16 - 25) / (strange.sum((1, 2)) - 25 * inside)

    learned, before = contrast(fitted), contrast(Alterations(steps=1).fit(grain))
    assert (learned > 2).all()
    assert (learned > 1.5 * before).all()
    assert fitted.losses_[-1] < 0.6  # an answer by chance loses 0.69


def test_a_small_collection_takes_fewer_steps(grain):
    images = grain[:32, :8, :8]
    assert STEPS_AN_IMAGE * 10 < FEWEST_STEPS < STEPS_AN_IMAGE * 32 == 320
    for count, windows in ((10, FEWEST_STEPS // 100), (32, 4)):  # of 320 steps, the last 20 by themselves
        encoder = Alterations(steps=FEWEST_STEPS + 50, batch_size=2).fit(images[:count])
        assert len(encoder.losses_) == windows


def test_pictures_of_one_frame_take_fewer_steps():
    """The more of what differs from place to place is the same in all; that some are lighter does not count."""
    rng = np.random.default_rng(0)
    frame = rng.integers(60, 196, (16, 16))
    lighter = rng.integers(-40, 40, (80, 1, 1))

    def most(share):
        own = rng.integers(60, 196, (80, 16, 16))
        pictures = np.sqrt(share) * (frame - 128) + np.sqrt(1 - share) * (own - 128) + 128 + lighter
        images = pictures.repeat(4, 1).repeat(4, 2).clip(0, 255).astype(np.uint8)[..., None]
        encoder = Alterations(steps=900, batch_size=1).fit(images[:30])
        assert len(encoder.losses_) == FEWEST_STEPS // 100
        assert encoder.steps_for(30, encoder.alignment_) == FEWEST_STEPS
        return encoder.steps_for(10_000, encoder.alignment_)

    assert most(0) == pytest.approx(900, abs=20)
    assert most(0.5) == pytest.approx(450, abs=50)
    assert most(1) == FEWEST_STEPS


def test_what_is_far_away_is_not_seen(fitted, grain):
    changed = grain[5:6].copy()
    changed[0, :4, :4] = 255
    one, two = (fitted.encode(images, MAPS).maps[0].astype(float) for images in (grain[5:6], changed))
    rows, columns = np.nonzero(np.abs(one - two).max(2) > 0)
    assert len(rows)
    assert max(rows.max(), columns.max()) <= 8  # some 25 pixels beyond


def test_features_are_about_one(fitted, grain):
    maps = fitted.encode(grain, MAPS).maps.astype(float)
    assert np.abs(maps.mean((0, 1, 2))).max() < 0.01
    spread = maps.std((0, 1, 2))
    assert (np.abs(spread - 1)[fitted.scale_.numpy() > LEAST_SCALE] < 0.01).all()


def test_a_state_that_does_not_fit_is_refused(fitted):
    state = fitted.get_state()
    for key, value in (("middle", state["middle"][1:]), ("scale", np.zeros_like(state["scale"])),
                       ("middle", np.full_like(state["middle"], np.nan)), ("scale", state["scale"].astype(float)),
                       ("shape", np.array([64, 64, 2])), ("losses", np.zeros(0))):
        with pytest.raises(SavedModelError, match="alterations"):
            Alterations().set_state({**state, key: value})
    with pytest.raises(SavedModelError, match="alterations"):
        Alterations().set_state({key: value for key, value in state.items() if key != "scale"})
    assert len(state["middle"]) == FEATURES


def test_images_that_are_too_small_are_refused():
    with pytest.raises(OptionError, match="8 pixels"):
        Alterations().fit(np.zeros((20, 7, 40, 1), np.uint8))
