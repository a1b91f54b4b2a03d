import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from oddlens.learning import patches
from oddlens.onnx.parts import answers, as_nodes, averages, grounds, padded, scaled, weighed, window_mean
from onnx_runs import Graph, session_of

IMAGES = np.random.default_rng(0).integers(0, 256, (4, 13, 10, 3), dtype=np.uint8)
BATCH = torch.from_numpy(IMAGES).permute(0, 3, 1, 2) / 255


def given(make, *sides):
    graph = Graph(IMAGES.shape[1:])
    graph.put("out", make(graph, graph.images()), *sides)
    return session_of(graph).run(None, {"images": IMAGES})[0]


@pytest.mark.parametrize("step", [1, 2])
@pytest.mark.parametrize("side", [3, 5])
def test_atoms_answer_as_they_do(side, step):
    atoms = functional.normalize(torch.randn(6, 3 * side**2, generator=torch.Generator().manual_seed(0)), dim=1)
    wanted = patches.answers(BATCH, atoms, side, step)
    found = given(lambda graph, images: answers(graph, images, atoms.numpy(), side, 3, step), *wanted.shape[1:])
    np.testing.assert_allclose(found, wanted, atol=1e-5)


@pytest.mark.parametrize("step", [1, 2])
def test_they_answer_seen_from_a_ground_too(step):
    atoms = functional.normalize(torch.randn(6, 75, generator=torch.Generator().manual_seed(0)), dim=1)
    wanted = patches.answers(BATCH, atoms, 5, step, patches.grounds(BATCH))
    found = given(lambda graph, images: answers(graph, images, atoms.numpy(), 5, 3, step,
                                                grounds(graph, images, 13, 10, 3)), *wanted.shape[1:])
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_the_ground_is_the_lower_median_of_every_second_value():
    of_all = given(lambda graph, images: grounds(graph, images, 13, 10, 3), 1, 1, 1)
    np.testing.assert_array_equal(of_all, BATCH[..., ::2, ::2].flatten(1).median(1).values.view(4, 1, 1, 1))
    np.testing.assert_array_equal(of_all, patches.grounds(BATCH))
    even = patches.grounds(BATCH[:, :2])  # of 70 values
    np.testing.assert_array_equal(even, BATCH[:, :2, ::2, ::2].flatten(1).median(1).values.view(4, 1, 1, 1))
    of_two = given(lambda graph, images: grounds(graph, graph.add("Slice", images, graph.constant([0], np.int64),
                                                                  graph.constant([2], np.int64),
                                                                  graph.constant([1], np.int64)), 13, 10, 2), 1, 1, 1)
    np.testing.assert_array_equal(of_two, even)


def test_a_window_is_moved_on_by_steps_as_far_as_whole_ones_go():
    for side, step in ((2, 2), (3, 1), (4, 3)):
        wanted = functional.avg_pool2d(BATCH, side, step)
        found = given(lambda graph, images, side=side, step=step: window_mean(graph, images, side, step),
                      *wanted.shape[1:])
        np.testing.assert_array_equal(found, wanted)


def test_a_rim_repeats_the_edge_where_it_is_asked_to():
    for mode, torchs in (("constant", "constant"), ("edge", "replicate")):
        np.testing.assert_array_equal(given(lambda graph, images, mode=mode: padded(graph, images, 2, mode), 3, 17, 14),
                                      functional.pad(BATCH, (2, 2, 2, 2), mode=torchs))


def test_axes_are_averaged_down():
    np.testing.assert_allclose(given(lambda graph, images: weighed(graph, images, averages(13, 5), averages(10, 4)),
                                     3, 5, 4), functional.adaptive_avg_pool2d(BATCH, (5, 4)), atol=1e-6)


def test_numbers_are_brought_to_a_scale():
    middle, scale = np.array([0.5, 0.2, 0.9]), np.array([0.1, 2, 0.5])
    found = given(lambda graph, images: scaled(graph, images, *(part[:, None, None] for part in (middle, scale))),
                  3, 13, 10)
    np.testing.assert_allclose(found, ((BATCH.permute(0, 2, 3, 1).numpy() - middle) / scale).transpose(0, 3, 1, 2),
                               atol=1e-5)


def test_layers_are_what_they_are_and_another_kind_is_an_error():
    layers = nn.Sequential(nn.Conv2d(3, 4, 3, 2, padding=2, dilation=2), nn.BatchNorm2d(4), nn.ReLU()).eval()
    with torch.inference_mode():
        wanted = layers(BATCH)
    assert wanted.max() > 0
    np.testing.assert_allclose(given(lambda graph, images: as_nodes(graph, layers, images), *wanted.shape[1:]), wanted,
                               atol=1e-5)
    with pytest.raises(TypeError, match="Tanh has no nodes"):
        given(lambda graph, images: as_nodes(graph, nn.Tanh(), images))
