import numpy as np
import pytest

from oddlens.evaluation import peers
from oddlens.evaluation.peers import FEATURES, PEERS


@pytest.fixture(scope="module")
def collection():
    """70 noisy pictures of one bright square; the last is of stripes."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 40, (70, 16, 16, 1), dtype=np.uint8)
    images[:, 5:11, 5:11] += 150
    images[-1] = 0
    images[-1, ::2] = 255
    return images


@pytest.mark.parametrize("name", [name for name in PEERS if not name.startswith("backbone")])
def test_each_gives_finite_scores_and_finds_the_obvious(name, collection):
    peer = PEERS[name]
    if lacking := peer.lacks():
        pytest.skip(f"{', '.join(lacking)} is not installed")
    features = FEATURES[peer.features](collection)
    own = peer.score(features, None, 0, 1)
    assert own.shape == (70,)
    assert np.isfinite(own).all()
    assert own.argmax() == 69
    new = peer.score(features[:-1], features[40:], 0, 1)
    assert new.shape == (30,)
    assert np.isfinite(new).all()
    assert new.argmax() == 29
    assert peer.settings().startswith(peer.features)


def test_pixels_are_floats_from_0_to_1(collection):
    rows = peers.pixels(collection)
    assert rows.dtype == np.float32
    assert rows.shape == (70, 256)
    assert rows.max() == 1
    assert rows.min() == 0


def test_hog_takes_grey_colour_and_oblong_pictures():
    pytest.importorskip("skimage")
    rng = np.random.default_rng(0)
    assert peers.hog(rng.integers(0, 256, (2, 28, 28, 1), dtype=np.uint8)).shape == (2, 9 * 4 * 3 * 3)
    for shape in ((2, 64, 64, 3), (2, 48, 64, 1), (2, 8, 8, 1)):
        rows = peers.hog(rng.integers(0, 256, shape, dtype=np.uint8))
        assert rows.shape[0] == 2
        assert rows.shape[1] > 0
        assert np.isfinite(rows).all()


def test_the_backbone_sees_pictures_of_any_kind(collection):
    if lacking := PEERS["backbone-knn5"].lacks():
        pytest.skip(f"{', '.join(lacking)} is not installed")
    features = FEATURES["backbone"](collection[-4:])
    assert features.shape == (4, 1280)
    assert np.isfinite(features).all()
    colour = np.repeat(collection[-4:], 3, axis=3)
    assert np.allclose(FEATURES["backbone"](colour), features, atol=1e-5)


def test_neighbours_are_fewer_in_small_sets():
    rows = np.arange(20, dtype=np.float32)[:, None]
    assert np.array_equal(peers.neighbors(50)(rows, None, 0, 1), peers.neighbors(10)(rows, None, 0, 1))


def test_a_package_that_is_missing_is_named():
    peer = peers.Peer("pixels", peers.neighbors(5), {"no_such_module": "no-such-package", "numpy": "numpy"})
    assert peer.lacks() == ["no-such-package"]
