"""What our own code in the check process answers, read strictly, as a student may forge it.

Each `read_…` takes a plain value and returns the object that stands for it in a check, or raises
TypeError, ValueError, KeyError or AttributeError, which make the check end as tampered with.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class Node:
    """One module of a tree: where it hangs ("" is the root), its class, the package that the class
    is from (`torch`, `student`, `kws`), and the names of the parameters that it holds itself."""

    path: str
    kind: str
    package: str
    parameters: tuple[str, ...]


@dataclass(frozen=True)
class Parameter:
    """One declared parameter; `same_as` is the first name of a tensor that has several."""

    shape: tuple[int, ...]
    numel: int
    requires_grad: bool
    same_as: str | None


@dataclass(frozen=True)
class Touched:
    """A tensor that a call used and did not make; no `name` if it is nowhere declared.

    `shape` and `numel` are of the tensor as it was first used, `storage` counts the scalars of all
    the memory that it is a view of.
    """

    name: str | None
    shape: tuple[int, ...]
    numel: int
    storage: int


@dataclass(frozen=True)
class Call:
    """One call of a layer: `output` is its first tensor, if there is one."""

    path: str
    kind: str
    input_shapes: tuple[tuple[int, ...], ...]
    output: Tensor | None
    output_shapes: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Trace:
    """A call of a module, watched."""

    output: Any
    touched: tuple[Touched, ...]
    layers: tuple[Call, ...]


@dataclass(frozen=True)
class Seen:
    """A call of a model as its accuracy is measured: the output, how many self-attentions ran, how
    many of them with the weights of an earlier one, and how many numbers it made for itself."""

    output: Any
    attentions: int
    repeated: int
    created: int


def exactly(kind: type) -> Callable[[Any], Any]:
    """A reader that lets values of this very type pass."""

    def build(value: Any) -> Any:
        if type(value) is not kind:
            raise TypeError
        return value

    return build


_text, _whole, _flag = exactly(str), exactly(int), exactly(bool)


def read_results(value: Any) -> list[tuple[str, Any]]:
    """Pairs of a text and any value."""
    return [(_text(what), result) for what, result in value]


def _shape(value: Any) -> tuple[int, ...]:
    return tuple(map(_whole, value))


def _maybe(value: Any, build: Callable[[Any], Any]) -> Any:
    return None if value is None else build(value)


def _tensor(value: Any) -> Tensor:
    return exactly(Tensor)(value)


def read_printed(value: Any) -> tuple[int, str]:
    """How much was printed, and the beginning of it."""
    count, text = value
    return _whole(count), _text(text)[:2000]


def read_state(table: Any) -> dict[str, Tensor]:
    """A state dictionary."""
    return {_text(name): _tensor(value) for name, value in table.items()}


def read_gradients(table: Any) -> dict[str, Tensor | None]:
    """Gradients by name."""
    return {_text(name): _maybe(value, _tensor) for name, value in table.items()}


def _node(path: Any, kind: Any, package: Any, names: Any) -> Node:
    return Node(_text(path), _text(kind), _text(package), tuple(map(_text, names)))


def _parameter(shape: Any, numel: Any, learns: Any, same_as: Any) -> Parameter:
    return Parameter(_shape(shape), _whole(numel), _flag(learns), _maybe(same_as, _text))


def read_trace(table: Any) -> Trace:
    """A call that was watched."""
    touched = tuple(
        Touched(_maybe(name, _text), _shape(shape), _whole(numel), _whole(storage))
        for name, shape, numel, storage in table["touched"]
    )
    layers = tuple(
        Call(
            path=_text(path),
            kind=_text(kind),
            input_shapes=tuple(map(_shape, taken)),
            output=_maybe(output, _tensor),
            output_shapes=tuple(map(_shape, given)),
        )
        for path, kind, taken, output, given in table["layers"]
    )
    return Trace(table["output"], touched, layers)


def read_seen(value: Any) -> Seen:
    """A call that was observed."""
    output, *counts = value
    return Seen(output, *map(_whole, counts))


def read_tree(rows: Any) -> tuple[Node, ...]:
    """All modules of a tree."""
    return tuple(_node(*row) for row in rows)


def read_parameters(table: Any) -> dict[str, Parameter]:
    """Declared parameters by name."""
    return {_text(name): _parameter(*row) for name, row in table.items()}


def read_losses(losses: Any) -> tuple[float, ...]:
    """Losses of a training run."""
    return tuple(map(exactly(float), losses))
