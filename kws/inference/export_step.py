"""A model with state as an ONNX graph of one step: frames and state in, logits and state out.

    features (1, frames, size), state_0 … state_n  ->  logits (1, classes), next_0 … next_n

The frames are those of a step, not normalized. Whoever runs it begins with the state that is in the
file's metadata (`state`: shape and fill value of each), and hands the state that comes out back in.
Parity: torch on the whole recording, 1e-4 in every logit of 40 steps; otherwise there is no file.

Shape letters: T frames   F features   C classes
"""

import copy
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from kws.errors import UsageError
from kws.files import atomic_path
from kws.inference.export import TOLERANCE, checked_difference, describe, trace
from kws.inference.onnx_tools import open_session, require_onnx
from kws.inference.torch_stream import TorchStream, step_logits
from kws.inference.trained import Trained

STEPS = 40  # that are compared: more than a second


class OneStep(nn.Module):
    """One step of `trained`, with its state as separate inputs and outputs."""

    def __init__(self, trained: Trained):
        super().__init__()
        self.model = copy.deepcopy(trained.model).cpu().eval()
        self.trained = trained

    def forward(self, features: Float[Tensor, "1 T F"], *state: Tensor) -> tuple[Tensor, ...]:
        """Features, not normalized, and state -> logits (1, C) and state."""
        trained = dataclasses.replace(self.trained, model=self.model)  # the copy that is traced
        logits, after = step_logits(trained, features, state)
        return logits[0], *after


def export_step(trained: Trained, out: str | Path) -> float:
    """Write the step of `trained` to `out`, atomically, once onnxruntime agrees with torch.

    Returns:
        the largest difference between their logits.

    Raises:
        UsageError: a model without state, a package is missing, or the two differ.
    """
    require_onnx()
    stream = TorchStream(trained)
    if not stream.step_frames:
        raise UsageError(
            f"{trained.path or 'the model'}: {trained.recipe.model.name} has no state to step "
            "with: leave --step out, or train keywords-causal"
        )
    state, size = stream.start(), stream.step_frames
    numbers = range(len(state))
    shapes = [{"shape": list(part.shape), "fill": float(part.flatten()[0])} for part in state]
    frames = torch.randn(1, STEPS * size, stream.num_features, generator=_seeded()) * 3 - 5
    with torch.inference_mode():
        expected = step_logits(trained, frames, state)[0][0].numpy()
    program = trace(
        OneStep(trained).eval(),
        (frames[:, :size], *state),
        inputs=("features", *(f"state_{i}" for i in numbers)),
        outputs=("logits", *(f"next_{i}" for i in numbers)),
        free=({}, ({},) * len(state)),
    )
    about = {"state": json.dumps(shapes), "step_frames": str(size)}
    program.model.metadata_props.update(describe(trained) | about)
    with atomic_path(out) as temporary:
        program.save(temporary)
        found = _run(open_session(temporary), frames.numpy(), [part.numpy() for part in state])
        return checked_difference(float(np.abs(found - expected).max()), out, TOLERANCE)


def _run(session: Any, frames: np.ndarray, state: list[np.ndarray]) -> Float[np.ndarray, "S C"]:
    """Logits of one step after another."""
    names, rows = [each.name for each in session.get_inputs()], []
    for part in np.split(frames, STEPS, axis=1):
        logits, *state = session.run(None, dict(zip(names, [part, *state], strict=True)))
        rows.append(logits)
    return np.concatenate(rows)


def _seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)
