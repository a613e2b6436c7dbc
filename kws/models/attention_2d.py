"""2-D attention: over time for each channel, and over frequency. 1-D attention: over time alone.

Source: Dong, Xu and Xu 2018, "Speech-Transformer", section 3.3 and figure 3
(https://doi.org/10.1109/ICASSP.2018.8462506). Queries, keys and values are maps, made by three
convolutions; attention runs over the rows of each channel's map (time), and over the rows of the
transposed map (frequency); both results are joined by one more convolution.

Padding: a padded frame is not a key of the time attention, adds nothing to the products of the
frequency attention, and does not count in its scale, the root of the number of *real* frames.

Shape letters: B batch   C channels   T frames   F frequency bands
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from kws.models.attention import attend
from kws.models.batch_norm import MaskedBatchNorm
from kws.models.frontend import zero_padding


def attend_1d(
    q: Float[Tensor, "B C F T"],
    k: Float[Tensor, "B C F T"],
    v: Float[Tensor, "B C F T"],
    valid: Bool[Tensor, "B T"] | None = None,
) -> Float[Tensor, "B C F T"]:
    """Attention over time, channel by channel; padded frames come out zero."""
    return zero_padding(attend(q.mT, k.mT, v.mT, valid).mT, valid)


def attend_2d(
    q: Float[Tensor, "B C F T"],
    k: Float[Tensor, "B C F T"],
    v: Float[Tensor, "B C F T"],
    valid: Bool[Tensor, "B T"] | None = None,
) -> Float[Tensor, "B 2*C F T"]:
    """Attention over time, then over frequency, channel by channel; padded frames come out zero."""
    over_time = attend_1d(q, k, v, valid)
    q, k, v = (zero_padding(x, valid) for x in (q, k, v))
    real = q.shape[-1]
    if valid is not None:
        real = valid.sum(dim=1).clamp(min=1).to(q.dtype)[:, None, None, None]
    over_frequency = (q @ k.mT / real**0.5).softmax(dim=-1) @ v
    return zero_padding(torch.cat([over_time, over_frequency], dim=1), valid)


class Attention2d(nn.Module):
    """x + ReLU(norm(conv(attend_2d(three convolutions of x)))), all convolutions 3 × 3.

    45 C² + 6 C parameters: 27 C² + 3 C, 18 C² + C, and 2 C of the normalization.
    """

    attend = staticmethod(attend_2d)
    maps = 2  # that attention makes of each channel

    def __init__(self, channels: int):
        super().__init__()
        self.query = nn.Conv2d(channels, channels, 3, padding=1)
        self.key = nn.Conv2d(channels, channels, 3, padding=1)
        self.value = nn.Conv2d(channels, channels, 3, padding=1)
        self.join = nn.Conv2d(self.maps * channels, channels, 3, padding=1)
        self.norm = MaskedBatchNorm(channels)

    def forward(
        self, x: Float[Tensor, "B C F T"], valid: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B C F T"]:
        """Maps of the same shape; the padded frames of the output are zero."""
        x = zero_padding(x, valid)
        y = self.attend(self.query(x), self.key(x), self.value(x), valid)
        return zero_padding(x + self.norm(self.join(y), valid).relu(), valid)


class Attention1d(Attention2d):
    """The same over time alone: 36 C² + 6 C parameters, for the last convolution has half."""

    attend = staticmethod(attend_1d)
    maps = 1
