import numpy as np
import pytest
import torch

from oddlens.encoders.transforms import Transforms
from oddlens.learning.image_transforms import AUGMENTATIONS, parse
from oddlens.onnx.transforms import shown_as
from onnx_runs import Graph, apart, photos, session_of


@pytest.mark.parametrize("encoder", [
    Transforms(steps=10), Transforms(",".join(AUGMENTATIONS), depths=2, grid=2, steps=5), Transforms(depths=4, steps=5),
], ids=str)
@pytest.mark.parametrize("kind", ["digits", "photos"])
def test_embedding_and_surprise_are_those_of_the_encoder(encoder, kind, digits):
    images = digits[:120] if kind == "digits" else photos()[:, :31, :31]
    encoder.image_size = images.shape[1]
    found = apart(encoder, images)
    assert set(found) == {"embedding", "surprise"}
    assert max(found.values()) <= 1e-5


@pytest.mark.parametrize("side", [8, 9])
def test_every_transform_is_shown_as_it_is(side):
    images = np.random.default_rng(0).integers(0, 256, (3, side, side, 3), dtype=np.uint8)
    batch = torch.from_numpy(images).permute(0, 3, 1, 2) / 255
    for transform in parse(",".join(AUGMENTATIONS)):
        graph = Graph(images.shape[1:])
        graph.put("out", shown_as(graph, transform, graph.images(), side), 3, side, side)
        np.testing.assert_allclose(session_of(graph).run(None, {"images": images})[0], transform(batch), atol=1e-6)
