"""Export a trained model: as ONNX, compared with torch, or as safetensors.

The ONNX graph reads features as `kws.audio.features` computes them and normalizes them itself:

    features (batch, frames, size) float32, valid (batch, frames) bool  ->  logits (batch, classes)

Batch and frames are free. `valid` is True on real audio; padding comes last. How the features are
computed, the labels in order and the protocol are in the file's metadata, as in the safetensors
file. Every export is run by onnxruntime before it gets its name, on batches of several sizes and
lengths: where the logits differ from torch's by more than `TOLERANCE` there is no file.

The graph of steps of a model with state reads the frames of any number of them and the state that
the last ones left:

    features (1, frames, size), state_0 … state_n  ->  logits (steps, classes), next_0 … next_n

Shape and fill value of each state in front of the first step are in its metadata, `state`.

Shape letters: B batch   T frames   F features   C classes
"""

import copy
import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float
from safetensors.torch import save
from torch import Tensor, nn
from torch.export import Dim
from torch.nn.attention import SDPBackend, sdpa_kernel

from kws import __version__
from kws.audio.features import HOP, WINDOW
from kws.audio.normalize import Normalizer
from kws.audio.recordings import SAMPLE_RATE
from kws.errors import UsageError
from kws.files import atomic_path, write_bytes
from kws.inference.onnx_rnn import OPSET, for_onnx
from kws.inference.onnx_tools import open_session, quiet, require_onnx
from kws.inference.torch_stream import TorchStream
from kws.models.causal import describe_state
from kws.training.checkpoint import Trained
from kws.training.recipe import to_toml

TOLERANCE = 1e-4  # largest difference of a logit
CHECKED = ((3, 61), (1, 101), (5, 29), (1, 127))  # batches and frames that are compared
STEPS = 40  # that are compared, more than a second


def export_onnx(trained: Trained, out: str | Path) -> float:
    """Write `trained` as ONNX to `out`, atomically, once onnxruntime agrees with torch.

    Returns the largest difference between their logits. Raises UsageError: a package is missing, or
    the two differ by more than `TOLERANCE`.
    """
    if trained.recipe.features.kind == "waveform":
        raise UsageError(
            f"{trained.recipe.model.name} reads waveforms, and kws exports models that read "
            "features: export its backbone with optimum, or write --safetensors"
        )
    return write_graph(
        Normalized(trained.model, trained.normalizer),
        out,
        random_batches(CHECKED, trained.recipe.features.num_features),
        inputs=("features", "valid"),
        outputs=("logits",),
        free=({0: "batch", 1: "frames"},) * 2,
        metadata=describe(trained),
    )


def export_step(trained: Trained, out: str | Path) -> float:
    """Write the steps of a model with state to `out`, once they give what torch gives.

    Returns the largest difference between them. Raises UsageError: a model without state, a package
    is missing, or the two differ.
    """
    stream = TorchStream(trained)
    if stream.steps is None:
        raise UsageError(
            f"{trained.path or 'the model'}: {trained.recipe.model.name} has no state to step "
            "with: leave --step out, or train keywords-causal"
        )
    state, size, graph = stream.start(), stream.step_frames, stream.steps.eval()
    generator = torch.Generator().manual_seed(0)
    frames = torch.randn(2, 1, STEPS * size, stream.num_features, generator=generator) * 3 - 5
    with torch.inference_mode():
        _, *after = graph(frames[0], *state)
    about = {"state": json.dumps(describe_state(state)), "step_frames": str(size)}
    return write_graph(
        graph,
        out,
        [(frames[0], *state), (frames[1], *after)],
        inputs=("features", *(f"state_{i}" for i in range(len(state)))),
        outputs=("logits", *(f"next_{i}" for i in range(len(state)))),
        free=({1: size * Dim("steps")}, ({},) * len(state)),
        metadata=describe(trained) | about,
    )


