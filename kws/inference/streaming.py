"""A model that reads a second, over audio without end: a sliding window in constant memory.

    blocks → frames (each computed once) → windows of a second, one a hop → posteriors → events

A frame is centered on its 10 ms and needs 12.5 ms beyond: as soon as those are there it is final,
and what all blocks give, joined, equals the features of the whole recording.

Shape letters: N samples   T frames   F features   W windows   C classes
"""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from kws.audio.features import HOP, WINDOW
from kws.audio.recordings import CLIP_SAMPLES, SAMPLE_RATE
from kws.errors import UsageError
from kws.inference.detector import FRAME_MS, Detector, Event, Trigger
from kws.training.checkpoint import Trained, require_kind
from kws.training.recipe import Features, compute_features

WINDOW_FRAMES = 1 + CLIP_SAMPLES // HOP  # 101, as of a clip
MARGIN = -(-(WINDOW // 2) // HOP)  # 2 frames at a cut whose windows reach beyond it
BATCH = 64  # windows that the model reads at a time, at most


class FrameStream:
    """The features of a stream: what all pushes and `finish` give equals those of the whole.

    Not normalized: that is done window by window, as it was clip by clip in training.
    """

    def __init__(self, config: Features):
        self.config = config
        self.held = torch.empty(0)  # from MARGIN frames before the next one on
        self.before = 0  # frames at the start of `held` that were given already

    def push(self, waveform: Float[Tensor, "N"]) -> Float[Tensor, "T F"]:
        """The frames that `waveform`, the next samples, completes."""
        self.held = torch.cat([self.held, waveform])
        ready = (len(self.held) - WINDOW // 2) // HOP + 1 - self.before
        if len(self.held) <= WINDOW // 2 or ready < 1:
            return torch.empty(0, self.config.num_features)
        done = self.before + ready
        found = compute_features(self.config, self.held[None])[0, self.before : done]
        keep = min(done, MARGIN)
        self.held = self.held[(done - keep) * HOP :].clone()
        self.before = keep
        return found

    def finish(self) -> Float[Tensor, "T F"]:
        """The last frames, whose windows are completed by reflection."""
        if len(self.held) <= WINDOW // 2:
            return torch.empty(0, self.config.num_features)
        return compute_features(self.config, self.held[None])[0, self.before :]


def require_streamable(trained: Trained) -> None:
    """UsageError for a speaker model, or one that reads waveforms or frames of its own."""
    require_kind(trained.path or "the model", trained.task, "keywords")
    if trained.recipe.features.kind == "waveform":
        raise UsageError(
            f"{trained.path}: {trained.recipe.model.name} reads waveforms, and a stream is read as "
            "features: choose another recipe"
        )
    features = trained.recipe.features
    if (features.window, features.hop) != (WINDOW, HOP):
        raise UsageError(
            f"{trained.path}: trained with features.window={features.window} and "
            f"features.hop={features.hop}, and a stream is read with {WINDOW} and {HOP}: choose a "
            "recipe with those"
        )
    if features.deltas:
        raise UsageError(
            f"{trained.path}: trained with features.deltas={features.deltas}, which a stream does "
            "not have: choose a recipe without"
        )


@dataclass
class ListeningTime:
    """How much was heard in how much time; filled while the stream is read."""

    seconds: float = 0.0  # of audio
    busy: float = 0.0  # seconds of computing

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


@torch.inference_mode()
def posteriors(
    trained: Trained,
    blocks: Iterable[Float[Tensor, "_"]],
    *,
    hop_ms: int = 100,
    then_silence: bool = False,
    device: str | torch.device = "cpu",
    spent: ListeningTime | None = None,
) -> Iterator[tuple[float, Float[Tensor, "C"]]]:
    """Softmax of the logits of every window, with the seconds of audio at its end.

    The first window is the first second; a shorter stream has none. With `then_silence` a second of
    digital silence follows the end, in which the last word is still decided. `spent` is counted up,
    without that second.
    """
    require_streamable(trained)
    trained.model.to(device).eval()
    spent = spent or ListeningTime()
    stream = FrameStream(trained.recipe.features)
    hop = hop_ms // FRAME_MS
    held = torch.empty(0, trained.recipe.features.num_features)
    start = 0  # of `held`, in frames since the beginning
    for frames in _frames(stream, blocks, then_silence, spent):
        began = time.perf_counter()
        held = torch.cat([held, frames])
        count = max(0, (len(held) - WINDOW_FRAMES) // hop + 1)
        rows: list[Tensor] = []
        if count:
            windows = held.unfold(0, WINDOW_FRAMES, hop).mT  # (W, T, F): a view, they overlap
            for part in windows.split(BATCH):
                features = trained.normalizer(part.to(device))
                rows += trained.logits(features).float().softmax(dim=1).cpu()
        spent.busy += time.perf_counter() - began
        for index, row in enumerate(rows):
            yield (start + index * hop + WINDOW_FRAMES - 1) * FRAME_MS / 1000, row
        held = held[count * hop :].clone()
        start += count * hop


def _frames(
    stream: FrameStream, blocks: Iterable[Tensor], then_silence: bool, spent: ListeningTime
) -> Iterator[Float[Tensor, "_ F"]]:
    for block in blocks:
        began = time.perf_counter()
        frames = stream.push(block)
        spent.seconds += len(block) / SAMPLE_RATE
        spent.busy += time.perf_counter() - began
        yield frames
    if then_silence:
        yield stream.push(torch.zeros(CLIP_SAMPLES))
    yield stream.finish()


def listen(
    trained: Trained,
    blocks: Iterable[Float[Tensor, "_"]],
    trigger: Trigger,
    *,
    device: str | torch.device = "cpu",
    spent: ListeningTime | None = None,
) -> Iterator[Event]:
    """The words in a stream, each as soon as it is heard; the last, in a second of silence."""
    require_streamable(trained)
    detector = Detector(trained.labels, trigger)
    for seconds, row in posteriors(
        trained, blocks, hop_ms=trigger.hop_ms, then_silence=True, device=device, spent=spent
    ):
        event = detector.push(seconds, row.tolist())
        if event is not None:
            yield event
