"""Set the level of a recording and cut its silence away, as the speaker homework was prepared.

The original ran sox with `norm -3` and `silence 1 0.1 1% -1 0.1 1%`. This is the same rule on a
tensor, from the manual and source of sox 14.4.2 (silence.c). Tried on 18 recordings of 1 to 5 s,
both kept the same samples, up to sox's rounding to 16 bits.

- loudness at a sample is the root mean square of the 20 ms that end there, and above 1 % of full
  scale it is audible;
- **skipping**, how it starts: samples are dropped until 0.1 s in a row is audible, and kept;
- **copying**: samples are kept until 0.1 s in a row is not audible, and dropped. Then loudness
  starts from zero and it is skipping again. A shorter pause is kept, also at the end.

Shape letters: N samples
"""

import torch
from jaxtyping import Float
from torch import Tensor

from kws.audio.recordings import SAMPLE_RATE

PEAK_DB = -3.0  # dB below full scale
THRESHOLD = 0.01  # of full scale
LOUDNESS_WINDOW = SAMPLE_RATE * 20 // 1000  # 320 samples, 20 ms
DURATION = SAMPLE_RATE // 10  # 1,600 samples, 0.1 s
LOUD, QUIET = b"\1", b"\0"


def normalize_peak(waveform: Float[Tensor, "N"]) -> Float[Tensor, "N"]:
    """Scale the largest sample to -3 dB (full scale is 0 dB). Zeros stay zeros."""
    if not len(waveform):
        return waveform
    peak = waveform.abs().max()
    return waveform * (10 ** (PEAK_DB / 20) / peak if peak > 0 else 1.0)


def trim_silence(waveform: Float[Tensor, "N"]) -> Float[Tensor, "M"]:
    """Drop every silence of at least 0.1 s, at the beginning, within and at the end.

    M may be 0. Time and memory grow with N only.
    """
    # energy[n] is the sum of squares before sample n - LOUDNESS_WINDOW
    energy = torch.nn.functional.pad(waveform.double().square().cumsum(0), (LOUDNESS_WINDOW, 0))
    audible = bytearray(_audible(energy[LOUDNESS_WINDOW:] - energy[:-LOUDNESS_WINDOW]))
    keep, begin = [], audible.find(LOUD * DURATION)
    while begin >= 0:
        end = audible.find(QUIET * DURATION, begin)
        if end < 0:
            keep.append(waveform[begin:])
            break
        keep.append(waveform[begin:end])
        start = end + DURATION  # the loudness starts again from zero here
        restart = energy[start + LOUDNESS_WINDOW :][:LOUDNESS_WINDOW]
        audible[start : start + LOUDNESS_WINDOW] = _audible(
            restart - energy[start + LOUDNESS_WINDOW - 1]
        )
        begin = audible.find(LOUD * DURATION, start)
    return torch.cat(keep) if keep else waveform[:0]


def _audible(energy: Tensor) -> bytes:
    """One byte a sample: 1 where 20 ms have more energy than a constant THRESHOLD would."""
    return (energy > LOUDNESS_WINDOW * THRESHOLD**2).to(torch.uint8).cpu().numpy().tobytes()
