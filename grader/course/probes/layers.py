"""How many layers a model has: as many as are called, hold their own parameters, and act alone.

A layer reused three times is one layer, and so are three copies that do the same.

Shape letters: B batch   T frames   D model width
"""

import math
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from grader.core.outcomes import Stopped
from grader.grading.feedback import Failure
from grader.sandbox import Call, Node, Parameter, RemoteModule


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

    By shape: modules of several parts that map (B, T, D) to the same shape, and that stand side by
    side with the same parameter shapes or are called several times; of such groups the one with the
    most scalars. In a model with a single layer none is found.
    """
    tree, parameters = module.tree(), module.parameters()
    state = {name: _spread(name, tensor) for name, tensor in module.state_dict().items()}
    same = {name: one.same_as or name for name, one in parameters.items()}
    module.load_state_dict({name: state[same.get(name, name)] for name in state})
    calls = [call for call in module.trace(*inputs, **kwargs).layers if call.output is not None]
    if kind is not None:
        chosen = {node.path for node in tree if node.kind == kind}
    else:
        chosen = _repeated(tree, parameters, calls)
    called = tuple(call.path for call in calls if call.path in chosen)
    own = {
        frozenset(same[name] for name in parameters if name.startswith(f"{path}."))
        for path in called
    }
    first = next((call for call in calls if call.path in chosen), None)
    outputs = _outputs(module, called, first, inputs) if first else []
    return Layers(called=called, own_parameters=len(own - {frozenset()}), own_outputs=len(outputs))


def _repeated(
    tree: Sequence[Node], parameters: Mapping[str, Parameter], calls: Sequence[Call]
) -> set[str]:
    """Paths of the largest group of like modules that are several, or called several times."""
    times = Counter(c.path for c in calls if c.input_shapes[:1] == c.output_shapes[:1])
    groups: dict[tuple, list[str]] = {}
    for node in tree:
        under = {
            name.removeprefix(f"{node.path}."): one.shape
            for name, one in parameters.items()
            if name.startswith(f"{node.path}.")
        }
        if len({name.partition(".")[0] for name in under}) > 1:  # made of several parts
            key = (node.path.rpartition(".")[0], node.kind, tuple(sorted(under.items())))
            groups.setdefault(key, []).append(node.path)
    scalars = {
        key: sum(math.prod(shape) for _, shape in key[2]) * max(len(paths), times[paths[0]])
        for key, paths in groups.items()
        if len(paths) > 1 or times[paths[0]] > 1
        if any(times[path] for path in paths)
    }
    return set(groups[max(scalars, key=lambda key: scalars[key])]) if scalars else set()


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
            "is one layer used several times? build each one separately",
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


def alike(a: object, b: object) -> bool:
    """Equal up to what float32 makes of sums in another order."""
    if not isinstance(a, Tensor) or not isinstance(b, Tensor) or a.shape != b.shape:
        return False
    return torch.allclose(a.double(), b.double(), rtol=1e-3, atol=1e-4)


def _plural(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"