def write_graph(
    module: nn.Module,
    out: str | Path,
    examples: Sequence[Sequence[Tensor]],
    *,
    inputs: Sequence[str],
    outputs: Sequence[str],
    metadata: Mapping[str, str],
    free: Sequence[Any] | None = None,
    tolerance: float = TOLERANCE,
    shrink: Callable[[Path], object] | None = None,
    **options: Any,
) -> float:
    """Write a module as ONNX to `out`, atomically, once onnxruntime agrees with torch.

    The first of `examples`, inputs, is traced, all are compared; `free` has the axes of any length
    of each input. `shrink` may change the file after that; `options` are torch's. Returns the
    largest difference. Raises UsageError: a package is missing, or it exceeds `tolerance`.
    """
    require_onnx()
    module = module.cpu().eval()
    with quiet(), sdpa_kernel(SDPBackend.MATH):
        program = torch.onnx.export(
            for_onnx(module),
            tuple(examples[0]),
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_shapes=tuple(free) if free else None,
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
            **options,
        )
    assert program is not None
    program.model.metadata_props.update(metadata)
    with atomic_path(out) as temporary:
        program.save(temporary)
        difference = largest_difference(temporary, module, examples)
        if not difference <= tolerance:  # NaN is refused too
            raise UsageError(
                f"{out}: onnxruntime and torch differ by {difference:.1e}, more than "
                f"{tolerance:.0e}: not written; report this with the recipe of the run"
            )
        if shrink:
            shrink(temporary)
    return difference


def export_safetensors(trained: Trained, out: str | Path) -> None:
    """Write the weights as safetensors to `out`, atomically, with `describe` as metadata."""
    weights = {name: w.detach().cpu().clone() for name, w in trained.model.state_dict().items()}
    write_bytes(out, save(weights, metadata=describe(trained)))


def describe(trained: Trained) -> dict[str, str]:
    """Metadata of the exported file, each value a string, lists and tables as JSON.

    `features` says how they are computed (for speakers, who come as features, by which function),
    and with which numbers they are normalized, which the ONNX graph does by itself.
    """
    normalizer = {
        key: value.tolist() if isinstance(value, Tensor) else value
        for key, value in vars(trained.normalizer).items()
    }
    features = dataclasses.asdict(trained.recipe.features)
    if trained.task == "speakers":
        features = {"kind": "kws.audio.features.speaker_log_mel", "hop": HOP, "window": WINDOW}
    features |= {"sample_rate": SAMPLE_RATE}
    return {
        "producer": f"kws {__version__}",
        "task": trained.task,
        "protocol": trained.protocol,
        "labels": json.dumps(trained.labels, ensure_ascii=False),
        "num_features": str(trained.recipe.features.num_features),
        "features": json.dumps(features | {"normalizer": normalizer}),
        "recipe": to_toml(trained.recipe),
    }


class Normalized(nn.Module):
    """A model with the normalization of its features in front."""

    def __init__(self, model: nn.Module, normalizer: Normalizer):
        super().__init__()
        self.model = copy.deepcopy(model)
        self.normalizer = normalizer

    def forward(
        self, features: Float[Tensor, "B T F"], valid: Bool[Tensor, "B T"]
    ) -> Float[Tensor, "B C"]:
        """mel (B, T, F) -> logits (B, C)."""
        return self.model(self.normalizer(features, valid), valid)


def random_batches(
    sizes: Sequence[Sequence[int]], num_features: int
) -> list[tuple[Float[Tensor, "B T F"], Bool[Tensor, "B T"]]]:
    """Features and masks of these batches and frames; all rows but the first have padding."""
    generator, found = torch.Generator().manual_seed(0), []
    for batch, frames in sizes:
        features = torch.randn(batch, frames, num_features, generator=generator) * 3 - 5
        lengths = torch.randint(frames // 2, frames + 1, (batch, 1), generator=generator)
        lengths[0] = frames
        found.append((features, torch.arange(frames) < lengths))
    return found


@torch.inference_mode()
def largest_difference(
    onnx: Path, module: nn.Module, examples: Sequence[Sequence[Tensor]]
) -> float:
    """Largest |output of onnxruntime − output of torch| over the examples; NaN if one is NaN.

    Lengths that the model itself refuses (more frames than it has positions) are left out.
    """
    session, largest = open_session(onnx), torch.zeros(())
    names = [each.name for each in session.get_inputs()]
    for example in examples:
        try:
            expected = module(*example)
        except ValueError:
            continue
        feed = {name: value.numpy() for name, value in zip(names, example, strict=True)}
        several = expected if isinstance(expected, tuple) else (expected,)
        for output, right in zip(session.run(None, feed), several, strict=True):
            found = torch.from_numpy(output)
            gap = torch.where(found == right, 0.0, (found.float() - right.float()).abs())
            if gap.numel():  # a state may be of no frames
                largest = torch.maximum(largest, gap.max())  # NaN is larger than any
    return float(largest)
