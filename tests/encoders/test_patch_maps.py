import numpy as np
import pytest

from oddlens.encoders.patch_maps import PatchMaps
from oddlens.errors import OptionError, SavedModelError

MAPS = frozenset({"maps"})


@pytest.fixture(scope="module")
def pictures():
    """Forty pictures of 48 x 64: noise, and in each a bright disc in the same place."""
    rng = np.random.default_rng(0)
    images = rng.normal(90, 12, (40, 48, 64, 1))
    down, across = np.mgrid[:48, :64]
    images[:, (down - 20) ** 2 + (across - 40) ** 2 < 60] += 90
    return images.clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def fitted(pictures):
    return PatchMaps(atoms=12, places=16, latent=6).fit(pictures)


def test_a_place_is_two_steps_wide_and_there_are_about_as_many_as_asked_for(fitted, pictures):
    maps = fitted.encode(pictures, MAPS).maps
    # Answers at every second pixel, 24 x 32; places of 4 x 4 of them, 2 apart; 6 components, light, contrast.
    assert maps.shape == (40, 11, 15, 8)
    assert maps.dtype == np.float16


def test_light_and_contrast_are_what_they_are_called(fitted, pictures):
    changed = pictures.copy()
    changed[0] = 200
    maps = fitted.encode(changed, MAPS).maps.astype(float)
    light, contrast = maps[..., -2], maps[..., -1]
    assert light[0].std() < 0.01
    assert (light[0] > light[1:].mean(0)).mean() > 0.9  # but where the disc is
    assert (contrast[0] < contrast[1:].min(0)).all()
    assert np.unravel_index(light[1:].mean(0).argmax(), (11, 15)) == (4, 9)  # the disc is at 20, 40 of 48, 64


def test_only_the_places_that_changed_are_described_anew(fitted, pictures):
    changed = pictures[:1].copy()
    changed[0, 30:38, 6:14] = 255 - changed[0, 30:38, 6:14]
    one, two = (fitted.encode(images, MAPS).maps[0].astype(float) for images in (pictures[:1], changed))
    apart = np.abs(one - two).max(2) > 0
    rows, columns = np.nonzero(apart)
    assert apart.any()
    assert rows.min() >= 5
    assert rows.max() <= 10
    assert columns.max() <= 4


def test_colours_have_their_own_light(pictures):
    coloured = np.repeat(pictures, 3, axis=3)
    coloured[3, ..., 0] = 255
    maps = PatchMaps(atoms=8, places=8, latent=4).fit(coloured).encode(coloured, MAPS).maps.astype(float)
    assert maps.shape[3] == 4 + 3 + 1
    assert (maps[3, ..., 4] > np.delete(maps[..., 4], 3, 0).max(0)).all()


def test_a_state_that_does_not_fit_is_refused(fitted):
    state = fitted.get_state()
    for key, value in (("atoms", state["atoms"][:, 1:]), ("mean", state["mean"][1:]), ("axes", state["axes"][:, 1:]),
                       ("axes", np.full_like(state["axes"], np.nan)), ("mean", state["mean"].astype(float)),
                       ("shape", np.array([48, 64, 2]))):
        with pytest.raises(SavedModelError, match="patch_maps"):
            PatchMaps(atoms=12, places=16, latent=6).set_state({**state, key: value})


@pytest.mark.parametrize("bad", [{"atoms": 0}, {"patch": 4}, {"patch": 49}, {"places": 1}, {"latent": 0},
                                 {"places": 2.5}])
def test_bad_options_are_named(bad, pictures):
    with pytest.raises(OptionError, match=next(iter(bad))):
        PatchMaps(**bad).fit(pictures)
