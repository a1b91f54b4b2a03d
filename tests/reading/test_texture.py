import numpy as np
import pytest

from oddlens.reading.texture import MEASURES, grid_of, measures, scales_of, texture_of

SIZE = (128, 192)  # cells of 6 x 6 pixels


def picture(pattern, size=SIZE):
    """A grey picture of a pattern of rows and columns, from 0 to 1."""
    down, across = np.mgrid[: size[0], : size[1]]
    return (255 * np.clip(pattern(down, across), 0, 1)).round().astype(np.uint8)[..., None]


def measured(image, name, scale=0):
    return texture_of(image)[..., MEASURES.index(name) + scale * len(MEASURES)] / 255


@pytest.mark.parametrize(("size", "grid", "scales"), [
    ((128, 128), (32, 32), 5), ((128, 192), (21, 32), 6), ((3000, 4000), (24, 32), 10), ((300, 300), (32, 32), 6),
    ((20, 12), (5, 3), 5), ((8, 8), (2, 2), 5), ((4, 300), (1, 32), 6),
])
def test_there_are_about_32_cells_along_the_longer_side_none_below_four_pixels(size, grid, scales):
    assert grid_of(*size) == grid
    assert scales_of(*size) == scales
    assert measures(*size, 3) == (*grid, 6 * scales + 3)
    assert texture_of(np.zeros((*size, 3), np.uint8)).shape == (*grid, 6 * scales + 3)


def test_a_flat_picture_has_no_detail_and_its_own_light():
    found = texture_of(np.full((*SIZE, 1), 102, np.uint8)).astype(int)
    assert (found[..., -1] == 102).all()
    for scale in range(scales_of(*SIZE)):
        values = dict(zip(MEASURES, found[0, 0, 6 * scale : 6 * scale + 6], strict=True))
        assert values["strength"] == values["strongest"] == 0
        assert all(abs(values[name] - 127.5) <= 1 for name in ("along", "across", "polarity", "lightness"))
    assert (found == found[0, 0]).all()


def test_stripes_run_the_way_they_run_at_the_scale_that_they_have():
    upright = picture(lambda _, across: 0.5 + 0.4 * np.sin(across * np.pi / 2))  # four pixels a period
    lying = picture(lambda down, _: 0.5 + 0.4 * np.sin(down * np.pi / 2))
    slanted = picture(lambda down, across: 0.5 + 0.4 * np.sin((down + across) * np.pi / 3))
    assert (measured(upright, "along") > 0.95).all()
    assert (measured(lying, "along") < 0.05).all()
    assert abs(measured(slanted, "along")[2:-2, 2:-2] - 0.5).max() < 0.05
    assert (measured(slanted, "across")[2:-2, 2:-2] > 0.95).all()
    assert (measured(slanted[:, ::-1], "across")[2:-2, 2:-2] < 0.05).all()
    fine = [measured(upright, "strength", scale).mean() for scale in range(6)]
    wide = picture(lambda _, across: 0.5 + 0.4 * np.sin(across * np.pi / 16))
    coarse = [measured(wide, "strength", scale).mean() for scale in range(6)]
    assert np.argmax(fine) == 0
    assert np.argmax(coarse) == 3  # 32 pixels a period are 4 where each stands for 8


def test_its_strength_is_the_logarithm_of_the_variance_of_the_detail():
    rng = np.random.default_rng(0)
    weak, strong = (picture(lambda *_, s=s: 0.5 + s * rng.normal(size=SIZE)) for s in (0.02, 0.08))
    apart = measured(strong, "strength").mean() - measured(weak, "strength").mean()
    assert apart == pytest.approx(np.log(16) / -np.log(1e-5), abs=0.03)


def test_a_dark_spot_is_dark_where_it_is_and_nowhere_else():
    image = picture(lambda down, across: np.where((down - 70) ** 2 + (across - 40) ** 2 < 5, 0.1, 0.6))
    polarity, strongest = measured(image, "polarity"), measured(image, "strongest")
    assert np.unravel_index(strongest.argmax(), strongest.shape) == (11, 6)  # 70 and 40 of cells of 6.1 and 6
    assert polarity[11, 6] < 0.4
    assert measured(255 - image, "polarity")[11, 6] > 0.6
    assert (texture_of(image)[:8] == texture_of(picture(lambda down, _: 0.6 + 0 * down))[:8])[..., :12].all()


def test_a_scratch_of_five_pixels_in_four_thousand_is_seen():
    rng = np.random.default_rng(0)
    plain = rng.normal(140, 6, (3000, 4000, 1)).clip(0, 255).astype(np.uint8)
    scratched = plain.copy()
    scratched[1500:1505, 1000:1200] //= 2
    one, other = texture_of(plain).astype(int), texture_of(scratched).astype(int)
    cells = np.abs(one - other)[..., :12].max(2)  # the finest two scales
    assert cells[12, 8:10].min() > 60
    assert cells[:10].max() == 0


def test_the_colours_of_a_cell_are_their_means():
    image = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    cell = image[6 * 0 : 7, 0:6].reshape(-1, 3).mean(0)  # 128 / 21 pixels end within the seventh row
    assert texture_of(image)[0, 0, -3:] == pytest.approx(cell, abs=1)
    grey = image[..., :1]
    assert np.array_equal(texture_of(np.repeat(grey, 3, 2))[..., :-3], texture_of(grey)[..., :-1])


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (2, 3), (5, 7), (97, 97)])
def test_any_size_gives_measures_and_a_picture_on_its_side_the_same_but_the_way(size):
    image = np.random.default_rng(0).integers(0, 256, (*size, 1), dtype=np.uint8)
    found = texture_of(image).astype(int)
    turned = texture_of(np.ascontiguousarray(image.transpose(1, 0, 2))).astype(int).transpose(1, 0, 2)
    along = [n for n in range(found.shape[2] - 1) if MEASURES[n % 6] == "along"]
    rest = [n for n in range(found.shape[2]) if n not in along]
    assert np.abs(found[..., rest] - turned[..., rest]).max() <= 1
    assert np.abs(found[..., along] - (255 - turned[..., along])).max() <= 1
