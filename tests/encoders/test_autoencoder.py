import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError

from oddlens.encoders.autoencoder import Autoencoder
from oddlens.errors import OptionError, SavedModelError

ALL = frozenset({"embedding", "residual", "activations"})


@pytest.fixture(scope="module")
def fitted(digits):
    return Autoencoder(latent=20, steps=400).fit(digits)


def test_it_reconstructs_better_than_the_mean_image_and_than_it_did_untrained(fitted, digits):
    residual = fitted.encode(digits, ALL).residual.mean()
    untrained = Autoencoder(latent=20, steps=1).fit(digits).encode(digits, ALL).residual.mean()
    assert residual < 0.6 * (digits / 255).var(0).mean()
    assert residual < 0.5 * untrained


def test_nodes_are_sigmoid_and_the_residual_is_the_mean_squared_error(fitted, digits):
    encoded = fitted.encode(digits[:5], ALL)
    assert (encoded.embedding > 0).all()
    assert (encoded.embedding < 1).all()
    assert np.array_equal(encoded.activations["hidden"], encoded.embedding)
    state = fitted.get_state()
    x = digits[:5].reshape(5, -1) / 255
    sigmoid = lambda z: 1 / (1 + np.exp(-z))  # noqa: E731
    hidden = sigmoid(x @ state["network.encoder.weight"].T + state["network.encoder.bias"])
    back = sigmoid(hidden @ state["network.decoder.weight"].T + state["network.decoder.bias"])
    assert np.allclose(encoded.embedding, hidden, atol=1e-5)
    assert np.allclose(encoded.residual, ((back - x) ** 2).mean(1), atol=1e-6)


def test_only_what_is_needed_is_given(fitted, digits):
    encoded = fitted.encode(digits[:3], frozenset({"residual"}))
    assert encoded.embedding is None
    assert encoded.activations == {}
    assert len(encoded) == 3


def test_the_same_seed_gives_the_same_network_on_any_number_of_threads(digits):
    states = []
    for threads in (1, 2):
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        states.append(Autoencoder(latent=5, steps=60).fit(digits).get_state())
        torch.set_num_threads(before)
    assert all(np.array_equal(states[0][key], states[1][key]) for key in states[0])
    other = Autoencoder(latent=5, steps=60, random_state=1).fit(digits).get_state()
    assert not np.array_equal(states[0]["network.encoder.weight"], other["network.encoder.weight"])


@pytest.mark.parametrize("shape", [(9, 7, 3), (8, 8, 1), (1, 30, 1)])
def test_any_size_and_channels(shape):
    images = np.random.default_rng(0).integers(0, 256, (20, *shape), dtype=np.uint8)
    encoded = Autoencoder(latent=3, steps=5).fit(images).encode(images, ALL)
    assert encoded.embedding.shape == (20, 3)


def test_bad_use_is_named(fitted):
    with pytest.raises(OptionError, match="latent"):
        Autoencoder(latent=0).fit(np.zeros((4, 8, 8, 1), np.uint8))
    with pytest.raises(NotFittedError):
        Autoencoder().encode(np.zeros((4, 8, 8, 1), np.uint8), ALL)
    with pytest.raises(OptionError, match=r"\(28, 28, 1\), got \(8, 8, 1\)"):
        fitted.encode(np.zeros((4, 8, 8, 1), np.uint8), ALL)


@pytest.mark.parametrize("change", [
    {"shape": np.array([1_000_000, 1_000_000, 3])},
    {"shape": np.array([-28, -28, 1])},
    {"network.encoder.weight": np.zeros((20, 3), np.float32)},
    {"network.decoder.bias": np.zeros(3, np.float32)},
    {"network.extra": np.zeros(3, np.float32)},
    {"losses": np.zeros((2, 2))},
])
def test_a_state_that_does_not_fit_is_refused(fitted, change):
    with pytest.raises(SavedModelError):
        Autoencoder(latent=20).set_state({**fitted.get_state(), **change})
