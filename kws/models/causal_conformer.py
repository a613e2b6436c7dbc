"""A Conformer for streams: each step attends to those of the last second, which are kept.

A layer keeps keys and values of the last `past` − 1 steps, and what its depthwise convolution reads
in front of the newest one; older ones are dropped. What a step costs and keeps does not grow.

Sources: Gulati et al. 2020, the Conformer (https://arxiv.org/abs/2005.08100), figures 1 to 4; keys
and values that are kept, Dai et al. 2019, "Transformer-XL", section 3.2
(https://arxiv.org/abs/1901.02860); scores by distance, Shaw et al. 2018
(https://arxiv.org/abs/1803.02155), equation 4, which cost a step less than sinusoids.
Deviations: convolutions read the past only, and LayerNorm follows the depthwise one, since the
statistics of a batch are not those of a stream. `kws.models.causal` states what a step is.

Shape letters: B batch   S steps   P steps that are kept   D frame after the convolutions
H width of the encoder   N heads   K width of one head   R = P + S steps that are seen
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from kws.models.attention import MultiHeadSelfAttention, attend_fused
from kws.models.causal import CausalConfig, CausalModel, State, causal_blocks
from kws.models.classifier import AttentionPooling, Classifier
from kws.models.conformer import ConformerLayer, ConvolutionModule
from kws.settings import Finite, Layers, Size


@dataclass(frozen=True, kw_only=True)
class CausalConformerConfig(CausalConfig):
    """Settings of `CausalConformer`."""

    d_model: Size = 96  # width of the layers
    num_heads: Size = 4  # attention heads of a layer; must divide `d_model`
    num_layers: Layers = 2  # Conformer layers
    d_ff: Size = 192  # width of the feed-forward networks
    kernel_size: Size = 9  # steps that a depthwise convolution reads, the newest last; odd
    past: Size = 33  # steps that a layer attends to, its own among them: 990 ms
    layer_dropout: Finite = 0.1  # in the layers, as in `ConformerLayer`


class CausalSelfAttention(MultiHeadSelfAttention):
    """Each step attends to itself and those before it, with a learned score by distance.

    score(i, j) = q_i · (k_j + a_(i−j)) / √K. 4 H² + 4 H + `past` H parameters; a starts at zero.
    """

    def __init__(self, d_model: int, num_heads: int, past: int, dropout: float = 0.0):
        super().__init__(d_model, num_heads, dropout)
        self.distance = nn.Parameter(torch.zeros(num_heads, past, d_model // num_heads))  # a

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        x: Float[Tensor, "B S H"],
        state: State,
        seen: tuple[Int[Tensor, "S R"], Float[Tensor, "B 1 S R"]],
    ) -> tuple[Float[Tensor, "B S H"], State]:
        """Outputs, and the keys and values to keep.

        `seen`: distances of the R steps, and −∞ for those that a step must not see, else 0.
        """
        q, k, v = self.project(x)
        k, v = (torch.cat(pair, dim=2) for pair in zip(state, (k, v), strict=True))
        scores = (q @ self.distance.mT) / math.sqrt(q.shape[-1])  # (B, N, S, past)
        distance = seen[0].clamp(0, scores.shape[3] - 1).expand(*scores.shape[:2], -1, -1)
        bias = scores.gather(3, distance) + seen[1]
        y = attend_fused(q, k, v, None, bias, self.dropout if self.training else 0.0)
        steps = x.shape[1]
        return self.out(y.transpose(1, 2).flatten(2)), (k[:, :, steps:], v[:, :, steps:])


class CausalConvolution(ConvolutionModule):
    """A `ConvolutionModule` whose depthwise convolution reads the steps before."""

    def __init__(self, d_model: int, kernel_size: int, dropout: float = 0.0):
        super().__init__(d_model, kernel_size, dropout, norm="layer")
        self.depthwise.padding = (0,)

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        x: Float[Tensor, "B S H"],
        valid: Bool[Tensor, "B S"] | None,
        past: Float[Tensor, "B k H"],
    ) -> tuple[Float[Tensor, "B S H"], Float[Tensor, "B k H"]]:
        """Mix each step with those before it; what the next one reads of them."""
        steps, y = x.shape[1], F.glu(self.expand(self.norm(x)))
        if valid is not None:
            y = y.masked_fill(~valid[..., None], 0)
        y = torch.cat([past, y], dim=1)
        mixed = self.norm_conv(self.depthwise(y.mT).mT)
        return self.dropout(self.contract(F.silu(mixed))), y[:, steps:]


class CausalConformerLayer(ConformerLayer):
    """A `ConformerLayer` of these two. 7 H² + 4 H E + 2 E + (22 + k + `past`) H parameters."""

    def __init__(self, config: "CausalConformerConfig"):
        d_model, num_heads, dropout = config.d_model, config.num_heads, config.layer_dropout
        super().__init__(d_model, num_heads, config.d_ff, config.kernel_size, dropout, norm="layer")
        self.attention = CausalSelfAttention(d_model, num_heads, config.past, dropout)
        self.convolution = CausalConvolution(d_model, config.kernel_size, dropout)

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        x: Float[Tensor, "B S H"],
        valid: Bool[Tensor, "B S"] | None,
        state: State,
        seen: tuple[Int[Tensor, "S R"], Float[Tensor, "B 1 S R"]],
    ) -> tuple[Float[Tensor, "B S H"], State]:
        """Four residual branches, then one normalization; keys, values, convolution's past."""
        x = x + 0.5 * self.dropout(self.first_half(self.norm_first_half(x)))
        y, kept = self.attention(self.norm_attention(x), state[:2], seen)
        x = x + self.dropout(y)
        y, past = self.convolution(x, valid, state[2])
        x = x + y
        x = x + 0.5 * self.dropout(self.second_half(self.norm_second_half(x)))
        return self.norm(x), (*kept, past)


