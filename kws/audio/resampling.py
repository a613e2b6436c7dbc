"""Another sample rate: a sinc under a Hann window.

Source: J. O. Smith, "Digital Audio Resampling" (https://ccrma.stanford.edu/~jos/resample/). Parity,
float64, 1e-10: `torchaudio.functional.resample(lowpass_filter_width=16)`.

Shape letters: N samples   M samples at the other rate
"""

import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from kws.audio import SAMPLE_RATE

ZERO_CROSSINGS = 16  # of the sinc, on each side
ROLLOFF = 0.99  # cut-off as a fraction of the lower Nyquist frequency
BLOCK = 1 << 14  # output samples resampled at a time: bounds the memory


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


def resample_array(samples: Float[np.ndarray, "N"], rate: int) -> Float[np.ndarray, "M"]:
    """Samples at `rate` Hz at 16 kHz, within [-1, 1]."""
    return resample(torch.from_numpy(samples), rate, SAMPLE_RATE).clamp(-1, 1).numpy()
