"""What the evaluator can ask of a module that lives in the check process."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from grader.sandbox.trace import (
    Touched,
    layers_seen,
    modules_of,
    own_of,
    parameters_of,
    tensors_of,
)

OPTIMIZERS: Mapping[str, Callable[..., torch.optim.Optimizer]] = {
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
}
LOSSES: Mapping[str, Callable[..., Tensor]] = {
    "cross_entropy": F.cross_entropy,
    "mse": F.mse_loss,
}


def tree(module: nn.Module) -> list[list[Any]]:
    """[path, class, package of the class, names of its own parameters], the module first."""
    return [
        [
            path,
            type(layer).__name__,
            type(layer).__module__.partition(".")[0],
            [name for name, _ in own_of(layer, "_parameters")],
        ]
        for path, layer in modules_of(module)
    ]


def parameters(module: nn.Module) -> dict[str, list[Any]]:
    """Name -> [shape, scalars, whether it learns, the first name of the same tensor or None]."""
    first: dict[int, str] = {}
    table: dict[str, list[Any]] = {}
    for name, tensor in parameters_of(module):
        same = first.setdefault(id(tensor), name)
        same_as = None if same == name else same
        table[name] = [tuple(tensor.shape), tensor.numel(), tensor.requires_grad, same_as]
    return table


def trace(module: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """One call, watched: its output, the tensors touched, the calls of layers."""
    touched = Touched(module, tensors_of(args, kwargs))
    with layers_seen(module) as calls, touched:
        output = module(*args, **kwargs)
    return {"output": output, "touched": touched.found, "layers": calls}


def gradients(
    module: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> dict[str, Tensor | None]:
    """Of the mean of the squared outputs: name of parameter, or input.0, -> gradient or None."""
    inputs = {
        f"input.{key}": value
        for key, value in [*enumerate(args), *kwargs.items()]
        if isinstance(value, Tensor) and value.is_floating_point()
    }
    wanted = {**dict(parameters_of(module)), **inputs}
    for value in inputs.values():
        value.requires_grad_(True)
    for value in wanted.values():
        value.grad = None
    with torch.enable_grad():
        outputs = [t for t in tensors_of(module(*args, **kwargs)) if t.is_floating_point()]
        squares = [output.square().sum() for output in outputs]
        total = torch.stack([square.double() for square in squares]).sum()
        total = total / max(1, sum(output.numel() for output in outputs))
    if total.requires_grad:
        total.backward()
    found = {name: value.grad for name, value in wanted.items()}
    for value in wanted.values():
        value.grad = None
    return found


def fit(
    module: nn.Module,
    batches: Sequence[Sequence[Any]],
    *,
    steps: int,
    lr: float | Sequence[float],
    loss: str,
    optimizer: str,
    seed: int,
) -> list[float]:
    """Train for `steps` steps on (inputs …, target) in turn; the losses, up to one not finite.

    `lr` is one learning rate, or one for each step.
    """
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
