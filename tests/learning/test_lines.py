import math

import numpy as np
import pytest

from oddlens.learning.lines import CELLS, DIRECTIONS, grid_of, lines_of

SIDE = 128


def crossed(degrees, contrast=20, grain=20, side=SIDE, width=1.2, edge=False):
    """Grain, and a faint straight line, or the edge between two halves, through the middle."""
    rng = np.random.default_rng(0)
    down, across = np.mgrid[:side, :side] - (side - 1) / 2
    away = down * math.cos(math.radians(degrees)) - across * math.sin(math.radians(degrees))
    shape = np.where(away > 0, 0.5, -0.5) if edge else np.exp(-away**2 / (2 * width**2))
    image = rng.normal(128, grain, (side, side)) + contrast * shape
    return image.clip(0, 255).astype(np.uint8)[..., None]


def test_it_gives_lines_and_edges_in_each_direction_at_places_that_overlap():
    assert lines_of(crossed(0)).shape == (CELLS - 1, CELLS - 1, 2 * DIRECTIONS)
    assert grid_of(300, 150) == (31, 15)
    assert lines_of(np.zeros((300, 150, 3), np.uint8)).shape == (31, 15, 32)


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 2, 3), (8, 8, 1), (5, 97, 1), (97, 5, 3), (33, 250, 1)])
def test_pictures_of_any_shape_have_places(shape):
    found = lines_of(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))
    assert found.shape[:2] == grid_of(*shape[:2])
    assert found.dtype == np.float32
    assert np.isfinite(found).all()
    assert (found >= 0).all()


@pytest.mark.parametrize("degrees", [0, 22.5, 45, 90, 112.5, 157.5])
def test_a_line_fainter_than_the_grain_stands_out_in_its_direction(degrees):
    found, without = lines_of(crossed(degrees)), lines_of(crossed(degrees, contrast=0))
    strongest = found[10:21, 10:21, :DIRECTIONS].mean((0, 1)) - without[10:21, 10:21, :DIRECTIONS].mean((0, 1))
    assert strongest.argmax() == round(degrees / 180 * DIRECTIONS)
    middle = found[15, 15, strongest.argmax()]
    assert middle > 1.5 * without[..., :DIRECTIONS].mean()


def test_an_edge_stands_out_as_an_edge():
    found = lines_of(crossed(45, contrast=30, edge=True)) - lines_of(crossed(45, contrast=0))
    along = [found[row, row] for row in range(8, 23)]
    assert np.mean(along, 0).argmax() == DIRECTIONS + DIRECTIONS // 4


def test_light_and_dark_lines_are_alike_and_contrast_does_not_matter():
    image = crossed(30, contrast=40, grain=5)
    found = lines_of(image)
    assert np.allclose(found, lines_of(255 - image), atol=1e-3)
    fainter = (128 + (image.astype(float) - 128) / 2).round().astype(np.uint8)
    assert np.corrcoef(found.ravel(), lines_of(fainter).ravel())[0, 1] > 0.98


def test_a_long_line_says_more_than_a_short_one():
    whole = crossed(0)
    short = crossed(0, contrast=0)
    short[:, 60:68] = whole[:, 60:68]
    direction = 0
    assert lines_of(whole)[15, 15, direction] > 1.5 * lines_of(short)[15, 15, direction]


def test_a_picture_of_one_colour_has_neither():
    assert not lines_of(np.full((SIDE, SIDE, 3), 77, np.uint8)).any()
    noise = np.full((SIDE, SIDE, 1), 77, np.uint8)
    noise[::2] += 1  # a step of rounding
    assert lines_of(noise).max() < 1


def test_colours_count_by_their_mean():
    image = crossed(30)
    np.testing.assert_allclose(lines_of(image), lines_of(image.repeat(3, 2)), rtol=1e-5)
