"""Another sample rate, of a recording or block by block: a sinc under a Hann window.

Source: J. O. Smith, "Digital Audio Resampling" (https://ccrma.stanford.edu/~jos/resample/). Parity,
float64, 1e-10: `torchaudio.functional.resample(lowpass_filter_width=16)`.

Shape letters: N samples   M samples at the other rate
"""

import math
from collections.abc import Iterable, Iterator

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


class StreamResampler:
    """`resample` of a stream: the blocks joined equal the whole resampled.

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
    blocks: Iterable[Float[np.ndarray, "_"]], rate: int
) -> Iterator[Float[np.ndarray, "_"]]:
    """Blocks at `rate` Hz as blocks at 16 kHz within [-1, 1]; empty ones are left out."""
    stream = StreamResampler(rate)
    for block in blocks:
        found = stream.push(torch.from_numpy(block))
        if len(found):
            yield found.clamp(-1, 1).numpy()
    found = stream.finish()
    if len(found):
        yield found.clamp(-1, 1).numpy()
