"""Durations of phonemes in frames, from their start times in seconds.

Boundaries are rounded, not durations, whose sum would differ from the number of frames.

Shape letters: U phonemes
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kws.audio.features import HOP
from kws.audio.recordings import SAMPLE_RATE
from kws.errors import UsageError

FRAMES_PER_SECOND = SAMPLE_RATE / HOP  # 100


def frames_of(starts: Float[Tensor, "U"], num_frames: int) -> Int[Tensor, "U+1"]:
    """Durations in frames of the silence in front and of U phonemes; they sum to `num_frames`.

    `starts`, in seconds, rise. A phoneme begins in the frame whose middle is nearest, and lasts to
    the next one; the last lasts to the end. It may last 0 frames.

    >>> frames_of(torch.tensor([0.013, 0.1, 0.126]), 20)
    tensor([1, 9, 3, 7])

    Raises:
        UsageError: starts that fall, or are outside of the recording.
    """
    if len(starts) and bool((starts.diff() < 0).any() | (starts[0] < 0)):
        raise UsageError("starts are not in order, or negative: give them in seconds, in order")
    inner = (FRAMES_PER_SECOND * starts.double() + 0.5).floor().long()
    if len(inner) and inner[-1] > num_frames:
        raise UsageError(
            f"the last phoneme begins at {starts[-1]:.3f} s, after the {num_frames} frames: "
            "give starts and frames of the same recording"
        )
    ends = inner.new_tensor([num_frames])
    return torch.cat([inner.new_zeros(1), inner, ends]).diff()
