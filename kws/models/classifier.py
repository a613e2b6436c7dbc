"""One label for a whole utterance: front end → positions → encoder → pooling → classifier.

Source of the convolutional front end: Dong et al. 2018, "Speech-Transformer", section 3.2. Two
convolutions of stride 2 leave a quarter of the frames, so a sixteenth of the attention's work. A
normalization in front of the linear layer is an option: see `docs/experiments.md` for what it
changes. Attention pooling: Safari et al. 2020 (https://arxiv.org/abs/2008.01077), equation 3;
self-attentive pooling: Cai et al. 2018 (https://arxiv.org/abs/1804.05160), equations 3 to 5.
Padded frames have weight zero. An utterance without a valid frame is pooled to zeros, never NaN.

Shape letters: B batch   T frames   F features of a frame   D model width   C classes
A width of the attention's hidden layer
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from kws.models.batch_norm import MaskedBatchNorm
from kws.models.frontend import ConvStem, frames_of, zero_padding

STEM_CHANNELS = (32, 64)
STEM_STRIDES = (2, 2)
NORMALIZATIONS: dict[str, Callable[[int], nn.Module]] = {
    "none": lambda d_model: nn.Identity(),
    "layer": nn.LayerNorm,
    "batch": MaskedBatchNorm,
}
HIDDEN_ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
}


class CosineLogits(nn.Module):
    """scale · cos(angle between the input and the class's weight): no lengths, no bias.

    D C parameters. Trained with a margin (`train.margin`) it is the additive margin softmax, Wang
    et al. 2018, equations 4 to 6 (https://arxiv.org/abs/1801.05599).
    """

    def __init__(self, d_model: int, num_classes: int, scale: float):
        super().__init__()
        self.scale = scale
        self.weight = nn.Parameter(torch.empty(num_classes, d_model))
        nn.init.xavier_uniform_(self.weight)

    def forward(self, x: Float[Tensor, "B D"]) -> Float[Tensor, "B C"]:
        """Each of x and the weights at length 1, then their dot product."""
        return self.scale * F.linear(F.normalize(x, dim=-1), F.normalize(self.weight, dim=-1))


class Classifier(nn.Module):
    """Normalize, pass one hidden layer or none, and score the classes.

    Args:
        d_model: width of the input.
        num_classes: number of classes C.
        normalization: "none", "layer" (each vector by itself) or "batch" (each feature over the
            batch; needs batches of two or more while training).
        d_hidden: width of a hidden layer; None for none.
        activation: of the hidden layer: "relu", "sigmoid" or "tanh".
        dropout: probability of zeroing an input of the last layer while training.
        scale: logits are cosines times this (`CosineLogits`); 0 for a linear layer.

    Raises:
        ValueError: for an unknown normalization or activation.
    """

    def __init__(
        self,
        d_model: int,
        num_classes: int,
        *,
        normalization: str = "none",
        d_hidden: int | None = None,
        activation: str = "relu",
        dropout: float = 0.0,
        scale: float = 0.0,
    ):
        super().__init__()
        for name, value, known in (
            ("normalization", normalization, NORMALIZATIONS),
            ("activation", activation, HIDDEN_ACTIVATIONS),
        ):
            if value not in known:
                raise ValueError(f"{name}={value!r} is none of {', '.join(known)}")
        self.norm = NORMALIZATIONS[normalization](d_model)
        self.hidden = (
            nn.Identity()
            if d_hidden is None
            else nn.Sequential(nn.Linear(d_model, d_hidden), HIDDEN_ACTIVATIONS[activation]())
        )
        self.dropout = nn.Dropout(dropout)
        width = d_model if d_hidden is None else d_hidden
        self.logits = (
            CosineLogits(width, num_classes, scale) if scale else nn.Linear(width, num_classes)
        )

    def forward(self, x: Float[Tensor, "B D"]) -> Float[Tensor, "B C"]:
        """Logits; their softmax is the model's belief."""
        return self.logits(self.dropout(self.hidden(self.norm(x))))


class LinearFrontEnd(nn.Module):
    """Project every frame by itself: (B, T, F) -> (B, T, D)."""

    def __init__(self, num_features: int, d_model: int):
        super().__init__()
        self.project = nn.Linear(num_features, d_model)

    def forward(
        self, features: Float[Tensor, "B T F"], valid: Bool[Tensor, "B T"] | None = None
    ) -> tuple[Float[Tensor, "B T D"], Bool[Tensor, "B T"] | None]:
        """Project; the padding is cleared here, even of NaN."""
        return self.project(zero_padding(features.mT, valid).mT), valid


class ConvFrontEnd(nn.Module):
    """Two convolutions of stride 2, then a projection: (B, T, F) -> (B, T / 4, D).

    Raises ValueError if the strides leave no band of `num_features`.
    """

    def __init__(self, num_features: int, d_model: int):
        super().__init__()
        self.stem = ConvStem(STEM_CHANNELS, strides=STEM_STRIDES)
        self.project = nn.Linear(
            self.stem.out_channels * self.stem.out_bands(num_features), d_model
        )

    def forward(
        self, features: Float[Tensor, "B T F"], valid: Bool[Tensor, "B T"] | None = None
    ) -> tuple[Float[Tensor, "B T4 D"], Bool[Tensor, "B T4"] | None]:
        """Shorten, then project all bands and channels of a frame."""
        maps, valid = self.stem(features, valid)
        return self.project(frames_of(maps)), valid


FRONT_ENDS = {"linear": LinearFrontEnd, "conv": ConvFrontEnd}


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


class WeightedPooling(nn.Module):
    """Frames are weighted by the softmax of their `scores`, which a subclass defines."""

    def forward(
        self, x: Float[Tensor, "B T D"], valid: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B D"]:
        """Weighted mean over the valid frames."""
        return weighted_pool(x, self.scores(x), valid)

    def weights(
        self, x: Float[Tensor, "B T D"], valid: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B T"]:
        """The weights that `forward` averages with: for plots."""
        return softmax_over_time(self.scores(x), valid)

    def scores(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B T"]:
        """The score of each frame, before the softmax."""
        raise NotImplementedError


class AttentionPooling(WeightedPooling):
    """One learned score per frame, D + 1 parameters; the softmax of the scores weighs the frames.

    Args:
        d_model: width of the input and of the output.
    """

    def __init__(self, d_model: int):
        super().__init__()
        self.score = nn.Linear(d_model, 1)

    def scores(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B T"]:
        """The score of each frame, before the softmax."""
        return self.score(x).squeeze(-1)


class SelfAttentivePooling(WeightedPooling):
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

    def scores(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B T"]:
        """The score of each frame, before the softmax."""
        return self.context(torch.tanh(self.hidden(x))).squeeze(-1)


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


class SequenceClassifier(nn.Module):
    """Front end → positions → encoder → pooling over time → classifier, of any kind.

    Args:
        front_end: (features, valid) -> (x, valid), possibly with fewer frames.
        positions: x -> x, `nn.Identity` for none.
        encoder: (x, valid) -> x.
        pool: (x, valid) -> one vector per utterance.
        classify: vectors -> logits.
    """

    def __init__(
        self,
        front_end: nn.Module,
        positions: nn.Module,
        encoder: nn.Module,
        pool: nn.Module,
        classify: nn.Module,
    ):
        super().__init__()
        self.front_end = front_end
        self.positions = positions
        self.encoder = encoder
        self.pool = pool
        self.classify = classify

    def forward(
        self, features: Float[Tensor, "B T F"], valid: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B num_classes"]:
        """features (B, T, F) -> logits (B, num_classes)."""
        x, valid = self.front_end(features, valid)
        x = self.encoder(self.positions(x), valid)
        return self.classify(self.pool(x, valid))
