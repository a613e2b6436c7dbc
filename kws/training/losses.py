"""What training makes small: cross-entropy, or the squared error to one-hot targets.

A margin, taken from the logit of the true class, makes the first of them the additive margin
softmax where logits are scaled cosines (`kws.models.classifier.CosineLogits`): Wang et al. 2018,
equation 6 (https://arxiv.org/abs/1801.05599).

Both are pure functions of logits and targets; the rows of `targets` sum to 1, and are one-hot where
neither mixup nor label smoothing blends them. Parity: `F.cross_entropy`, and `F.mse_loss` on
one-hot rows, float64, 1e-12.

Shape letters: B batch   C classes
"""

from collections.abc import Mapping
from types import MappingProxyType

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

# what a loss is called on the axis of a plot
LOSS_NAMES: Mapping[str, str] = MappingProxyType(
    {"cross-entropy": "cross-entropy (nats)", "mse": "mean squared error"}
)


def loss_per_example(
    logits: Float[Tensor, "B C"],
    targets: Float[Tensor, "B C"],
    kind: str = "cross-entropy",
    label_smoothing: float = 0.0,
    margin: float = 0.0,
) -> Float[Tensor, "B"]:
    """Cross-entropy of the softmax of `logits`; with "mse" the mean of (logits − targets)².

    Label smoothing moves that share of each target evenly to all classes, for either loss.
    `margin` is subtracted from the target's logit, in proportion where targets are blended.
    ValueError: for another kind.
    """
    if margin:
        logits = logits - margin * targets
    if kind == "cross-entropy":
        return F.cross_entropy(logits, targets, label_smoothing=label_smoothing, reduction="none")
    if kind != "mse":
        raise ValueError(f"loss={kind!r} is none of cross-entropy, mse")
    smoothed = (1 - label_smoothing) * targets + label_smoothing / targets.shape[1]
    return (logits - smoothed).square().mean(dim=1)
