import numpy as np
import pytest

from oddlens.encoders.autoencoder import Autoencoder
from oddlens.encoders.conv_autoencoder import ConvAutoencoder
from oddlens.encoders.deep_autoencoder import DeepAutoencoder
from oddlens.encoders.dictionary import Dictionary
from oddlens.encoders.pixels import Pixels
from onnx_runs import apart, photos


@pytest.mark.parametrize("encoder", [
    Pixels(side=11), Pixels(), Dictionary(atoms=16), Dictionary(atoms=16, patch=(3, 5)), Dictionary(atoms=16, layers=2),
    Autoencoder(latent=10, steps=40), DeepAutoencoder(sizes=(32, 16), steps=40), ConvAutoencoder(channels=4, steps=30),
], ids=str)
@pytest.mark.parametrize("kind", ["digits", "photos"])
def test_the_graph_gives_what_the_encoder_gives(encoder, kind, digits):
    assert max(apart(encoder, digits[:120] if kind == "digits" else photos()).values()) <= 1e-4


@pytest.mark.parametrize("encoder", [Dictionary(atoms=16), Dictionary(atoms=16, layers=2)], ids=str)
def test_of_faint_pictures_on_a_bright_ground_too(encoder):
    rng = np.random.default_rng(0)
    images = photos()
    images[::2] = 200 + (rng.random(images[::2].shape) < 0.03)
    assert max(apart(encoder, images).values()) <= 5e-6  # seen from 0 it would be 1e-5 and more
