"""The optimizer of a recipe, and the running average of the weights that may be evaluated instead.

Weight decay applies to matrices and kernels; biases, normalizations and single vectors (a class
token) are excluded. `decay = "all"` includes everything, as torch's optimizers do by default.

Source of the average: Polyak and Juditsky 1992; with the early steps forgotten faster, as in
TensorFlow's `ExponentialMovingAverage(num_updates)`.
"""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from kws.torch_internals import copy_each, lerp_each
from kws.training.recipe import Train
from kws.training.schedule import constant, cosine_warmup, step_decay

ADAM_FAMILY: dict[str, type[torch.optim.Optimizer]] = {
    "adamw": torch.optim.AdamW,
    "adam": torch.optim.Adam,
    "adamax": torch.optim.Adamax,
}


def build_optimizer(model: nn.Module, train: Train) -> torch.optim.Optimizer:
    """The optimizer `train.optimizer` over the parameters of `model`, with its weight decay."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    decay_of_rest = train.weight_decay if train.decay == "all" else 0.0
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": train.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": decay_of_rest},
    ]
    options: dict[str, Any] = {"lr": train.lr}
    if train.optimizer in ("sgd", "rmsprop"):
        options["momentum"] = train.momentum
    if train.optimizer in ("adamw", "adam", "sgd"):
        options["fused"] = True  # one kernel for all parameters, on the CPU as well
    kinds = {**ADAM_FAMILY, "sgd": torch.optim.SGD, "rmsprop": torch.optim.RMSprop}
    return kinds[train.optimizer](groups, **options)


def learning_rate(train: Train, step: int, total_steps: int, epoch_steps: int) -> float:
    """Learning rate of optimizer step `step`, the first being 0, by the schedule of the recipe."""
    if train.schedule == "cosine":
        warmup_steps = train.warmup_steps or round(train.warmup * total_steps)
        warmup_steps = min(warmup_steps, total_steps - 1)
        share = cosine_warmup(step, warmup_steps=warmup_steps, total_steps=total_steps)
    elif train.schedule == "step":
        step_size = train.decay_epochs * epoch_steps
        share = step_decay(step, step_size=step_size, gamma=train.decay_factor)
    else:
        share = constant(step)
    return train.lr * share


def set_learning_rate(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Use `lr` for every parameter from the next step on."""
    for group in optimizer.param_groups:
        group["lr"] = lr


class AveragedWeights:
    """A copy of `model` whose weights follow it: w ← d · w + (1 − d) · model's.

    The decay d is `min(decay, (1 + step) / (10 + step))`: early weights are forgotten quickly.
    Buffers (the statistics of batch normalization) are averages already and are copied.
    """

    def __init__(self, model: nn.Module, decay: float):
        self.decay = decay
        self.model = copy.deepcopy(model).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Take in the weights of `model` after optimizer step `step`, the first being 0."""
        decay = min(self.decay, (1 + step) / (10 + step))
        ours: list[Tensor] = list(self.model.parameters())
        lerp_each(ours, list[Tensor](model.parameters()), 1 - decay)
        if buffers := list(self.model.buffers()):
            copy_each(buffers, list(model.buffers()))
