"""The Conformer: attention for the whole utterance, convolution for the neighborhood.

Source: Gulati et al. 2020 (https://arxiv.org/abs/2005.08100), figures 1 to 4.
Parity: `torchaudio.models.Conformer` with positions="none" and clips of equal length.
Deviation: padded frames are set to zero before the depthwise convolution and left out of the batch
statistics; in torchaudio they reach the valid frames through both.

Shape letters: B batch   T frames   D model width   E width of the feed-forward layer (d_ff)
"""

from collections.abc import Callable
from functools import partial

import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from kws.models.batch_norm import MaskedBatchNorm
from kws.models.positional import ENCODER_POSITIONS, SinusoidalPositions
from kws.models.transformer import FeedForward, self_attention


class FrameLayerNorm(nn.LayerNorm):
    """`nn.LayerNorm` called as `MaskedBatchNorm` is: frame by frame padding reaches nothing."""

    def forward(
        self, input: Float[Tensor, "B T D"], valid: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B T D"]:
        return super().forward(input)


NORMS: dict[str, Callable[[int], nn.Module]] = {
    "batch": partial(MaskedBatchNorm, channels_last=True),
    "layer": FrameLayerNorm,
}


class ConvolutionModule(nn.Module):
    """Figure 2: pointwise, gate, depthwise, normalize, swish, pointwise.

    3 D² + (8 + k) D parameters, k = `kernel_size`. Raises ValueError if `kernel_size` is even, or
    `norm` unknown.
    """

    def __init__(
        self, d_model: int, kernel_size: int = 31, dropout: float = 0.0, norm: str = "batch"
    ):
        super().__init__()
        if norm not in NORMS:
            raise ValueError(f"norm={norm!r} is none of {', '.join(NORMS)}")
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size={kernel_size} must be odd to keep T unchanged")
        self.norm = nn.LayerNorm(d_model)
        self.expand = nn.Linear(d_model, 2 * d_model)
        self.depthwise = nn.Conv1d(
            d_model, d_model, kernel_size, padding=kernel_size // 2, groups=d_model
        )
        self.norm_conv = NORMS[norm](d_model)
        self.contract = nn.Linear(d_model, d_model)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, x: Float[Tensor, "B T D"], valid: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B T D"]:
        """Mix neighboring frames."""
        x = F.glu(self.expand(self.norm(x)))  # (B, T, 2D) -> (B, T, D)
        if valid is not None:
            x = x.masked_fill(~valid[..., None], 0)  # what the kernel sees beyond the end, too
        x = self.depthwise(x.mT).mT  # nn.Conv1d reads (B, D, T)
        x = self.norm_conv(x, valid)
        return self.dropout(self.contract(F.silu(x)))


class ConformerLayer(nn.Module):
    """Figure 1: half a feed-forward, attention, convolution, half a feed-forward, normalization.

    7 D² + 4 D E + 2 E + (22 + k) D parameters (`kws.models.counts`).

    Args: those of `EncoderLayer`, and
        kernel_size: frames seen by the depthwise convolution; odd.
        norm: in the convolution module: "batch" or "layer".

    Raises:
        ValueError: if the numbers do not fit, or a name is unknown.
    """

    def __init__(
        self,
        d_model: int,
        num_heads: int,
        d_ff: int,
        kernel_size: int = 31,
        dropout: float = 0.1,
        *,
        norm: str = "batch",
        positions: str = "none",
    ):
        super().__init__()
        self.norm_first_half = nn.LayerNorm(d_model)
        self.first_half = FeedForward(d_model, d_ff, dropout, "silu")
        self.norm_attention = nn.LayerNorm(d_model)
        self.attention = self_attention(positions, d_model, num_heads, dropout)
        self.convolution = ConvolutionModule(d_model, kernel_size, dropout, norm)
        self.norm_second_half = nn.LayerNorm(d_model)
        self.second_half = FeedForward(d_model, d_ff, dropout, "silu")
        self.norm = nn.LayerNorm(d_model)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, x: Float[Tensor, "B T D"], valid: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B T D"]:
        """Four residual branches, then one normalization."""
        x = x + 0.5 * self.dropout(self.first_half(self.norm_first_half(x)))
        x = x + self.dropout(self.attention(self.norm_attention(x), valid))
        x = x + self.convolution(x, valid)
        x = x + 0.5 * self.dropout(self.second_half(self.norm_second_half(x)))
        return self.norm(x)


class Conformer(nn.Module):
    """A stack of `num_layers` Conformer layers, each with its own random start.

    Args: those of `ConformerLayer`, and
        num_layers: number of layers.
        positions: "relative" (the paper), "sinusoidal" or "none" (torchaudio).

    Raises:
        ValueError: if the numbers do not fit, or a name is unknown.
    """

    def __init__(
        self,
        d_model: int,
        num_heads: int,
        d_ff: int,
        num_layers: int,
        kernel_size: int = 31,
        dropout: float = 0.1,
        *,
        norm: str = "batch",
        positions: str = "relative",
    ):
        super().__init__()
        if num_layers < 1:
            raise ValueError(f"num_layers={num_layers} must be at least 1")
        if positions not in ENCODER_POSITIONS:
            raise ValueError(f"positions={positions!r} is none of {', '.join(ENCODER_POSITIONS)}")
        in_attention = "relative" if positions == "relative" else "none"
        self.positions = (
            SinusoidalPositions(d_model, dropout) if positions == "sinusoidal" else nn.Identity()
        )
        self.layers = nn.ModuleList(
            ConformerLayer(
                d_model, num_heads, d_ff, kernel_size, dropout, norm=norm, positions=in_attention
            )
            for _ in range(num_layers)
        )

    def forward(
        self, x: Float[Tensor, "B T D"], valid: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B T D"]:
        """Add positions, then apply one layer after the other."""
        x = self.positions(x)
        for layer in self.layers:
            x = layer(x, valid)
        return x
