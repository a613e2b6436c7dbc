"""Another sample rate for audio that comes in blocks.

Shape letters: N samples   M samples at the other rate
"""

import math
from collections.abc import Iterable, Iterator

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from kws.audio import SAMPLE_RATE
from kws.audio.resampling import ROLLOFF, ZERO_CROSSINGS, resample


class StreamResampler:
    """`kws.audio.resampling.resample` of a stream: the blocks joined equal the whole resampled.

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


def resampled(
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
