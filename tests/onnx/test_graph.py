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


def test_two_inputs_are_two_and_one_that_nobody_looks_at_is_none():
    graph = Graph((2, 3, 1))
    graph.look_at("detail", (4, 6, 1))
    graph.put("fine", graph.values(), 1, 4, 6)
    detail = np.arange(24, dtype=np.uint8).reshape(1, 4, 6, 1)
    session = onnxruntime.InferenceSession(graph.content(""), providers=["CPUExecutionProvider"])
    assert [taken.name for taken in session.get_inputs()] == ["detail"]
    assert np.array_equal(session.run(None, {"detail": detail})[0], detail.transpose(0, 3, 1, 2))
    graph.look_at("images", (2, 3, 1))
    graph.put("coarse", graph.values(), 1, 2, 3)
    session = onnxruntime.InferenceSession(graph.content(""), providers=["CPUExecutionProvider"])
    assert {taken.name: taken.shape[1:] for taken in session.get_inputs()} == {"detail": [4, 6, 1], "images": [2, 3, 1]}


def test_the_same_numbers_stand_there_once():
    graph = Graph((2, 3, 1))
    assert graph.constant(np.ones(3)) == graph.constant([1, 1, 1])
    names = {graph.constant(np.ones(3), np.int64), graph.constant(np.ones((3, 1))), graph.constant(np.ones(3))}
    assert len(names) == 3


def test_half_precision_and_parts():
    graph = Graph((1, 2, 3))
    first, _, last = graph.split(graph.values(), 3)
    graph.put("out", graph.halved(graph.add("Div", graph.add("Add", first, last), graph.constant(3.0))), 1, 1, 2)
    session = onnxruntime.InferenceSession(graph.content(""), providers=["CPUExecutionProvider"])
    found = session.run(None, {"images": np.array([[[[1, 9, 3], [4, 9, 7]]]], np.uint8)})[0]
    assert np.array_equal(found.ravel(), np.array([4 / 3, 11 / 3], np.float16).astype(np.float32))


def test_a_graph_that_is_none_is_not_handed_out():
    graph = Graph((2, 3, 1))
    graph.put("out", graph.add("MatMul", graph.images(), graph.constant(np.ones((7, 2)))), 1, 2, 2)
    with pytest.raises(onnx.shape_inference.InferenceError):
        graph.content("")
