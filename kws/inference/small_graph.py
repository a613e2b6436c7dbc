"""An ONNX graph in fewer bytes that computes in float as before: weights in 8 bits, short names.

A weight is stored as int8 and a scale for each row, and multiplied out by the graph itself, which a
runtime does once, when it loads: constants are folded. Rows of the Fourier transform are stored
as one-byte places in a table of their few cosines, beside the window.
"""

from collections.abc import Callable

import numpy as np
import torch

from kws.audio.features_fast import dft_kernels

SMALLEST = 1024  # numbers; fewer are not worth two more operators


def with_small_weights(model: bytes, is_weight: Callable[[str], bool]) -> bytes:
    """The same graph, the initializers of the names of `is_weight` as int8, a scale a row.

    A row is what shares the indices of the first axis that is longer than 2: an output channel, a
    gate of a direction.
    """

    def packed(weight: np.ndarray) -> list[tuple[str, np.ndarray]]:
        first = next(axis for axis, size in enumerate(weight.shape) if size > 2)
        largest = np.abs(weight).max(tuple(range(first + 1, weight.ndim)), keepdims=True)
        scale = np.maximum(largest, 1e-12).astype(np.float32) / 127
        return [("", np.round(weight / scale).astype(np.int8)), ("Mul", scale)]

    return _packed(model, lambda name, shape: len(shape) > 1 and is_weight(name), packed)


def recurrent_weights(model: bytes) -> set[str]:
    """Names of the weights of GRUs and LSTMs, for which onnxruntime has no 8-bit operator."""
    import onnx

    nodes = onnx.load_from_string(model).graph.node
    return {name for node in nodes if node.op_type in ("GRU", "LSTM") for name in node.input[1:3]}


def with_small_fourier_transform(model: bytes) -> bytes:
    """The same graph, the windowed rows of `dft_kernels` (Hann) as places in a table."""

    def packed(kernels: np.ndarray) -> list[tuple[str, np.ndarray]]:
        width = kernels.shape[-1]
        window = torch.hann_window(width, dtype=torch.float64).float()
        rows = dft_kernels(torch.ones(width))
        table, places = rows.unique(return_inverse=True)
        if len(table) > 256 or not np.allclose(rows * window, kernels, rtol=0, atol=1e-6):
            return []
        places = places.numpy().astype(np.uint8)
        return [("", places), ("Gather", table.numpy()), ("Mul", window.numpy())]

    def is_one(name: str, shape: tuple[int, ...]) -> bool:
        return len(shape) == 3 and shape[:2] == (2 * (shape[2] // 2 + 1), 1)

    return _packed(model, is_one, packed)


def _packed(
    model: bytes,
    is_wanted: Callable[[str, tuple[int, ...]], bool],
    pack: Callable[[np.ndarray], list[tuple[str, np.ndarray]]],
) -> bytes:
    """The same graph with `is_wanted` initializers as what `pack` makes of them.

    `pack` gives small integers, then operators that are applied to them, each with a constant.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    graph = onnx.load_from_string(model)
    inside, ahead = graph.graph, []
    for tensor in list(inside.initializer):
        shape = tuple(tensor.dims)
        if np.prod(shape) < SMALLEST or not is_wanted(tensor.name, shape):
            continue
        parts = pack(numpy_helper.to_array(tensor))
        if not parts:
            continue
        kind = TensorProto.INT32 if parts[1][0] == "Gather" else TensorProto.FLOAT
        names = [f"{tensor.name}/{step}" for step in range(len(parts))]
        inside.initializer.extend(
            numpy_helper.from_array(part, f"{name}/constant")
            for (_, part), name in zip(parts, names, strict=True)
        )
        inside.initializer.remove(tensor)
        ahead.append(helper.make_node("Cast", [f"{names[0]}/constant"], names[:1], to=kind))
        names[-1] = tensor.name
        for step, (operator, _) in enumerate(parts[1:], start=1):
            both = [f"{tensor.name}/{step}/constant", names[step - 1]]
            ahead.append(helper.make_node(operator, both, [names[step]]))
    for node in reversed(ahead):
        inside.node.insert(0, node)
    return graph.SerializeToString()


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
