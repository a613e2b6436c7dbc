"""Export a recognizer as two ONNX graphs, the encoder and a step of the decoder.

    encoder: features (batch, frames, bands) float32, valid (batch, frames) bool
             -> memory (batch, quarter, d_model), memory_valid (batch, quarter), ctc (…, symbols)
    decoder: symbols (batch, written) int64, memory, memory_valid -> logits (batch, symbols)

An utterance is encoded once; the decoder then reads what has been written, the start first, and
its logits are those of the next symbol. `ctc` are the logits of CTC, which greedy search or a joint
search reads. Batch, frames and length of the text are free. Features are those of
`kws.data.transcripts.utterance_features`, with the padding last; the symbols are in the metadata.
A recognizer of CTC alone has no decoder to write. Every graph is run by onnxruntime before it gets
its name: where it differs from torch by more than `TOLERANCE` there is no file.

Shape letters: B batch   N frames   F mel bands   T frames of the memory   U symbols written
               V symbols of the alphabet
"""

import copy
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from kws import __version__
from kws.audio.recordings import SAMPLE_RATE
from kws.decoding.transcribe import decodes
from kws.errors import UsageError
from kws.files import atomic_path
from kws.inference.export import TOLERANCE, check_difference, trace
from kws.inference.onnx_tools import open_session, require_onnx
from kws.inference.trained_recognizer import Recognizer
from kws.models.residual_maps import ConvLstm
from kws.models.speech_gru import AnyRecognizer
from kws.text.alphabet import SPECIAL, SPECIAL_LABELS
from kws.training.recipe import to_toml

CHECKED = ((1, 101, 1), (3, 61, 7), (2, 230, 19))  # batches, frames and symbols compared
TRACED = (2, 61, 5)  # the sizes that the graphs are traced with
ENCODED = ("memory", "memory_valid", "ctc")


def export_recognizer(recognizer: Recognizer, out: str | Path) -> tuple[dict[str, Path], float]:
    """Write both graphs beside `out`: for model.onnx model-encoder.onnx and model-decoder.onnx.

    Returns the files by "encoder" and "decoder", and the largest difference from torch of any
    output. Raises UsageError: a package is missing, onnxruntime and torch differ by more than
    `TOLERANCE`, or the model goes frame by frame in Python.
    """
    require_onnx()
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
    files, differences = {}, []
    for half, module in halves.items():
        files[half] = out.with_name(f"{out.stem}-{half}.onnx")
        inputs, outputs = names[half]
        program = trace(
            module.cpu().eval(),
            _inputs(recognizer, half, *TRACED),
            inputs=inputs,
            outputs=outputs,
            free=free[half],
        )
        program.model.metadata_props.update(_describe(recognizer, half))
        with atomic_path(files[half]) as temporary:
            program.save(temporary)
            found = largest_difference(temporary, recognizer, half, module)
            differences.append(check_difference(found, files[half], TOLERANCE))
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
        return memory, real, self.model.ctc(memory)


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


def largest_difference(
    onnx: Path, recognizer: Recognizer, half: str, reference: nn.Module
) -> float:
    """Largest difference of onnxruntime and torch on real frames, over random batches, or NaN."""
    session = open_session(onnx)
    names = [entry.name for entry in session.get_inputs()]
    differences = []
    for sizes in CHECKED:
        inputs = _inputs(recognizer, half, *sizes)
        with torch.inference_mode():
            expected = reference(*inputs)
        feed = {name: value.numpy() for name, value in zip(names, inputs, strict=True)}
        found = [torch.from_numpy(value) for value in session.run(None, feed)]
        if half == "decoder":
            pairs = [(found[0], expected)]
        else:  # what is in the padding has no meaning
            real = expected[1]
            assert torch.equal(found[1], real)
            pairs = [(found[at][real], expected[at][real]) for at in (0, 2)]
        differences += [(left - right).abs().max() for left, right in pairs]
    return float(torch.stack(differences).max())


def _inputs(
    recognizer: Recognizer, half: str, batch: int, frames: int, written: int
) -> Sequence[Tensor]:
    """Random inputs of a half; all rows but the first are padded to half or more of the length."""
    generator = torch.Generator().manual_seed(frames)
    features = torch.randn(batch, frames, recognizer.recipe.features.n_mels, generator=generator)
    lengths = torch.randint(frames // 2, frames + 1, (batch, 1), generator=generator)
    lengths[0] = frames
    valid = torch.arange(frames) < lengths
    if half == "encoder":
        return features, valid
    symbols = torch.randint(
        SPECIAL, len(recognizer.alphabet), (batch, written), generator=generator
    )
    with torch.inference_mode():
        memory, real = recognizer.model.encode(features, valid)
    assert real is not None
    return symbols, memory.clone(), real.clone()


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
