"""Read, write, resample and trim recordings.

Everything in this package is 16 kHz, mono, float32 in [-1, 1]: a 16-bit sample divided by 32768, so
that reading and writing a 16-bit file changes nothing. libsndfile does the reading (wav, flac ...).

Source of `resample`: J. O. Smith, "Digital Audio Resampling", a sinc under a Hann window
(https://ccrma.stanford.edu/~jos/resample/). Parity, float64, 1e-10:
`torchaudio.functional.resample(lowpass_filter_width=16)`.

Shape letters: N samples
"""

import io
import math
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
import torch
from jaxtyping import Float, Int16
from torch import Tensor

from kws.audio import CLIP_SAMPLES as CLIP_SAMPLES
from kws.audio import FULL_SCALE, SAMPLE_RATE
from kws.errors import UsageError
from kws.files import write_bytes

ZERO_CROSSINGS = 16  # of the sinc, on each side
ROLLOFF = 0.99  # cut-off as a fraction of the lower Nyquist frequency
READ_BLOCK = 1 << 20  # samples of each channel decoded at a time
BLOCK = 1 << 14  # output samples resampled at a time: bounds the memory

LFS_POINTER = b"version https://git-lfs"
STREAMED = 0xFFFFFFFF  # size of the data chunk in a wav that was written to a pipe: unknown


def read_audio(path: str | Path, *, resample: bool = False) -> Float[Tensor, "N"]:
    """Read one recording as 16 kHz mono float32 in [-1, 1].

    `resample=True` converts other sample rates and averages several channels; without it they are
    refused. Samples beyond ±1 in a floating-point file are clipped, as in any 16-bit copy of it.

    Raises `UsageError`, naming the file, if it is missing, empty, a git-LFS pointer, cut short, not
    audio, without samples, of another rate or number of channels, or if it holds NaN or infinity.
    """
    path = Path(path)
    file = open_audio(path)
    rate, channels = file.samplerate, file.channels
    blocks = list(read_blocks(file, path))
    samples = np.concatenate(blocks) if len(blocks) > 1 else blocks[0]
    if not resample:
        refuse_other_rates(path, rate, channels)
    return _to_sample_rate(mix_channels(samples, path), rate).clamp(-1, 1)


def _to_sample_rate(waveform: Tensor, rate: int) -> Tensor:
    return resample(waveform, rate, SAMPLE_RATE)  # in `read_audio` an argument has this name


def open_audio(path: Path) -> soundfile.SoundFile:
    """The recording, opened; UsageError, naming it, for what is not one or is cut short."""
    _refuse_broken(path)
    try:
        return soundfile.SoundFile(path)
    except soundfile.LibsndfileError as error:
        path.open("rb").close()  # a file that may not be opened raises its own OSError
        raise UsageError(
            f"{path}: not audio that can be read ({error.error_string.rstrip('.')}): "
            "convert it to wav or flac"
        ) from None


def refuse_other_rates(path: Path, rate: int, channels: int) -> None:
    """UsageError unless a recording is 16 kHz mono."""
    if rate != SAMPLE_RATE or channels != 1:
        raise UsageError(
            f"{path}: {rate} Hz with {channels} channel{'s' * (channels > 1)}, expected "
            f"{SAMPLE_RATE} Hz mono: convert it, or ask for resampling (--resample, resample=True)"
        )


def mix_channels(samples: np.ndarray, path: object) -> Float[Tensor, "N"]:
    """Samples (N, channels) as one channel, their mean; UsageError, naming `path`, for NaN."""
    if not np.isfinite(samples).all():
        raise UsageError(f"{path}: holds NaN or infinite samples: export it as 16-bit PCM again")
    samples = samples.clip(-1, 1)  # before they are mixed: huge ones would overflow
    return torch.from_numpy(samples[:, 0] if samples.shape[1] == 1 else samples.mean(1))


def read_blocks(
    file: soundfile.SoundFile, path: Path, size: int = READ_BLOCK
) -> Iterator[np.ndarray]:
    """Samples (`size`, channels) at a time: a damaged header may promise more than the memory.

    The file is closed at the end. UsageError, naming `path`, if it is damaged, cut short or empty.
    """
    count = 0
    with file:
        promised = file.frames
        while True:
            try:
                block = file.read(size, dtype="float32", always_2d=True)
            except soundfile.LibsndfileError as error:
                raise UsageError(
                    f"{path}: damaged or cut short ({error.error_string}): "
                    "copy or download it again"
                ) from None
            if not len(block):
                break
            count += len(block)
            yield block
    if count < promised:
        raise UsageError(
            f"{path}: cut short, {promised} samples promised and {count} there: "
            "copy or download it again"
        )
    if not count:
        raise UsageError(f"{path}: holds no samples: record it again or delete it")


