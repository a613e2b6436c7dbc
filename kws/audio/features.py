"""From a waveform to what the models read: mel spectrograms, log-mels and MFCC, written out.

    frame the waveform → window → |FFT|² → triangular mel filters → ln or dB → (DCT-II for MFCC)

Sources: Davis & Mermelstein 1980, "Comparison of parametric representations for monosyllabic word
recognition" (https://doi.org/10.1109/TASSP.1980.1163420); HTK's mel scale (O'Shaughnessy 1987).
Parity, float64, 1e-10: `torchaudio.transforms.MelSpectrogram`, `MFCC(log_mels=True)`,
`AmplitudeToDB("power")` and `torchaudio.functional.compute_deltas`. Windows, as long as the FFT,
and hops are in samples at 16 kHz.

Shape letters: B batch   N, M samples   T frames   F features   K frequencies of the FFT
"""

import functools
import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from kws.audio import HOP as HOP
from kws.audio import SAMPLE_RATE, WINDOW
from kws.audio.features_fast import FilteredPower
from kws.audio.recordings import CLIP_SAMPLES
from kws.audio.silence import normalize_peak, trim_silence
from kws.errors import UsageError

NUM_FREQS = WINDOW // 2 + 1  # 201, from 0 Hz to the Nyquist frequency in steps of 40 Hz
NYQUIST = SAMPLE_RATE / 2  # Hz

SPEAKER_F_MIN = 50.0  # Hz
SPEAKER_FLOOR = 1e-9  # ln(1e-9) = -20.72: why the homework pads with -20


def pad_or_trim(
    waveform: Float[Tensor, "*batch N"], num_samples: int = CLIP_SAMPLES
) -> Float[Tensor, "*batch M"]:
    """Exactly M = `num_samples`: zeros appended at the right, or the right end cut.

    >>> pad_or_trim(torch.ones(3), 5)
    tensor([1., 1., 1., 0., 0.])
    """
    if num_samples < 1:
        raise ValueError(f"num_samples={num_samples} must be at least 1")
    return F.pad(waveform, (0, num_samples - waveform.shape[-1]))


def hz_to_mel(hz: float) -> float:
    """Perceived pitch: linear below 700 Hz, logarithmic above.

    >>> round(hz_to_mel(1000.0))
    1000
    """
    return 2595 * math.log10(1 + hz / 700)


def mel_filterbank(
    n_freqs: int, n_mels: int, f_min: float, f_max: float
) -> Float[Tensor, "K mels"]:
    """Triangular filters, equally wide in mel, over `n_freqs` frequencies from 0 Hz to Nyquist.

    `n_mels + 2` edges divide `f_min` … `f_max` (Hz) evenly in mel; filter m rises from edge m to 1
    at edge m + 1 and falls to edge m + 2. Power spectra (…, K) are multiplied by it from the right.
    It is float64 and not normalized by area. Many filters over few frequencies leave some empty.
    """
    if n_mels < 1 or n_freqs < 2:
        raise UsageError(f"n_mels={n_mels} and n_freqs={n_freqs}: at least 1 and 2 are needed")
    if not 0 <= f_min < f_max <= NYQUIST:
        raise UsageError(f"f_min={f_min} and f_max={f_max} Hz: 0 <= f_min < f_max <= {NYQUIST:g}")
    hz = torch.linspace(0, NYQUIST, n_freqs, dtype=torch.float64)
    mel = torch.linspace(hz_to_mel(f_min), hz_to_mel(f_max), n_mels + 2, dtype=torch.float64)
    edges = 700 * (10 ** (mel / 2595) - 1)
    left, center, right = edges[:-2], edges[1:-1], edges[2:]
    rising = (hz[:, None] - left) / (center - left)
    falling = (right - hz[:, None]) / (right - center)
    return torch.minimum(rising, falling).clamp(min=0)


def dct_matrix(n_mfcc: int, n_mels: int) -> Float[Tensor, "mels mfcc"]:
    """Orthonormal DCT-II, float64: c[k] = s[k] · Σ_m x[m] · cos(π k (m + ½) / n_mels)."""
    m, k = torch.arange(n_mels, dtype=torch.float64), torch.arange(n_mfcc, dtype=torch.float64)
    matrix = torch.cos(math.pi * k * (m[:, None] + 0.5) / n_mels) * math.sqrt(2 / n_mels)
    matrix[:, 0] /= math.sqrt(2)
    return matrix


