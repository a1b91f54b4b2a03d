import numpy as np
import pytest

from oddlens.encoders.texture import Texture
from oddlens.errors import OptionError, SavedModelError
from oddlens.reading.texture import MEASURES, texture_of

BOTH = frozenset({"embedding", "maps"})


@pytest.fixture(scope="module")
def pictures():
    """Sixty pictures of noise; the fourth is smoother, the ninth has a scratch."""
    rng = np.random.default_rng(0)
    images = rng.normal(128, 12, (60, 96, 128, 1))
    images[3] = 128 + (images[3] - 128) / 3
    images[8, 40, 30:50] = 10
    return images.clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def encoded(pictures):
    return Texture().fit(pictures).encode(pictures, BOTH)


def test_it_measures_pixels_itself_and_takes_what_was_measured(pictures, encoded):
    measured = np.stack([texture_of(image) for image in pictures])
    again = Texture().fit(measured).encode(measured, BOTH)
    assert encoded.maps.shape == (60, 24, 32, 31)
    assert encoded.embedding.shape == (60, 124)
    assert np.array_equal(encoded.maps, again.maps)
    assert np.array_equal(encoded.embedding, again.embedding)


def test_each_number_varies_by_one_about_zero_unless_it_hardly_varies(encoded):
    maps = encoded.maps.astype(np.float64).reshape(-1, 31)
    assert np.abs(maps.mean(0)).max() < 0.01
    assert maps.std(0) == pytest.approx(np.ones(31), abs=0.01)
    assert np.abs(encoded.embedding.mean(0)).max() < 1e-4
    spread = encoded.embedding.std(0)
    assert ((spread < 1.001) & ((spread > 0.999) | (spread < 1))).all()


def test_means_tell_the_smoother_one_and_extremes_the_scratch(encoded):
    by_kind = encoded.embedding.reshape(60, 4, 31)
    strength = MEASURES.index("strength")
    assert by_kind[:, 0, strength].argmin() == 3
    assert by_kind[3, 0, strength] < -5
    assert by_kind[:, 2, strength].argmax() == 8  # the mean of its highest places
    assert abs(by_kind[8, 0, strength]) < 1
    strongest = encoded.maps[8, :, :, MEASURES.index("strongest")]
    row, column = np.unravel_index(strongest.argmax(), strongest.shape)
    assert row == 10
    assert 7 <= column <= 12


def test_what_never_varies_is_not_blown_up():
    flat = np.full((20, 96, 96, 1), 100, np.uint8)
    flat[4, 50, 50] = 101
    encoded = Texture().fit(flat).encode(flat, BOTH)
    assert np.isfinite(encoded.maps).all()
    assert np.abs(encoded.embedding).max() < 60
    assert np.abs(encoded.embedding[5:]).max() < 1


def test_only_what_is_asked_for_is_given(pictures):
    encoder = Texture().fit(pictures)
    assert encoder.encode(pictures, frozenset({"maps"})).embedding is None
    assert encoder.encode(pictures, frozenset({"embedding"})).maps is None
    assert len(encoder.encode(pictures, frozenset({"residual"}))) == 0


@pytest.mark.parametrize("share", [0, 0.6, -1, "much"])
def test_a_share_that_cannot_be_is_refused(pictures, share):
    with pytest.raises(OptionError, match="extreme_share"):
        Texture(extreme_share=share).fit(pictures)


@pytest.mark.parametrize("change", [
    {"middle": np.zeros(30, np.float32)}, {"scale": np.zeros(31, np.float32)}, {"shape": np.array([96, 128, 2])},
    {"embedding_middle": np.full(124, np.nan, np.float32)}, {"embedding_scale": np.ones(124)},
    {"shape": np.array([96, 128])}, {"shape": np.array([96, 10**9, 1])}, {"middle": None},
])
def test_a_saved_state_that_cannot_be_is_refused(pictures, change):
    state = {**Texture().fit(pictures).get_state(), **change}
    state = {key: value for key, value in state.items() if value is not None}
    with pytest.raises(SavedModelError, match="texture"):
        Texture().set_state(state)
