import numpy as np
import pytest

from oddlens.encoders.lines import Lines
from oddlens.errors import OptionError, SavedModelError

BOTH = frozenset({"embedding", "maps"})


@pytest.fixture(scope="module")
def pictures():
    """Sixty pictures of grain; a crack as faint as the grain runs through the ninth."""
    images = np.random.default_rng(0).normal(128, 20, (60, 128, 96, 1))
    for row in range(20, 100):
        images[8, row, 20 + (row - 20) // 2] -= 40
    return images.clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def encoded(pictures):
    return Lines().fit(pictures).encode(pictures, BOTH)


def test_it_gives_each_place_and_the_whole(encoded):
    assert encoded.maps.shape == (60, 31, 23, 32)
    assert encoded.maps.dtype == np.float16
    assert encoded.embedding.shape == (60, 32)


def test_a_crack_as_faint_as_the_grain_is_far_from_all_others(encoded):
    assert np.linalg.norm(encoded.embedding, axis=1).argmax() == 8
    assert encoded.embedding[8, :16].argmax() in (5, 6)  # 63 degrees


def test_the_places_along_it_say_so(encoded):
    strongest = encoded.maps[8, :, :, :16].max(2)
    row, column = np.unravel_index(strongest.argmax(), strongest.shape)
    assert abs((column + 1) * 4 - (20 + ((row + 1) * 4 - 20) / 2)) < 8  # pixels from the crack


def test_it_makes_use_of_256_pixels_and_then_of_what_it_has_seen(pictures):
    assert Lines().detail_side == 256
    assert Lines().fit(pictures).detail_side == 128


@pytest.mark.parametrize("share", [0, 0.6, -1, "much"])
def test_a_share_that_cannot_be_is_refused(pictures, share):
    with pytest.raises(OptionError, match="extreme_share"):
        Lines(extreme_share=share).fit(pictures)


@pytest.mark.parametrize("change", [
    {"middle": np.zeros(30, np.float32)}, {"scale": np.zeros(32, np.float32)}, {"shape": np.array([128, 96])},
    {"embedding_middle": np.full(32, np.nan, np.float32)}, {"embedding_scale": np.ones(32)},
    {"shape": np.array([128, 10**9, 1])}, {"middle": None},
])
def test_a_saved_state_that_cannot_be_is_refused(pictures, change):
    state = {**Lines().fit(pictures).get_state(), **change}
    state = {key: value for key, value in state.items() if value is not None}
    with pytest.raises(SavedModelError, match="lines"):
        Lines().set_state(state)


def test_it_comes_back_from_its_state(pictures, encoded):
    again = Lines().set_state(Lines().fit(pictures).get_state()).encode(pictures, BOTH)
    assert np.array_equal(again.maps, encoded.maps)
    assert np.array_equal(again.embedding, encoded.embedding)
