import numpy as np
import pytest
import torch

from oddlens.encoders.dictionary import Dictionary, moved, resized, scales
from oddlens.errors import OptionError, SavedModelError
from oddlens.learning.patches import spherical_means, tents
from oddlens.learning.training import as_batch

NEEDS = frozenset({"embedding"})


@pytest.fixture(scope="module")
def fitted(digits):
    return Dictionary(atoms=24).fit(digits)


def ratio(encoder, digits):
    """How far a digit moves when it is shifted by half a pixel, as a share of its distance to other digits."""
    images = as_batch(torch.from_numpy(digits[:100].copy()))
    shifted = moved(images, right=1 / 28).mul(255).round().byte().permute(0, 2, 3, 1).numpy()
    one, two = (encoder.encode(x, NEEDS).embedding for x in (digits[:100], shifted))
    return np.linalg.norm(one - two, axis=1).mean() / np.linalg.norm(one - one[::-1], axis=1).mean()


def test_small_movements_count_less_than_other_digits_and_whitening_makes_it_so(fitted, digits):
    unwhitened = Dictionary(atoms=24, ridge=1e6).fit(digits)
    assert ratio(fitted, digits) < 0.95 * ratio(unwhitened, digits)


def test_atoms_are_patches_of_length_1_and_find_planted_clusters(fitted):
    assert fitted.dictionaries_[0].shape == (24, 25)
    assert np.allclose(fitted.dictionaries_[0].norm(dim=1), 1, atol=1e-5)
    rng = np.random.default_rng(0)
    truth = np.linalg.qr(rng.normal(size=(9, 9)))[0][:3]
    points = np.repeat(truth, 100, 0) + rng.normal(size=(300, 9)) * 0.05
    points = torch.from_numpy((points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32))
    best = max((spherical_means(points, 3, np.random.default_rng(seed)) for seed in range(5)),
               key=lambda means: float((points @ means.T).max(1).values.sum()))
    assert np.abs(best.numpy() @ truth.T).max(0) == pytest.approx([1, 1, 1], abs=0.01)


def test_shape_counts_and_not_brightness(fitted, digits):
    dim = (digits[:20] // 2).astype(np.uint8)
    one, two = fitted.encode(digits[:20], NEEDS).embedding, fitted.encode(dim, NEEDS).embedding
    assert np.linalg.norm(one - two, axis=1).mean() < 0.5 * np.linalg.norm(one - one[::-1], axis=1).mean()


def test_the_tents_cover_every_pixel_alike():
    weights = tents(28, 4)
    assert weights.shape == (4, 28)
    assert (weights.sum(0)[4:-4] - weights.sum(0)[14]).abs().max() < 1e-6
    assert torch.allclose(weights.sum(1)[1:3], torch.ones(2), atol=0.02)


@pytest.mark.parametrize("shape", [(5, 5, 1), (8, 8, 1), (64, 48, 3), (9, 40, 3)])
def test_any_size_and_channels(shape):
    images = np.random.default_rng(0).integers(0, 256, (14, *shape), dtype=np.uint8)
    embedding = Dictionary(atoms=6).fit(images).encode(images, NEEDS).embedding
    assert embedding.shape == (14, 13)
    assert np.isfinite(embedding).all()


def test_flat_images_are_no_trouble():
    images = np.zeros((20, 12, 12, 1), np.uint8)
    images[3, 4:8, 4:8] = 255
    embedding = Dictionary(atoms=6).fit(images).encode(images, NEEDS).embedding
    assert np.isfinite(embedding).all()
    assert np.linalg.norm(embedding - np.median(embedding, 0), axis=1).argmax() == 3


def test_large_pictures_are_seen_at_two_scales():
    assert scales((28, 28, 1)) == [(28, 28)]
    assert scales((64, 64, 3)) == [(28, 28), (56, 56)]
    assert scales((100, 200, 3)) == [(28, 56), (56, 112)]


def test_what_is_flat_remains_flat_when_it_is_resized():
    flat = torch.full((1, 3, 64, 90), 0.7)
    found = resized(flat, (28, 39))
    assert found.shape == (1, 3, 28, 39)
    assert found.dtype == torch.float32
    assert (found == found[0, 0, 0, 0]).all()


def test_pictures_are_resized_alike_whatever_they_come_with():
    pictures = torch.rand(20, 3, 64, 90, generator=torch.Generator().manual_seed(0))
    assert torch.equal(torch.cat([resized(part, (28, 39)) for part in pictures.split(8)]), resized(pictures, (28, 39)))


@pytest.mark.parametrize("options", [{"patch": (3, 5)}, {"layers": 2}, {"patch": (3, 5), "layers": 2}])
def test_more_dictionaries_give_more_features_and_are_saved(options, digits):
    fitted = Dictionary(atoms=8, latent=4000, **options).fit(digits[:300])
    count = len(options.get("patch", (5,))) * options.get("layers", 1)
    assert len(fitted.dictionaries_) == count
    assert fitted.mean_.shape == (8 * 16 * count,)
    again = Dictionary(atoms=8, latent=4000, **options).set_state(fitted.get_state())
    one, two = (encoder.encode(digits[:20], NEEDS).embedding for encoder in (fitted, again))
    assert np.array_equal(one, two)
    with pytest.raises(SavedModelError):
        Dictionary(atoms=8).set_state(fitted.get_state())


def test_the_second_layer_hears_how_the_answers_of_the_first_stand_together():
    """Two strokes side by side or far apart: averaged over the picture, 3x3 patches see no difference."""
    rng = np.random.default_rng(0)
    images = np.zeros((400, 30, 30, 1), np.uint8)
    for i, image in enumerate(images):
        row, column = rng.integers(4, 16), rng.integers(4, 8)
        image[row : row + 9, [column, column + (5 if i % 2 else 14)]] = 255

    def told_apart(layers):
        found = Dictionary(atoms=16, patch=3, grid=1, layers=layers).fit(images).encode(images, NEEDS).embedding
        between = found[0::2].mean(0) - found[1::2].mean(0)
        return np.linalg.norm(between) / np.linalg.norm(found - found.mean(0), axis=1).mean()

    assert told_apart(2) > 1.5 * told_apart(1)


def test_the_number_of_threads_does_not_matter(digits):
    states = []
    for threads in (1, 2):
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        states.append(Dictionary(atoms=8).fit(digits[:100]).get_state())
        torch.set_num_threads(before)
    assert all(np.array_equal(states[0][key], states[1][key]) for key in states[0])


@pytest.mark.parametrize("bad", [
    {"atoms": 0}, {"patch": 4}, {"patch": 29}, {"patch": ()}, {"patch": (5, 6)}, {"layers": 3}, {"layers": 0},
    {"grid": 0}, {"latent": "x"}, {"ridge": 0},
])
def test_bad_options_are_named(bad, digits):
    with pytest.raises(OptionError, match=next(iter(bad))):
        Dictionary(**bad).fit(digits)


@pytest.mark.parametrize("change", [
    {"shape": np.array([28, 28])}, {"atoms.0": np.zeros((3, 25), np.float32)}, {"mean": np.zeros(5, np.float32)},
    {"whitening": np.full((384, 9), np.nan, np.float32)}, {"whitening": np.zeros((384, 0), np.float32)},
])
def test_a_state_that_does_not_fit_is_refused(fitted, change):
    with pytest.raises(SavedModelError):
        Dictionary(atoms=24).set_state({**fitted.get_state(), **change})
