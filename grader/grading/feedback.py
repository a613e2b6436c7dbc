"""Failures with a fact (expected and actual) and a hint; trials compare the values.

Every `expect_…` accepts any object and either returns or raises `Failure`. A message never contains
a hidden input: it states the error of an answer, and other numbers only if the check asks for it.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

LONGEST, LARGEST = 60, 10**12  # limits on what is shown of an answer: more could leak hidden data
MOST_AXES, LONGEST_AXIS = 8, 10**6


class Failure(AssertionError):  # noqa: N818  (a verdict, not an error)
    """A wrong answer: a fact, a hint or "", and the fingerprint of the mistake."""

    def __init__(self, message: str, hint: str = "", fingerprint: Mapping[str, Any] | None = None):
        super().__init__(message + (f"\n  hint: {hint}" if hint else ""))
        self.message, self.hint = message, hint
        self.fingerprint = dict(fingerprint or {})


def expect_shape(what: str, actual: Any, *shape: int, letters: str = "") -> Tensor:
    """Return `actual` if it is a tensor of this shape; `letters` names its axes, "B, H, T, K".

    >>> expect_shape("model(mel)", None, 2, 12)
    Traceback (most recent call last):
    grader.grading.feedback.Failure: model(mel): got None, expected a tensor
      hint: is there a `return`?
    """
    actual = _tensor(what, actual)
    if tuple(actual.shape) == shape:
        return actual
    named = f"({letters}) = {shape}" if letters else f"{shape}"
    hint = ""
    if sorted(actual.shape) == sorted(shape):
        hint = "the sizes are right, their order is not: which axes are swapped?"
    elif tuple(actual.squeeze().shape) == shape or [*actual.shape] == [n for n in shape if n != 1]:
        hint = "an axis of size 1 is too many, or missing"
    raise Failure(f"{what}: got shape {shape_of(actual)}, expected {named}", hint)


def expect_finite(what: str, actual: Any) -> Tensor:
    actual = _tensor(what, actual)
    bad = ~torch.isfinite(actual)
    if not bad.any():
        return actual
    kind = "NaN" if torch.isnan(actual).any() else "an infinite number"
    raise Failure(f"{what}: got {kind} in {int(bad.sum())} of {actual.numel()} places")


def expect_logits(what: str, actual: Any, *shape: int) -> Tensor:
    actual = expect_shape(what, actual, *shape, letters="B, C")
    if not actual.is_floating_point():
        raise Failure(f"{what}: got {_short(actual.dtype)}, expected a float dtype")
    return expect_finite(what, actual)


def expect_between(
    what: str, actual: Any, low: float = -math.inf, high: float = math.inf, *, hint: str = ""
) -> float:
    """Return `actual` as a number if low ≤ actual ≤ high; NaN fails.

    >>> expect_between("the number of parameters", 612_000, high=500_000)
    Traceback (most recent call last):
    grader.grading.feedback.Failure: the number of parameters: got 612,000, expected at most 500,000
    """
    if isinstance(actual, Tensor) and actual.numel() == 1:
        actual = actual.item()
    if isinstance(actual, bool) or not isinstance(actual, int | float):
        raise Failure(f"{what}: got {name_of(actual)}, expected a number")
    if low <= actual <= high:
        return actual
    if high == math.inf:
        bounds = f"at least {_amount(low)}"
    elif low == -math.inf:
        bounds = f"at most {_amount(high)}"
    else:
        bounds = f"between {_amount(low)} and {_amount(high)}"
    raise Failure(f"{what}: got {_amount(actual)}, expected {bounds}", hint)


def _tensor(what: str, actual: Any) -> Tensor:
    if isinstance(actual, Tensor):
        return actual
    hint = "is there a `return`?" if actual is None else ""
    if isinstance(actual, list | tuple) and any(isinstance(item, Tensor) for item in actual):
        hint = "return the one tensor that is asked for"
    raise Failure(f"{what}: got {name_of(actual)}, expected a tensor", hint)


def name_of(value: Any) -> str:
    """Describe a value briefly: a short plain value as itself, others by type and shape.

    >>> name_of(None), name_of([1, 2]), name_of(torch.zeros(2, 3)), name_of("x" * 99)
    ('None', '[1, 2]', 'a float32 tensor of shape (2, 3)', 'a str of length 99')
    """
    if isinstance(value, Tensor):
        return f"a {_short(value.dtype)} tensor of shape {shape_of(value)}"
    if isinstance(value, bool) or value is None:
        return repr(value)
    if isinstance(value, int | float):
        return _amount(value)
    if isinstance(value, torch.dtype):
        return _short(value)
    kind = getattr(value, "kind", None)  # a foreign object of the student's
    if isinstance(kind, str) and not isinstance(value, Mapping | Sequence):
        return f"a {kind}"
    if isinstance(value, str | list | tuple | dict):
        shown = repr(value)
        return (
            shown if len(shown) <= LONGEST else f"a {type(value).__name__} of length {len(value)}"
        )
    return f"a {type(value).__name__}"


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def shape_of(tensor: Tensor) -> str:
    """The shape as text; absurd sizes are not shown.

    >>> shape_of(torch.zeros(2, 0, 3)), shape_of(torch.zeros(0, 314159265, 271828182))
    ('(2, 0, 3)', 'of 3 axes, some of absurd size')
    """
    shape = tuple(tensor.shape)
    if len(shape) > MOST_AXES:
        return f"of {len(shape)} axes"
    if any(size >= LONGEST_AXIS for size in shape):
        return f"of {len(shape)} axes, some of absurd size"
    return str(shape)


def _amount(number: float) -> str:
    if isinstance(number, float):
        return f"{number:.6g}"
    return f"{number:,}" if abs(number) < LARGEST else "a number of very many digits"
