import base64
import io
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from oddlens.report.thumbnails import heated, large
from oddlens.thumbnails import picture


def decoded(made):
    kind, content = re.fullmatch(r"data:image/(\w+);base64,(.*)", made.uri).groups()
    return kind, np.asarray(Image.open(io.BytesIO(base64.b64decode(content))))


@pytest.mark.parametrize("shape", [(28, 28, 1), (20, 48, 3), (400, 800, 3), (300, 90, 1), (1, 60, 3)])
def test_heat_is_shown_in_the_frame_and_at_the_size_of_its_picture(shape):
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    base = picture("p0", image)
    heat = np.zeros((10, 10))
    heat[:5] = 1  # the upper half
    made = heated("h0", base, image, heat)
    assert (made.width, made.height, made.shown) == (base.width, base.height, base.shown)
    pixels = decoded(made)[1].astype(int)
    assert pixels.shape[1] * base.height == pytest.approx(pixels.shape[0] * base.width, rel=0.02)
    if shape[0] > 1:
        colourful = np.ptp(pixels, axis=2)
        assert colourful[: len(pixels) // 3].mean() > 2 * colourful[-(len(pixels) // 3):].mean()


def test_a_large_picture_is_kept_whole_within_its_share_and_a_small_one_is_not_made():
    image = np.random.default_rng(0).integers(0, 256, (900, 2400, 3), dtype=np.uint8)
    whole = large("large-3", image, None, 2**23)
    assert (whole.width, whole.height, whole.heat) == (1600, 600, None)
    assert decoded(whole)[1].shape == (600, 1600, 3)
    less = large("large-3", image, None, 60_000)
    assert less.width < 1600
    assert len(less.uri) < 80_000 + 100
    assert less.width * whole.height == pytest.approx(whole.width * less.height, rel=0.01)
    assert large("large-3", image[:160, :160], None, 2**23) is None


def test_the_heat_of_a_large_picture_is_a_layer_of_its_own():
    heat = np.zeros((6, 16))
    heat[:3] = 1
    made = large("large-3", np.full((300, 800, 1), 90, np.uint8), heat, 2**20)
    laid = decoded(replace(made, uri=made.heat))[1]
    assert laid.shape == (6, 16, 4)
    assert (laid[:3, :, 3] > 150).all()
    assert (laid[3:, :, 3] == 0).all()
