"""A fitted model as an ONNX graph, as far as it can be said so."""
