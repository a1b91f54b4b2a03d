"""Each measure on images for which it can be told by hand."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from oddlens.explaining.image_measures import batches, greys, lightness, of_batch, resized, smoothed


def measured(*images):
    pixels = np.stack(images).astype(np.uint8)
    pixels = pixels[..., None] if pixels.ndim == 3 else pixels
    return of_batch(pixels, greys(pixels))


def edge(side=40, low=40, high=200):
    image = np.full((side, side), low)
    image[:, side // 2 :] = high
    return image


def test_an_image_of_one_grey_has_no_spread_span_or_edges():
    found = measured(np.full((20, 20), 90))
    assert [found[name][0] for name in ("spread", "span", "contrast", "edge_width", "band_edge")] == [0] * 5
    assert [found[name][0] for name in ("brightness", "lightest", "darkest")] == [90] * 3
    assert found["band"][0] == 1  # all of it is a band of one colour
    assert found["band_more"][0] == 0


def test_light_and_contrast_are_in_levels():
    found = measured(edge())
    assert found["brightness"][0] == 120
    assert (found["darkest"][0], found["lightest"][0], found["contrast"][0]) == (40, 200, 160)
    assert found["span"][0] == 160
    assert found["spread"][0] == pytest.approx(80)


def test_single_noisy_pixels_are_no_span():
    image = np.full((40, 40), 100)
    image[10, 10] = 255
    assert measured(image)["span"][0] < 0.3 * 155


def test_pure_red_is_not_dark():
    red = np.zeros((10, 10, 3))
    red[..., 0] = 255
    found = measured(red)
    assert found["brightness"][0] == 127.5
    assert found["lightest"][0] == 255
    assert found["colour"][0] == 255


def test_a_clean_edge_is_1_wide_and_a_blur_widens_it_in_proportion():
    blurred = [gaussian_filter(edge().astype(float), (0, sigma)).round() for sigma in (1, 2)]
    found = measured(edge(), *blurred)["edge_width"]
    assert found[0] == 1
    assert found[1] == pytest.approx(2.5, abs=0.3)
    assert found[2] > 1.5 * found[1]


def test_a_band_is_at_the_bottom_alone_and_a_frame_is_none():
    noise = np.random.default_rng(0).integers(60, 200, (20, 20))
    cut, framed = noise.copy(), noise.copy()
    cut[15:] = 0
    framed[15:] = framed[:5] = 0
    found = measured(noise, cut, framed)
    assert found["band"] == pytest.approx([0, 0.25, 0.25])
    assert found["band_more"][1] == pytest.approx(0.25)
    assert found["band_edge"][1] == pytest.approx(0.25)
    assert found["band_more"][2] == 0


def test_greys_weigh_the_channels_as_they_look():
    colours = np.zeros((3, 1, 1, 3), np.uint8)
    colours[range(3), 0, 0, range(3)] = 200
    assert greys(colours).ravel() == pytest.approx([59.8, 117.4, 22.8])


def test_resizing_keeps_the_mean_and_smoothing_the_constant():
    images = np.random.default_rng(0).random((2, 30, 21)).astype(np.float32)
    assert resized(images, 7).mean((1, 2)) == pytest.approx(images.mean((1, 2)), rel=1e-5)
    assert resized(images[:, :28, :], 7)[0, 0, 0] == pytest.approx(images[0, :4, :3].mean(), rel=1e-5)
    assert smoothed(np.full((1, 5, 5), 3, np.float32), 2) == pytest.approx(np.full((1, 5, 5), 3))


def test_lightness_and_batches():
    images = np.stack([edge(8), np.full((8, 8), 7)]).astype(np.float32)
    found = lightness(images)
    assert np.linalg.norm(found[0]) == pytest.approx(1, rel=1e-6)
    assert not found[1].any()
    parts = list(batches(np.zeros((5, 2048, 2048, 1), np.uint8)))
    assert [part.stop - part.start for part in parts] == [1] * 5