class CausalConformer(CausalModel):
    """Causal convolutions → Conformer layers → attention over the last steps → classifier.

    Raises ValueError if the numbers do not fit, or `pools` leave no frequency band.
    """

    def __init__(self, config: CausalConformerConfig):
        super().__init__()
        self.config = config
        self.blocks, d_frame = causal_blocks(config)
        self.project = nn.Linear(d_frame, config.d_model)
        self.layers = nn.ModuleList(CausalConformerLayer(config) for _ in range(config.num_layers))
        self.pool = AttentionPooling(config.d_model)
        self.classify = Classifier(config.d_model, config.num_classes, dropout=config.dropout)
        self.heads, self.past, self.before = config.num_heads, config.past, config.kernel_size - 1

    def start_encoder(self, batch: int) -> State:
        """Keys and values (B, N, P, K) of each layer, frames (B, k − 1, H); −∞: none is there."""
        weight, kept, parts = self.project.weight, self.past - 1, []
        keys = batch, self.heads, kept, len(weight) // self.heads
        for shape in (keys, keys, (batch, self.before, len(weight))) * len(self.layers):
            parts.append(weight.new_zeros(shape))  # each its own: torch.export joins equal ones
        return (*parts, weight.new_full((batch, kept), -math.inf))

    def encode(
        self, x: Float[Tensor, "B S D"], valid: Bool[Tensor, "B S"] | None, state: State
    ) -> tuple[Float[Tensor, "B S H"], State]:
        """Outputs of the last layer; what each layer keeps, and which of the steps are there."""
        newest = x.new_zeros(x.shape[:2])
        if valid is not None:
            newest = newest.masked_fill(~valid, -math.inf)
        absent = torch.cat([state[-1], newest], dim=1)  # (B, R): 0 for a real step, else −∞
        steps = torch.arange(x.shape[1], device=x.device)
        places = torch.arange(absent.shape[1], device=x.device)
        distance = self.past - 1 + steps[:, None] - places  # back from a step to each that it sees
        hidden = absent[:, None, None].masked_fill(
            (distance < 0) | (distance >= self.past), -math.inf
        )
        hidden = hidden.masked_fill(distance == 0, 0)  # a step sees itself, so no row is empty
        x, after = self.project(x), []
        for number, layer in enumerate(self.layers):
            x, kept = layer(x, valid, state[3 * number : 3 * number + 3], (distance, hidden))
            after += kept
        return x, (*after, absent[:, x.shape[1] :])
