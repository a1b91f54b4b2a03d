import sys

import numpy as np
import onnx
import pytest
import torch

from oddlens.errors import MissingExtra, OptionError
from oddlens.learning.onnx_network import OnnxNetwork
from onnx_files import write_onnx

IMAGE = torch.linspace(0, 1, 3 * 64 * 64).reshape(1, 3, 64, 64)


@pytest.fixture
def path(tmp_path):
    return write_onnx(tmp_path / "network.onnx")


def test_outputs_with_places_are_maps_and_the_vector_describes_the_whole(path):
    network = OnnxNetwork(path.read_bytes())
    layers = network.layers(IMAGE)
    assert {layer.name: layer.grid for layer in layers} == {"fine": (8, 8), "coarse": (4, 4), "vector": None}
    assert network.usual(layers, (64, 64)) == ("fine", "coarse")
    assert network.pooled(layers) == "vector"
    assert network.size is None
    given = network.run(IMAGE, ("coarse", "vector"))
    assert torch.allclose(given["coarse"].mean((2, 3)), given["vector"], atol=1e-6)


def test_a_fixed_size_and_batch_are_kept_to(tmp_path):
    network = OnnxNetwork(write_onnx(tmp_path / "fixed.onnx", (4, 3, 32, 64)).read_bytes())
    assert (network.batch, network.size) == (4, (32, 64))
    assert {layer.name: layer.grid for layer in network.layers(IMAGE[:, :, :32])}["coarse"] == (2, 4)
    with pytest.raises(OptionError, match=r"does not take images of \(64, 64\)"):
        network.run(IMAGE.expand(4, -1, -1, -1), ("coarse",))


def test_its_state_is_the_file(path):
    state = OnnxNetwork(path.read_bytes()).state()
    assert state["onnx"].dtype == np.uint8
    assert state["onnx"].tobytes() == path.read_bytes()


def test_what_is_no_network_is_told():
    with pytest.raises(OptionError, match="cannot be opened"):
        OnnxNetwork(b"nothing")


@pytest.mark.parametrize("shape", [("n", 1, "h", "w"), ("n", "h", "w", 3), (1000, 3, 32, 32), (1, 3, 9000, 9000)])
def test_a_network_of_other_images_is_told(tmp_path, shape):
    rows = onnx.helper.make_tensor_value_info("images", onnx.TensorProto.FLOAT, shape)
    same = onnx.helper.make_node("Identity", ["images"], ["same"])
    out = onnx.helper.make_tensor_value_info("same", onnx.TensorProto.FLOAT, shape)
    model = onnx.helper.make_model(onnx.helper.make_graph([same], "same", [rows], [out]), ir_version=9,
                                   opset_imports=[onnx.helper.make_opsetid("", 17)])
    with pytest.raises(OptionError, match="one input, float32"):
        OnnxNetwork(model.SerializeToString())


def test_weights_in_another_file_are_refused(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where onnxruntime would find them
    model = onnx.load(path)
    (tmp_path / "secret").write_bytes(b"0" * 10000)
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="secret")
    with pytest.raises(OptionError, match="another file"):
        OnnxNetwork(model.SerializeToString())


def test_without_onnxruntime_the_extra_is_named(path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtra, match=r"pip install 'oddlens\[backbone\]'"):
        OnnxNetwork(path.read_bytes())
