"""Compare the result of an answer with that of the reference, and describe the difference.

The reference is the value itself, or a record of it that reveals no code: its shape and, of many
numbers, only random projections (`Record.of`), which change with any wrong element.
"""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kws.course.patterns import find_change, find_factor, find_place, find_times, round_numbers

SHOWN = 12  # numbers that are shown, longer tensors are summarized by random projections
PROJECTIONS = 4
DIGITS = 7
COUNTED = 12  # digits, of projections of whole numbers
LONGEST_AXIS, MIXED = 32, 4  # numbers of an axis that are kept; values, at least, in each of them
LONGEST = 120  # characters of a value that are shown
MANY = 6  # items of a list; of longer ones the first wrong item is named
ROUNDED = ("float", "complex")  # kinds of tensors with rounding errors; the others are exact


@dataclass(frozen=True)
class Record:
    """What is known of a value: enough to recognize it, too little to write it down."""

    kind: str  # "float", "integer", "bool" or "complex" for tensors, else the type of a plain value
    shape: tuple[int, ...] | None  # of a tensor; None for anything else
    content: Any  # the value, if it is short; else its projections and their scale
    odd: tuple[int, int] = (0, 0)  # how many numbers are NaN, and how many infinite

    @staticmethod
    def of(value: Any, *, axes: bool = False) -> "Record":
        """The record of a plain value (`kws.course.trial.plain`); with `axes` more of a tensor."""
        value = _tensor_if_numbers(value)
        kind = _kind(value)
        if not isinstance(value, Tensor):
            return Record(kind=kind, shape=None, content=_short(value))
        numbers = value.to(torch.complex128 if value.is_complex() else torch.float64)
        odd = (int(numbers.isnan().sum()), int(numbers.isinf().sum()))
        numbers = torch.where(torch.isfinite(numbers), numbers, torch.zeros_like(numbers))
        if value.is_complex():
            numbers = torch.view_as_real(numbers)
        if value.numel() <= SHOWN and not any(odd):
            content: Any = numbers.flatten().tolist()
            if kind in ROUNDED:
                content = [float(f"{x:.{DIGITS}g}") for x in content]
        else:
            digits = DIGITS if kind in ROUNDED else COUNTED
            content = {"projections": _projections(numbers, digits), "scale": _scale(numbers)}
            if axes and not value.is_complex():
                content["axes"] = _axes_of(numbers)
        return Record(kind=kind, shape=tuple(value.shape), content=content, odd=odd)

    @staticmethod
    def from_json(table: Mapping[str, Any]) -> "Record":
        shape = table.get("shape")
        return Record(
            kind=table["kind"],
            shape=None if shape is None else tuple(shape),
            content=table["content"],
            odd=tuple(table.get("odd", (0, 0))),
        )

    def to_json(self) -> dict[str, Any]:
        table: dict[str, Any] = {"kind": self.kind, "content": self.content}
        if self.shape is not None:
            table["shape"] = list(self.shape)
        if any(self.odd):
            table["odd"] = list(self.odd)
        return table

    def agrees(self, value: Any, rtol: float, atol: float) -> bool:
        """Whether `value` is the one recorded, up to rounding."""
        return self.is_like(Record.of(_as_kind(value, self.kind)), rtol, atol)

    def difference(self, value: Any, rtol: float, atol: float) -> str | None:
        """How `value` differs, to be written after "NAME: "; None if it agrees."""
        other = Record.of(_as_kind(value, self.kind))
        if self.shape is None:
            if self._same_plain(other, rtol, atol):
                return None
            return _instead(value, self.content, rtol, atol)
        if other.shape is None:
            if isinstance(value, list) and isinstance(self.content, list):  # an empty list, say
                return f"got {_name(value)}, expected{_shown(self)[1:]}"
            return f"got {_name(value)}, expected a tensor"
        if self.kind != other.kind:
            return f"got {_dtype(value)}, expected {_EXPECTED[self.kind]}"
        if self.shape != other.shape:
            return f"got shape {other.shape}, expected {self.shape}{self._pattern(value)}"
        if self.odd != other.odd:
            return _oddities(other, self)
        if self._same_numbers(other, rtol, atol):
            return None
        if isinstance(self.content, list):
            return f"got\n{_shown(other)}\n  expected\n{_shown(self)}{self._pattern(value)}"
        return f"the shape is right, but the values differ from the reference{self._pattern(value)}"

    def _pattern(self, value: Any) -> str:
        """How a wrong tensor is related to this one, to be added to the message."""
        value = _as_kind(value, self.kind)

        def agrees(changed: Tensor) -> bool:
            other = Record.of(changed)
            same = (other.shape, other.odd) == (self.shape, self.odd)
            return same and self._same_numbers(other, 1e-4, 1e-5)

        other = Record.of(value, axes=True)
        # by rounding; or zeros are right, of which any change is one
        found = "" if agrees(value) or agrees(0 * value) else find_change(value, agrees)
        if not found and other.shape == self.shape and self.kind in ROUNDED:
            ones = Record.of(torch.ones_like(value))
            found = find_factor(_known(other), _known(self), _known(ones))
        if not found and other.shape == self.shape and "axes" in self.content:
            axes = other.content["axes"], self.content["axes"]
            found = find_place(axes[0], axes[1], self.content["scale"])
        return f": {found}" if found else ""

    def is_like(self, other: "Record", rtol: float, atol: float) -> bool:
        """Whether the value of which only `other` is known could be this one, up to rounding."""
        if self.shape is None:
            return self._same_plain(other, rtol, atol)
        same_form = (self.kind, self.shape, self.odd) == (other.kind, other.shape, other.odd)
        return same_form and self._same_numbers(other, rtol, atol)

    def distance(self, other: "Record") -> float:
        """The distance between numbers, or tensors of one shape; infinite for other records."""
        if {type(self.content), type(other.content)} <= {int, float}:
            return abs(self.content - other.content)
        if isinstance(self.content, list) and isinstance(other.content, list) and not self.shape:
            return sum(a != b for a, b in itertools.zip_longest(self.content, other.content))
        same_form = (self.kind, self.shape) == (other.kind, other.shape)
        if self.shape is None or not same_form or self.odd != other.odd:
            return 0.0 if self == other else math.inf
        return math.dist(_known(self), _known(other))

    def _same_numbers(self, other: "Record", rtol: float, atol: float) -> bool:
        """Of tensors of one kind, shape and oddity."""
        rtol = rtol if self.kind in ROUNDED else 0.0
        if isinstance(self.content, list):
            return _near(other.content, self.content, rtol, atol)
        allowed = atol + max(rtol, 10.0**-COUNTED) * self.content["scale"]
        return _near(other.content["projections"], self.content["projections"], 0.0, allowed)

    def _same_plain(self, other: "Record", rtol: float, atol: float) -> bool:
        numbers = ("integer", "float")
        comparable = self.kind == other.kind or {self.kind, other.kind} <= {*numbers}
        return (
            comparable
            and other.shape is None
            and _same_content(other.content, self.content, rtol, atol)
        )


