"""What a wrong tensor has in common with the reference, of which only few numbers are known.

`axes` in a record show where a tensor differs along each axis, and whether its order does.
"""

import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor

NEAR = 1e-3  # of two axes, relative to the scale: they are rounded to few digits
MOST = 6  # places that are listed
FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "logarithms": torch.exp,
    "exponentials": torch.log,
    "square roots": torch.square,
    "squares": torch.sqrt,
}


def find_change(value: Tensor, agrees: Callable[[Tensor], bool]) -> str:
    """The change of a whole tensor that makes it right, in words; "" if none does."""
    return next((text for text, changed in _changes(value) if agrees(changed)), "")


def _changes(value: Tensor) -> Iterator[tuple[str, Tensor]]:
    for i, j in itertools.permutations(range(value.ndim), 2):
        if i < j:
            yield f"axes {i} and {j} are exchanged", value.transpose(i, j)
        if abs(i - j) > 1:  # neighbors are exchanged
            yield f"axis {i} belongs at place {j}", value.movedim(i, j)
    for i, j in itertools.combinations(range(value.ndim), 2):
        shape = list(value.shape)
        shape[i], shape[j] = shape[j], shape[i]
        reshaped = value.reshape(shape)
        yield f"a transpose of axes {i} and {j} is needed, not a reshape", reshaped.transpose(i, j)
        yield f"a reshape is needed, not a transpose of axes {i} and {j}", reshaped
    for axis in range(value.ndim):
        yield f"axis {axis}, of size 1, is too many", value.squeeze(axis)
    for axis in range(value.ndim + 1):
        yield f"axis {axis}, of size 1, is missing", value.unsqueeze(axis)
    if value.is_floating_point():
        for text, function in FUNCTIONS.items():
            yield f"these are the {text} of the right values", function(value.double())


def find_factor(got: Sequence[float], right: Sequence[float], ones: Sequence[float]) -> str:
    """Whether all numbers are a constant times the right ones, or off by one; "" if neither."""
    if len(right) < 3:
        return ""
    a, b, one = (torch.tensor(x, dtype=torch.float64) for x in (got, right, ones))
    allowed = 1e-4 * float(b.abs().max())
    factor = float(a @ b / (b @ b).clamp(min=1e-30))
    if float((a - factor * b).abs().max()) <= allowed and f"{factor:.4g}" != "1":
        return f"all are {factor:.4g} times the right ones" if factor else "all are 0"
    off = float((a - b) @ one / (one @ one))
    if float((a - b - off * one).abs().max()) <= allowed:
        return f"all are {abs(off):.4g} too {'large' if off > 0 else 'small'}"
    return ""


def find_times(got: Any, right: Any) -> str:
    """Whether a number is a simple fraction of the right one, or so many times it; "" if not."""
    if not ({type(got), type(right)} <= {int, float} and abs(got) < 1e15 > abs(right) > 0):
        return ""
    times = Fraction(got / right).limit_denominator(9)
    near = abs(got - times * right) <= 1e-5 * abs(right) and times not in (0, 1)
    few = abs(right) < 100 and right == int(right)  # things counted: two numbers say as much
    return f": {times} times the right one" if near and not few else ""


def find_place(got: Sequence[list], right: Sequence[list], scale: float) -> str:
    """Along which axis the order differs, or where alone the values do; "" if everywhere."""
    parts = []
    for axis, (one, other) in enumerate(zip(got, right, strict=True)):
        if not other:
            continue
        a, b = (torch.tensor(x, dtype=torch.float64) for x in (one, other))
        near = NEAR * max(scale, float(b.abs().max()))
        orders = {
            f"axis {axis} runs backwards": (a.flip(0), b),
            f"the values are one place late along axis {axis}": (a[1:], b[:-1]),
            f"the values are one place early along axis {axis}": (a[:-1], b[1:]),
            f"the order along axis {axis} is another one": (a.sort().values, b.sort().values),
        }
        wrong = ((a - b).abs() > near).nonzero().flatten().tolist()
        for text, (x, y) in orders.items():
            if len(wrong) > 1 and float((x - y).abs().max()) <= near:
                return text
        if wrong and len(wrong) < len(other):
            parts.append(f"{_listed(wrong)} of axis {axis} (0 to {len(other) - 1})")
    return f"only at {' and '.join(parts)}" if parts else ""


def _listed(places: list[int]) -> str:
    if len(places) > 2 and places == [*range(places[0], places[-1] + 1)]:
        return f"{places[0]} to {places[-1]}"
    return ", ".join(map(str, places[:MOST])) + (", …" if len(places) > MOST else "")


def round_numbers(text: str) -> str:
    """A nested list as text, its numbers with four digits."""
    return re.sub(r"[^\[\], ]+", lambda part: _rounded(part[0]), text)


def _rounded(part: str) -> str:
    try:
        return f"{float(part):.4g}" if "." in part or "e" in part else part
    except ValueError:
        return part
