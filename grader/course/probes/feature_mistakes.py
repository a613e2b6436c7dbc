"""What the known mistakes of assignment 1 would answer: hint -> value, for `suspects`.

The right values come from `kws`, in float64. Where a mistake only shows for some inputs, its value
is the right one for the others.

Shape letters: B batch   N samples   T frames   W samples of a frame   K frequencies   M mel bands
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from grader.grading.feedback import Failure, expect_close
from kws.features import HOP, WINDOW, dct_matrix, hz_to_mel, log_mel, mel_filterbank, mfcc

CLOSE = {"rtol": 1e-5, "atol": 1e-4}  # filters in float32 are as good as in float64
NYQUIST = 8000.0  # Hz


def expect_values(what: str, actual: object, expected: Tensor, suspects: dict[str, Tensor]) -> None:
    """`expect_close` for real numbers, where a suspect of another shape is recognized too."""
    if isinstance(actual, Tensor) and actual.is_complex():
        raise Failure(f"{what} is complex, expected real numbers", "power is a squared magnitude")
    if isinstance(actual, Tensor) and actual.shape != expected.shape:
        for hint, wrong in suspects.items():
            if wrong.shape == actual.shape and torch.allclose(
                actual.to(wrong), wrong, rtol=1e-4, atol=1e-6, equal_nan=True
            ):
                shapes = f"{tuple(actual.shape)}, expected {tuple(expected.shape)}"
                raise Failure(f"{what} has shape {shapes}", hint)
    expect_close(what, actual, expected, suspects, **CLOSE)


def hann(length: int, period: int | None = None) -> Tensor:
    """The window, of another period if one is given."""
    n = torch.arange(length, dtype=torch.float64)
    return 0.5 - 0.5 * torch.cos(2 * math.pi * n / (period or length))


def hann_mistakes(length: int) -> dict[str, Tensor]:
    """Of `hann(length)`."""
    return {
        "the period is W, not W - 1": hann(length, length - 1),
        "one half minus half a cosine: is this Hamming's window?": 0.08 + 0.92 * hann(length),
        "the cosine is subtracted: a window is 0 at its beginning": 1 - hann(length),
        "the cosine has one period in W samples: is the 2 there?": hann(length, 2 * length),
    }


def reflected(waveform: Tensor, length: int) -> Tensor:
    """Half a frame more at both ends."""
    return F.pad(waveform, (length // 2, length // 2), mode="reflect")


def frame_mistakes(x: Tensor, length: int, hop: int) -> dict[str, Tensor]:
    """Of `frame(x, length, hop)`."""
    half, num_samples = length // 2, x.shape[1]
    repeated = torch.cat([x[:, :half].flip(1), x, x[:, -half:].flip(1)], dim=1)
    zeros = F.pad(x, (half, half))
    begins = [F.pad(x, (0, length))[:, n : n + length] for n in range(0, num_samples + 1, hop)]
    right = reflected(x, length)
    return {
        "reflect padding does not repeat the last sample": repeated.unfold(1, length, hop),
        "reflect padding at the ends, not zeros": zeros.unfold(1, length, hop),
        "is there reflect padding at the ends?": x.unfold(1, length, hop),
        "frame t is centered on sample t * hop, it does not begin there": torch.stack(begins, 1),
        "frames come before samples: (B, T, W)": right.unfold(1, length, hop).mT,
        "the hop leads to the next frame, it is not what two frames share": right.unfold(
            1, length, length - hop
        ),
    }


def spectrum(frames: Tensor) -> Tensor:
    """The complex spectrum of windowed frames."""
    return torch.fft.rfft(frames * hann(frames.shape[-1]))


def power_mistakes(x: Tensor) -> dict[str, Tensor]:
    """Of `power_spectrum(x)`."""
    length, z = x.shape[-1], spectrum(x)
    window = hann(length)
    always_400 = torch.fft.rfft(x * hann(WINDOW)[:length])
    return {
        "is the frame multiplied by the window?": torch.fft.rfft(x).abs().square(),
        "power is the square of the magnitude": z.abs(),
        "the square of a complex number is not its power": z.square().real,
        "real and imaginary part both count": z.real.square(),
        "frequencies above W / 2 are mirror images: only K of them": torch.fft.fft(x * window)
        .abs()
        .square(),
        "the formula divides by nothing": z.abs().square() / length,
        "is the last axis transformed, the samples?": torch.fft.rfft(x * window, dim=1)
        .abs()
        .square(),
        "the window is as long as the frame, not always 400": always_400.abs().square(),
        "the window is multiplied once": torch.fft.rfft(x * window.square()).abs().square(),
    }


def slaney(hz: float) -> float:
    """The other mel scale: linear to 1,000 Hz, then logarithmic."""
    return 3 * hz / 200 if hz < 1000 else 15 + 27 * math.log(hz / 1000) / math.log(6.4)


def mel_mistakes(hz: float) -> dict[str, float]:
    """Of `hz_to_mel(hz)`."""
    return {
        "the logarithm is to base 10": 2595 * math.log(1 + hz / 700),
        "the logarithm is of 1 + f / 700": 2595 * math.log10(max(hz, 1) / 700),
        "this is the other scale, Slaney's": slaney(hz),
        "2595 goes with base 10, and 1127 with e": 1127 * math.log10(1 + hz / 700),
    }


def mel_edges(n_mels: int, f_min: float, f_max: float) -> Tensor:
    """M + 2 edges in Hz, evenly spaced in mel."""
    mel = torch.linspace(hz_to_mel(f_min), hz_to_mel(f_max), n_mels + 2, dtype=torch.float64)
    return 700 * (10 ** (mel / 2595) - 1)


def sides(num_freqs: int, edges: Tensor) -> tuple[Tensor, Tensor]:
    """The rising and the falling line of every band, (K, M) each."""
    hz = torch.linspace(0, NYQUIST, num_freqs, dtype=torch.float64)[:, None]
    left, center, right = edges[:-2], edges[1:-1], edges[2:]
    return (hz - left) / (center - left), (right - hz) / (right - center)


def triangles(num_freqs: int, edges: Tensor) -> Tensor:
    """Bands between any edges, (K, M)."""
    return torch.minimum(*sides(num_freqs, edges)).clamp(min=0)


def filterbank_mistakes(
    num_freqs: int, n_mels: int, f_min: float, f_max: float
) -> dict[str, Tensor]:
    """Of `mel_filterbank` with these arguments."""
    right, edges = mel_filterbank(num_freqs, n_mels, f_min, f_max), mel_edges(n_mels, f_min, f_max)
    even = torch.linspace(f_min, f_max, n_mels + 2, dtype=torch.float64)
    return {
        "edges are evenly spaced in mel, not in Hz": triangles(num_freqs, even),
        "bands are columns: (num_freqs, n_mels)": right.T,
        "triangles are 1 at the top: no area is normalized": right * 2 / (edges[2:] - edges[:-2]),
        "weights are nowhere below 0": torch.minimum(*sides(num_freqs, edges)),
        "the lower of the two lines counts": torch.maximum(*sides(num_freqs, edges)).clamp(min=0),
        "do the edges begin at f_min?": triangles(num_freqs, mel_edges(n_mels, 0.0, f_max)),
        "do the edges end at f_max?": triangles(num_freqs, mel_edges(n_mels, f_min, NYQUIST)),
        "the last frequency is SAMPLE_RATE / 2 itself": triangles(num_freqs + 1, edges)[:-1],
        "M bands have M + 2 edges": triangles(num_freqs, mel_edges(n_mels - 1, f_min, f_max)),
    }


def log_mel_mistakes(x: Tensor, n_mels: int, f_min: float, floor: float) -> dict[str, Tensor]:
    """Of `log_mel(x, n_mels, f_min, floor)`."""

    def filters(lowest: float) -> Tensor:
        return mel_filterbank(WINDOW // 2 + 1, n_mels, lowest, NYQUIST)

    magnitude = spectrum(reflected(x, WINDOW).unfold(1, WINDOW, HOP)).abs()
    mel = magnitude.square() @ filters(f_min)
    right = (mel + floor).log()
    return {
        "the logarithm is the natural one": right / math.log(10),
        "no decibels: the natural logarithm": 10 * right / math.log(10),
        "the floor is added, it is not a limit": mel.clamp(min=floor).log(),
        "is the floor added, before the logarithm?": mel.log(),
        "does the floor that is given reach the logarithm?": (mel + 1e-6).log(),
        "frames come before bands: (B, T, M)": right.mT,
        "does f_min reach the filterbank?": (magnitude.square() @ filters(20.0) + floor).log(),
        "f_min is 20 Hz unless another is given": (magnitude.square() @ filters(0.0) + floor).log(),
        "the logarithm is of mel + floor: is it left out, or of 1 + mel?": mel + floor,
        "bands are sums of powers, not of magnitudes": (magnitude @ filters(f_min) + floor).log(),
        "filter the power, then take the logarithm": (magnitude.square() + floor).log()
        @ filters(f_min),
        "does n_mels reach the filterbank?": log_mel(x, f_min=f_min, floor=floor),
    }


def cosines(n_mfcc: int, n_mels: int, shift: float = 0.5) -> Tensor:
    """The DCT's cosines without its factors, (M, C)."""
    m, c = torch.arange(n_mels, dtype=torch.float64)[:, None], torch.arange(n_mfcc)
    return torch.cos(math.pi * c * (m + shift) / n_mels)


