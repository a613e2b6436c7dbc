"""The Transformer encoder: attention and a feed-forward network, each in a residual branch.

Source: Vaswani et al. 2017, section 3.1 (https://arxiv.org/abs/1706.03762), post-norm; pre-norm,
Xiong et al. 2020, figure 1 (https://arxiv.org/abs/2002.04745).
Parity: `nn.TransformerEncoderLayer` and `nn.TransformerEncoder`, float64, 1e-12.

Shape letters: B batch   T frames   D model width   E width of the feed-forward layer (d_ff)
"""

import copy
from collections.abc import Callable

import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from kws.models.attention import MultiHeadSelfAttention
from kws.models.positional import RelativeSelfAttention

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "gelu": F.gelu,
    "silu": F.silu,
}
ATTENTIONS = {"none": MultiHeadSelfAttention, "relative": RelativeSelfAttention}


def self_attention(
    positions: str, d_model: int, num_heads: int, dropout: float, *, qkv_bias: bool = True
) -> MultiHeadSelfAttention:
    """Self-attention without positions ("none"), or with distances ("relative").

    Raises ValueError for other positions, and if the numbers do not fit.
    """
    if positions not in ATTENTIONS:
        raise ValueError(f"positions={positions!r} is none of {', '.join(ATTENTIONS)}")
    return ATTENTIONS[positions](d_model, num_heads, dropout, qkv_bias=qkv_bias)


class FeedForward(nn.Module):
    """Two linear layers with an activation between them, applied to each frame alone.

    2 D E + E + D parameters.

    Args:
        d_model: width of the input and of the output.
        d_ff: width between the two layers.
        dropout: probability of zeroing a feature between the layers while training.
        activation: "relu", "gelu" or "silu".

    Raises:
        ValueError: for another activation.
    """

    def __init__(self, d_model: int, d_ff: int, dropout: float = 0.0, activation: str = "relu"):
        super().__init__()
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation={activation!r} is none of {', '.join(ACTIVATIONS)}")
        self.expand = nn.Linear(d_model, d_ff)
        self.activation = ACTIVATIONS[activation]
        self.dropout = nn.Dropout(dropout)
        self.contract = nn.Linear(d_ff, d_model)

    def forward(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        """Linear to E, activation, linear back to D."""
        return self.contract(self.dropout(self.activation(self.expand(x))))


class EncoderLayer(nn.Module):
    """One layer: x + attention(x), then x + feed_forward(x), normalized after or before each.

    4 D² + 9 D + 2 D E + E parameters (`kws.models.counts`).

    Args:
        d_model: width of the input and of the output.
        num_heads: number of attention heads; must divide `d_model`.
        d_ff: width of the feed-forward network.
        dropout: probability of zeroing, while training, in four places as in torch: attention
            weights, features between the two linear layers, and the output of either branch.
        activation: of the feed-forward network: "relu", "gelu" or "silu".
        norm_first: normalize the input of each branch (pre-norm), not the sum (post-norm).
        qkv_bias: queries, keys and values have a bias.
        positions: "none", or "relative" for Transformer-XL attention.

    Raises:
        ValueError: if `num_heads` does not divide `d_model`, or a name is unknown.
    """

    def __init__(
        self,
        d_model: int,
        num_heads: int,
        d_ff: int,
        dropout: float = 0.1,
        *,
        activation: str = "relu",
        norm_first: bool = False,
        qkv_bias: bool = True,
        positions: str = "none",
    ):
        super().__init__()
        self.attention = self_attention(positions, d_model, num_heads, dropout, qkv_bias=qkv_bias)
        self.feed_forward = FeedForward(d_model, d_ff, dropout, activation)
        self.norm_attention = nn.LayerNorm(d_model)
        self.norm_feed_forward = nn.LayerNorm(d_model)
        self.dropout = nn.Dropout(dropout)
        self.norm_first = norm_first

    def forward(
        self, x: Float[Tensor, "B T D"], valid: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B T D"]:
        """Self-attention over frames, then the feed-forward network on each frame."""
        if self.norm_first:
            x = x + self.dropout(self.attention(self.norm_attention(x), valid))
            return x + self.dropout(self.feed_forward(self.norm_feed_forward(x)))
        x = self.norm_attention(x + self.dropout(self.attention(x, valid)))
        return self.norm_feed_forward(x + self.dropout(self.feed_forward(x)))


class TransformerEncoder(nn.Module):
    """A stack of `num_layers` copies of one layer.

    Like `nn.TransformerEncoder` it deep-copies `layer`: the copies start identical and then learn
    apart. With `share_weights=True` the one layer is applied `num_layers` times instead, and its
    parameters count once (ALBERT, https://arxiv.org/abs/1909.11942).

    Args:
        layer: any layer with `forward(x, valid)`, for instance an `EncoderLayer`.
        num_layers: how many.
        norm: applied to the output; a pre-norm stack needs one, `nn.LayerNorm(d_model)`.
        share_weights: apply the same layer again and again.

    Raises:
        ValueError: if `num_layers` is below 1.
    """

    def __init__(
        self,
        layer: nn.Module,
        num_layers: int,
        *,
        norm: nn.Module | None = None,
        share_weights: bool = False,
    ):
        super().__init__()
        if num_layers < 1:
            raise ValueError(f"num_layers={num_layers} must be at least 1")
        self.layers = nn.ModuleList(
            layer if share_weights else copy.deepcopy(layer) for _ in range(num_layers)
        )
        self.norm = norm

    def forward(
        self, x: Float[Tensor, "B T D"], valid: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B T D"]:
        """Apply one layer after the other."""
        for layer in self.layers:
            x = layer(x, valid)
        return x if self.norm is None else self.norm(x)
