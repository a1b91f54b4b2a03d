import numpy as np
import pytest

from oddlens.encoders.autoencoder import Autoencoder
from oddlens.encoders.conv_autoencoder import ConvAutoencoder
from oddlens.encoders.deep_autoencoder import DeepAutoencoder
from oddlens.encoders.dictionary import Dictionary
from oddlens.encoders.pixels import Pixels
from oddlens.onnx.encoders import ENCODERS
from oddlens.onnx.graph import Graph

onnxruntime = pytest.importorskip("onnxruntime")


def photos():
    """40 coloured pictures of 60 x 72 with something in them, and one that is all black."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 60, (40, 60, 72, 3), dtype=np.uint8)
    for image in images:
        row, column = rng.integers(5, 40, 2)
        image[row : row + 12, column : column + 16] += 150
    images[3] = 0
    return images


@pytest.mark.parametrize("encoder", [
    Pixels(side=11), Pixels(), Dictionary(atoms=16), Dictionary(atoms=16, patch=(3, 5)), Dictionary(atoms=16, layers=2),
    Autoencoder(latent=10, steps=40), DeepAutoencoder(sizes=(32, 16), steps=40), ConvAutoencoder(channels=4, steps=30),
], ids=str)
@pytest.mark.parametrize("kind", ["digits", "photos"])
def test_the_graph_gives_what_the_encoder_gives(encoder, kind, digits):
    images = digits[:120] if kind == "digits" else photos()
    encoder.fit(images)
    graph = Graph(images.shape[1:])
    wanted = encoder.encode(images, frozenset({"embedding", "residual"}) & encoder.gives)
    for name, value in ENCODERS[type(encoder)](graph, encoder).items():
        graph.put(name, value, *getattr(wanted, name).shape[1:])
    session = onnxruntime.InferenceSession(graph.content("a test"), providers=["CPUExecutionProvider"])
    found = dict(zip([output.name for output in session.get_outputs()], session.run(None, {"images": images}),
                     strict=True))
    assert set(found) == {"embedding", "residual"} & set(encoder.gives)
    for name, values in found.items():
        expected = getattr(wanted, name)
        assert np.ptp(expected) > 0
        assert np.abs(values - expected).max() <= 1e-4, name
