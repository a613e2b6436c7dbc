"""The Branchformer: attention and gated convolution side by side, then merged.

Source: Peng et al. 2022 (https://arxiv.org/abs/2207.02971), figure 2, merged by concatenation; the
gated branch is cgMLP, Sakuma et al. 2022 (https://openreview.net/forum?id=RA-zVvZLYIy). Where a
Conformer layer does one after the other, here each branch sees the same input. The normalization
that closes a layer is that of ESPnet's implementation.

Shape letters: B batch   T frames   D model width   E width of the gated branch (d_ff)
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from kws.models.transformer import self_attention

GATE_STD = 1e-6  # of the kernels at the start: with a bias of 1, a gate that lets all pass


class ConvolutionalGating(nn.Module):
    """cgMLP: widen, activate, multiply one half by a convolution of the other, narrow.

    3/2 D E + E + (3 + k) E / 2 + D parameters, k = `kernel_size`. Raises ValueError if `d_ff` is
    odd, or `kernel_size` even.
    """

    def __init__(self, d_model: int, d_ff: int, kernel_size: int = 31, dropout: float = 0.0):
        super().__init__()
        if d_ff % 2:
            raise ValueError(f"d_ff={d_ff} must be even: one half gates the other")
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size={kernel_size} must be odd to keep T unchanged")
        half = d_ff // 2
        self.expand = nn.Linear(d_model, d_ff)
        self.norm = nn.LayerNorm(half)
        self.depthwise = nn.Conv1d(half, half, kernel_size, padding=kernel_size // 2, groups=half)
        self.dropout = nn.Dropout(dropout)
        self.contract = nn.Linear(half, d_model)
        nn.init.normal_(self.depthwise.weight, std=GATE_STD)
        if self.depthwise.bias is not None:
            nn.init.ones_(self.depthwise.bias)

    def forward(
        self, x: Float[Tensor, "B T D"], valid: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B T D"]:
        """Mix neighboring frames, as far as their gate lets them."""
        signal, gate = F.gelu(self.expand(x)).chunk(2, dim=-1)  # two (B, T, E/2)
        gate = self.norm(gate)
        if valid is not None:
            gate = gate.masked_fill(~valid[..., None], 0)  # what the kernel sees beyond the end
        gate = self.depthwise(gate.mT).mT  # nn.Conv1d reads (B, D, T)
        return self.contract(self.dropout(signal * gate))


class BranchformerLayer(nn.Module):
    """x + merge([attention(x), gating(x)]), each branch normalizing its input, then the sum.

    6 D² + 12 D + 3/2 D E + E + (3 + k) E / 2 parameters (`kws.models.counts`).

    Args: those of `ConformerLayer`, but `norm`; `d_ff` is the width of the gated branch, and even.

    Raises:
        ValueError: if the numbers do not fit, or positions are unknown.
    """

    def __init__(
        self,
        d_model: int,
        num_heads: int,
        d_ff: int,
        kernel_size: int = 31,
        dropout: float = 0.1,
        *,
        positions: str = "none",
    ):
        super().__init__()
        self.norm_attention = nn.LayerNorm(d_model)
        self.attention = self_attention(positions, d_model, num_heads, dropout)
        self.norm_gating = nn.LayerNorm(d_model)
        self.gating = ConvolutionalGating(d_model, d_ff, kernel_size, dropout)
        self.merge = nn.Linear(2 * d_model, d_model)
        self.norm = nn.LayerNorm(d_model)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, x: Float[Tensor, "B T D"], valid: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B T D"]:
        """Global and local context at once."""
        everywhere = self.dropout(self.attention(self.norm_attention(x), valid))
        nearby = self.dropout(self.gating(self.norm_gating(x), valid))
        both = torch.cat([everywhere, nearby], dim=-1)  # (B, T, 2 D)
        return self.norm(x + self.dropout(self.merge(both)))