@functools.lru_cache(maxsize=32)
def _dct(n_mfcc: int, n_mels: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    return dct_matrix(n_mfcc, n_mels).to(device, dtype)


def filtered_power(
    waveform: Float[Tensor, "B N"],
    window: Float[Tensor, "W"],
    filterbank: Float[Tensor, "K F"],
    hop: int,
) -> Float[Tensor, "B T F"]:
    """Power of each filter in T = 1 + N // hop frames of W samples, centered on t · hop.

    This is the formula, for reading. `kws.audio.features_fast.FilteredPower` is the same function
    made fast, and what `mel_spectrogram` runs.
    """
    half = len(window) // 2
    padded = F.pad(waveform[:, None], (half, half), mode="reflect")[:, 0]  # (B, N + W)
    frames = padded.unfold(1, len(window), hop)  # (B, T, W): they overlap
    spectrum = torch.fft.rfft(frames * window)  # (B, T, K), complex
    power = spectrum.real.square() + spectrum.imag.square()
    return power @ filterbank


@functools.lru_cache(maxsize=32)
def _mel_power(
    n_mels: int,
    f_min: float,
    f_max: float,
    window: int,
    hop: int,
    device: torch.device,
    dtype: torch.dtype,
) -> FilteredPower:
    hann = torch.hann_window(window, dtype=torch.float64)  # periodic
    filterbank = mel_filterbank(window // 2 + 1, n_mels, f_min, f_max)
    return FilteredPower(hann.to(device, dtype), filterbank.to(device, dtype), hop)


def mel_spectrogram(
    waveform: Float[Tensor, "B N"],
    *,
    n_mels: int = 40,
    f_min: float = 20.0,
    f_max: float | None = None,
    window: int = WINDOW,
    hop: int = HOP,
) -> Float[Tensor, "B T F"]:
    """Power in each mel band, F = n_mels: `filtered_power` with a Hann window and mel filters.

    The ends are reflected, so N must exceed half a window (200 samples). `f_min` and `f_max` in Hz;
    None is the Nyquist frequency. A loud frame has a million times the power of a quiet one, which
    is why models read the logarithm.
    """
    if waveform.shape[-1] <= window // 2:
        raise ValueError(f"{waveform.shape[-1]} samples, at least {window // 2 + 1} are needed")
    f_max = NYQUIST if f_max is None else f_max
    like = waveform.device, waveform.dtype
    return _mel_power(n_mels, float(f_min), float(f_max), window, hop, *like)(waveform)


def log_mel(
    waveform: Float[Tensor, "B N"],
    *,
    n_mels: int = 40,
    f_min: float = 20.0,
    f_max: float | None = None,
    floor: float = 1e-6,
    window: int = WINDOW,
    hop: int = HOP,
) -> Float[Tensor, "B T F"]:
    """ln(mel + floor) of `mel_spectrogram`; `floor` is power: the darkest value is ln(floor)."""
    _check_floor(floor)
    mel = mel_spectrogram(waveform, n_mels=n_mels, f_min=f_min, f_max=f_max, window=window, hop=hop)
    return mel.add_(floor).log_()


def mel_db(
    waveform: Float[Tensor, "B N"],
    *,
    n_mels: int = 40,
    f_min: float = 20.0,
    f_max: float | None = None,
    floor: float = 1e-10,
    window: int = WINDOW,
    hop: int = HOP,
) -> Float[Tensor, "B T F"]:
    """10 · log10(max(mel, floor)) of `mel_spectrogram`, in dB: 4.34 times a log-mel, unshifted."""
    _check_floor(floor)
    mel = mel_spectrogram(waveform, n_mels=n_mels, f_min=f_min, f_max=f_max, window=window, hop=hop)
    return mel.clamp_(min=floor).log10_().mul_(10)


def _check_floor(floor: float) -> None:
    if floor <= 0:
        raise ValueError(f"floor={floor} must be above 0: the logarithm of silence is not finite")


def mfcc(
    waveform: Float[Tensor, "B N"],
    *,
    n_mfcc: int = 40,
    n_mels: int = 40,
    f_min: float = 20.0,
    f_max: float | None = None,
    floor: float = 1e-6,
    window: int = WINDOW,
    hop: int = HOP,
) -> Float[Tensor, "B T F"]:
    """The first F = n_mfcc coefficients of the DCT-II over log-mels (natural logarithm, not dB)."""
    if not 1 <= n_mfcc <= n_mels:
        raise UsageError(f"n_mfcc={n_mfcc} must be between 1 and n_mels={n_mels}")
    mel = log_mel(
        waveform, n_mels=n_mels, f_min=f_min, f_max=f_max, floor=floor, window=window, hop=hop
    )
    with torch.autocast(waveform.device.type, enabled=False):
        return mel @ _dct(n_mfcc, n_mels, mel.device, mel.dtype)


def with_deltas(features: Float[Tensor, "B T F"], order: int) -> Float[Tensor, "B T FF"]:
    """The features, then their first … `order`-th derivatives by time: (1 + order) F of a frame."""
    parts = [features]
    for _ in range(order):
        parts.append(deltas(parts[-1]))
    return torch.cat(parts, dim=2)


def deltas(features: Float[Tensor, "B T F"], reach: int = 2) -> Float[Tensor, "B T F"]:
    """How fast each feature changes, per frame: the slope of a line fitted to 2 reach + 1 frames.

    d[t] = Σ k (x[t + k] - x[t - k]) / (2 Σ k²), k = 1 … reach; the ends are continued by their own
    values. Source: Furui 1986 (https://doi.org/10.1109/TASSP.1986.1164788); Speech-Transformer
    reads features with their first and second derivatives.
    """
    frames = features.shape[1]
    padded = F.pad(features.mT, (reach, reach), mode="replicate").mT
    shifted = {k: padded[:, reach + k : reach + k + frames] for k in range(-reach, reach + 1)}
    slopes = [k * (shifted[k] - shifted[-k]) for k in range(1, reach + 1)]
    return torch.stack(slopes).sum(0) / (2 * sum(k * k for k in range(1, reach + 1)))


def speaker_log_mel(waveform: Float[Tensor, "N"]) -> Float[Tensor, "T 40"]:
    """The speaker homework's features of one 16 kHz recording: 40 log-mels of its audible parts.

    In this order: scale the peak to -3 dB, drop the silence (`kws.audio.silence`), then log-mel
    with `f_min=50` and `floor=1e-9`. Raises `ValueError` if no tenth of a second is audible.
    """
    audible = trim_silence(normalize_peak(waveform))
    if len(audible) <= WINDOW // 2:
        raise ValueError("no audible passage of a tenth of a second")
    return log_mel(audible[None], n_mels=40, f_min=SPEAKER_F_MIN, floor=SPEAKER_FLOOR)[0]