def difference(actual: Any, expected: Any, rtol: float, atol: float) -> str | None:
    """As `Record.difference`, with the expected value itself: also the largest difference."""
    record = Record.of(expected, axes=True)
    given, actual = actual, _as_kind(actual, record.kind)
    expected = _tensor_if_numbers(expected)
    comparable = (
        isinstance(actual, Tensor)
        and isinstance(expected, Tensor)
        and actual.shape == expected.shape
        and _kind(actual) == _kind(expected)
        and Record.of(actual).odd == record.odd
    )
    if not comparable or isinstance(record.content, list):
        return record.difference(given, rtol, atol)
    wide = torch.complex128 if expected.is_complex() else torch.float64
    gap = (actual.to(wide) - expected.to(wide)).abs()
    rtol = rtol if record.kind in ROUNDED else 0.0
    allowed = atol + rtol * max(float(record.content["scale"]), 1.0)
    wrong = int((gap > allowed).sum())
    if not wrong:
        return None
    gap = gap.nan_to_num()
    place = tuple(map(int, np.unravel_index(int(gap.argmax()), gap.shape)))  # torch's loads sympy
    largest = f"largest difference {gap.max():.3g} at {place[0] if len(place) == 1 else place}"
    count = f"{wrong} of {gap.numel()} values differ"
    return f"the shape is right, but {count} ({largest}){record._pattern(actual)}"


