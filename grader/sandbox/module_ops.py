"""What the evaluator can ask of a module in the check process; `forms` reads the answers.

A tensor is *touched* by a call if it enters an operator and was neither an argument of the call nor
made by an operator in it: a weight, whether declared or kept in a list, a closure or a global name.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

from kws.contracts.operators import Operators
from kws.device import back_on_cpu, choose_device

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
    touched = TouchRecorder(module, tensors_of(args, kwargs))
    with layers_seen(module) as calls, touched:
        output = module(*args, **kwargs)
    return {"output": output, "touched": touched.found, "layers": calls}


def observe(module: nn.Module, args: Sequence[Any], flat: int | None) -> tuple[Any, int, int, int]:
    """One call: output, self-attentions, those with the weights of an earlier one, and how many
    numbers were read that no file of weights holds. The attention called `flat` is made even."""
    operators = Operators(module, tensors_of(args), flat)
    with operators:
        output = module(*args)
    return output, operators.attentions, operators.repeated, operators.created


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
    """Train for `steps` steps on (inputs …, target) in turn; the losses, up to one not finite.

    `lr` is one learning rate, or one for each step. Afterwards the module is on the CPU.
    """
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


def modules_of(root: nn.Module, *, again: bool = False) -> Iterator[tuple[str, nn.Module]]:
    """Path and module of `root` and all below it, whatever the student's class says of itself.

    As `nn.Module.named_modules`, in its order; one that has several paths comes once, or, with
    `again`, under each.
    """
    seen: set[int] = set()

    def below(path: str, module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
        if again or id(module) not in seen:
            seen.add(id(module))
            yield path, module
            for name, child in vars(module)["_modules"].items():
                if child is not None:
                    yield from below(_joined(path, name), child)

    return below("", root)


def parameters_of(root: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """All parameters, by each of their names, as in `nn.Module.named_parameters`."""
    return _members(root, "_parameters")


def buffers_of(root: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """All buffers, by each of their names."""
    return _members(root, "_buffers")


def own_of(module: nn.Module, kind: str) -> Iterator[tuple[str, Any]]:
    """The "_parameters" or "_buffers" that a module holds itself, by its own names for them."""
    return ((name, value) for name, value in vars(module)[kind].items() if value is not None)


def state_of(root: nn.Module) -> dict[str, Tensor]:
    """Parameters and persistent buffers by name, as in `nn.Module.state_dict`."""
    found: dict[str, Tensor] = {}
    for path, module in modules_of(root, again=True):
        fleeting = vars(module).get("_non_persistent_buffers_set", ())
        lasting = [one for one in own_of(module, "_buffers") if one[0] not in fleeting]
        for name, tensor in [*own_of(module, "_parameters"), *lasting]:
            found[_joined(path, name)] = tensor.detach()
    return found


def _members(root: nn.Module, kind: str) -> Iterator[tuple[str, Any]]:
    for path, module in modules_of(root, again=True):
        for name, tensor in own_of(module, kind):
            yield _joined(path, name), tensor


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def tensors_of(*values: Any) -> list[Tensor]:
    """All tensors in nested tuples, lists and dictionaries."""
    return [leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor)]


class TouchRecorder(TorchDispatchMode):
    """While active, collects the touched tensors, each storage once, in the order of first use."""

    def __init__(self, module: nn.Module, arguments: list[Tensor]):
        super().__init__()
        self.names: dict[int, str] = {}
        for name, tensor in [*parameters_of(module), *buffers_of(module)]:
            self.names.setdefault(_key(tensor), name)
        self.alive: list[Any] = []  # storages: an address is not to be given out again
        self.known: set[int] = set()
        self.found: list[list[Any]] = []  # name or None, shape, scalars, scalars of the storage
        for argument in arguments:
            self._know(argument)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        for tensor in tensors_of(args, kwargs):
            if _key(tensor) not in self.known:
                self._know(tensor)
                name = self.names.get(_key(tensor))
                self.found.append([name, tuple(tensor.shape), tensor.numel(), _held(tensor)])
        made = func(*args, **(kwargs or {}))
        for tensor in tensors_of(made):
            self._know(tensor)
        return made

    def _know(self, tensor: Tensor) -> None:
        self.known.add(_key(tensor))
        self.alive.append(
            tensor.detach() if tensor.layout != torch.strided else tensor.untyped_storage()
        )


def _key(tensor: Tensor) -> int:
    try:
        return tensor.untyped_storage()._cdata
    except (NotImplementedError, RuntimeError):  # sparse tensors have none
        return id(tensor)


def _held(tensor: Tensor) -> int:
    try:
        return tensor.untyped_storage().nbytes() // tensor.element_size()
    except (NotImplementedError, RuntimeError):
        return tensor.numel()


@contextlib.contextmanager
def layers_seen(module: nn.Module) -> Iterator[list[list[Any]]]:
    """While open, each call of a layer adds [path, class, shapes in, output, shapes out].

    Sorted by when the calls began. `layer(x)` and `layer.forward(x)` are both seen; a layer that
    has several paths goes by its first.
    """
    calls: list[list[Any]] = []
    wrapped: list[nn.Module] = []

    def wrap(path: str, layer: nn.Module) -> None:
        forward = layer.forward

        def seen(*args: Any, **kwargs: Any) -> Any:
            shapes = [tuple(t.shape) for t in tensors_of(args, kwargs)]
            call = [path, type(layer).__name__, shapes, None, []]
            calls.append(call)
            output = forward(*args, **kwargs)
            out = tensors_of(output)
            call[3] = out[0].detach().clone() if out else None
            call[4] = [tuple(t.shape) for t in out]
            return output

        layer.__dict__["forward"] = seen
        wrapped.append(layer)

    for path, layer in modules_of(module):
        if "forward" not in layer.__dict__ and not isinstance(layer, torch.jit.ScriptModule):
            wrap(path, layer)
    try:
        yield calls
    finally:
        for layer in wrapped:
            layer.__dict__.pop("forward", None)
