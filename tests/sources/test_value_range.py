import numpy as np
import pytest

from oddlens.errors import SourceError, UnreadableImage
from oddlens.sources import open_source
from oddlens.sources.value_range import as_uint8, spread, white_of

GREY = np.random.default_rng(0).integers(0, 256, (12, 6, 7), dtype=np.uint8)


@pytest.mark.parametrize(("scale", "kind"), [(1, np.float32), (255, np.float64), (1, np.float16), (255, np.float32)])
def test_floats_are_taken_by_the_range_that_they_clearly_have(scale, kind):
    given = (GREY / 255 * scale).astype(kind)
    source = open_source(given)
    found = np.stack([source.read(row) for row in range(len(source))])[..., 0]
    assert np.abs(found.astype(int) - GREY).max() <= (1 if kind == np.float16 else 0)


@pytest.mark.parametrize(("images", "message"), [
    ([GREY / 255.0, GREY * 1.0], "from 0 to 1 and others up to"),
    ([GREY / 255 * 2 - 1], "neither 0..1 nor clearly 0..255.*before they are normalised"),
    ([GREY / 255 * 1.3], "neither"),
    ([GREY * 16.0], "neither"),
])
def test_a_range_that_is_not_clear_is_asked_for(images, message):
    with pytest.raises(SourceError, match=message):
        white_of(images, "it")
    with pytest.raises(SourceError, match=message):
        open_source(np.concatenate([np.atleast_3d(image).reshape(-1, 6, 7) for image in images]))


def test_black_and_white_goes_by_the_others():
    masks = [np.zeros((3, 3)), np.ones((3, 3)), np.eye(3)]
    assert white_of(masks, "it") == 1
    assert white_of([*masks, np.full((3, 3), 200.0)], "it") == 255
    assert white_of([*masks, np.full((3, 3), 0.5)], "it") == 1
    assert white_of([*masks, np.full((3, 3), 0.5), np.full((3, 3), np.inf)], "it") == 1, "one that is broken says none"


def test_what_is_beyond_the_range_is_unreadable_not_clipped():
    assert as_uint8(np.array([[0.0, 127.4, 255]]), 255, "x").tolist() == [[0, 127, 255]]
    for value in (-1e-3, 255.1, np.nan, np.inf):
        with pytest.raises(UnreadableImage, match="numbers from 0 to 255"):
            as_uint8(np.array([[0.0, value]]), 255, "x")


def test_a_sample_is_spread_over_all():
    assert spread(5, 64) == [0, 1, 2, 3, 4]
    assert spread(1000, 5) == [0, 249, 499, 749, 999]
