"""The length regulator: from a vector for each phoneme to one for each frame.

Source: Ren et al. 2019, "FastSpeech", section 3.2 (https://arxiv.org/abs/1905.09263).
Equal to `torch.repeat_interleave` for each utterance.

Shape letters: B batch   U phonemes   T frames   D model width
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


def regulate(
    x: Float[Tensor, "B U D"], durations: Int[Tensor, "B U"]
) -> tuple[Float[Tensor, "B T D"], Bool[Tensor, "B T"]]:
    """Repeat vector i as often as its duration; y is zero in the padding, `valid` its mask.

    T is the longest sum of durations. A duration of 0 leaves its phoneme out. The gradient of a
    vector is the sum of those of its copies. Raises ValueError: a negative duration, no frame.
    """
    if bool((durations < 0).any()):
        raise ValueError("a duration is negative")
    ends = durations.cumsum(dim=1)  # (B, U)
    num_frames = int(ends[:, -1].max())
    if num_frames == 0:
        raise ValueError("all durations are 0: no frames are left")
    frames = torch.arange(num_frames, device=x.device)
    valid = frames < ends[:, -1:]
    whose = torch.searchsorted(ends, frames.expand(len(x), -1).contiguous(), right=True)
    whose = whose.clamp(max=x.shape[1] - 1)  # padding: some phoneme, which is then cleared
    y = x.gather(1, whose[..., None].expand(-1, -1, x.shape[2]))
    return y.masked_fill(~valid[..., None], 0), valid


def scale_durations(durations: Int[Tensor, "B U"], pace: float) -> Int[Tensor, "B U"]:
    """Durations for speech that takes `pace` times as long, rounded half up.

    >>> scale_durations(torch.tensor([[5, 0, 2]]), 1.3)
    tensor([[7, 0, 3]])

    Raises:
        ValueError: a pace that is not above 0.
    """
    if not pace > 0:
        raise ValueError(f"pace={pace} is not above 0")
    return (pace * durations.double() + 0.5).floor().long()
