import numpy as np
import pytest

from oddlens.detectors.places import Places
from oddlens.encoders.alterations import Alterations
from oddlens.encoders.patch_maps import PatchMaps
from oddlens.encoders.texture import Texture
from oddlens.onnx.places import places_score
from oddlens.protocols import Encoded
from onnx_runs import Graph, apart, photos, session_of, slopes


@pytest.mark.parametrize(("encoder", "most"), [
    (PatchMaps(atoms=16, latent=8), 1e-4), (PatchMaps(atoms=16, places=8, patch=5, latent=8), 2e-4),
    (Alterations(steps=10), 1e-4),
], ids=str)
@pytest.mark.parametrize("kind", ["digits", "photos", "slopes"])
def test_maps_are_those_of_the_encoder_before_they_are_rounded(encoder, most, kind, digits):
    images = {"digits": digits[:120], "photos": photos(), "slopes": slopes((90, 101))}[kind]
    assert apart(encoder, images)["maps"] <= most


def test_large_pictures_have_fewer_places(digits):
    assert apart(Alterations(steps=2), slopes((300, 270)))["maps"] <= 1e-4


def test_texture_is_that_of_the_encoder():
    texture = np.random.default_rng(0).integers(0, 256, (40, 20, 32, 15), dtype=np.uint8)
    texture[:20] //= 2
    found = apart(Texture(), texture)
    assert found["maps"] <= 1e-6
    assert found["embedding"] <= 1e-3  # numpy adds up hundreds of numbers in single precision


def test_the_score_of_places_is_that_of_the_detector():
    rng = np.random.default_rng(0)
    maps = rng.normal(size=(60, 5, 7, 3)).astype(np.float16)
    detector = Places(share=0.1).fit(Encoded(maps=maps))
    new = rng.integers(0, 256, (9, 5, 7, 3), dtype=np.uint8)
    graph = Graph(new.shape[1:])
    graph.put("score", places_score(graph, detector, graph.add("Transpose", graph.images(), perm=[0, 2, 3, 1])))
    wanted = detector.score_new(Encoded(maps=(new / np.float32(255)).astype(np.float16)))
    np.testing.assert_allclose(session_of(graph).run(None, {"images": new})[0], wanted, atol=1e-5)
    assert np.ptp(wanted) > 0.1