def _known(record: Record) -> list[float]:
    return record.content if isinstance(record.content, list) else record.content["projections"]


_EXPECTED = {
    "float": "a float dtype",
    "integer": "an integer dtype",
    "bool": "torch.bool",
    "complex": "a complex dtype",
}


def _tensor_if_numbers(value: Any) -> Any:
    """A nested list of numbers as the tensor that it could be."""
    if isinstance(value, list) and value and _numbers(value):
        try:
            return torch.tensor(value)
        except (TypeError, ValueError, RuntimeError, OverflowError):
            return value
    return value


def _as_kind(value: Any, kind: str) -> Any:
    """The same, with Python integers, which have no dtype, accepted as floats."""
    numbers = _tensor_if_numbers(value)
    whole = isinstance(value, list) and isinstance(numbers, Tensor) and _kind(numbers) == "integer"
    return numbers.double() if whole and kind == "float" else numbers


def _numbers(value: Any) -> bool:
    if isinstance(value, list):
        return bool(value) and all(map(_numbers, value))
    if isinstance(value, Tensor):
        return False
    return isinstance(value, int | float) and not isinstance(value, bool)


def _kind(value: Any) -> str:
    if isinstance(value, Tensor):
        if value.dtype == torch.bool:
            return "bool"
        if value.is_complex():
            return "complex"
        return "float" if value.is_floating_point() else "integer"
    names = {bool: "bool", int: "integer", float: "float", complex: "complex", type(None): "None"}
    return names.get(type(value), type(value).__name__)


