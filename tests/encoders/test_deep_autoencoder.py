import numpy as np
import pytest

from oddlens.encoders.deep_autoencoder import DeepAutoencoder
from oddlens.errors import OptionError, SavedModelError

ALL = frozenset({"embedding", "residual", "activations", "pathway"})


@pytest.fixture(scope="module")
def fitted(digits):
    return DeepAutoencoder(sizes=(64, 32), steps=150).fit(digits)


def test_it_reconstructs_far_better_than_untrained(fitted, digits):
    untrained = DeepAutoencoder(sizes=(64, 32), steps=1).fit(digits)
    assert fitted.encode(digits, ALL).residual.mean() < 0.5 * untrained.encode(digits, ALL).residual.mean()


def test_layers_and_their_kinds(fitted, digits):
    encoded = fitted.encode(digits[:7], ALL)
    assert {name: layer.shape for name, layer in encoded.activations.items()} == {
        "layer1": (7, 64), "layer2": (7, 32), "latent": (7, 8)}
    assert encoded.pathway.keys() == encoded.activations.keys() == encoded.node_types.keys()
    assert encoded.node_types == {"layer1": "relu", "layer2": "relu", "latent": "linear"}
    assert np.array_equal(encoded.embedding, encoded.activations["latent"])


def test_the_pathway_is_the_difference_to_the_reconstructions_own_activations(fitted, digits):
    import torch

    from oddlens.learning.training import as_batch

    encoded = fitted.encode(digits[:5], ALL)
    with torch.inference_mode():
        batch = as_batch(torch.from_numpy(digits[:5].copy()))
        hidden = fitted.network_.hidden(batch)
        again = fitted.network_.hidden(fitted.network_.decode(hidden["latent"]))
    for name in hidden:
        assert np.allclose(encoded.pathway[name], (hidden[name] - again[name]).numpy(), atol=1e-5)


@pytest.mark.parametrize("bad", [{"sizes": ()}, {"sizes": (0,)}, {"latent": 0}])
def test_bad_options_are_named(bad):
    with pytest.raises(OptionError, match=next(iter(bad))):
        DeepAutoencoder(**bad).fit(np.zeros((4, 8, 8, 1), np.uint8))


@pytest.mark.parametrize("change", [
    {"shape": np.array([4096, 4096, 3])}, {"network.stages.latent.weight": np.zeros((8, 5), np.float32)},
    {"network.extra": np.zeros(3, np.float32)}, {"losses": np.array([])},
])
def test_a_state_that_does_not_fit_is_refused(fitted, change):
    with pytest.raises(SavedModelError):
        DeepAutoencoder(sizes=(64, 32)).set_state({**fitted.get_state(), **change})