def dct_mistakes(n_mfcc: int, n_mels: int) -> dict[str, Tensor]:
    """Of `dct_matrix(n_mfcc, n_mels)`."""
    right, scale = dct_matrix(n_mfcc, n_mels), math.sqrt(2 / n_mels)
    shifted = scale * cosines(n_mfcc, n_mels, shift=0.0)
    shifted[:, 0] /= math.sqrt(2)
    return {
        "is column 0 divided by the root of 2?": scale * cosines(n_mfcc, n_mels),
        "are the factors s there?": cosines(n_mfcc, n_mels),
        "this is twice the sum without factors: where is s?": 2 * cosines(n_mfcc, n_mels),
        "coefficients are columns: (n_mels, n_mfcc)": right.T,
        "band m stands at m + 1/2": shifted,
        "only column 0 is divided by the root of 2": scale / 2**0.5 * cosines(n_mfcc, n_mels),
        "the first coefficient is c = 0": dct_matrix(n_mfcc + 1, n_mels)[:, 1:]
        if n_mfcc < n_mels
        else right,
    }


def mfcc_mistakes(x: Tensor, n_mfcc: int, n_mels: int) -> dict[str, Tensor]:
    """Of `mfcc(x, n_mfcc, n_mels)`."""
    mel = log_mel(x, n_mels=n_mels)
    dct = dct_matrix(n_mfcc, n_mels)
    return {
        "transform the logarithms, not the power": mel.exp() @ dct,
        "the first coefficient is c = 0": mel @ dct_matrix(n_mfcc + 1, n_mels)[:, 1:],
        "only the first n_mfcc coefficients are wanted": mfcc(x, n_mfcc=n_mels, n_mels=n_mels),
        "frames come before coefficients": (mel @ dct).mT,
        "does log_mel get n_mels?": log_mel(x) @ dct_matrix(n_mfcc, 40),
        "does dct_matrix get n_mfcc?": mel @ dct_matrix(13, n_mels),
    }
