"""Positions of frames: sinusoidal, learned and relative.

Sources: sinusoids, Vaswani et al. 2017, section 3.5 (https://arxiv.org/abs/1706.03762);
relative attention, Dai et al. 2019, "Transformer-XL", section 3.3
(https://arxiv.org/abs/1901.02860), as the Conformer uses it: distances to both sides.

Attention alone does not know the order of the frames. The first two add a vector per position to
the frames; the third adds a score per distance to every attention.

Shape letters: B batch   T frames   D model width   H heads   K width of one head   P positions
"""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from kws.models.attention import MultiHeadSelfAttention

ENCODER_POSITIONS = ("none", "sinusoidal", "relative")
LONGEST_WAVE = 10_000  # the slowest sinusoid turns once in 2π · 10,000 frames


def sinusoids(positions: Float[Tensor, "P"], d_model: int) -> Float[Tensor, "P D"]:
    """Sines (even columns) and cosines (odd columns) of each position, from fast to slow.

    Column 2i is sin(p / 10000^(2i / D)), column 2i + 1 the cosine of the same angle. The scalar
    product of two rows depends on their distance alone. Raises ValueError if `d_model` is odd:
    sines and cosines come in pairs.
    """
    if d_model % 2:
        raise ValueError(f"d_model={d_model} is odd: sines and cosines come in pairs")
    pairs = torch.arange(0, d_model, 2, device=positions.device, dtype=positions.dtype)
    angles = positions[:, None] * torch.exp(pairs * (-math.log(LONGEST_WAVE) / d_model))
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)


class SinusoidalPositions(nn.Module):
    """Add `sinusoids` to the frames; no parameters, any length.

    Args:
        d_model: width of the input and of the output; even.
        dropout: probability of zeroing a feature of the sum while training.
    """

    def __init__(self, d_model: int, dropout: float = 0.0):
        super().__init__()
        if d_model % 2:
            raise ValueError(f"d_model={d_model} is odd: sines and cosines come in pairs")
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        """x plus the position of each frame."""
        positions = torch.arange(x.shape[1], device=x.device, dtype=_precise(x))
        return self.dropout(x + sinusoids(positions, x.shape[2]).to(x.dtype))


class LearnedPositions(nn.Module):
    """Add a learned vector per position, `max_frames` * D parameters, drawn from N(0, 0.02²).

    Args:
        d_model: width of the input and of the output.
        max_frames: longest input.
        dropout: probability of zeroing a feature of the sum while training.
    """

    def __init__(self, d_model: int, max_frames: int, dropout: float = 0.0):
        super().__init__()
        self.table = nn.Parameter(torch.empty(max_frames, d_model))
        self.dropout = nn.Dropout(dropout)
        nn.init.normal_(self.table, std=0.02)

    def forward(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        """x plus the position of each frame. Raises ValueError if x is longer than the table."""
        frames, max_frames = x.shape[1], self.table.shape[0]
        if frames > max_frames:
            raise ValueError(
                f"{frames} frames, but positions were made for max_frames={max_frames}"
            )
        return self.dropout(x + self.table[:frames])


def by_distance(scores: Float[Tensor, "B H T P"]) -> Float[Tensor, "B H T T"]:
    """Pick, for query i and key j, the score of the distance i - j.

    The P = 2T - 1 columns are the distances from T - 1 (the key lies before) down to 1 - T.
    Row i needs the T columns from T - 1 - i on. One more column makes the rows 2T long; read
    with a row length of 2T - 1 they slide to the right place, and nothing is copied twice.

    >>> by_distance(torch.tensor([[[[1.0, 0.0, -1.0], [1.0, 0.0, -1.0]]]]))
    tensor([[[[ 0., -1.],
              [ 1.,  0.]]]])
    """
    B, H, T, P = scores.shape
    slid = F.pad(scores, (1, 0)).view(B, H, P + 1, T)[:, :, 1:]  # drop T numbers from the front
    return slid.reshape(B, H, T, P)[..., :T]


class RelativeSelfAttention(MultiHeadSelfAttention):
    """Self-attention whose scores also depend on the distance between query and key.

    score(i, j) = ((q_i + u) · k_j + (q_i + v) · W r_(i-j)) / √K, with sinusoids r and learned u, v
    per head. D² + 2D parameters more than without; u and v start at zero (the paper does not say).

    Args: those of `MultiHeadSelfAttention`; `d_model` is even.

    Raises:
        ValueError: if `num_heads` does not divide `d_model`, or `d_model` is odd.
    """

    def __init__(
        self, d_model: int, num_heads: int, dropout: float = 0.0, *, qkv_bias: bool = True
    ):
        super().__init__(d_model, num_heads, dropout, qkv_bias=qkv_bias)
        if d_model % 2:
            raise ValueError(f"d_model={d_model} is odd: sines and cosines come in pairs")
        self.distance = nn.Linear(d_model, d_model, bias=False)  # W
        self.content_bias = nn.Parameter(torch.zeros(num_heads, d_model // num_heads))  # u
        self.distance_bias = nn.Parameter(torch.zeros(num_heads, d_model // num_heads))  # v

    def position_scores(
        self, q: Float[Tensor, "B H T K"], k: Float[Tensor, "B H T K"]
    ) -> Float[Tensor, "B H T T"]:
        """(u · k_j + (q_i + v) · W r_(i-j)) / √K: all of the score but q_i · k_j."""
        T = q.shape[2]
        distances = torch.arange(T - 1, -T, -1, device=q.device, dtype=_precise(q))
        r = self.distance(sinusoids(distances, self.distance.in_features).to(q.dtype))  # (P, D)
        r = r.unflatten(-1, (self.num_heads, -1)).transpose(0, 1)  # (H, P, K)
        content = self.content_bias[:, None] @ k.mT  # (B, H, 1, T): the same for every query
        distance = by_distance((q + self.distance_bias[:, None]) @ r.mT)
        return (content + distance) / math.sqrt(q.shape[-1])


def _precise(x: Tensor) -> torch.dtype:
    """At least float32: bfloat16 has the same value for positions 256 and 257."""
    return torch.float64 if x.dtype == torch.float64 else torch.float32
