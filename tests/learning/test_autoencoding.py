"""What a network of known weights gives: each field of Encoded against a hand-made one."""

import numpy as np
import pytest
import torch

from oddlens.errors import OptionError
from oddlens.learning.autoencoding import BATCH, AutoencoderNetwork, as_nodes, check_latent, encode

ALL = frozenset({"embedding", "residual", "activations", "pathway"})


class Halving(AutoencoderNetwork):
    """Two layers that halve, and a decoder that gives the embedding back as pixels."""

    def __init__(self):
        super().__init__()
        self.node_types = {"first": "relu", "second": "linear"}
        self.factor = torch.nn.Parameter(torch.tensor(0.5))

    def hidden(self, batch):
        flat = batch.flatten(1)
        return {"first": flat * self.factor, "second": flat * self.factor**2}

    def decode(self, embedding):
        return embedding.view(-1, 1, 2, 2)


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (BATCH + 5, 2, 2, 1), dtype=np.uint8)


def test_every_field_is_what_the_layers_give(images):
    x = images.reshape(len(images), 4) / 255
    found = encode(Halving(), images, ALL)
    assert found.embedding == pytest.approx(x / 4, abs=1e-6)
    assert found.residual == pytest.approx(((x / 4 - x) ** 2).mean(1), abs=1e-6)
    assert found.activations["first"] == pytest.approx(x / 2, abs=1e-6)
    assert found.pathway["first"] == pytest.approx(x / 2 - x / 8, abs=1e-6)  # less those of the reconstruction
    assert found.pathway["second"] == pytest.approx(x / 4 - x / 16, abs=1e-6)
    assert found.node_types == {"first": "relu", "second": "linear"}
    assert found.residual.dtype == np.float64


@pytest.mark.parametrize("need", sorted(ALL))
def test_no_more_is_given_than_was_asked_for(images, need):
    found = encode(Halving(), images, frozenset({need}))
    given = {name for name in ALL if (value := getattr(found, name)) is not None and len(value)}
    assert given == {need}


def test_an_image_has_the_same_numbers_whatever_comes_with_it(images):
    whole = encode(Halving(), images, ALL)
    alone = encode(Halving(), images[7:8], ALL)
    assert np.array_equal(alone.embedding[0], whole.embedding[7])
    assert alone.residual[0] == whole.residual[7]


def test_the_loss_is_the_squared_error_summed_over_an_image():
    batch = torch.full((3, 1, 2, 2), 0.8)
    assert float(Halving()(batch).detach()) == pytest.approx(4 * 0.6**2)


def test_a_feature_map_becomes_the_mean_of_each_channel_in_4_x_4_parts():
    maps = torch.arange(2 * 8 * 8, dtype=torch.float32).view(1, 2, 8, 8)
    nodes = as_nodes(maps)
    assert nodes.shape == (1, 32)
    assert nodes[0, 0] == maps[0, 0, :2, :2].mean()
    assert nodes[0, 31] == maps[0, 1, 6:, 6:].mean()
    assert as_nodes(torch.ones(1, 3, 2, 5)).shape == (1, 3 * 2 * 4)  # a side of fewer parts keeps them


@pytest.mark.parametrize("latent", [0, -1, 2.0, "50", None, 2**20 + 1])
def test_a_number_of_nodes_that_is_none_is_refused(latent):
    with pytest.raises(OptionError, match=r"latent must be a whole number of 1 or more, got"):
        check_latent(latent)


def test_numpy_counts_are_numbers_of_nodes():
    assert check_latent(np.int64(3)) is None
