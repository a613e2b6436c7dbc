"""A keyword model as one ONNX graph from waveform to logits, features included.

    waveform (1, 16000) float32, shown (1, frames, size) float32
        ->  logits (1, classes), spectrogram (1, frames, SPECTROGRAM_MELS), embedding (1, width)

Whoever runs it needs no log-mel of their own: a browser, a phone. `shown` multiplies what the model
reads: 1 everywhere for a prediction; 0 hides a part, and how far the score falls then says how much
the model relied on it (occlusion: Zeiler and Fergus 2014, https://arxiv.org/abs/1311.2901).
`spectrogram` is a log-mel to draw, `embedding` what the last layer reads: a new one for other words
can be trained on it (`kws.training.new_head`). The batch is free.

Parity: torch, 1e-3 in every logit, on noise of three levels, a chirp and digital silence; where
onnxruntime differs by more there is no file. Then weights are stored in 8 bits, if the
probabilities of these five stay within `SMALL`.

Shape letters: B batch   N samples   T frames   F features   C classes   M mel bands   D embedding
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from kws.audio.features import log_mel
from kws.audio.recordings import CLIP_SAMPLES, SAMPLE_RATE
from kws.errors import UsageError
from kws.files import atomic_path
from kws.inference.onnx_rnn import OPSET, for_onnx
from kws.inference.onnx_tools import open_session, quiet, require_onnx
from kws.inference.small_graph import (
    with_separate_window,
    with_short_names,
    with_small_weights,
)
from kws.training.new_head import split_head

TOLERANCE = 1e-3  # largest difference of a logit
SMALL = 0.01  # largest difference of a probability by weights in 8 bits
SPECTROGRAM_MELS = 40
INPUTS, OUTPUTS = ("waveform", "shown"), ("logits", "spectrogram", "embedding")

Features = Callable[[Tensor], Tensor]  # waveform (B, N) -> what the model reads (B, T, F)


class FromWaveform(nn.Module):
    """`features`, then `model`; either may be the user's own."""

    def __init__(self, model: nn.Module, features: Features):
        super().__init__()
        body, head = split_head(model)
        self.body, self.head = body.cpu().eval(), head.cpu().eval()
        self.features = features

    def forward(
        self, waveform: Float[Tensor, "B N"], shown: Float[Tensor, "B T F"]
    ) -> tuple[Float[Tensor, "B C"], Float[Tensor, "B T M"], Float[Tensor, "B D"]]:
        """waveform (B, N) -> logits (B, C), a spectrogram to plot, and the embedding (B, D)."""
        embedding = self.body(self.features(waveform) * shown)
        spectrogram = log_mel(waveform, n_mels=SPECTROGRAM_MELS)
        return self.head(embedding), spectrogram, embedding + 0.0  # never the same as an output


def example_waveforms() -> Float[Tensor, "5 N"]:
    """Inputs for comparing graph and model: powers a million apart, a chirp, silence."""
    noise = torch.randn(CLIP_SAMPLES, generator=torch.Generator().manual_seed(0))
    seconds = torch.arange(CLIP_SAMPLES) / SAMPLE_RATE
    chirp = 0.5 * (2 * torch.pi * (100 + 1500 * seconds) * seconds).sin() + 1e-3 * noise
    return torch.stack([0.2 * noise, 1e-2 * noise, 2e-4 * noise, chirp, torch.zeros(CLIP_SAMPLES)])


def export_waveform(
    model: nn.Module,
    features: Features,
    out: str | Path,
    *,
    num_classes: int,
    metadata: Mapping[str, str] | None = None,
) -> tuple[float, tuple[int, int, int]]:
    """Write features and model as one ONNX graph, atomically, once onnxruntime agrees with torch.

    Args:
        model: (B, T, F) -> logits (B, C); it stays as it is.
        features: waveforms (B, 16000) -> what the model reads, of torch operations; mel
            spectrograms by `kws.audio.features`.
        out: the file.
        num_classes: logits that are expected.
        metadata: kept in the file.

    Returns:
        the largest difference of a logit, and (T, F, D).

    Raises:
        UsageError: a package is missing, the number of logits is another, or the two differ.
    """
    require_onnx()
    waveforms = example_waveforms()
    whole = FromWaveform(model, features)
    with torch.inference_mode():
        read = features(waveforms)  # also makes the tables that tracing must find ready
        shown = torch.ones_like(read)
        expected, _, embedding = whole(waveforms, shown)
    if expected.shape != (len(waveforms), num_classes):
        raise UsageError(
            f"the model gives {expected.shape[-1]} numbers for a clip, and there are "
            f"{num_classes} labels: name as many labels as it has classes"
        )
    with quiet(), sdpa_kernel(SDPBackend.MATH):
        program = torch.onnx.export(
            for_onnx(whole).eval(),
            (waveforms[:1], shown[:1]),
            input_names=list(INPUTS),
            output_names=list(OUTPUTS),
            opset_version=OPSET,
            custom_translation_table={torch.ops.aten.mean.dim: mean_in_turn},
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    program.model.metadata_props.update(metadata or {})
    with atomic_path(out) as temporary:
        program.save(temporary)
        session = open_session(temporary)
        found = torch.cat([run(session, waveform, shown[:1]) for waveform in waveforms.split(1)])
        difference = float((found - expected).abs().max())
        if not difference <= TOLERANCE:  # NaN is refused too
            raise UsageError(
                f"{out}: onnxruntime and torch differ by {difference:.1e}, more than "
                f"{TOLERANCE:.0e}: not written; report this with the model"
            )
        _make_small(temporary, found, waveforms, shown[:1])
    return difference, (read.shape[1], read.shape[2], embedding.shape[1])


def _make_small(graph: Path, logits: Tensor, waveforms: Tensor, shown: Tensor) -> None:
    """Store weights in 8 bits, unless a probability of the examples changes by `SMALL`."""
    whole = with_separate_window(graph.read_bytes())
    small = with_small_weights(whole, lambda name: name.startswith(("body.", "head.")))
    graph.write_bytes(with_short_names(small))
    session = open_session(graph)
    found = torch.cat([run(session, waveform, shown) for waveform in waveforms.split(1)])
    if not float((found.softmax(1) - logits.softmax(1)).abs().max()) <= SMALL:
        graph.write_bytes(with_short_names(whole))


def mean_in_turn(x: Any, dim: Sequence[int], keepdim: bool = False) -> Any:
    """A mean over several axes of a graph as one axis after the other.

    onnxruntime adds number after number: over a whole spectrogram of equal ones, digital silence,
    that is off by some 1e-5 of them, which a normalization by a small deviation enlarges.
    """
    from onnxscript.values import Opset

    onnx = Opset("", OPSET)
    for axis in dim:
        x = onnx.ReduceMean(x, onnx.Constant(value_ints=[axis]), keepdims=1)
    return x if keepdim else onnx.Squeeze(x, onnx.Constant(value_ints=list(dim)))


def run(
    session: Any, waveform: Float[Tensor, "1 N"], shown: Float[Tensor, "1 T F"]
) -> Float[Tensor, "1 C"]:
    """Logits of one clip by onnxruntime's session of such a graph."""
    (logits,) = session.run(["logits"], {"waveform": waveform.numpy(), "shown": shown.numpy()})
    return torch.from_numpy(logits)
