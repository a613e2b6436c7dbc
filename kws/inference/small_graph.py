"""An ONNX graph in fewer bytes; it still computes in float.

Weights are stored as int8 and a scale for each row, the Fourier transform as a table of cosines.
The graph itself computes the float weights from these. A runtime does that once, when it loads,
because it folds constants.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from kws.audio.features_fast import dft_kernels
from kws.training.checkpoint import SMALLEST, STEPS, quantize_rows

FINER = 4 * STEPS  # of int8 in a graph: a checkpoint's weights of whole steps stay as they are
# A constant, and the operators that make an initializer of it: name and second input of each.
Computation = tuple[np.ndarray, list[tuple[str, np.ndarray | None]]]


def with_small_weights(model: bytes, is_weight: Callable[[str], bool]) -> bytes:
    """The same graph with those initializers whose names `is_weight` accepts as int8 and scales.

    There is a scale for each row: what has the same indices up to the first axis that is longer
    than 2, which is an output channel, or of a recurrent layer a gate's output in one direction.
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
    """The same graph; `dft_kernels` of a Hann window are computed from one table of cosines.

    Before the window, the real part of row k at sample n is cos(2π k n / N). The imaginary part,
    −sin, is the cosine of an angle that is a quarter of a turn larger. Both are entries of the
    table of cos(2π i / N), at i = k n mod N and at i = k n + N / 4 mod N.
    """

    def compute(_: str, kernels: np.ndarray) -> Computation | None:
        size = kernels.shape[-1] if kernels.ndim == 3 else 0
        if not size or size % 4 or kernels.shape != (2 * (size // 2 + 1), 1, size):
            return None
        window = torch.hann_window(size)
        if not np.allclose(dft_kernels(window), kernels, rtol=0, atol=1e-6):
            return None
        n, half = np.arange(size), len(kernels) // 2
        quarter = np.array([0, size // 4]).repeat(half)[:, None, None]
        cosines = np.cos(2 * np.pi / size * n).astype(np.float32)
        k = np.tile(n[:half], 2)[:, None, None]
        return k, [
            ("Mul", n),
            ("Add", quarter),
            ("Mod", np.array(size)),
            ("Gather", cosines),
            ("Mul", window.numpy()),
        ]

    return _with_computed(model, compute)


def _with_computed(model: bytes, compute: Callable[[str, np.ndarray], Computation | None]) -> bytes:
    """The same graph, where initializers are computed if `compute` returns how, not None."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    graph = onnx.load_from_string(model)
    inside, nodes = graph.graph, []
    for tensor in list(inside.initializer):
        computation = compute(tensor.name, numpy_helper.to_array(tensor))
        if computation is None:
            continue
        stored, operations = computation
        value = f"{tensor.name}/stored"  # the name of what is computed so far
        inside.initializer.remove(tensor)
        inside.initializer.append(numpy_helper.from_array(stored, value))
        for place, (operator, second) in enumerate(operations):
            result = f"{tensor.name}/{place}"
            inputs = [value]
            if second is not None:
                inputs.append(f"{result}/second")
                inside.initializer.append(numpy_helper.from_array(second, inputs[1]))
            if operator == "Gather":
                inputs.reverse()  # its first input is the table
            value = tensor.name if place == len(operations) - 1 else result
            options: Any = {"to": TensorProto.FLOAT} if operator == "Cast" else {}
            nodes.append(helper.make_node(operator, inputs, [value], **options))
    for node in reversed(nodes):
        inside.node.insert(0, node)  # in front of the nodes that read the initializers
    return graph.SerializeToString()


def recurrent_weights(model: bytes) -> set[str]:
    """Names of the weights of GRUs and LSTMs, for which onnxruntime has no 8-bit operator."""
    import onnx

    nodes = onnx.load_from_string(model).graph.node
    return {name for node in nodes if node.op_type in ("GRU", "LSTM") for name in node.input[1:3]}


def with_short_names(model: bytes) -> bytes:
    """The same graph with short names inside: in a small model, names were a third of the bytes."""
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
