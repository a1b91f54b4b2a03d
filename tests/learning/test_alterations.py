import numpy as np
import pytest
import torch

from oddlens.learning import alterations
from oddlens.learning.alterations import KINDS, altered, places


@pytest.fixture(scope="module")
def images():
    return torch.rand(64, 1, 32, 48, generator=torch.Generator().manual_seed(0))


def test_places_are_of_many_sizes_and_have_an_inside_and_an_outside():
    found = places(200, 64, 64, np.random.default_rng(0))
    assert found.shape == (200, 64, 64)
    assert (found >= 0).all()
    assert (found <= 1).all()
    area = found.mean((1, 2))
    assert 0.001 < float(area.quantile(0.1)) < 0.02 < float(area.median()) < 0.1 < float(area.quantile(0.9)) < 0.6
    hard = ((found > 0) & (found < 1)).float().mean((1, 2)) < 0.05
    assert 0.2 < float(hard.float().mean()) < 0.9  # the rim is hard in some and soft in others


def test_only_a_part_is_altered_and_the_images_stay(images):
    before = images.clone()
    changed = altered(images, np.random.default_rng(0))
    assert torch.equal(images, before)
    assert changed.shape == images.shape
    assert float(changed.min()) >= 0
    assert float(changed.max()) <= 1
    share = (changed != images).float().mean((1, 2, 3))
    assert 0.02 < float(share.median()) < 0.5
    assert (share > 0).float().mean() > 0.9


def test_the_same_draws_alter_alike(images):
    first, second = (altered(images, np.random.default_rng(3)) for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, altered(images, np.random.default_rng(4)))


@pytest.mark.parametrize(("kind", "holds"), [
    ("light", lambda image, put: float((put - image).std()) < 1e-6 < float((put - image).abs().mean())),
    ("contrast", lambda image, put: abs(float(put.mean() - image.mean())) < 1e-5 and float(
        abs(put.std() / image.std() - 1)) > 0.4),
    ("sharpness", lambda image, put: float(abs(put.std() / image.std() - 1)) > 0.2),
    ("smudge", lambda image, put: float((put - image).std()) > 0.02),
    ("flat", lambda image, put: float(put.std()) < 1e-6),
    ("elsewhere", lambda image, put: put.shape == image.shape and not torch.equal(put, image)),
    ("others", lambda image, put: put.shape == image.shape and not torch.equal(put, image)),
])
def test_each_kind_is_what_it_is_called(kind, holds, images):
    rng = np.random.default_rng(0)
    for row in range(20):
        assert holds(images[row], alterations._put(kind, images[row], images[row + 1], rng)), row
    assert abs(sum(KINDS.values()) - 1) < 1e-9
