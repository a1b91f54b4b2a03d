import numpy as np
import pytest

from oddlens.encoders.lines import Lines
from oddlens.learning.lines import BINOMIAL, lines_of
from oddlens.onnx.lines import DIFFERENCES, lines
from onnx_runs import Graph, apart, photos, session_of, slopes


@pytest.mark.parametrize(("kind", "most"), [("digits", 1e-4), ("photos", 1e-4), ("slopes", 1e-4)])
def test_lines_and_edges_are_those_of_the_encoder(kind, most, digits):
    images = {"digits": digits[:60], "photos": photos()[:20], "slopes": slopes((90, 101))}[kind]
    found = apart(Lines(), images)
    assert set(found) == {"embedding", "maps"}
    assert max(found.values()) <= most


@pytest.mark.parametrize("shape", [(64, 64, 1), (128, 66, 3), (5, 97, 1), (97, 5, 3), (2, 2, 3)])
def test_so_they_are_in_pictures_of_any_shape(shape):
    images = np.random.default_rng(0).integers(0, 256, (6, *shape), dtype=np.uint8)
    assert max(apart(Lines(extreme_share=0.1), images).values()) <= 1e-4


def test_a_picture_of_one_colour_has_neither_there_either():
    images = np.random.default_rng(0).integers(0, 256, (6, 48, 48, 3), dtype=np.uint8)
    encoder, graph = Lines().fit(images), Graph(images.shape[1:])
    encoder.middle_, encoder.scale_ = np.zeros(32, np.float32), np.ones(32, np.float32)
    graph.put("maps", lines(graph, encoder)["maps"], 31, 31, 32)
    images[0] = (77, 91, 203)
    found = session_of(graph).run(None, {"images": images})[0]
    assert not found[0].any()
    np.testing.assert_allclose(found[1], lines_of(images[1]), atol=1e-5)
    assert found[1].max() > 0.5


def test_slopes_are_whole_numbers_that_float32_holds():
    most = 255 * 3 * BINOMIAL.sum() ** 2 * np.abs(DIFFERENCES).sum((1, 2, 3)).max()
    assert most < 2**24
    assert all((part == part.round()).all() for part in (BINOMIAL, DIFFERENCES))
