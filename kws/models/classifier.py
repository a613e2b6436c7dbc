"""From one vector per utterance to a score per class.

A normalization in front of the linear layer is an option: see `docs/experiments.md` for what it
changes.

Shape letters: B batch   D model width   C classes   E width of the hidden layer
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from kws.models.batch_norm import MaskedBatchNorm

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

    Args:
        d_model: width of the input D.
        num_classes: number of classes C.
        scale: largest logit.
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
