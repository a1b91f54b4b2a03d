import copy

import numpy as np
import pytest
import torch

from oddlens.encoders.transforms import Transforms, oddness
from oddlens.errors import OptionError, SavedModelError

ALL = frozenset({"embedding", "surprise", "activations"})


@pytest.fixture(scope="module")
def corners():
    """200 noisy images of a bright L and 8 of a ring, which looks the same however it is turned; (208, 12, 12, 1)."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 40, (208, 12, 12, 1), dtype=np.uint8)
    for image in images[:200]:
        top, left = rng.integers(1, 4, 2)
        image[top : top + 8, left : left + 2] += 180
        image[top + 6 : top + 8, left : left + 6] = 200
    images[200:, 3:9, 3:9] += 150
    images[200:, 5:7, 5:7] = 20
    return images


@pytest.fixture(scope="module")
def fitted(corners):
    return Transforms(steps=60, device="cpu").fit(corners)


def test_it_learns_to_tell_the_ways_apart_and_is_surprised_where_it_cannot(fitted, corners):
    surprise = fitted.encode(corners, ALL).surprise
    assert surprise[:200].mean() < np.log(8) / 2  # ln 8: guessing
    assert surprise[200:].min() > np.quantile(surprise[:200], 0.95)
    assert fitted.losses_[-1] < np.log(8)


def test_what_looks_odd_is_doubted_and_not_learned(fitted, corners):
    assert fitted.presumed_outliers_.sum() == int(0.12 * 208)
    assert fitted.presumed_outliers_[200:].all()
    trusting = Transforms(steps=60, outlier_share=0, device="cpu").fit(corners)
    assert not trusting.presumed_outliers_.any()
    outliers = np.flatnonzero(fitted.presumed_outliers_[:200])
    ways = [encoder.encode(corners[outliers], ALL).surprise.mean() for encoder in (fitted, trusting)]
    assert ways[0] > 1.2 * ways[1]


def test_without_steps_the_network_is_as_it_was_drawn(corners):
    one, two = (Transforms(steps=0, device="cpu").fit(part) for part in (corners, corners[:50]))
    assert np.array_equal(one.encode(corners, ALL).embedding, two.encode(corners, ALL).embedding)
    assert one.losses_ == []
    again = Transforms(steps=0, device="cpu").set_state(one.get_state())
    assert np.array_equal(again.encode(corners, ALL).surprise, one.encode(corners, ALL).surprise)


def test_the_embedding_is_of_length_1_and_the_activations_are_of_the_image_as_it_came(fitted, corners):
    encoded = fitted.encode(corners, ALL)
    assert np.allclose(np.linalg.norm(encoded.embedding, axis=1), 1, atol=1e-5)
    assert {name: layer.shape[1] for name, layer in encoded.activations.items()} == {
        "block1": 32, "block2": 32, "block3": 64, "block4": 64}
    assert set(encoded.node_types.values()) == {"relu"}
    first = encoded.activations["block4"] / np.linalg.norm(encoded.activations["block4"], axis=1, keepdims=True)
    assert np.allclose(encoded.embedding[:, :64] * 8**0.5, first, atol=1e-5)


def test_turning_an_image_moves_the_parts_of_its_embedding(fitted, corners):
    one, other = (fitted.encode(images, ALL).embedding.reshape(-1, 8, 64)
                  for images in (corners[:5], np.rot90(corners[:5], 1, (1, 2))))
    assert np.allclose(one[:, 1], other[:, 0], atol=1e-5)


def test_same_seed_same_network_on_one_thread_and_nobody_elses_randomness_is_touched(corners):
    threads, before = torch.get_num_threads(), torch.random.get_rng_state()
    torch.set_num_threads(1)
    try:
        one, two, other = (Transforms(steps=4, random_state=seed, device="cpu").fit(corners).get_state()
                           for seed in (0, 0, 1))
    finally:
        torch.set_num_threads(threads)
    assert all(np.array_equal(one[key], two[key]) for key in one)
    assert not np.array_equal(one["network.answer.weight"], other["network.answer.weight"])
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_fitted_encoder_can_be_copied(fitted, corners):
    assert np.array_equal(copy.deepcopy(fitted).encode(corners[:5], ALL).surprise,
                          fitted.encode(corners[:5], ALL).surprise)


@pytest.mark.parametrize("shape", [(1, 1, 1), (8, 8, 3), (9, 30, 1), (70, 50, 3)])
def test_any_size_and_channels(shape):
    images = np.random.default_rng(0).integers(0, 256, (10, *shape), dtype=np.uint8)
    encoder = Transforms(steps=2, device="cpu").fit(images)
    encoded = encoder.encode(images, ALL)
    assert encoded.embedding.shape == (10, 512)
    assert np.isfinite(encoded.embedding).all()
    assert np.isfinite(encoded.surprise).all()
    assert encoder.side_ == max(8, min(32, max(shape[:2])))


def test_oddness_is_the_distance_to_far_neighbours_and_a_few_copies_do_not_hide():
    rows = np.random.default_rng(0).normal(size=(1000, 5)).astype(np.float32)
    rows[:8] = 20
    assert set(np.argsort(oddness(rows, 0))[-8:]) == set(range(8))
    assert len(oddness(rows[:2], 0)) == 2


@pytest.mark.parametrize(("options", "size"), [
    ({"augmentations": "rotations, translations,scales,permutations"}, 18 * 64),
    ({"depths": 3}, 8 * (32 + 64 + 64)), ({"grid": 2}, 8 * 64 * 4),
    ({"augmentations": "permutations", "depths": 4, "grid": 3}, 5 * 192 * 9),
])
def test_more_ways_layers_and_parts(options, size, corners):
    encoder = Transforms(steps=40, device="cpu", **options).fit(corners)
    encoded = encoder.encode(corners, ALL)
    assert encoded.embedding.shape == (208, size)
    assert np.allclose(np.linalg.norm(encoded.embedding, axis=1), 1, atol=1e-5)
    assert encoded.surprise[:200].mean() < np.log(len(encoder.network_.transforms))  # less than from guessing
    again = Transforms(device="cpu", **options).set_state(encoder.get_state())
    assert np.array_equal(again.encode(corners, ALL).embedding, encoded.embedding)


def test_a_saved_network_of_other_ways_is_refused(fitted):
    with pytest.raises(SavedModelError):
        Transforms(augmentations="rotations,scales", device="cpu").set_state(fitted.get_state())


@pytest.mark.parametrize("bad", [
    {"augmentations": ""}, {"augmentations": "rotations,rotations"}, {"augmentations": "turned"}, {"augmentations": 8},
    {"depths": 0}, {"depths": 5}, {"grid": 0}, {"grid": 1.5},
    {"image_size": 7}, {"image_size": 8.5}, {"outlier_share": -0.1}, {"outlier_share": 0.6},
    {"steps": -1}, {"steps": 2.5}, {"batch_size": 0}, {"learning_rate": 0}, {"device": "abacus"},
])
def test_bad_options_are_named(bad, corners):
    with pytest.raises(OptionError, match=next(iter(bad))):
        Transforms(**bad).fit(corners[:20])


def test_images_of_another_size_are_refused(fitted, corners):
    with pytest.raises(OptionError, match="learned images of"):
        fitted.encode(corners[:, :10], ALL)


@pytest.mark.parametrize("change", [
    {"shape": None}, {"shape": np.array([12, 12, 3])}, {"shape": np.array([12, 12, 2])}, {"losses": None},
    {"losses": np.array([np.nan])}, {"network.answer.weight": None}, {"network.answer.bias": np.zeros(9, np.float32)},
    {"network.answer.bias": np.full(8, np.nan, np.float32)}, {"network.more": np.zeros(1, np.float32)},
    {"network.blocks.0.1.running_var": -np.ones(32, np.float32)},
    {"network.blocks.0.0.weight": np.zeros((32, 3, 5, 5), np.float32)},
])
def test_hostile_states_are_refused(fitted, change):
    state = {**fitted.get_state(), **change}
    with pytest.raises(SavedModelError):
        Transforms(device="cpu").set_state({key: value for key, value in state.items() if value is not None})
