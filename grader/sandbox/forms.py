"""What our own code in the check process answers, read strictly, as a student may forge it.

Each `read_…` takes a plain value and returns the object that stands for it in a check, or raises
TypeError, ValueError, KeyError or AttributeError, which make the check end as tampered with.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class Seen:
    """A call of a model: output, self-attentions, and those with the weights of an earlier one."""

    output: Any
    attentions: int
    repeated: int


def exactly(kind: type) -> Callable[[Any], Any]:
    """A reader that lets values of this very type pass."""

    def build(value: Any) -> Any:
        if type(value) is not kind:
            raise TypeError
        return value

    return build


_text, _whole = exactly(str), exactly(int)


def read_results(value: Any) -> list[tuple[str, Any]]:
    return [(_text(what), result) for what, result in value]


def _tensor(value: Any) -> Tensor:
    return exactly(Tensor)(value)


def read_state(table: Any) -> dict[str, Tensor]:
    return {_text(name): _tensor(value) for name, value in table.items()}


def read_seen(value: Any) -> Seen:
    output, *counts = value
    return Seen(output, *map(_whole, counts))


def read_losses(losses: Any) -> tuple[float, ...]:
    return tuple(map(exactly(float), losses))
