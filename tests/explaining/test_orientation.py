"""Orientations: features permute exactly, and an image laid wrong among upright ones is likelier another way."""

import numpy as np
import pytest

from oddlens.explaining import orientation
from oddlens.explaining.orientation import (
    BRIEF_FOLDS,
    FOLDS,
    ROTATIONS,
    Uprightness,
    directions,
    folds,
    learn,
    lying,
    reference,
    turns,
)


def laid(images, turn):
    """Grey (m, side, side) images as ROTATIONS says."""
    quarters, mirrored, _ = ROTATIONS[turn]
    return np.rot90(images[..., ::-1] if mirrored else images, quarters, axes=(1, 2))


@pytest.fixture(scope="module")
def upright():
    """Ls of many sizes, all the same way up."""
    rng = np.random.default_rng(0)
    images = rng.normal(20, 4, (240, 28, 28)).astype(np.float32)
    for image in images:
        top, left = rng.integers(3, 8, 2)
        image[top : top + 16, left : left + 4] += 180
        image[top + 12 : top + 16, left : left + 12] += 180
    return images.clip(0, 255)


@pytest.mark.parametrize("turn", range(8))
def test_features_of_a_rotated_image_are_those_of_the_image_in_another_order(upright, turn):
    expected = directions(np.ascontiguousarray(laid(upright[:3], turn)))
    assert directions(upright[:3])[:, turns()[turn]] == pytest.approx(expected, abs=1e-4)


def test_a_blank_image_has_no_directions():
    assert not directions(np.full((1, 28, 28), 80, np.float32)).any()


@pytest.mark.parametrize("turn", range(1, 8))
def test_an_image_laid_wrong_is_found_and_how_to_turn_it_back(upright, turn):
    images = upright.copy()
    images[5] = laid(images[5:6], turn)[0]
    features = directions(images)
    judge = Uprightness(learn(features), features, np.arange(len(images)))
    found = judge.judge(features, np.arange(len(images)))
    assert found.odds.argmax() == 5
    assert found.gain[5] > 0.3
    back = laid(images[5:6], int(found.turn[5]))[0]
    assert np.abs(directions(np.ascontiguousarray(back[None])) - directions(upright[5:6])).max() < 1e-3


def test_how_many_are_looked_up_at_a_time_changes_nothing(upright, monkeypatch):
    images = upright.copy()
    images[:60] = laid(images[:60], 2)
    features = directions(images)
    judge = Uprightness(learn(directions(upright)), features, np.arange(len(images)))
    whole = judge.judge(features, np.arange(len(images)))
    assert (whole.gain != 0).sum() > 50
    monkeypatch.setattr(orientation, "LOOKED_UP", 25)
    assert judge.judge(features, np.arange(len(images))).gain == pytest.approx(whole.gain, abs=1e-4)


def test_brief_learning_finds_it_too_with_fewer_networks(upright):
    images = upright.copy()
    images[5] = laid(images[5:6], 2)[0]
    features, rows = directions(images), np.arange(len(images))
    nets = learn(features, brief=True)
    assert len(nets) == BRIEF_FOLDS < FOLDS
    found = Uprightness(nets, features, rows).judge(features, rows)
    assert found.odds.argmax() == 5
    assert found.turn[5] == 2
    assert (found.odds[np.arange(len(images)) != 5] < 2).all()


def test_where_images_lie_anyhow_no_odds_are_large(upright):
    images = np.stack([laid(image[None], number % 8)[0] for number, image in enumerate(upright)])
    features = directions(images)
    odds = Uprightness(learn(features), features, np.arange(240)).judge(features, np.arange(240)).odds
    assert np.median(odds) < np.log(3)


def test_few_images_train_no_network_and_are_judged_by_none(upright):
    features = directions(upright[:99])
    nets = learn(features)
    assert len(nets) == 0
    assert not Uprightness(nets, features, np.arange(99)).judge(features).odds.any()


def test_every_image_is_held_out_from_one_network_and_the_reference_is_fixed():
    assert np.bincount(folds(400)).tolist() == [100] * FOLDS
    assert np.array_equal(reference(50), np.arange(50))
    assert len(reference(6000)) == 5000
    assert np.array_equal(reference(6000), reference(6000))


@pytest.mark.parametrize("turn", range(8))
def test_thumbnails_are_turned_as_their_orientation_says(turn):
    picture = np.random.default_rng(0).integers(0, 256, (1, 6, 6), dtype=np.uint8)
    flat = np.concatenate([picture.reshape(1, -1)] * 2, 1)  # two layers
    found = lying(flat, np.array([turn]), 2).reshape(2, 6, 6)
    assert np.array_equal(found[1], laid(picture, turn)[0])
    assert np.array_equal(found[0], found[1])
