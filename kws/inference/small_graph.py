"""An ONNX graph in fewer bytes that computes in float as before.

Weights are stored as int8 and a scale for each row; the Fourier transform beside its window,
because without it rows repeat each other and compress well. The graph itself multiplies them, which
a runtime does once, when it loads: constants are folded.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from kws.audio.features_fast import dft_kernels

SMALLEST = 1024  # numbers; fewer are not worth two more operators


def with_small_weights(model: bytes, is_weight: Callable[[str], bool]) -> bytes:
    """The same graph, the initializers of the names of `is_weight` as int8, a scale a row.

    A row is what shares the indices of the first axis that is longer than 2: an output channel, a
    gate of a direction.
    """

    def split(name: str, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        if weight.ndim < 2 or weight.size < SMALLEST or not is_weight(name):
            return None
        first = next(axis for axis, size in enumerate(weight.shape) if size > 2)
        largest = np.abs(weight).max(tuple(range(first + 1, weight.ndim)), keepdims=True)
        scale = np.maximum(largest, 1e-12).astype(np.float32) / 127
        return np.round(weight / scale).astype(np.int8), scale

    return _as_products(model, split)


def with_separate_window(model: bytes) -> bytes:
    """The same graph, `dft_kernels` of a Hann window as those of none, and the window."""

    def split(_: str, kernels: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        width = kernels.shape[-1] if kernels.ndim == 3 else 0
        if not width or kernels.shape != (2 * (width // 2 + 1), 1, width):
            return None
        rows, window = dft_kernels(torch.ones(width)).numpy(), torch.hann_window(width).numpy()
        same = np.allclose(rows * window, kernels, rtol=0, atol=1e-6)
        return (rows, window) if same else None

    return _as_products(model, split)


def _as_products(model: bytes, split: Callable[[str, np.ndarray], Any]) -> bytes:
    """The same graph with the initializers that `split` makes two factors of."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    graph = onnx.load_from_string(model)
    inside, ahead = graph.graph, []
    for tensor in list(inside.initializer):
        name, factors = tensor.name, split(tensor.name, numpy_helper.to_array(tensor))
        if factors is None:
            continue
        stored, single, scale = (f"{name}/{part}" for part in ("stored", "float", "factor"))
        inside.initializer.remove(tensor)
        for part, called in zip(factors, (stored, scale), strict=True):
            inside.initializer.append(numpy_helper.from_array(part, called))
        ahead.append(helper.make_node("Cast", [stored], [single], to=TensorProto.FLOAT))
        ahead.append(helper.make_node("Mul", [single, scale], [name]))
    for node in reversed(ahead):
        inside.node.insert(0, node)
    return graph.SerializeToString()


def recurrent_weights(model: bytes) -> set[str]:
    """Names of the weights of GRUs and LSTMs, for which onnxruntime has no 8-bit operator."""
    import onnx

    nodes = onnx.load_from_string(model).graph.node
    return {name for node in nodes if node.op_type in ("GRU", "LSTM") for name in node.input[1:3]}


def with_short_names(model: bytes) -> bytes:
    """The same graph; what is inside has short names, which of a small model were a third."""
    import onnx

    graph = onnx.load_from_string(model)
    inside = graph.graph
    short = {value.name: value.name for value in (*inside.input, *inside.output)} | {"": ""}
    for tensor in inside.initializer:
        tensor.name = short.setdefault(tensor.name, f"{len(short):x}")
    for node in inside.node:
        if any(attribute.HasField("g") for attribute in node.attribute):
            return model  # a graph inside of it would refer to the old names
        node.input[:] = [short.setdefault(name, f"{len(short):x}") for name in node.input]
        node.output[:] = [short.setdefault(name, f"{len(short):x}") for name in node.output]
        node.name = node.doc_string = ""
        del node.metadata_props[:]
    del inside.value_info[:]
    return graph.SerializeToString()
