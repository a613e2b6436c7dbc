"""Export a recognizer as two ONNX graphs, the encoder and a step of the decoder.

    encoder: features (batch, frames, bands) float32, valid (batch, frames) bool
             -> memory (batch, quarter, d_model), memory_valid (batch, quarter), ctc (…, symbols)
    decoder: symbols (batch, written) int64, memory, memory_valid -> logits (batch, symbols)

An utterance is encoded once; the decoder then reads what has been written, the start first, and
its logits are those of the next symbol. `ctc` are the logits of CTC, which greedy search or a joint
search reads. Batch, frames and length of the text are free. Features are those of
`kws.data.transcripts.utterance_features`, with the padding last; the symbols are in the metadata.
A recognizer of CTC alone has no decoder to write. Every graph is run by onnxruntime before it gets
its name: where it differs from torch by more than `kws.inference.export` allows there is no file.

Shape letters: B batch   N frames   F mel bands   T frames of the memory   U symbols written
               V symbols of the alphabet
"""

import copy
import dataclasses
import json
from pathlib import Path

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from kws import __version__
from kws.audio.recordings import SAMPLE_RATE
from kws.decoding.transcribe import decodes
from kws.errors import UsageError
from kws.inference.export import random_batches, write_graph
from kws.inference.trained_recognizer import Recognizer
from kws.models.residual_maps import ConvLstm
from kws.models.speech_gru import AnyRecognizer
from kws.text.alphabet import SPECIAL, SPECIAL_LABELS
from kws.training.recipe import to_toml

CHECKED = ((3, 61, 7), (1, 101, 1), (2, 230, 19))  # batches, frames and symbols compared
ENCODED = ("memory", "memory_valid", "ctc")


def export_recognizer(recognizer: Recognizer, out: str | Path) -> tuple[dict[str, Path], float]:
    """Write both graphs beside `out`: for model.onnx model-encoder.onnx and model-decoder.onnx.

    Returns the files by "encoder" and "decoder", and the largest difference from torch of any
    output. Raises UsageError: a package is missing, onnxruntime and torch differ, or the
    model goes frame by frame in Python.
    """
    if any(isinstance(module, ConvLstm) for module in recognizer.model.modules()):
        raise UsageError(
            f"{recognizer.path}: model.module=res-cnn-lstm goes frame by frame, and a graph for "
            "recordings of any length cannot: train it with another module, such as res-cnn"
        )
    out = Path(out)
    halves: dict[str, nn.Module] = {"encoder": Encoder(recognizer.model)}
    if decodes(recognizer.model):
        halves["decoder"] = DecoderStep(recognizer.model)
    free = {
        "encoder": ({0: "batch", 1: "frames"},) * 2,
        "decoder": ({0: "batch", 1: "written"}, *({0: "batch", 1: "quarter"},) * 2),
    }
    names = {
        "encoder": (("features", "valid"), ENCODED),
        "decoder": (("symbols", *ENCODED[:2]), ("logits",)),
    }
    files = {half: out.with_name(f"{out.stem}-{half}.onnx") for half in halves}
    differences = []
    for half, module in halves.items():
        differences.append(
            write_graph(
                module,
                files[half],
                _inputs(recognizer, half),
                inputs=names[half][0],
                outputs=names[half][1],
                free=free[half],
                metadata=_describe(recognizer, half),
            )
        )
    return files, max(differences)


class Encoder(nn.Module):
    """Encoder output, its padding mask, and the logits of CTC."""

    def __init__(self, model: AnyRecognizer):
        super().__init__()
        self.model = copy.deepcopy(model)

    def forward(
        self, features: Float[Tensor, "B N F"], valid: Bool[Tensor, "B N"]
    ) -> tuple[Float[Tensor, "B T D"], Bool[Tensor, "B T"], Float[Tensor, "B T V"]]:
        """features (B, N, F) -> memory (B, T, D), its mask (B, T), logits of CTC (B, T, V)."""
        memory, real = self.model.encode(features, valid)
        assert real is not None
        padding = ~real[..., None]  # what is there has no meaning, and could not be compared
        ctc = self.model.ctc(memory).masked_fill(padding, 0)
        return memory.masked_fill(padding, 0), real, ctc


class DecoderStep(nn.Module):
    """Logits of the symbol that follows a text."""

    def __init__(self, model: AnyRecognizer):
        super().__init__()
        self.model = copy.deepcopy(model)

    def forward(
        self,
        symbols: Int[Tensor, "B U"],
        memory: Float[Tensor, "B T D"],
        valid: Bool[Tensor, "B T"],
    ) -> Float[Tensor, "B V"]:
        """symbols (B, U), memory (B, T, D) -> logits (B, V)."""
        return self.model.decode(symbols, memory, valid)[:, -1]


@torch.no_grad()  # a tensor of inference mode could not be traced
def _inputs(recognizer: Recognizer, half: str) -> list[tuple[Tensor, ...]]:
    """Random inputs of a half."""
    sizes = [(batch, frames) for batch, frames, _ in CHECKED]
    encoded = random_batches(sizes, recognizer.recipe.features.n_mels)
    if half == "encoder":
        return [*encoded]
    generator, found = torch.Generator().manual_seed(1), []
    for (batch, _, written), (features, valid) in zip(CHECKED, encoded, strict=True):
        shape = (batch, written)
        symbols = torch.randint(SPECIAL, len(recognizer.alphabet), shape, generator=generator)
        memory, real = recognizer.model.encode(features, valid)
        assert real is not None
        found.append((symbols, memory, real))
    return found


def _describe(recognizer: Recognizer, half: str) -> dict[str, str]:
    """Metadata of the file, lists and tables as JSON."""
    features = dataclasses.asdict(recognizer.recipe.features) | {
        "computed_by": "kws.data.transcripts.utterance_features",
        "sample_rate": SAMPLE_RATE,
    }
    symbols = [*SPECIAL_LABELS, *recognizer.alphabet.letters]
    return {
        "producer": f"kws {__version__}",
        "task": "transcription",
        "half": half,
        "symbols": json.dumps(symbols, ensure_ascii=False),
        "features": json.dumps(features),
        "recipe": to_toml(recognizer.recipe),
    }
