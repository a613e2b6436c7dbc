"""The Transformer decoder, over the text so far and the encoder's output.

Source: Vaswani et al. 2017, section 3.1 (https://arxiv.org/abs/1706.03762).
Parity: `nn.TransformerDecoderLayer`, post-norm and pre-norm, float64, 1e-12.

A decoder writes a symbol after the other. In training it reads the whole text at once, so a mask
keeps each position from looking ahead: outputs up to t depend on inputs up to t alone.

Shape letters: B batch   U symbols written   T frames of the memory   D model width   H heads
               K width of one head (D = H * K)   E width of the feed-forward layer (d_ff)
"""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from kws.models.attention import attend_fused, attention_weights
from kws.models.transformer import FeedForward


def causal_bias(num_symbols: int, like: Tensor) -> Float[Tensor, "1 1 U U"]:
    """What is added to the scores: 0 for oneself and what came before, minus infinity after it."""
    ahead = torch.full((num_symbols, num_symbols), -math.inf, device=like.device, dtype=like.dtype)
    return ahead.triu(diagonal=1)[None, None]


class CrossAttention(nn.Module):
    """Queries from one sequence, keys and values from another; from the same: self-attention.

    4 D² + 4 D parameters.

    Args:
        d_model: width of both sequences and of the output.
        num_heads: number of heads; must divide `d_model`.

    Raises:
        ValueError: if `num_heads` does not divide `d_model`.
    """

    def __init__(self, d_model: int, num_heads: int):
        super().__init__()
        if d_model % num_heads:
            raise ValueError(f"d_model={d_model} is not divisible by num_heads={num_heads}")
        self.num_heads = num_heads
        self.query = nn.Linear(d_model, d_model)
        self.key = nn.Linear(d_model, d_model)
        self.value = nn.Linear(d_model, d_model)
        self.out = nn.Linear(d_model, d_model)
        for layer in (self.query, self.key, self.value):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
        nn.init.zeros_(self.out.bias)

    def forward(
        self,
        x: Float[Tensor, "B U D"],
        memory: Float[Tensor, "B T D"],
        valid: Bool[Tensor, "B T"] | None = None,
        *,
        causal: bool = False,
    ) -> Float[Tensor, "B U D"]:
        """Let every symbol attend to every valid frame of the memory; `causal`: to none ahead."""
        q, k, v = self.project(x, memory)
        bias = causal_bias(x.shape[1], x) if causal else None
        return self.out(attend_fused(q, k, v, valid, bias).transpose(1, 2).flatten(2))

    def project(
        self, x: Float[Tensor, "B U D"], memory: Float[Tensor, "B T D"]
    ) -> tuple[Float[Tensor, "B H U K"], Float[Tensor, "B H T K"], Float[Tensor, "B H T K"]]:
        """Queries of every head from x, keys and values from the memory."""
        return (
            self._heads(self.query(x)),
            self._heads(self.key(memory)),
            self._heads(self.value(memory)),
        )

    def weights(
        self,
        x: Float[Tensor, "B U D"],
        memory: Float[Tensor, "B T D"],
        valid: Bool[Tensor, "B T"] | None = None,
    ) -> Float[Tensor, "B H U T"]:
        """The weights that `forward` averages with: for plots."""
        q, k = self._heads(self.query(x)), self._heads(self.key(memory))
        return attention_weights(q, k, valid)

    def _heads(self, x: Float[Tensor, "B U D"]) -> Float[Tensor, "B H U K"]:
        return x.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)


class DecoderLayer(nn.Module):
    """Masked self-attention, attention to the memory, feed-forward: each in a residual branch.

    8 D² + 15 D + 2 D E + E parameters.

    Args: those of `EncoderLayer`, without its last two. (torch drops attention weights as well.)

    Raises:
        ValueError: if `num_heads` does not divide `d_model`, or the activation is unknown.
    """

    def __init__(
        self,
        d_model: int,
        num_heads: int,
        d_ff: int,
        dropout: float = 0.1,
        *,
        activation: str = "relu",
        norm_first: bool = True,
    ):
        super().__init__()
        self.self_attention = CrossAttention(d_model, num_heads)
        self.cross_attention = CrossAttention(d_model, num_heads)
        self.feed_forward = FeedForward(d_model, d_ff, dropout, activation)
        self.norm_self = nn.LayerNorm(d_model)
        self.norm_cross = nn.LayerNorm(d_model)
        self.norm_feed_forward = nn.LayerNorm(d_model)
        self.dropout = nn.Dropout(dropout)
        self.norm_first = norm_first

    def forward(
        self,
        y: Float[Tensor, "B U D"],
        memory: Float[Tensor, "B T D"],
        valid: Bool[Tensor, "B T"] | None = None,
    ) -> Float[Tensor, "B U D"]:
        """y: the text so far; memory: the encoder's output, `valid` on real frames."""
        if self.norm_first:
            z = self.norm_self(y)
            y = y + self.dropout(self.self_attention(z, z, causal=True))
            y = y + self.dropout(self.cross_attention(self.norm_cross(y), memory, valid))
            return y + self.dropout(self.feed_forward(self.norm_feed_forward(y)))
        y = self.norm_self(y + self.dropout(self.self_attention(y, y, causal=True)))
        y = self.norm_cross(y + self.dropout(self.cross_attention(y, memory, valid)))
        return self.norm_feed_forward(y + self.dropout(self.feed_forward(y)))