def _refuse_broken(path: Path) -> None:
    """Tell apart what libsndfile would call "format not recognized", or not notice at all."""
    if path.is_dir():
        raise UsageError(f"{path}: a folder, expected an audio file: check the path")
    if not path.exists():
        raise UsageError(f"{path}: no such file: check the path")
    with path.open("rb") as file:
        head = file.read(len(LFS_POINTER))
        if not head:
            raise UsageError(f"{path}: empty (0 bytes): copy or download it again")
        if head == LFS_POINTER:
            raise UsageError(
                f"{path}: a git-LFS pointer, not audio: run `git lfs pull` in its repository"
            )
        if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
            _refuse_cut_wav(path, file)


def _refuse_cut_wav(path: Path, file: BinaryIO) -> None:
    """Find the chunk that holds the samples and compare its size with the file's.

    A wav is 12 bytes, then chunks: a name of 4 bytes, a size in 4, then that many bytes, padded to
    an even length.
    """
    total, start = file.seek(0, 2), 12
    while start + 8 <= total:
        file.seek(start)
        name, size = file.read(4), int.from_bytes(file.read(4), "little")
        start += 8
        if name == b"data":
            if size != STREAMED and start + size > total:
                raise UsageError(
                    f"{path}: cut short, its header promises {size} bytes of samples and "
                    f"{total - start} are there: copy or download it again"
                )
            return
        start += size + size % 2
    raise UsageError(f"{path}: cut short before its first sample: copy or download it again")


def write_audio(
    path: str | Path, waveform: Float[Tensor, "N"], sample_rate: int = SAMPLE_RATE
) -> None:
    """Write a mono waveform in [-1, 1] as 16-bit PCM, atomically; `.flac` by suffix, otherwise wav.

    Samples are rounded to the nearest step and clipped at the ends of the range.
    """
    if not waveform.isfinite().all():
        raise ValueError(f"{path}: the waveform holds NaN or infinity")
    file = io.BytesIO()
    kind = "FLAC" if Path(path).suffix.lower() == ".flac" else "WAV"
    soundfile.write(file, to_int16(waveform), sample_rate, format=kind, subtype="PCM_16")
    write_bytes(path, file.getvalue())


def resample(waveform: Float[Tensor, "N"], orig: int, new: int) -> Float[Tensor, "M"]:
    """Convert from `orig` to `new` Hz, any whole numbers: M = ceil(N · new / orig) samples.

    y[m] = c / orig · Σ_n x[n] · h(c · (n / orig - m / new)), where h(t) = sinc(t) · cos²(πt / 2Z)
    for |t| < Z, and c = 0.99 · min(orig, new) filters out what the new rate cannot hold.
    """
    if orig < 1 or new < 1:
        raise ValueError(f"sample rates must be at least 1 Hz, got orig={orig} and new={new}")
    if orig == new:
        return waveform
    common = math.gcd(orig, new)
    orig, new = orig // common, new // common
    cutoff = ROLLOFF * min(orig, new)
    reach = math.ceil(ZERO_CROSSINGS * orig / cutoff)  # input samples on each side
    output = torch.arange(math.ceil(len(waveform) * new / orig), device=waveform.device)

    # output m lies (m · orig mod new) / new after an input: there are only `new` sets of weights
    offsets = torch.arange(-reach, reach + 2, device=waveform.device, dtype=torch.float64)
    phases = torch.arange(min(new, len(output)), device=waveform.device, dtype=torch.float64)
    t = cutoff * (offsets - (phases * orig % new / new)[:, None]) / orig
    t = t.clamp(-ZERO_CROSSINGS, ZERO_CROSSINGS)  # where the window is zero
    window = torch.cos(t * math.pi / ZERO_CROSSINGS / 2).square()
    weights = (torch.sinc(t) * window * (cutoff / orig)).to(waveform.dtype)  # (new, taps)

    padded = torch.nn.functional.pad(waveform, (reach, reach + 2))
    neighbors = padded.unfold(0, len(offsets), 1)  # a view: row n starts at input n - reach
    blocks = [(neighbors[m * orig // new] * weights[m % new]).sum(1) for m in output.split(BLOCK)]
    return torch.cat(blocks)


def to_int16(waveform: Float[Tensor, "*batch N"] | Float[np.ndarray, "*batch N"]) -> np.ndarray:
    """The nearest 16-bit samples of a waveform in [-1, 1], clipped at the ends of the range."""
    steps = (torch.as_tensor(waveform).detach() * FULL_SCALE).round()
    return steps.clamp(-FULL_SCALE, FULL_SCALE - 1).to(torch.int16).cpu().numpy()


def to_float(samples: Int16[Tensor, "*batch N"]) -> Float[Tensor, "*batch N"]:
    """16-bit samples as float32 in [-1, 1): the inverse of `to_int16`.

    >>> to_float(torch.tensor([-32768, 16384], dtype=torch.int16))
    tensor([-1.0000,  0.5000])
    """
    return samples.float().mul_(1 / FULL_SCALE)