def _short(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value if not isinstance(value, float) or math.isfinite(value) else str(value)
    if isinstance(value, list):
        return [_short(item) for item in value]
    if isinstance(value, dict):
        return {key: _short(item) for key, item in value.items()}
    if isinstance(value, Tensor):
        return Record.of(value).to_json()
    return type(value).__name__


def _weights(count: int) -> Tensor:
    steps = torch.arange(1, PROJECTIONS * count + 1, dtype=torch.float64).view(PROJECTIONS, count)
    return 2 * ((steps * steps * 0.6180339887498949) % 1) - 1


def _projections(numbers: Tensor, digits: int) -> list[float]:
    flat = numbers.flatten()
    if not len(flat):
        return [0.0] * PROJECTIONS
    projected = _weights(len(flat)) @ flat / len(flat) ** 0.5
    return [float(f"{x:.{digits}g}") for x in projected.tolist()]


def _axes_of(numbers: Tensor) -> list[list[float]]:
    """For each axis a random sum per index over the others; none if they reveal the values."""
    found: list[list[float]] = []
    for axis, size in enumerate(numbers.shape):
        rest = numbers.numel() // max(size, 1)
        kept = 1 < size <= LONGEST_AXIS and rest >= MIXED
        sums = numbers.movedim(axis, 0).reshape(size, -1) @ _weights(rest)[0] if kept else None
        found.append([] if sums is None else [float(f"{x:.5g}") for x in sums.tolist()])
    return found if 2 * sum(map(len, found)) < numbers.numel() else [[] for _ in found]


def _scale(numbers: Tensor) -> float:
    if not numbers.numel():
        return 0.0
    return float(f"{numbers.square().mean().sqrt().item():.{DIGITS}g}")


def _near(actual: list, expected: list, rtol: float, atol: float) -> bool:
    return len(actual) == len(expected) and all(
        isinstance(a, int | float)
        and isinstance(b, int | float)
        and abs(a - b) <= atol + rtol * abs(b)
        for a, b in zip(actual, expected, strict=True)
    )


def _same_content(content: Any, expected: Any, rtol: float, atol: float) -> bool:
    """Whether two contents are the same: floats up to rounding, whole numbers exactly."""
    if isinstance(content, dict) and isinstance(expected, dict):
        if "kind" in content and "kind" in expected:  # tensors in a list
            return Record.from_json(expected).is_like(Record.from_json(content), rtol, atol)
        same = content.keys() == expected.keys()
        return same and all(
            _same_content(content[key], expected[key], rtol, atol) for key in expected
        )
    if isinstance(content, list) and isinstance(expected, list):
        same = len(content) == len(expected)
        return same and all(
            _same_content(one, other, rtol, atol)
            for one, other in zip(content, expected, strict=True)
        )
    if isinstance(content, int | float) and isinstance(expected, int | float):
        return _near([content], [expected], rtol if isinstance(expected, float) else 0.0, atol)
    return content == expected


def _shown(record: Record) -> str:
    assert record.shape is not None
    if not isinstance(record.content, list):
        return "  a tensor with different values"
    numbers = torch.tensor(record.content, dtype=torch.float64)
    if record.kind == "integer":
        numbers = numbers.long()
    if record.kind == "bool":
        numbers = numbers.bool()
    if record.kind == "complex":
        return f"  {record.content} (complex)"
    text = str(numbers.view(record.shape).tolist())
    return f"  {round_numbers(text)}"


def _oddities(actual: Record, expected: Record) -> str:
    for position, name in enumerate(("NaN", "an infinite number")):
        if actual.odd[position] != expected.odd[position]:
            got, wanted = actual.odd[position], expected.odd[position]
            places = f"{got} place" if got == 1 else f"{got} places"
            if not wanted:
                return f"got {name} in {places}"
            return f"got {name} in {places}, expected in {wanted}"
    raise AssertionError("the counts do not differ")


def _instead(value: Any, expected: Any, rtol: float, atol: float) -> str:
    def unlike(one: Any, content: Any) -> bool:
        return not _same_content(_short(one), content, rtol, atol)

    if isinstance(value, list) and isinstance(expected, list) and len(value) == len(expected):
        wrong = [at for at, pair in enumerate(zip(value, expected, strict=True)) if unlike(*pair)]
        if len(value) > MANY and wrong:
            at, pairs = wrong[0], f"{len(wrong)} of {len(value)} items differ"
            return f"{pairs}, first item {at}: {_instead(value[at], expected[at], rtol, atol)}"
        if wrong and isinstance(expected[wrong[0]], dict) and "kind" in expected[wrong[0]]:
            at, record = wrong[0], Record.from_json(expected[wrong[0]])  # of a tensor in the list
            return f"item {at} differs: {record.difference(value[at], rtol, atol)}"
    if isinstance(value, dict) and isinstance(expected, dict) and set(value) == set(expected):
        wrong = [key for key in expected if unlike(value[key], expected[key])]
        value, expected = ({key: table[key] for key in wrong} for table in (value, expected))
    times = find_times(value, expected)
    if isinstance(value, float) and isinstance(expected, int | float):
        got, wanted = f"{value:.6g}", f"{expected:.6g}"
        if got != wanted:
            return f"got {got}, expected {wanted}{times}"
    return f"got {_name(value)}, expected {_clipped(repr(expected))}{times}"


def _name(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    if value is None or isinstance(value, bool | int | float | str | list | dict | complex):
        return _clipped(repr(value))
    return f"an object of type {type(value).__name__}"


def _clipped(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _dtype(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"dtype {value.dtype}"
    return f"Python's {_kind(torch.tensor(value))}s"
