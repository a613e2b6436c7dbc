"""Audio without end, a block at a time: a file of hours, a microphone, a pipe, in constant memory.

    for block in file_blocks("meeting.flac", resample=True): ...     # (N,) float32 at 16 kHz, mono

Whatever has the `read(frames) -> ((frames, channels), overflowed)` of sounddevice's InputStream can
stand for a microphone: `PcmPipe` is one on standard input.

Shape letters: N samples
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from kws.audio import FULL_SCALE, SAMPLE_RATE
from kws.audio.audio_reading import at_sample_rate, mixed, read_blocks

FILE_SAMPLES = 8 * SAMPLE_RATE  # of a file, read at a time
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


def file_blocks(path: str | Path, *, resample: bool = False) -> Iterator[Float[np.ndarray, "_"]]:
    """A recording as 16 kHz mono blocks of at most some seconds; UsageError as `read_samples`."""
    return read_blocks(path, FILE_SAMPLES, resample=resample)


def live_blocks(source: Microphone) -> Iterator[Float[np.ndarray, "_"]]:
    """16 kHz mono blocks of 0.1 s until the microphone ends; a late reader gets longer ones."""
    rate = round(source.samplerate)

    def blocks() -> Iterator[np.ndarray]:
        while True:
            waiting = getattr(source, "read_available", 0)
            samples, _ = source.read(max(round(LIVE_SECONDS * rate), waiting))
            if not len(samples):
                return
            yield mixed(np.asarray(samples, np.float32).reshape(len(samples), -1), "microphone")

    return at_sample_rate(blocks(), rate)
