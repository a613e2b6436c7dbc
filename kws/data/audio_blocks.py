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
import soundfile
from jaxtyping import Float

from kws.audio import FULL_SCALE, SAMPLE_RATE
from kws.audio.audio_reading import mixed, open_audio, refuse_other_rates
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


def file_blocks(path: str | Path, *, resample: bool = False) -> Iterator[Float[np.ndarray, "_"]]:
    """A recording as 16 kHz mono blocks of at most some seconds; UsageError as `read_samples`."""
    path = Path(path)
    file = open_audio(path)
    rate, channels, promised = file.samplerate, file.channels, file.frames
    if not resample:
        try:
            refuse_other_rates(path, rate, channels)
        except UsageError:
            file.close()
            raise
    return _at_sample_rate(_read(file, path, promised), rate)


def _read(file: soundfile.SoundFile, path: Path, promised: int) -> Iterator[np.ndarray]:
    count = 0
    with file:
        while True:
            try:
                samples = file.read(FILE_SECONDS * file.samplerate, "float32", always_2d=True)
            except soundfile.LibsndfileError as error:
                raise UsageError(
                    f"{path}: damaged or cut short ({error.error_string}): "
                    "copy or download it again"
                ) from None
            if not len(samples):
                break
            count += len(samples)
            yield mixed(samples, path)
    if not promised:
        raise UsageError(f"{path}: holds no samples: record it again or delete it")
    if count < promised:
        raise UsageError(
            f"{path}: cut short, {promised} samples promised and {count} there: "
            "copy or download it again"
        )


def live_blocks(
    source: Microphone, *, seconds: float = LIVE_SECONDS
) -> Iterator[Float[np.ndarray, "_"]]:
    """What a microphone hears as 16 kHz mono blocks of `seconds`, until it gives nothing more.

    Where more is waiting, the block is all of it: who was late catches up at once.
    """
    rate = round(source.samplerate)

    def blocks() -> Iterator[np.ndarray]:
        while True:
            waiting = getattr(source, "read_available", 0)
            samples, _ = source.read(max(round(seconds * rate), waiting))
            if not len(samples):
                return
            yield mixed(np.asarray(samples, np.float32).reshape(len(samples), -1), "microphone")

    return _at_sample_rate(blocks(), rate)


def _at_sample_rate(blocks: Iterator[np.ndarray], rate: int) -> Iterator[np.ndarray]:
    """The same at 16 kHz; what has that rate needs no torch."""
    if rate == SAMPLE_RATE:
        return blocks
    from kws.data.stream_resampler import resampled

    return resampled(blocks, rate)
