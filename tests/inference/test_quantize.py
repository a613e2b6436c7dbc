"""A model in 8 bits: smaller, measured, and nearly the same."""

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from kws.inference.quantize import before_norms, export_quantized
from kws.inference.small_graph import FINER, recurrent_weights, with_small_weights

pytestmark = pytest.mark.no_shapes

LABELS = ("low", "middle", "high")


@pytest.mark.slow
def test_a_model_in_8_bits_says_what_it_says_in_float(untrained, tones, tmp_path):
    model = untrained("model.name=ds-cnn", "model.channels=32", labels=LABELS)
    model.model.eval()
    found = export_quantized(model, tmp_path / "small.onnx", tones(40), tones(30, seed=1))
    assert found.bytes_after == (tmp_path / "small.onnx").stat().st_size
    assert found.before.n == found.after.n == found.agree.n == 30
    assert found.agree.correct >= 24  # rounded logits of a model that was never trained
    operators = {node.op_type for node in onnx.load(tmp_path / "small.onnx").graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= operators
    assert "the two agree on" in found.lines()[-1]


def test_recurrent_weights_are_stored_in_8_bits():
    weight = torch.randn(2, 210, 5, generator=torch.Generator().manual_seed(0)).numpy()
    hidden = np.ones((2, 210, 70), np.float32)
    nodes = [
        onnx.helper.make_node("GRU", ["x", "w", "r"], ["y"], hidden_size=70),
        onnx.helper.make_node("MatMul", ["y", "other"], ["z"]),
    ]
    stored = [numpy_helper.from_array(part, name) for name, part in (("w", weight), ("r", hidden))]
    graph = onnx.helper.make_graph(nodes, "g", [], [], stored)
    model = onnx.helper.make_model(graph).SerializeToString()
    small = with_small_weights(model, recurrent_weights(model).__contains__)
    tensors = {
        t.name: numpy_helper.to_array(t) for t in onnx.load_from_string(small).graph.initializer
    }
    assert "w" not in tensors
    assert tensors["w/stored"].dtype == np.int8
    rows = tensors["w/stored"].astype(np.float32) * tensors["w/1/second"]
    half_a_step = np.abs(weight).max(2, keepdims=True) / FINER / 2
    assert (np.abs(rows - weight) <= half_a_step + 1e-6).all()


def test_convolutions_that_a_normalization_follows_stay_in_float():
    node = onnx.helper.make_node
    nodes = [node("Conv", ["x", "w"], ["a"], "split"), node("Reshape", ["a", "s"], ["b"])]
    nodes += [node("BatchNormalization", ["b", *"gbmv"], ["c"]), node("Relu", ["c"], ["d"])]
    nodes += [node("Conv", ["d", "w"], ["e"], "folded"), node("Relu", ["e"], ["y"])]
    graph = onnx.helper.make_graph(nodes, "g", [], [])
    assert before_norms(onnx.helper.make_model(graph).SerializeToString()) == ["split"]
