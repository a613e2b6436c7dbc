"""How many layers a model has: as many as are called, hold their own parameters, and act alone.

A layer reused three times is one layer, and so are three copies that do the same.

Shape letters: B batch   T frames   D model width
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from grader.feedback import Failure
from grader.isolation import Call, Node, RemoteModule
from grader.outcomes import Stopped


@dataclass(frozen=True, kw_only=True)
class Layers:
    """The repeated layers of a model.

    Attributes:
        called: their paths, once for each call, in order.
        own_parameters: how many different sets of parameters these have.
        own_outputs: how many different outputs they give to the same input.
    """

    called: tuple[str, ...]
    own_parameters: int
    own_outputs: int


def find_layers(module: RemoteModule, *inputs: Tensor, kind: str | None = None, **kwargs) -> Layers:
    """The layers that a call passes through, found by `kind`, the name of their class, or by shape.

    By shape: modules made of modules, that map (B, T, D) to the same shape and stand side by side
    with the same parameter shapes; of several such groups the one with the most scalars. A model
    with a single layer has no group, and none is found.
    """
    tree, parameters = module.tree(), module.parameters()
    state = {name: _spread(name, tensor) for name, tensor in module.state_dict().items()}
    same = {name: one.same_as or name for name, one in parameters.items()}
    module.load_state_dict({name: state[same.get(name, name)] for name in state})
    calls = [call for call in module.trace(*inputs, **kwargs).layers if call.output is not None]
    keeps = {c.path for c in calls if c.input_shapes and c.input_shapes[0] == c.output_shapes[0]}
    if kind is not None:
        chosen = {node.path for node in tree if node.kind == kind}
    else:
        groups: dict[tuple, list[str]] = {}
        for node in tree:
            under = {
                name.removeprefix(node.path): parameter.shape
                for name, parameter in parameters.items()
                if name.startswith(f"{node.path}.")
            }
            if node.path in keeps and under and _composite(node, tree):
                key = (node.path.rpartition(".")[0], node.kind, tuple(sorted(under.items())))
                groups.setdefault(key, []).append(node.path)
        many = [paths for paths in groups.values() if len(paths) > 1]
        scalars = {path: _scalars(parameters, path) for paths in many for path in paths}
        chosen = set(max(many, key=lambda paths: sum(scalars[p] for p in paths), default=()))
    called = tuple(call.path for call in calls if call.path in chosen)
    own = {
        frozenset(same[name] for name in parameters if name.startswith(f"{path}."))
        for path in called
    }
    first = next((call for call in calls if call.path in chosen), None)
    outputs = _outputs(module, called, first, inputs) if first else []
    return Layers(called=called, own_parameters=len(own - {frozenset()}), own_outputs=len(outputs))


def _outputs(
    module: RemoteModule, called: Sequence[str], first: Call, inputs: Sequence[Tensor]
) -> list[object]:
    """What the layers make of one and the same input: different outputs that are not the input."""
    others = inputs[1 : len(first.input_shapes)]  # a mask, where layers take one
    found: list[object] = []
    for path in dict.fromkeys(called):
        try:
            output = module.child(path)(first.output, *others)
        except Stopped:
            found.append(path)  # it takes more than we can guess: count it
            continue
        output = output[0] if isinstance(output, list | tuple) and output else output
        if not any(alike(output, other) for other in (first.output, *found)):
            found.append(output)
    return found


def expect_layers(
    what: str, module: RemoteModule, *inputs: Tensor, count: int, kind: str | None = None, **kwargs
) -> None:
    """Fail unless `module` passes through `count` layers, each once, that share nothing.

    The weights of `module` are replaced by random ones, different for every tensor.
    """
    found = find_layers(module, *inputs, kind=kind, **kwargs)
    paths = set(found.called)
    if len(paths) < len(found.called) or found.own_parameters < len(paths):
        raise Failure(
            f"{what} passes through {len(found.called)} layers, but only {found.own_parameters} "
            "have parameters of their own",
            "is one layer used several times? build each one anew",
        )
    if len(paths) != count:
        raise Failure(
            f"{what} passes through {_plural(len(paths), 'layer')}, expected {count}",
            "is every layer that __init__ builds called in forward?" if len(paths) < count else "",
        )
    if found.own_outputs < count:
        raise Failure(
            f"{what} has {count} layers, but only {found.own_outputs} of them do something of "
            "their own",
            "does each layer use its own parameters in forward?",
        )


def _spread(name: str, tensor: Tensor) -> Tensor:
    """Random numbers of a name's own, in the place of a state's tensor."""
    if not tensor.is_floating_point():
        return tensor
    generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    drawn = torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
    if "var" in name:  # a variance is positive
        return (1 + 0.1 * drawn.abs()).to(tensor.dtype)
    return (0.2 * drawn + (tensor.dim() == 1)).to(tensor.dtype)


def _composite(node: Node, tree: Sequence[Node]) -> bool:
    below = [one for one in tree if one.path.startswith(f"{node.path}.") and one.parameters]
    return len(below) > 1 and node.path != ""


def _scalars(parameters: dict, path: str) -> int:
    return sum(one.numel for name, one in parameters.items() if name.startswith(f"{path}."))


def alike(a: object, b: object) -> bool:
    """Equal up to what float32 makes of sums in another order."""
    if not isinstance(a, Tensor) or not isinstance(b, Tensor) or a.shape != b.shape:
        return False
    return torch.allclose(a.double(), b.double(), rtol=1e-3, atol=1e-4)


def _plural(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"
