"""Functions, networks and transformers of one's own as encoders."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from oddlens.adapters.own_encoders import BATCH, OwnEncoder, is_transformer
from oddlens.errors import OptionError
from oddlens.testing import encoder as contract

EMBEDDING = frozenset({"embedding"})
# It stands for another, which it cannot do without, and has no state.
NOT_OF_IT = {"encoder_keeps_its_options", "encoder_says_that_it_is_not_fitted", "encoder_comes_back_from_its_state"}
CHECKS = [check for check in contract.ENCODER_CHECKS if check.__name__ not in NOT_OF_IT]


def means(batch):
    assert batch.dtype == np.uint8
    return batch.mean((1, 2))


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.9), nn.Flatten(),
                         nn.Linear(4 * 36, 5))


GIVEN = {"function": means, "network": network(), "transformer": make_pipeline(StandardScaler(), PCA(3))}


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (50, 8, 8, 1), dtype=np.uint8)


@pytest.mark.parametrize("given", GIVEN.values(), ids=GIVEN)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_contract_of_an_encoder_holds_but_for_its_state(given, check, images):
    check(OwnEncoder(given), images)


def test_each_gives_what_it_makes_of_the_images(images):
    def embedding(given):
        return OwnEncoder(given).fit(images).encode(images, EMBEDDING).embedding

    np.testing.assert_array_equal(embedding(means), images.mean((1, 2)).astype(np.float32))
    rows = images.reshape(50, -1) / np.float32(255)
    np.testing.assert_allclose(np.abs(embedding(PCA(3))), np.abs(PCA(3).fit_transform(rows)), atol=1e-5)
    module = network().eval()
    with torch.inference_mode():
        wanted = module(torch.from_numpy(images).permute(0, 3, 1, 2) / 255)
    np.testing.assert_allclose(embedding(network()), wanted, atol=1e-5)


def test_of_a_network_with_places_the_mean_counts(images):
    module = nn.Conv2d(1, 6, 3)
    found = OwnEncoder(module).fit(images).encode(images, EMBEDDING).embedding
    with torch.inference_mode():
        wanted = module(torch.from_numpy(images).permute(0, 3, 1, 2) / 255).mean((2, 3))
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_a_network_is_asked_in_its_evaluation_mode_and_left_as_it_was(images):
    module = network().train()
    module[3].eval()
    OwnEncoder(module).fit(images).encode(images, EMBEDDING)
    assert [part.training for part in module] == [True, True, True, False, True, True]
    assert module[1].num_batches_tracked == 0, "and learned nothing of the images"


def test_an_own_transformer_stays_unfitted(images):
    given = PCA(2)
    OwnEncoder(given).fit(images)
    assert not hasattr(given, "components_")


def test_every_batch_has_one_size(images):
    sizes = []

    def told(batch):
        sizes.append(len(batch))
        return batch.reshape(len(batch), -1)

    OwnEncoder(told).fit(images).encode(images, EMBEDDING)
    assert set(sizes) == {BATCH}


@pytest.mark.parametrize(("given", "says"), [
    (lambda batch: batch.mean(), "gave an array of \\(\\)"),
    (lambda batch: batch.mean((1, 2, 3)), "a row of numbers for each"),
    (lambda batch: batch[:3], "gave an array of \\(3, 8, 8, 1\\)"),
    (lambda batch: np.full((len(batch), 2), np.nan), "not finite"),
])
def test_what_is_no_row_of_numbers_an_image_is_refused(given, says, images):
    with pytest.raises(OptionError, match=says):
        OwnEncoder(given).fit(images)


def test_what_it_is_called():
    assert OwnEncoder(means).called == "means"
    assert OwnEncoder(lambda batch: batch).called == "function"
    assert OwnEncoder(PCA()).called == "pca"
    assert OwnEncoder(network()).looks_at == "what sequential makes of it"


def test_nothing_of_it_can_be_saved(images):
    fitted = OwnEncoder(means).fit(images)
    for ask in (fitted.get_state, lambda: fitted.set_state({})):
        with pytest.raises(OptionError, match="means cannot be saved"):
            ask()


def test_what_is_a_transformer():
    assert is_transformer(PCA())
    assert not is_transformer(means)
    assert not is_transformer(network())
