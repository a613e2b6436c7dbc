"""A keyword model as an ONNX file of kws, run by onnxruntime and numpy: no torch is loaded.

It reads what `kws export --onnx` and `--step` write: windows, or steps with state. The features are
those of `kws.audio.features.log_mel`; parity 1e-4 of a logarithm, in float32.

Shape letters: N samples   T frames   F features   W windows   S steps   C classes   B clips
"""

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from kws.audio import HOP, SAMPLE_RATE, WINDOW
from kws.errors import UsageError
from kws.inference.onnx_tools import open_session
from kws.inference.streaming import require_stream_features

SHIPPED_ONNX = Path(__file__).parents[1] / "pretrained" / "keywords.onnx"


class OnnxStream:
    """`StreamModel` of an ONNX file, also for `kws predict`. UsageError: not an export of ours."""

    task = "keywords"

    def __init__(self, path: str | Path):
        self.path = Path(path)
        try:
            self.session = open_session(self.path)
        except FileNotFoundError:
            raise UsageError(f"{path}: no such file: check the path") from None
        except Exception as error:  # onnxruntime has a class for each of a dozen faults
            raise UsageError(f"{path}: not an ONNX file that can be read: export again") from error
        about = self.session.get_modelmeta().custom_metadata_map
        if about.get("task") != "keywords" or "features" not in about:
            raise UsageError(
                f"{path}: not a keyword model that kws export wrote with --onnx: export it so"
            )
        self.config: dict[str, Any] = json.loads(about["features"])
        if self.config["kind"] != "log_mel":
            raise UsageError(
                f"{path}: reads {self.config['kind']}, and without torch there is log_mel only: "
                "use the run it was exported from"
            )
        require_stream_features(path, self.config)
        self.labels: tuple[str, ...] = tuple(json.loads(about["labels"]))
        self.protocol = about["protocol"]
        self.num_features = int(about["num_features"])
        self.step_frames = int(about.get("step_frames", 0))
        self.state = json.loads(about.get("state", "[]"))
        self.inputs = [each.name for each in self.session.get_inputs()]

    @cached_property
    def filters(self) -> Float[np.ndarray, "K F"]:
        """Triangles, equally wide in mel: `kws.audio.features.mel_filterbank`."""
        low, high = self.config["f_min"], self.config["f_max"] or SAMPLE_RATE / 2
        first, last = (2595 * np.log10(1 + each / 700) for each in (low, high))
        edges = 700 * (10 ** (np.linspace(first, last, self.num_features + 2) / 2595) - 1)
        hz = np.linspace(0, SAMPLE_RATE / 2, WINDOW // 2 + 1)[:, None]
        left, center, right = edges[:-2], edges[1:-1], edges[2:]
        both = np.minimum((hz - left) / (center - left), (right - hz) / (right - center))
        return both.clip(min=0).astype(np.float32)

    def frames(self, waveform: Float[np.ndarray, "N"]) -> Float[np.ndarray, "T F"]:
        """Log-mel, not normalized."""
        padded = np.pad(waveform, WINDOW // 2, mode="reflect")
        cut = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP]
        window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW, dtype=np.float32) / WINDOW)
        spectrum = np.fft.rfft(cut * window.astype(np.float32))
        power = spectrum.real**2 + spectrum.imag**2
        return np.log(power @ self.filters + np.float32(self.config["floor"]))

    def classify(self, windows: Float[np.ndarray, "W T F"]) -> Float[np.ndarray, "W C"]:
        """Posteriors of windows; of a model with state those after its last step."""
        if self.step_frames:
            whole = windows.shape[1] // self.step_frames * self.step_frames
            return np.stack([self.step(each[:whole], self.start())[0][-1] for each in windows])
        valid = np.ones(windows.shape[:2], dtype=bool)
        given = {"features": np.ascontiguousarray(windows), "valid": valid}
        return softmax(self.session.run(["logits"], given)[0])

    def start(self) -> list[np.ndarray]:
        """The state in front of the first step."""
        fills = (-np.inf if x["fill"] is None else x["fill"] for x in self.state)  # as JSON
        return [np.full(x["shape"], y, np.float32) for x, y in zip(self.state, fills, strict=True)]

    def step(
        self, frames: Float[np.ndarray, "T F"], state: list[np.ndarray]
    ) -> tuple[Float[np.ndarray, "S C"], list[np.ndarray]]:
        """Posteriors after each of the next steps, and the next state."""
        given = dict(zip(self.inputs, [frames[None], *state], strict=True))
        logits, *state = self.session.run(None, given)
        return softmax(logits), state

    def probabilities(self, clips: Sequence[np.ndarray]) -> Float[np.ndarray, "B C"]:
        """Posteriors of clips (N,) of a second."""
        return self.classify(np.stack([self.frames(clip) for clip in clips]))


def softmax(logits: Float[np.ndarray, "B C"]) -> Float[np.ndarray, "B C"]:
    """Exponentials that sum to 1.

    >>> softmax(np.array([[0.0, 0.0]]))
    array([[0.5, 0.5]])
    """
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)
