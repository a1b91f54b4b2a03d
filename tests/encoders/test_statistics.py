import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from oddlens.encoders.statistics import Statistics, count, measure
from oddlens.errors import OptionError, SavedModelError

NEEDS = frozenset({"embedding"})


def images(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("kind", ["blurred", "noisy", "dark"])
def test_it_sees_pictures_that_were_taken_badly(kind, digits):
    spoilt = digits[:300].astype(np.float64)
    if kind == "blurred":
        padded = np.pad(spoilt[:15], ((0, 0), (2, 2), (2, 2), (0, 0)))
        spoilt[:15] = np.lib.stride_tricks.sliding_window_view(padded, (5, 5), (1, 2)).mean((-1, -2))
    elif kind == "noisy":
        spoilt[:15] += np.random.default_rng(0).normal(0, 40, spoilt[:15].shape)
    else:
        spoilt[:15] *= 0.5
    spoilt = spoilt.clip(0, 255).astype(np.uint8)
    embedding = Statistics().fit(spoilt).encode(spoilt, NEEDS).embedding
    away = np.linalg.norm(embedding - np.median(embedding, 0), axis=1)
    assert roc_auc_score(np.arange(300) < 15, away) > 0.97


def test_the_whitening_evens_out_what_varies_together(digits):
    embedding = Statistics().fit(digits).encode(digits, NEEDS).embedding
    middle = np.linalg.norm(embedding - np.median(embedding, 0), axis=1)
    spread = np.linalg.eigvalsh(np.cov(embedding[middle < np.quantile(middle, 0.75)].T))
    assert spread.max() < 1.6
    assert spread.max() / np.median(spread) < 3


@pytest.mark.parametrize("share", [0.05, 0.1, 0.15])
def test_many_pictures_spoilt_alike_do_not_draw_the_whitening_to_themselves(share, digits):
    spoilt = np.asarray(digits)[:400].copy()
    count = round(share * len(spoilt))
    spoilt[:count] = spoilt[:count] // 2 + 60
    embedding = Statistics().fit(spoilt).encode(spoilt, NEEDS).embedding
    away = np.linalg.norm(embedding - np.median(embedding, 0), axis=1)
    assert roc_auc_score(np.arange(len(spoilt)) < count, away) > 0.97


def test_brightness_and_detail_are_what_they_are_called():
    ramp = torch.arange(16.0).div(16).repeat(16, 1)[None, None]  # brighter from left to right
    found = measure(ramp)[0].numpy()
    per_octave = 8
    across, down = found[6], found[7]
    assert across == pytest.approx(np.log(1 / 16 + 0.01))
    assert down == pytest.approx(np.log(0.01))
    quantiles = found[3 * per_octave : 3 * per_octave + 7]
    assert np.allclose(quantiles, np.floor(np.array([0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98]) * 16) / 16)
    assert found[3 * per_octave + 7 :] == pytest.approx([15 / 32, ramp.std(correction=0).item()])


def test_colour_tells_what_grey_cannot():
    red, blue = (np.zeros((2, 9, 9, 3), np.uint8) for _ in range(2))
    red[..., 0], blue[..., 2] = 200, 200
    one, two = (measure(torch.from_numpy(part).permute(0, 3, 1, 2).float() / 255) for part in (red, blue))
    assert torch.allclose(one[:, :33], two[:, :33])
    assert not torch.allclose(one[:, 33:], two[:, 33:])


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 40, 1), (2, 3, 3), (7, 7, 1), (200, 90, 3)])
def test_any_size_and_channels(shape):
    some = images(12, *shape)
    embedding = Statistics().fit(some).encode(some, NEEDS).embedding
    assert embedding.shape == (12, count(shape[2]))
    assert np.isfinite(embedding).all()


def test_large_pictures_are_brought_down_to_64_pixels_a_side():
    wave = lambda side: (torch.sin(torch.arange(side) * 20 / side) / 2 + 0.5)[:, None] * torch.ones(side)  # noqa: E731
    one, two = measure(wave(64)[None, None]), measure(wave(256)[None, None])
    # Left as it is, the large wave would have a quarter of the detail, and of this logarithm 0.5 less.
    assert torch.allclose(one[:, 0], two[:, 0], atol=0.05)
    assert torch.allclose(one[:, 24:], two[:, 24:], atol=0.03)


@pytest.mark.parametrize("value", [0, 255])
def test_a_flat_collection_divides_by_nothing_and_a_picture_stands_out(value):
    flat = np.full((30, 12, 12, 1), value, np.uint8)
    encoder = Statistics().fit(flat)
    own, new = encoder.encode(flat, NEEDS).embedding, encoder.encode(images(1, 12, 12, 1), NEEDS).embedding
    assert np.isfinite(own).all()
    assert np.isfinite(new).all()
    assert np.linalg.norm(new - own[0]) > 100 * np.linalg.norm(own - own[0], axis=1).max()


def test_one_image_is_enough():
    some = images(1, 12, 12, 1)
    assert np.isfinite(Statistics().fit(some).encode(some, NEEDS).embedding).all()


def test_of_few_images_chance_is_not_stretched():
    """Another 100 pictures of noise lie as far from the middle as the 45 that were learned from."""
    noise = images(145, 16, 16, 3)
    encoder = Statistics().fit(noise[:45])
    own, new = (encoder.encode(some, NEEDS).embedding for some in (noise[:45], noise[45:]))
    middle = np.median(own, axis=0)
    far = [np.median(np.linalg.norm(rows - middle, axis=1)) for rows in (own, new)]
    assert far[1] < 1.5 * far[0]


def test_bad_options_and_other_images_are_refused():
    with pytest.raises(OptionError, match="ridge"):
        Statistics(ridge=0).fit(images(5, 8, 8, 1))
    with pytest.raises(OptionError, match="learned images of"):
        Statistics().fit(images(5, 8, 8, 1)).encode(images(5, 8, 8, 3), NEEDS)


@pytest.mark.parametrize("change", [
    {"shape": None}, {"whitening": None}, {"shape": np.array([8, 8, 3])}, {"shape": np.array([8, 8, 2])},
    {"middle": np.zeros(32)}, {"whitening": np.zeros((33, 32))}, {"whitening": np.full((33, 33), np.nan)},
    {"scale": np.zeros(33)}, {"scale": -np.ones(33)}, {"middle": np.zeros(33, np.float32)},
])
def test_hostile_states_are_refused(change):
    state = {**Statistics().fit(images(9, 8, 8, 1)).get_state(), **change}
    with pytest.raises(SavedModelError):
        Statistics().set_state({key: value for key, value in state.items() if value is not None})
