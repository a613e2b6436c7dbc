"""Operations on a module in the check process; `forms` reads the results."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._pytree import tree_leaves, tree_map_only

from kws.course.operators import Operators
from kws.device import back_on_cpu, choose_device

OPTIMIZERS: Mapping[str, Callable[..., torch.optim.Optimizer]] = {
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
}
LOSSES: Mapping[str, Callable[..., Tensor]] = {"cross_entropy": F.cross_entropy, "mse": F.mse_loss}


def observe(module: nn.Module, args: Sequence[Any], flat: int | None) -> tuple[Any, int, int]:
    """Call once: output, self-attentions, repeated ones; with the attention `flat` made even."""
    tensors = [leaf for leaf in tree_leaves(args) if isinstance(leaf, Tensor)]
    operators = Operators(module, tensors, flat)
    with operators:
        output = module(*args)
    return output, operators.attentions, operators.repeated


@back_on_cpu
def fit(
    module: nn.Module,
    batches: Sequence[Sequence[Any]],
    *,
    steps: int,
    lr: float | Sequence[float],
    loss: str,
    optimizer: str,
    seed: int,
    device: str = "cpu",
) -> list[float]:
    """Train on (inputs …, target) in turn, ending on the CPU; the losses, up to one not finite."""
    place = choose_device(device)
    module.to(place)
    batches = [tree_map_only(Tensor, lambda x: x.to(place), list(batch)) for batch in batches]
    rates = [lr] * steps if isinstance(lr, (int, float)) else lr
    torch.manual_seed(seed)
    module.train()
    learning = list({id(p): p for _, p in parameters_of(module) if p.requires_grad}.values())
    optimizer_ = OPTIMIZERS[optimizer](learning, lr=rates[0])
    losses: list[float] = []
    for step in range(steps):
        optimizer_.param_groups[0]["lr"] = rates[step]
        *inputs, target = batches[step % len(batches)]
        optimizer_.zero_grad()
        value = LOSSES[loss](module(*inputs), target)
        losses.append(value.item())
        if not torch.isfinite(value):
            break
        value.backward()
        optimizer_.step()
    return losses


def parameters_of(root: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    for path, module in _modules(root):
        for name, tensor in _own(module, "_parameters"):
            yield _joined(path, name), tensor


def state_of(root: nn.Module) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for path, module in _modules(root):
        fleeting = vars(module).get("_non_persistent_buffers_set", ())
        lasting = [one for one in _own(module, "_buffers") if one[0] not in fleeting]
        for name, tensor in [*_own(module, "_parameters"), *lasting]:
            found[_joined(path, name)] = tensor.detach()
    return found


def _modules(module: nn.Module, path: str = "") -> Iterator[tuple[str, nn.Module]]:
    yield path, module
    for name, child in _own(module, "_modules"):
        yield from _modules(child, _joined(path, name))


def _own(module: nn.Module, kind: str) -> list[tuple[str, Any]]:
    return [item for item in vars(module)[kind].items() if item[1] is not None]


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
