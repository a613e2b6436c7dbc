"""From a spectrogram without phases to a waveform: Griffin-Lim, and mel bands to power before it.

Source: Griffin and Lim 1984, "Signal estimation from modified short-time Fourier transform"
(https://doi.org/10.1109/TASSP.1984.1164317); momentum: Perraudin et al. 2013, "A fast Griffin-Lim
algorithm" (https://doi.org/10.1109/WASPAA.2013.6701851).
Parity: `torchaudio.functional.griffinlim` without random phases, float64, 1e-12.

Shape letters: B batch   T frames   K frequencies   F mel bands   N samples
"""

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from kws.audio.features import HOP, NYQUIST, WINDOW, mel_filterbank

FLOOR = 1e-6  # of `kws.audio.features.log_mel`
F_MIN = 20.0  # Hz, of the same
QUIETEST = 1e-10  # power that nothing is below: a spectrum without a phase has no direction


def mel_to_power(log_mel: Float[Tensor, "B T F"]) -> Float[Tensor, "B T K"]:
    """Power spectra, K = WINDOW // 2 + 1, whose mel bands come nearest to these, never negative.

    Least squares: F bands do not determine K frequencies, and of all answers the smallest is taken.
    """
    filters = mel_filterbank(WINDOW // 2 + 1, log_mel.shape[-1], F_MIN, NYQUIST)
    inverse = torch.linalg.pinv(filters).to(log_mel.dtype)
    return ((log_mel.exp() - FLOOR).clamp(min=0) @ inverse).clamp(min=QUIETEST)


def spectra(waveform: Float[Tensor, "B N"]) -> Complex[Tensor, "B T K"]:
    """The short-time Fourier transform with a Hann window, frames centered on t · HOP."""
    hann = torch.hann_window(WINDOW, dtype=waveform.dtype)
    return torch.stft(waveform, WINDOW, HOP, window=hann, return_complex=True).mT


def waveform_of(spectrum: Complex[Tensor, "B T K"]) -> Float[Tensor, "B N"]:
    """The waveform, N = (T - 1) · HOP, whose `spectra` come nearest to these."""
    hann = torch.hann_window(WINDOW, dtype=spectrum.real.dtype)
    return torch.istft(spectrum.mT, WINDOW, HOP, window=hann)


def griffin_lim(
    magnitude: Float[Tensor, "B T K"], iterations: int = 40, momentum: float = 0.99
) -> Float[Tensor, "B N"]:
    """A waveform, N = (T - 1) · HOP, whose spectra have nearly these magnitudes.

    It begins with phases of 0. Each round takes the phases of spectra that belong to a waveform and
    keeps the magnitudes; with `momentum` it goes on in the direction in which the spectra moved.
    Raises ValueError: fewer than 2 frames, negative iterations, momentum outside of [0, 1).
    """
    if magnitude.shape[1] < 2:
        raise ValueError(f"{magnitude.shape[1]} frames: at least 2 are needed for a waveform")
    if iterations < 0 or not 0 <= momentum < 1:
        raise ValueError(f"iterations={iterations} is negative, or momentum={momentum} not below 1")
    share = momentum / (1 + momentum)
    phase = torch.complex(torch.ones_like(magnitude), torch.zeros_like(magnitude))
    before = torch.zeros_like(phase)
    for _ in range(iterations):
        consistent = spectra(waveform_of(magnitude * phase))
        moved = consistent - share * before
        phase = moved / (moved.abs() + 1e-16)
        before = consistent
    return waveform_of(magnitude * phase)


def vocode(log_mel: Float[Tensor, "T F"]) -> Float[Tensor, "N"]:
    """The waveform of one log-mel (natural logarithm, as `log_mel` makes it), N = (T - 1) · HOP."""
    return griffin_lim(mel_to_power(log_mel[None]).sqrt())[0]
