"""Audio without end, a block at a time: a file of hours, a microphone, a pipe, in constant memory.

    for block in file_blocks("meeting.flac", resample=True): ...     # (N,) float32 at 16 kHz, mono

Whatever has the `read(frames) -> ((frames, channels), overflowed)` of sounddevice's InputStream can
stand for a microphone: `PcmPipe` is one on standard input.

Shape letters: N samples   M samples at the other rate
"""

import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from kws.audio.recordings import (
    FULL_SCALE,
    ROLLOFF,
    SAMPLE_RATE,
    ZERO_CROSSINGS,
    mix_channels,
    open_audio,
    read_blocks,
    refuse_other_rates,
    resample,
)
from kws.errors import UsageError

FILE_SECONDS = 8  # of a file, read at a time
LIVE_SECONDS = 0.1  # of a microphone


@runtime_checkable
class Microphone(Protocol):
    """What is needed of sounddevice's `InputStream`."""

    @property
    def samplerate(self) -> float: ...

    def read(self, frames: int, /) -> tuple[np.ndarray, bool]:
        """The next samples (frames, channels), float32 in [-1, 1]; fewer at the end."""
        ...


class PcmPipe:
    """16-bit little-endian mono samples at 16 kHz from a pipe, read as if it were a microphone."""

    samplerate = SAMPLE_RATE

    def __init__(self, read_bytes: Callable[[int], bytes]):
        self.read_bytes = read_bytes

    def read(self, frames: int, /) -> tuple[np.ndarray, bool]:
        """The next samples; an odd last byte is dropped."""
        data = self.read_bytes(2 * frames)
        samples = np.frombuffer(data[: len(data) // 2 * 2], "<i2").astype(np.float32) / FULL_SCALE
        return samples[:, None], False


class StreamResampler:
    """`kws.audio.recordings.resample` of a stream: the blocks joined equal the whole resampled.

    Output m of `new` Hz needs the inputs around m · orig / new; blocks are cut where an input and
    an output fall together, and each is resampled with its neighborhood, which is then dropped.
    """

    def __init__(self, orig: int, new: int = SAMPLE_RATE):
        self.orig, self.new = orig, new
        common = math.gcd(orig, new)
        self.step, self.outputs = orig // common, new // common  # samples between two such places
        reach = math.ceil(ZERO_CROSSINGS * self.step / (ROLLOFF * min(self.step, self.outputs)))
        self.margin = -(-(reach + 2) // self.step)  # steps of neighborhood on each side
        self.held = torch.empty(0)
        self.before = 0  # steps at the start of `held` that were resampled already

    def push(self, waveform: Float[Tensor, "N"]) -> Float[Tensor, "M"]:
        """The outputs whose inputs have all been seen."""
        if self.orig == self.new:
            return waveform
        self.held = torch.cat([self.held, waveform])
        ready = len(self.held) // self.step - self.before - self.margin
        if ready < 1:
            return torch.empty(0)
        done = self.before + ready
        found = resample(self.held, self.orig, self.new)
        found = found[self.before * self.outputs : done * self.outputs]
        keep = min(done, self.margin)
        self.held = self.held[(done - keep) * self.step :].clone()
        self.before = keep
        return found

    def finish(self) -> Float[Tensor, "M"]:
        """The last outputs, for which there is nothing more to wait."""
        if self.orig == self.new:
            return torch.empty(0)
        found = resample(self.held, self.orig, self.new)[self.before * self.outputs :]
        self.held, self.before = torch.empty(0), 0
        return found


def resample_blocks(
    blocks: Iterable[Float[Tensor, "_"]], rate: int
) -> Iterator[Float[Tensor, "_"]]:
    """Blocks at `rate` Hz as blocks at 16 kHz within [-1, 1]; empty ones are left out."""
    stream = StreamResampler(rate)
    for block in blocks:
        found = stream.push(block)
        if len(found):
            yield found.clamp(-1, 1)
    found = stream.finish()
    if len(found):
        yield found.clamp(-1, 1)


def file_blocks(path: str | Path, *, resample: bool = False) -> Iterator[Float[Tensor, "_"]]:
    """A recording as 16 kHz mono blocks of at most some seconds; UsageError as `read_audio`."""
    path = Path(path)
    file = open_audio(path)
    rate, channels = file.samplerate, file.channels
    if not resample:
        try:
            refuse_other_rates(path, rate, channels)
        except UsageError:
            file.close()
            raise
    blocks = read_blocks(file, path, FILE_SECONDS * rate)
    return resample_blocks((mix_channels(block, path) for block in blocks), rate)


def live_blocks(
    source: Microphone, *, seconds: float = LIVE_SECONDS
) -> Iterator[Float[Tensor, "_"]]:
    """What a microphone hears as 16 kHz mono blocks of `seconds`, until it gives nothing more."""
    rate = round(source.samplerate)

    def blocks() -> Iterator[Tensor]:
        while True:
            samples, _ = source.read(round(seconds * rate))
            if not len(samples):
                return
            yield mix_channels(
                np.asarray(samples, np.float32).reshape(len(samples), -1), "microphone"
            )

    return resample_blocks(blocks(), rate)
