"""Recordings of one length: clips of a batch are as long as each other.

Shape letters: N samples   M samples wanted
"""

import torch
from jaxtyping import Float
from torch import Tensor

from kws.audio.recordings import CLIP_SAMPLES


def pad_or_trim(
    waveform: Float[Tensor, "*batch N"], num_samples: int = CLIP_SAMPLES
) -> Float[Tensor, "*batch M"]:
    """Exactly `num_samples`: zeros appended at the right, or the right end cut.

    >>> pad_or_trim(torch.ones(3), 5)
    tensor([1., 1., 1., 0., 0.])
    """
    if num_samples < 1:
        raise ValueError(f"num_samples={num_samples} must be at least 1")
    return torch.nn.functional.pad(waveform, (0, num_samples - waveform.shape[-1]))
