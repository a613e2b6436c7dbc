"""From a sequence to one vector: mean, attention and self-attentive pooling.

Sources: attention pooling, Safari et al. 2020 (https://arxiv.org/abs/2008.01077), equation 3;
self-attentive pooling, Cai et al. 2018 (https://arxiv.org/abs/1804.05160), equations 3 to 5.

Padded frames have weight zero. An utterance without a valid frame is pooled to zeros, never NaN.

Shape letters: B batch   T frames   D model width   A width of the attention's hidden layer
"""

import math
from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn


def mean_pool(
    x: Float[Tensor, "B T D"], valid: Bool[Tensor, "B T"] | None = None
) -> Float[Tensor, "B D"]:
    """Mean over the valid frames.

    >>> mean_pool(torch.tensor([[[1.0], [3.0], [99.0]]]), torch.tensor([[True, True, False]]))
    tensor([[2.]])
    """
    if valid is None:
        return x.mean(dim=1)
    total = x.masked_fill(~valid[..., None], 0).sum(dim=1)
    return total / valid.sum(dim=1, keepdim=True).clamp(min=1).to(x.dtype)


def softmax_over_time(
    scores: Float[Tensor, "B T"], valid: Bool[Tensor, "B T"] | None = None
) -> Float[Tensor, "B T"]:
    """Weights that are positive and sum to 1 over the valid frames, and zero in the padding."""
    if valid is None:
        return scores.softmax(dim=-1)
    weights = scores.masked_fill(~valid, -math.inf).softmax(dim=-1)
    return weights.masked_fill(~valid, 0)  # a row of -inf became NaN: nothing valid, no weight


def weighted_pool(
    x: Float[Tensor, "B T D"],
    scores: Float[Tensor, "B T"],
    valid: Bool[Tensor, "B T"] | None = None,
) -> Float[Tensor, "B D"]:
    """Average the valid frames, each weighted by the softmax of its score.

    >>> weighted_pool(torch.tensor([[[0.0], [8.0]]]), torch.tensor([[0.0, math.log(3)]])).round()
    tensor([[6.]])
    """
    if valid is not None:
        x = x.masked_fill(~valid[..., None], 0)  # weight zero times infinity would be NaN
    weights = softmax_over_time(scores, valid).to(x.dtype)
    return torch.einsum("bt,btd->bd", weights, x)


class MeanPooling(nn.Module):
    """`mean_pool` as a layer; no parameters."""

    def forward(
        self, x: Float[Tensor, "B T D"], valid: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B D"]:
        """Mean over the valid frames."""
        return mean_pool(x, valid)


class AttentionPooling(nn.Module):
    """One learned score per frame, D + 1 parameters; the softmax of the scores weighs the frames.

    Args:
        d_model: width of the input and of the output.
    """

    def __init__(self, d_model: int):
        super().__init__()
        self.score = nn.Linear(d_model, 1)

    def forward(
        self, x: Float[Tensor, "B T D"], valid: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B D"]:
        """Weighted mean over the valid frames."""
        return weighted_pool(x, self.scores(x), valid)

    def scores(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B T"]:
        """The score of each frame, before the softmax."""
        return self.score(x).squeeze(-1)

    def weights(
        self, x: Float[Tensor, "B T D"], valid: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B T"]:
        """The weights that `forward` averages with: for plots."""
        return softmax_over_time(self.scores(x), valid)


class SelfAttentivePooling(nn.Module):
    """Frames pass a hidden tanh layer and are scored by a learned context vector.

    D * A + 2 * A parameters.

    Args:
        d_model: width of the input and of the output.
        d_attention: width A of the hidden layer; `d_model` by default.
    """

    def __init__(self, d_model: int, d_attention: int | None = None):
        super().__init__()
        d_attention = d_model if d_attention is None else d_attention
        self.hidden = nn.Linear(d_model, d_attention)
        self.context = nn.Linear(d_attention, 1, bias=False)

    def forward(
        self, x: Float[Tensor, "B T D"], valid: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B D"]:
        """Weighted mean over the valid frames."""
        return weighted_pool(x, self.scores(x), valid)

    def scores(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B T"]:
        """The score of each frame, before the softmax."""
        return self.context(torch.tanh(self.hidden(x))).squeeze(-1)

    def weights(
        self, x: Float[Tensor, "B T D"], valid: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B T"]:
        """The weights that `forward` averages with: for plots."""
        return softmax_over_time(self.scores(x), valid)


POOLINGS: dict[str, Callable[[int], nn.Module]] = {
    "mean": lambda d_model: MeanPooling(),
    "attention": AttentionPooling,
    "self-attentive": SelfAttentivePooling,
}


def make_pooling(name: str, d_model: int) -> nn.Module:
    """The pooling layer `name` for width `d_model`. ValueError if it is not in POOLINGS."""
    if name not in POOLINGS:
        raise ValueError(f"pooling={name!r} is none of {', '.join(POOLINGS)}")
    return POOLINGS[name](d_model)
