"""A keyword model as one ONNX graph from waveform to logits, features included.

    waveform (1, 16000) float32, shown (1, frames, size) float32
        ->  logits (1, classes), spectrogram (1, frames, SPECTROGRAM_MELS), embedding (1, width)

Whoever runs it needs no log-mel of their own: a browser, a phone. `shown` multiplies what the model
reads: 1 everywhere for a prediction; 0 hides a part, and how far the score falls then says how much
the model relied on it (occlusion: Zeiler and Fergus 2014, https://arxiv.org/abs/1311.2901).
`spectrogram` is a log-mel to draw, `embedding` what the last layer reads: a new one for other words
can be trained on it (`kws.training.new_head`). A model with state has a graph of one step, too:

    samples (1, N) of its frames, state_0 … -> the same outputs, next_0 …

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

from kws.audio.features import HOP, WINDOW, log_mel
from kws.audio.recordings import CLIP_SAMPLES, SAMPLE_RATE
from kws.errors import UsageError
from kws.inference.export import write_graph
from kws.inference.onnx_rnn import OPSET
from kws.inference.onnx_tools import open_session
from kws.inference.small_graph import with_computed_dft, with_short_names, with_small_weights
from kws.inference.streaming import MARGIN
from kws.models.causal import CausalModel, describe_state
from kws.training.new_head import split_head

TOLERANCE = 1e-3  # largest difference of a logit
SMALL = 0.01  # largest difference of a probability by weights in 8 bits
SPECTROGRAM_MELS = 40
OUTPUTS = ("logits", "spectrogram", "embedding")
NAMES: Any = {"inputs": ("waveform", "shown"), "outputs": OUTPUTS}

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
    waveforms = example_waveforms()
    whole = FromWaveform(model, features)
    with torch.inference_mode():
        read = features(waveforms)  # also makes the tables that tracing must find ready
        expected, _, embedding = whole(waveforms, torch.ones_like(read))
    if expected.shape != (len(waveforms), num_classes):
        raise UsageError(
            f"the model gives {expected.shape[-1]} numbers for a clip, and there are "
            f"{num_classes} labels: name as many labels as it has classes"
        )
    examples = [(each, torch.ones_like(read[:1])) for each in waveforms.split(1)]

    def shrink(graph: Path) -> None:
        """Store weights in 8 bits, unless a probability of the examples changes by `SMALL`."""
        plain = with_computed_dft(graph.read_bytes())
        small = with_small_weights(plain, lambda name: name.startswith(("body.", "head.")))
        graph.write_bytes(with_short_names(small))
        session = open_session(graph)
        feeds = ({"waveform": x.numpy(), "shown": y.numpy()} for x, y in examples)
        found = torch.tensor([session.run(["logits"], feed)[0][0].tolist() for feed in feeds])
        if not float((found.softmax(1) - expected.softmax(1)).abs().max()) <= SMALL:
            graph.write_bytes(with_short_names(plain))

    difference = write_graph(whole, out, examples, shrink=shrink, **NAMES, **_options(metadata))
    return difference, (read.shape[1], read.shape[2], embedding.shape[1])


def _options(metadata: Mapping[str, str] | None) -> dict[str, Any]:
    table = {torch.ops.aten.mean.dim: mean_in_turn}
    return {"metadata": metadata or {}, "tolerance": TOLERANCE, "custom_translation_table": table}


class StepFromWaveform(nn.Module):
    """`features`, then a step of a model with state, from the samples around its frames."""

    def __init__(self, model: nn.Module, features: Features):
        super().__init__()
        body, self.head = split_head(model)
        assert isinstance(body, CausalModel)
        self.body, self.features = body, features

    def forward(self, samples: Float[Tensor, "1 N"], *state: Tensor) -> tuple[Tensor, ...]:
        """samples (1, N), state -> logits (1, C), spectrogram (1, T, M), embedding, next state."""
        frames = slice(MARGIN, MARGIN + self.body.step_frames)
        embedding, after = self.body.step(self.features(samples)[:, frames], state)
        spectrogram = log_mel(samples, n_mels=SPECTROGRAM_MELS)[:, frames]
        return self.head(embedding[:, 0]), spectrogram, embedding[:, 0] + 0.0, *after


def export_waveform_step(model: nn.Module, features: Features, out: str | Path) -> dict[str, Any]:
    """Write a step of a model with state from samples as `export_waveform` does, weights in float.

    Its features of a frame must depend on nothing else. Returns what a page needs to know.
    """
    graph = StepFromWaveform(model, features).cpu().eval()
    state, frames = graph.body.start(), graph.body.step_frames
    size = (MARGIN + frames - 1) * HOP + WINDOW // 2  # up to the end of the last window
    waveform = example_waveforms()[3]
    examples = [(example_waveforms()[:1, :size], *state)]
    for start in range(0, len(waveform) - size, frames * HOP):
        with torch.inference_mode():
            _, _, _, *after = graph(*examples[-1])
        examples.append((waveform[None, start : start + size], *after))
    numbers = range(len(state))
    write_graph(
        graph,
        out,
        examples,
        inputs=("samples", *(f"state_{i}" for i in numbers)),
        outputs=(*OUTPUTS, *(f"next_{i}" for i in numbers)),
        **_options(None),
    )
    return {
        "samples": size,
        "before": MARGIN * HOP,
        "behind": WINDOW // 2,
        "hop": frames * HOP,
        "frames": frames,
        "state": describe_state(state),
    }


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
