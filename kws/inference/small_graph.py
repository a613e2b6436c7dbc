"""An ONNX graph in fewer bytes that computes in float as before.

Weights are stored as int8 and a scale for each row, the Fourier transform as a table of cosines.
The graph itself multiplies and looks up, which a runtime does once, when it loads: constants are
folded.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from kws.audio.features_fast import dft_kernels
from kws.training.checkpoint import SMALLEST, STEPS, quantize_rows

FINER = 4 * STEPS  # of int8 in a graph: a checkpoint's weights of whole steps stay as they are
# A constant, and the operators that make an initializer of it, each with its second input.
Computation = tuple[np.ndarray, list[tuple[str, np.ndarray | None]]]


def with_small_weights(model: bytes, is_weight: Callable[[str], bool]) -> bytes:
    """The same graph, the initializers of the names of `is_weight` as int8, a scale a row.

    A row is what shares the indices of the first axis that is longer than 2: an output channel, a
    gate of a direction.
    """

    def compute(name: str, weight: np.ndarray) -> Computation | None:
        if weight.ndim < 2 or weight.size < SMALLEST or not is_weight(name):
            return None
        first = next(axis for axis, size in enumerate(weight.shape) if size > 2)
        if first == weight.ndim - 1:  # a bias of each direction: no two numbers share a scale
            return None
        stored, scale = quantize_rows(torch.tensor(weight), FINER, first)
        return stored.numpy(), [("Cast", None), ("Mul", scale.numpy())]

    return _with_computed(model, compute)


def with_computed_dft(model: bytes) -> bytes:
    """The same graph, `dft_kernels` of a Hann window from products and one table of cosines.

    The real part of row k is cos(2π k n / N); the imaginary part, −sin, is the cosine of a quarter
    of a turn more.
    """

    def compute(_: str, kernels: np.ndarray) -> Computation | None:
        size = kernels.shape[-1] if kernels.ndim == 3 else 0
        if not size or size % 4 or kernels.shape != (2 * (size // 2 + 1), 1, size):
            return None
        window = torch.hann_window(size)
        if not np.allclose(dft_kernels(window), kernels, rtol=0, atol=1e-6):
            return None
        n, half = np.arange(size), len(kernels) // 2
        turned = np.array([0, size // 4]).repeat(half)[:, None, None]
        cosines = np.cos(2 * np.pi / size * n).astype(np.float32)
        angle = [("Mul", n), ("Add", turned), ("Mod", np.array(size))]  # in parts of a turn
        k = np.tile(n[:half], 2)[:, None, None]
        return k, [*angle, ("Gather", cosines), ("Mul", window.numpy())]

    return _with_computed(model, compute)


def _with_computed(model: bytes, compute: Callable[[str, np.ndarray], Computation | None]) -> bytes:
    """The same graph with the initializers computed for which `compute` says how."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    graph = onnx.load_from_string(model)
    inside, ahead = graph.graph, []
    for tensor in list(inside.initializer):
        if (found := compute(tensor.name, numpy_helper.to_array(tensor))) is None:
            continue
        given = f"{tensor.name}/stored"
        inside.initializer.remove(tensor)
        inside.initializer.append(numpy_helper.from_array(found[0], given))
        for place, (operator, second) in enumerate(found[1]):
            inputs, made = [given], f"{tensor.name}/{place}"
            if second is not None:
                inputs.append(f"{made}/second")
                inside.initializer.append(numpy_helper.from_array(second, inputs[1]))
            if operator == "Gather":
                inputs.reverse()  # its first input is the table
            made = tensor.name if place == len(found[1]) - 1 else made
            cast: Any = {"to": TensorProto.FLOAT} if operator == "Cast" else {}
            ahead.append(helper.make_node(operator, inputs, [made], **cast))
            given = made
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
