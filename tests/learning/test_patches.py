"""Patches, their clusters and answers, on maps whose patches are known."""

import numpy as np
import pytest
import torch

from oddlens.learning.patches import MOST_PATCHES, answers, pooled, some_patches, spherical_means, tents


def rng():
    return np.random.default_rng(0)


def maps(n=20, channels=2, side=10):
    return torch.from_numpy(rng().random((n, channels, side, side), dtype=np.float32))


def test_patches_have_mean_0_and_length_1_and_are_cut_from_the_maps():
    found = some_patches(maps(), 3, 10, 0.01, rng())
    assert found.shape == (MOST_PATCHES, 2 * 9)
    assert found.mean(1).abs().max() < 1e-6
    assert (found.norm(dim=1) - 1).abs().max() < 1e-5
    windows = maps().unfold(2, 3, 1).unfold(3, 3, 1).permute(0, 2, 3, 1, 4, 5).reshape(-1, 18)
    windows = windows - windows.mean(1, keepdim=True)
    windows = windows / windows.norm(dim=1, keepdim=True)
    assert (found[:5] @ windows.T).max(1).values.min() > 0.9999


def test_flat_places_are_left_out_and_noise_makes_up_for_them():
    images = torch.zeros(10, 1, 12, 12)
    images[:, :, :, 6:] = 1.0  # an edge down the middle; everywhere else is flat
    found = some_patches(images, 3, 5, 0.05, rng())
    assert len(found) > 1000
    assert len(torch.unique(found.round(decimals=4), dim=0)) == 2  # the edge at the left or at the right of the middle
    noise = some_patches(torch.zeros(10, 1, 12, 12), 3, 7, 0.05, rng())
    assert noise.shape == (7, 9)
    assert (noise.norm(dim=1) - 1).abs().max() < 1e-5


def test_clusters_are_found_and_no_atom_is_empty():
    directions = torch.eye(4)[:3]
    jitter = 0.05 * torch.from_numpy(rng().normal(size=(300, 4)).astype(np.float32))
    rows = directions.repeat(100, 1) + jitter
    rows = rows / rows.norm(dim=1, keepdim=True)
    means = spherical_means(rows, 3, rng())
    assert (means.norm(dim=1) - 1).abs().max() < 1e-5
    copies = spherical_means(torch.eye(4)[:1].repeat(50, 1), 5, rng())  # all but one would be empty
    assert torch.isfinite(copies).all()
    assert (copies[:, 0] - 1).abs().max() < 1e-5
    assert (means @ directions.T).max(1).values.min() > 0.9


def test_an_atom_answers_most_where_its_patch_is_and_nothing_answers_where_it_is_flat():
    edge = torch.tensor([[-1.0, 0, 1]] * 3)
    atoms = torch.stack([edge.flatten(), edge.T.flatten()])
    atoms = atoms / atoms.norm(dim=1, keepdim=True)
    image = torch.zeros(1, 1, 9, 9)
    image[..., 5:] = 1
    found = answers(image, atoms, 3)
    assert found.shape == (1, 2, 9, 9)
    assert found[0, 0, 4, 4] > 10 * found[0, 1, 4, 4]
    assert found[0, :, 4, 1].abs().max() == 0


def test_pooling_gives_length_1_and_is_the_same_for_any_batch():
    found = pooled(maps(7, 3, 8), 2)
    assert found.shape == (7, 12)
    assert (found.norm(dim=1) - 1).abs().max() < 1e-6
    assert torch.equal(pooled(maps(7, 3, 8)[3:4], 2)[0], found[3])
    assert torch.equal(pooled(torch.zeros(1, 3, 8, 8), 2), torch.zeros(1, 12))


@pytest.mark.parametrize(("size", "count"), [(8, 2), (10, 4), (28, 4), (3, 3)])
def test_tents_are_symmetric_and_cover_every_place(size, count):
    found = tents(size, count)
    assert found.shape == (count, size)
    assert torch.allclose(found, found.flip(0, 1), atol=1e-6)
    assert found.sum(0).min() > 0
    assert found.min() >= 0
