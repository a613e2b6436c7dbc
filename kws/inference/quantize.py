"""A keyword model in 8 bits: onnxruntime's static quantization, and what it costs and saves.

Weights and activations of convolutions, linear layers and products of matrices become int8, each
activation with one scale that is measured on training clips (largest and smallest values), each
output channel of a weight with its own. Static quantization has no recurrent operator: the
weights of a GRU or LSTM are stored as int8, each row with its own scale, and it computes in float.
The logits stay float.

Source: https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html (static, QDQ).

Shape letters: B batch   T frames   F features
"""

import dataclasses
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kws.data.clips import ClipSplit
from kws.files import write_bytes
from kws.inference.export import export_onnx
from kws.inference.onnx_tools import open_session, quiet, require_onnx
from kws.inference.small_graph import recurrent_weights, with_short_names, with_small_weights
from kws.metrics import Proportion
from kws.training.batches import Batch, evaluation_batches
from kws.training.checkpoint import Trained, require_kind
from kws.training.recipe import compute_features

CALIBRATION_CLIPS = 512  # of the training part, spread evenly over it
CALIBRATION_BATCH = 32
KINDS = ("Conv", "MatMul", "Gemm")


@dataclass(frozen=True, kw_only=True)
class Quantized:
    """A float model and its int8 twin: bytes of the files, and accuracy."""

    bytes_before: int
    bytes_after: int
    before: Proportion
    after: Proportion
    agree: Proportion  # clips that both label the same

    def lines(self) -> list[str]:
        """What to print."""
        return [
            f"float32: {self.bytes_before / 1e3:,.1f} kB, accuracy {self.before}",
            f"int8:    {self.bytes_after / 1e3:,.1f} kB, accuracy {self.after}",
            f"the two agree on {self.agree}",
        ]


def export_quantized(
    trained: Trained, out: str | Path, training: ClipSplit, testing: ClipSplit
) -> Quantized:
    """Write `trained` in 8 bits to `out`, calibrated on `training`, both measured on `testing`.

    The graph reads features, as in `kws.inference.export`. Raises UsageError for a speaker model or
    a missing package.
    """
    require_kind(trained.path or "the model", trained.task, "keywords")
    require_onnx()
    from onnxruntime.quantization import (
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quantize_static,
    )
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):
        """Batches of training clips, in the quantizer's interface."""

        def __init__(self) -> None:
            self.batches = _calibration(trained, training)

        def get_next(self) -> Any:
            """The inputs of the next batch, None at the end."""
            return next(self.batches, None)

    with tempfile.TemporaryDirectory(prefix="kws-") as folder, quiet(""):
        plain, ready, small = (Path(folder) / f"{name}.onnx" for name in ("a", "b", "c"))
        export_onnx(trained, plain)
        quant_pre_process(plain, ready, skip_symbolic_shape=True)
        quantize_static(
            ready,
            small,
            Reader(),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(KINDS),
            per_channel=True,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=before_norms(ready.read_bytes()),
        )
        graph = small.read_bytes()
        graph = with_small_weights(graph, recurrent_weights(graph).__contains__)
        small.write_bytes(with_short_names(graph))
        (right, answers), (right_small, answers_small) = (
            _accuracy(model, trained, testing) for model in (plain, small)
        )
        n = len(answers)
        result = Quantized(
            bytes_before=plain.stat().st_size,
            bytes_after=small.stat().st_size,
            before=Proportion(correct=right, n=n),
            after=Proportion(correct=right_small, n=n),
            agree=Proportion(correct=int((answers == answers_small).sum()), n=n),
        )
        write_bytes(out, small.read_bytes())
    return result


def before_norms(model: bytes) -> list[str]:
    """Names of the convolutions that a batch normalization follows which could not be folded in.

    Their channels differ in size as the normalization expects, and one scale for all of them would
    leave the small ones nothing. BC-ResNet has twelve, in front of its sub-spectral normalization.
    """
    import onnx

    graph = onnx.load_from_string(model).graph
    makers = {name: node for node in graph.node for name in node.output}
    found = []
    for norm in (node for node in graph.node if node.op_type == "BatchNormalization"):
        node = makers.get(norm.input[0])
        while node is not None and node.op_type == "Reshape":
            node = makers.get(node.input[0])
        if node is not None and node.op_type == "Conv":
            found.append(node.name)
    return found


def _calibration(trained: Trained, training: ClipSplit) -> Iterator[dict[str, np.ndarray]]:
    """Features of clips from everywhere in the training part, not normalized: the graph does it."""
    count = min(CALIBRATION_CLIPS, len(training))
    rows = torch.linspace(0, len(training) - 1, count).round().long()
    for index in rows.split(CALIBRATION_BATCH):
        features = compute_features(trained.recipe.features, training.waveforms(index))
        yield _inputs(features)


def _inputs(features: torch.Tensor) -> dict[str, np.ndarray]:
    valid = np.ones(features.shape[:2], dtype=bool)
    return {"features": features.numpy(), "valid": valid}


def _accuracy(model: Path, trained: Trained, split: ClipSplit) -> tuple[int, np.ndarray]:
    """How many clips of `split` it gets right, and all its answers."""
    session, right, answers = open_session(model), 0, []
    none = dataclasses.replace(trained.normalizer, kind="none", mean=None, std=None)
    batch: Batch
    for batch in evaluation_batches(split, trained.recipe, none):
        (logits,) = session.run(None, _inputs(batch.features))
        answers.append(logits.argmax(1))
        right += int((answers[-1] == batch.labels.numpy()).sum())
    return right, np.concatenate(answers)
