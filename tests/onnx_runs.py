"""An encoder's nodes, run by onnxruntime beside the encoder itself."""

import numpy as np
import pytest

from oddlens.onnx.encoders import ENCODERS
from oddlens.onnx.graph import Graph

onnxruntime = pytest.importorskip("onnxruntime")

HALF = 2**-11  # what rounding to half precision may change, of a number


def session_of(graph):
    """The graph, ready to run."""
    return onnxruntime.InferenceSession(graph.content("a test"), providers=["CPUExecutionProvider"])


def fitted_both(encoder, images):
    """What the nodes give and what the encoder gives, by name, once it is fitted to the images."""
    encoder.fit(images)
    graph = Graph(images.shape[1:])
    wanted = encoder.encode(images, frozenset({"embedding", "maps", "residual", "surprise"}) & encoder.gives)
    for name, value in ENCODERS[type(encoder)](graph, encoder).items():
        graph.put(name, value, *getattr(wanted, name).shape[1:])
    session = session_of(graph)
    names = [output.name for output in session.get_outputs()]
    found = dict(zip(names, session.run(None, {"images": images}), strict=True))
    assert set(found) == {"embedding", "maps", "residual", "surprise"} & set(encoder.gives)
    return found, {name: getattr(wanted, name).astype(np.float64) for name in names}


def apart(encoder, images):
    """How far the two lie apart at most; of maps beyond what half precision leaves."""
    found, wanted = fitted_both(encoder, images)
    for name, values in wanted.items():
        assert np.ptp(values) > 0, name
    return {name: float((np.abs(values - wanted[name]) - (HALF * np.abs(wanted[name]) if name == "maps" else 0)).max())
            for name, values in found.items()}


def photos():
    """40 coloured pictures of 60 x 72 with something in them, and one that is all black."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 60, (40, 60, 72, 3), dtype=np.uint8)
    for image in images:
        row, column = rng.integers(5, 40, 2)
        image[row : row + 12, column : column + 16] += 150
    images[3] = 0
    return images


def slopes(shape):
    """30 grey pictures of which much is smooth, with sides that no step divides."""
    rng = np.random.default_rng(0)
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    slope = 120 + 60 * np.sin(rows / 7) + 50 * np.cos(columns / 9)
    images = (slope[..., None] + rng.normal(0, 3, (30, *shape, 1))).clip(0, 255).astype(np.uint8)
    images[0] = 201  # of one colour throughout: its contrast is what rounding left
    return images
