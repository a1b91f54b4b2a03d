import numpy as np
import pytest

from oddlens.encoders.hog import Hog
from oddlens.encoders.statistics import Statistics
from oddlens.learning.edges import histograms
from oddlens.onnx.measures import hog
from onnx_runs import Graph, apart, fitted_both, photos, session_of


@pytest.mark.parametrize("encoder", [Hog(), Hog(1), Hog(4, cell=3), Hog(8), Hog(28)], ids=str)
@pytest.mark.parametrize("kind", ["digits", "photos"])
def test_the_directions_of_edges_are_those_of_the_encoder(encoder, kind, digits):
    assert apart(encoder, digits[:120] if kind == "digits" else photos())["embedding"] <= 1e-6


@pytest.mark.parametrize("orientations", [2, 4, 8, 9, 12, 28, 36])
def test_every_direction_that_two_differences_can_have_falls_where_it_does(orientations):
    """Pictures of one edge each, of every small difference down and across, diagonals and both axes among them."""
    size = 6
    steps = np.arange(-5, 6)
    rows, columns = np.mgrid[:size, :size]
    images = np.stack([128 + 5 * (down * rows + across * columns) for down in steps for across in steps])
    images = images.clip(0, 255).astype(np.uint8)[..., None]
    encoder, graph = Hog(orientations, cell=3).fit(images), Graph(images.shape[1:])
    graph.put("out", hog(graph, encoder)["embedding"], 4 * orientations)
    found = session_of(graph).run(None, {"images": images})[0]
    np.testing.assert_allclose(found, histograms(images, orientations, 3), atol=1e-6)


@pytest.mark.parametrize("kind", ["digits", "photos", "large", "narrow"])
def test_statistics_are_those_of_the_encoder(kind, digits):
    rng = np.random.default_rng(1)
    images = {"digits": digits[:120], "photos": photos(),
              "large": rng.integers(0, rng.integers(30, 256, (60, 1, 1, 1)), (60, 90, 101, 1)).astype(np.uint8),
              "narrow": rng.integers(0, rng.integers(30, 256, (60, 1, 1, 1)), (60, 2, 9, 3)).astype(np.uint8)}[kind]
    found, wanted = fitted_both(Statistics(), images)
    # The whitening stretches what hardly varies a hundredfold, and so what rounding left of it.
    assert np.abs(found["embedding"] - wanted["embedding"]).max() <= 1e-4 * max(1, np.abs(wanted["embedding"]).max())
