"""A model over audio without end, in constant memory; without torch.

    blocks → frames (each computed once) → windows of a second, one a hop → posteriors → events
                                         → or steps of a model with state →

A frame is centered on its 10 ms and needs 12.5 ms beyond: as soon as those are there it is final,
and what all blocks give, joined, equals the features of the whole recording. `StreamModel` is what
a model must offer; `TorchStream` and `OnnxStream` are the two that there are.

Shape letters: N samples   T frames   F features   W windows   S steps   C classes
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from kws.audio import CLIP_SAMPLES, HOP, SAMPLE_RATE, WINDOW
from kws.errors import UsageError
from kws.inference.detector import FRAME_MS, Detector, Event, Trigger

WINDOW_FRAMES = 1 + CLIP_SAMPLES // HOP  # 101, as of a clip
MARGIN = -(-(WINDOW // 2) // HOP)  # 2 frames at a cut whose windows reach beyond it
BATCH = 8  # windows that the model reads at a time; 64 take 150 MB more, and are not faster
Found = list[tuple[int, Float[np.ndarray, "C"]]]  # last frame of what was read, and its posteriors


@runtime_checkable
class StreamModel(Protocol):
    """A keyword model as a stream uses it. What it returns is float32."""

    labels: tuple[str, ...]
    num_features: int
    step_frames: int  # frames of a step; 0 for a model that reads windows and has no state

    def frames(self, waveform: Float[np.ndarray, "N"]) -> Float[np.ndarray, "T F"]:
        """Features of samples at 16 kHz, not normalized."""
        ...

    def classify(self, windows: Float[np.ndarray, "W T F"]) -> Float[np.ndarray, "W C"]:
        """Posteriors of windows of features."""
        ...

    def start(self) -> Any:
        """The state in front of the first step."""
        ...

    def step(self, frames: np.ndarray, state: Any) -> tuple[Float[np.ndarray, "S C"], Any]:
        """Posteriors after each of the next steps, of frames (T, F), and the next state."""
        ...


class FrameStream:
    """Features of a stream, not normalized: all pushes and `finish` equal those of the whole."""

    def __init__(self, model: StreamModel):
        self.model = model
        self.held = np.empty(0, np.float32)  # from MARGIN frames before the next one on
        self.before = 0  # frames at the start of `held` that were given already

    def push(self, waveform: Float[np.ndarray, "N"]) -> Float[np.ndarray, "T F"]:
        """The frames that `waveform`, the next samples, completes."""
        self.held = np.concatenate([self.held, waveform])
        ready = (len(self.held) - WINDOW // 2) // HOP + 1 - self.before
        if len(self.held) <= WINDOW // 2 or ready < 1:
            return np.empty((0, self.model.num_features), np.float32)
        done = self.before + ready
        found = self.model.frames(self.held)[self.before : done]
        keep = min(done, MARGIN)
        self.held = self.held[(done - keep) * HOP :].copy()
        self.before = keep
        return found

    def finish(self) -> Float[np.ndarray, "T F"]:
        """The last frames, whose windows are completed by reflection."""
        if len(self.held) <= WINDOW // 2:
            return np.empty((0, self.model.num_features), np.float32)
        return self.model.frames(self.held)[self.before :]


class Windows:
    """Frames to posteriors, a window every `hop` frames; `newest`: only the last of a push."""

    def __init__(self, model: StreamModel, hop: int, newest: bool = False):
        self.model, self.hop, self.newest = model, hop, newest
        self.held = np.empty((0, model.num_features), np.float32)
        self.start = 0  # of `held`, in frames since the beginning

    def push(self, frames: Float[np.ndarray, "T F"]) -> Found:
        """The windows that end in `frames`."""
        self.held = np.concatenate([self.held, frames])
        count = max(0, (len(self.held) - WINDOW_FRAMES) // self.hop + 1)
        found: Found = []
        if count:
            whole = np.lib.stride_tricks.sliding_window_view(self.held, WINDOW_FRAMES, axis=0)
            windows = whole[: (count - 1) * self.hop + 1 : self.hop].swapaxes(1, 2)  # (W, T, F)
            first = count - 1 if self.newest else 0
            for low in range(first, count, BATCH):
                for index, row in enumerate(self.model.classify(windows[low : low + BATCH]), low):
                    found.append((self.start + index * self.hop + WINDOW_FRAMES - 1, row))
        self.held = self.held[count * self.hop :].copy()
        self.start += count * self.hop
        return found


class Steps:
    """Frames in, posteriors of a model with state out, of a step every `hop` frames or less."""

    def __init__(self, model: StreamModel, hop: int):
        self.model = model
        self.every = max(1, hop // model.step_frames)  # steps from one posterior to the next
        self.held = np.empty((0, model.num_features), np.float32)
        self.done = 0  # steps
        self.state = model.start()

    def push(self, frames: Float[np.ndarray, "T F"]) -> Found:
        """The steps that `frames` completes; those of the first second are not given."""
        self.held = np.concatenate([self.held, frames])
        size = self.model.step_frames
        if len(self.held) < size:
            return []
        used = len(self.held) // size * size
        rows, self.state = self.model.step(self.held[:used], self.state)
        self.held = self.held[used:].copy()
        found: Found = []
        for row in rows:
            self.done += 1
            if self.done % self.every == 0 and self.done >= WINDOW_FRAMES // size:
                found.append((self.done * size - 1, row))
        return found


@dataclass
class ListeningTime:
    """Seconds of audio and of computing, and the highest score; filled while a stream is read."""

    seconds: float = 0.0  # of audio
    busy: float = 0.0  # seconds of computing
    highest: Event | None = None  # average of a word, also where it is not reported (`listen`)

    @property
    def speed(self) -> float:
        """Times real time: seconds of audio in a second of computing."""
        return self.seconds / self.busy if self.busy else float("inf")

    def __str__(self) -> str:
        """
        >>> str(ListeningTime(seconds=7200.0, busy=90.0))
        '7,200.0 s of audio in 90.0 s of computing: 80 times real time, real-time factor 0.0125'
        """
        factor = self.busy / self.seconds if self.seconds else 0.0
        return (
            f"{self.seconds:,.1f} s of audio in {self.busy:,.1f} s of computing: "
            f"{self.speed:.0f} times real time, real-time factor {factor:.4f}"
        )


def posteriors(
    model: StreamModel,
    blocks: Iterable[Float[np.ndarray, "_"]],
    *,
    hop_ms: int = 100,
    then_silence: bool = False,
    newest: bool = False,
    spent: ListeningTime | None = None,
) -> Iterator[tuple[float, Float[np.ndarray, "C"]]]:
    """Posteriors of every window, or step of a model with state, with the seconds at its end.

    The first are of the first second; a shorter stream has none. With `then_silence` a second of
    digital silence follows the end, in which the last word is still decided. With `newest` windows
    are left out where a block completes several. `spent` is counted up, without that second.
    """
    spent = spent or ListeningTime()
    stream, hop = FrameStream(model), hop_ms // FRAME_MS
    reader = Steps(model, hop) if model.step_frames else Windows(model, hop, newest)
    for frames in _frames(stream, blocks, then_silence, spent):
        began = time.perf_counter()
        found = reader.push(frames)
        spent.busy += time.perf_counter() - began
        for last, row in found:
            yield last * FRAME_MS / 1000, row


def _frames(
    stream: FrameStream, blocks: Iterable[np.ndarray], then_silence: bool, spent: ListeningTime
) -> Iterator[Float[np.ndarray, "_ F"]]:
    for block in blocks:
        began = time.perf_counter()
        frames = stream.push(block)
        spent.seconds += len(block) / SAMPLE_RATE
        spent.busy += time.perf_counter() - began
        yield frames
    if then_silence:
        yield stream.push(np.zeros(CLIP_SAMPLES, np.float32))
    yield stream.finish()


def listen(
    model: StreamModel,
    blocks: Iterable[Float[np.ndarray, "_"]],
    trigger: Trigger,
    *,
    newest: bool = False,
    spent: ListeningTime | None = None,
) -> Iterator[Event]:
    """The words in a stream, each as soon as it is detected; a second of silence is appended."""
    detector, spent = Detector(model.labels, trigger), spent or ListeningTime()
    for seconds, row in posteriors(
        model, blocks, hop_ms=trigger.hop_ms, then_silence=True, newest=newest, spent=spent
    ):
        event = detector.push(seconds, row.tolist())
        spent.highest = detector.highest
        if event is not None:
            yield event


def require_stream_features(where: object, features: Mapping[str, Any]) -> None:
    """UsageError unless a model reads frames as a stream has them; `features` as in a recipe."""
    if features["kind"] == "waveform":
        raise UsageError(
            f"{where}: the model reads waveforms, and a stream is read as features: choose another "
            "recipe"
        )
    for key, needed in {"window": WINDOW, "hop": HOP, "deltas": 0}.items():
        if features[key] != needed:
            raise UsageError(
                f"{where}: trained with features.{key}={features[key]}, and a stream is read with "
                f"{needed}: choose a recipe with that"
            )
