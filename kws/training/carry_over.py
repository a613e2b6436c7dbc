"""Carry weights of one training over to the next: another head, perhaps another grid of patches.

    report = carry_over(pretrained.state_dict(), model)
    optimizer = torch.optim.AdamW(groups(model, lr=1e-2, factor=0.1))

Every name is accounted for: what fits is loaded, a table of positions of another grid is resized
(Gong et al. 2021, section 2.2, https://arxiv.org/abs/2104.01778), the head stays new, and anything
else is an error. `load_state_dict(strict=False)` would pass a typing error over in silence.

Shape letters: D model width   f rows (bands)   t columns (time)
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from kws.errors import UsageError
from kws.models.positions_2d import resize

HEAD = "classify"  # the part that is not carried over, as the models of kws call it


@dataclass(frozen=True, kw_only=True)
class CarriedOver:
    """What became of every tensor of the model, by name."""

    loaded: tuple[str, ...]
    resized: tuple[str, ...]
    new: tuple[str, ...]

    def __str__(self) -> str:
        return (
            f"{len(self.loaded)} tensors loaded, {len(self.resized)} resized, {len(self.new)} new"
        )


def carry_over(state: Mapping[str, Tensor], model: nn.Module, *, head: str = HEAD) -> CarriedOver:
    """Copy all but the head of `state` into `model`, which is left as it was if that fails.

    Raises:
        UsageError: a tensor of either is not in the other, or of another size; it is named.
    """
    own = model.state_dict()
    body = {name for name in own if not _of(head, name)}
    given = {name for name in state if not _of(head, name)}
    if strangers := sorted(body ^ given):
        where = "weights" if strangers[0] in body else "model"
        raise UsageError(f"{strangers[0]} is not in the {where}: carry over between alike models")
    loaded, resized = [], []
    for name in sorted(body):
        here, there = own[name].shape, state[name].shape
        if here == there:
            loaded.append(name)
        elif len(here) == len(there) == 3 and here[0] == there[0]:
            resized.append(name)
        else:
            raise UsageError(
                f"{name} is {tuple(there)} in the weights and {tuple(here)} in the model: "
                "only a table of positions can change its size"
            )
    with torch.no_grad():
        for name in loaded:
            own[name].copy_(state[name])
        for name in resized:
            own[name].copy_(resize(state[name], tuple(own[name].shape[1:])))
    new = tuple(sorted(own.keys() - body))
    return CarriedOver(loaded=tuple(loaded), resized=tuple(resized), new=new)


def groups(model: nn.Module, lr: float, factor: float, *, head: str = HEAD) -> list[dict[str, Any]]:
    """For an optimizer: the body with the learning rate `factor` · lr, the head with lr."""
    named = list(model.named_parameters())
    return [
        {"params": [p for name, p in named if not _of(head, name)], "lr": factor * lr},
        {"params": [p for name, p in named if _of(head, name)], "lr": lr},
    ]


def _of(head: str, name: str) -> bool:
    return name.partition(".")[0] == head
