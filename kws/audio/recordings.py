"""Recordings as tensors: read and write them, and their 16-bit samples.

Everything in this package is 16 kHz, mono, float32 in [-1, 1]: a 16-bit sample divided by 32768, so
that reading and writing a 16-bit file changes nothing.

Shape letters: N samples
"""

import io
from pathlib import Path

import numpy as np
import soundfile
import torch
from jaxtyping import Float, Int16
from torch import Tensor

from kws.audio import CLIP_SAMPLES as CLIP_SAMPLES
from kws.audio import FULL_SCALE, SAMPLE_RATE
from kws.audio.audio_reading import read_samples
from kws.files import write_bytes


def read_audio(path: str | Path, *, resample: bool = False) -> Float[Tensor, "N"]:
    """`kws.audio.audio_reading.read_samples` as a tensor."""
    return torch.from_numpy(read_samples(path, resample=resample))


def write_audio(
    path: str | Path, waveform: Float[Tensor | np.ndarray, "N"], sample_rate: int = SAMPLE_RATE
) -> None:
    """Write a mono waveform as 16-bit PCM (flac by suffix, else wav), clipped; atomically."""
    if not torch.as_tensor(waveform).isfinite().all():
        raise ValueError(f"{path}: the waveform contains NaN or infinity")
    file = io.BytesIO()
    kind = "FLAC" if Path(path).suffix.lower() == ".flac" else "WAV"
    soundfile.write(file, to_int16(waveform), sample_rate, format=kind, subtype="PCM_16")
    write_bytes(path, file.getvalue())


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
