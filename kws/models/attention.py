"""Scaled dot-product and multi-head self-attention.

Source: Vaswani et al. 2017, "Attention Is All You Need", section 3.2
(https://arxiv.org/abs/1706.03762). Parity: `nn.MultiheadAttention`, float64, 1e-12.

`attend` is the formula written out, for reading and for plots. `attend_fused` is the same function
of the same arguments in one call, and what the layers run. Where nothing is valid there is nothing
to average: both return zeros for such a row, with zero gradients, never NaN.

Shape letters: B batch   T query frames   S key frames (T in self-attention)
               D model width   H heads   K width of one head (D = H * K)
"""

import math

import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from kws.models.fast import drop


def attention_weights(
    q: Float[Tensor, "B H T K"],
    k: Float[Tensor, "B H S K"],
    valid: Bool[Tensor, "B S"] | None = None,
    bias: Float[Tensor, "#B #H T S"] | None = None,
) -> Float[Tensor, "B H T S"]:
    """The weight of each key for each query: positive, with sum 1 over the valid keys.

    `valid` is True on real audio and False on padding; padded keys get weight zero. `bias` is
    added to the scores before the softmax.
    """
    scores = q @ k.mT / math.sqrt(q.shape[-1])  # variance near 1 for any K
    if bias is not None:
        scores = scores + bias
    if valid is None:
        return scores.softmax(dim=-1)
    hidden = ~_shown_keys(k, valid)
    weights = scores.masked_fill(hidden, -math.inf).softmax(dim=-1)
    return weights.masked_fill(hidden, 0)  # a row of -inf became NaN: nothing valid, no weight


def _shown_keys(k: Tensor, valid: Tensor) -> Tensor:
    """(B, 1, 1, S): keys are hidden, not queries."""
    wanted = len(k), k.shape[-2]
    if valid.shape != wanted:  # any other may broadcast, and hide something else
        raise ValueError(f"valid has shape {tuple(valid.shape)}, expected {wanted}: (B, S)")
    return valid[:, None, None, :]


def attend(
    q: Float[Tensor, "B H T K"],
    k: Float[Tensor, "B H S K"],
    v: Float[Tensor, "B H S K"],
    valid: Bool[Tensor, "B S"] | None = None,
    bias: Float[Tensor, "#B #H T S"] | None = None,
    dropout: float = 0.0,
) -> Float[Tensor, "B H T K"]:
    """Average `v` over key frames, weighted by how well each key matches the query.

    `dropout` is the probability of leaving out a weight; it applies whenever it is not 0. A padded
    `v` must be finite: its weight is 0, but 0 times NaN is NaN.
    """
    weights = attention_weights(q, k, valid, bias)
    return F.dropout(weights, dropout) @ v


def attend_fused(
    q: Float[Tensor, "B H T K"],
    k: Float[Tensor, "B H S K"],
    v: Float[Tensor, "B H S K"],
    valid: Bool[Tensor, "B S"] | None = None,
    bias: Float[Tensor, "#B #H T S"] | None = None,
    dropout: float = 0.0,
) -> Float[Tensor, "B H T K"]:
    """The same as `attend`, without the (T, S) weights in memory where the device supports it.

    The fused call has no dropout on a CPU: with dropout the weights are written out.
    """
    if dropout and q.is_cpu:
        return drop(attention_weights(q, k, valid, bias), dropout) @ v
    mask: Tensor | None = bias
    if valid is not None:
        shown = _shown_keys(k, valid)
        mask = shown if bias is None else bias.masked_fill(~shown, -math.inf)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout)


class MultiHeadSelfAttention(nn.Module):
    """Attention run `num_heads` times in parallel, each on its own slice of the width.

    4 D² + 4 D parameters (`kws.models.counts`), whatever the number of heads.
    Initialized like `nn.MultiheadAttention`: Xavier-uniform over the packed (3D, D), biases zero.

    Args:
        d_model: width of the input and of the output.
        num_heads: number of heads; must divide `d_model`.
        dropout: probability of leaving out an attention weight while training.
        qkv_bias: queries, keys and values have a bias.

    Raises:
        ValueError: if `num_heads` does not divide `d_model`.
    """

    def __init__(
        self, d_model: int, num_heads: int, dropout: float = 0.0, *, qkv_bias: bool = True
    ):
        super().__init__()
        if d_model % num_heads:
            raise ValueError(f"d_model={d_model} is not divisible by num_heads={num_heads}")
        self.num_heads = num_heads
        self.dropout = dropout
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=qkv_bias)  # one matmul instead of three
        self.out = nn.Linear(d_model, d_model)
        nn.init.xavier_uniform_(self.qkv.weight)
        if qkv_bias:
            nn.init.zeros_(self.qkv.bias)
        nn.init.zeros_(self.out.bias)

    def forward(
        self, x: Float[Tensor, "B T D"], valid: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B T D"]:
        """Let every frame attend to every valid frame."""
        q, k, v = self.project(x)
        bias = self.position_scores(q, k)
        y = attend_fused(q, k, v, valid, bias, self.dropout if self.training else 0.0)
        return self.out(y.transpose(1, 2).flatten(2))  # (B, H, T, K) -> (B, T, D)

    def project(
        self, x: Float[Tensor, "B T D"]
    ) -> tuple[Float[Tensor, "B H T K"], Float[Tensor, "B H T K"], Float[Tensor, "B H T K"]]:
        """Queries, keys and values of every head."""
        q, k, v = self.qkv(x).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        return q, k, v

    def position_scores(
        self, q: Float[Tensor, "B H T K"], k: Float[Tensor, "B H T K"]
    ) -> Float[Tensor, "B H T T"] | None:
        """What positions add to the scores: nothing here, see `RelativeSelfAttention`."""
        return None

    def weights(
        self, x: Float[Tensor, "B T D"], valid: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B H T T"]:
        """The weights that `forward` averages with, before dropout: for plots."""
        q, k, _ = self.project(x)
        return attention_weights(q, k, valid, self.position_scores(q, k))
