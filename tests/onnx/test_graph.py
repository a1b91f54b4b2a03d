import numpy as np
import pytest

from oddlens.onnx.graph import Graph

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")


def test_images_come_as_bytes_and_go_on_as_channels_from_0_to_1():
    graph = Graph((2, 3, 1))
    graph.put("out", graph.images(), 1, 2, 3)
    content = graph.content("what it is")
    assert onnx.load_from_string(content).doc_string == "what it is"
    images = np.arange(12, dtype=np.uint8).reshape(2, 2, 3, 1)
    found = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"]).run(None, {"images": images})[0]
    assert np.allclose(found, images.transpose(0, 3, 1, 2) / 255, atol=1e-7)


def test_a_graph_that_is_none_is_not_handed_out():
    graph = Graph((2, 3, 1))
    graph.put("out", graph.add("MatMul", graph.images(), graph.constant(np.ones((7, 2)))), 1, 2, 2)
    with pytest.raises(onnx.shape_inference.InferenceError):
        graph.content("")
