"""Failures that teach: the fact, expected against actual, and a hint when the mistake is known.

Every `expect_…` accepts whatever came back, None and foreign objects included, and either returns
or raises `Failure`. A message never holds a hidden input: it says how far off an answer is, and
shows numbers only where a check itself chose to, and no more of an answer than could be meant.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from kws.checking import each_suspect

RTOL, ATOL = 1e-6, 1e-8
LONGEST, LARGEST = 60, 10**12  # of what is shown of an answer: more of it could hold hidden data
MOST_AXES, LONGEST_AXIS = 8, 10**6


class Failure(AssertionError):  # noqa: N818  (a verdict, not an error)
    """A wrong answer: `message` is the fact as the student reads it, `hint` a question or empty."""

    def __init__(self, message: str, hint: str = ""):
        super().__init__(message + (f"\n  hint: {hint}" if hint else ""))
        self.message, self.hint = message, hint


def expect_tensor(what: str, actual: Any) -> Tensor:
    """`actual`, if it is a tensor.

    >>> expect_tensor("attend(q, k, v)", None)
    Traceback (most recent call last):
    grader.grading.feedback.Failure: attend(q, k, v) is None, expected a tensor
      hint: is there a `return`?
    """
    if isinstance(actual, Tensor):
        return actual
    hint = "is there a `return`?" if actual is None else ""
    if isinstance(actual, list | tuple) and any(isinstance(item, Tensor) for item in actual):
        hint = "return the one tensor that is asked for"
    raise Failure(f"{what} is {name_of(actual)}, expected a tensor", hint)


def expect_shape(what: str, actual: Any, *shape: int, letters: str = "") -> Tensor:
    """`actual`, if it is a tensor of this shape; its axes are called `letters`, "B, H, T, K"."""
    actual = expect_tensor(what, actual)
    if tuple(actual.shape) == shape:
        return actual
    named = f"({letters}) = {shape}" if letters else f"{shape}"
    hint = ""
    if sorted(actual.shape) == sorted(shape):
        hint = "the sizes are right, their order is not: which axes are swapped?"
    elif tuple(actual.squeeze().shape) == shape or tuple(actual.shape) == _squeezed(shape):
        hint = "an axis of size 1 is too many, or missing"
    raise Failure(f"{what} has shape {shape_of(actual)}, expected {named}", hint)


def expect_dtype(what: str, actual: Any, dtype: torch.dtype) -> Tensor:
    """`actual`, if it is a tensor of this dtype."""
    actual = expect_tensor(what, actual)
    if actual.dtype == dtype:
        return actual
    raise Failure(f"{what} is {_short(actual.dtype)}, expected {_short(dtype)}")


def expect_finite(what: str, actual: Any, hint: str = "") -> Tensor:
    """`actual`, if it is a tensor without NaN and infinity."""
    actual = expect_tensor(what, actual)
    bad = ~torch.isfinite(actual)
    if not bad.any():
        return actual
    kind = "NaN" if torch.isnan(actual).any() else "an infinite number"
    raise Failure(f"{what} holds {kind} in {int(bad.sum())} of {actual.numel()} places", hint)


def expect_close(
    what: str,
    actual: Any,
    expected: Tensor | float,
    suspects: Mapping[str, Tensor | float] | None = None,
    *,
    rtol: float = RTOL,
    atol: float = ATOL,
) -> None:
    """Fail unless `actual` equals `expected` up to rounding: same shape, every place.

    Args:
        suspects: hint -> the value that this mistake produces, or `AnyOf` several. The first that
            the answer equals becomes the hint; one that equals `expected` too is passed over.
    """
    expected = torch.as_tensor(expected)
    if isinstance(actual, bool | int | float):
        actual = torch.as_tensor(actual, dtype=torch.float64)
    actual = expect_shape(what, actual, *expected.shape)
    if _close(actual, expected, rtol, atol):
        return
    hint = ""
    for question, wrong in each_suspect(suspects):
        wrong = torch.as_tensor(wrong)
        if _close(actual, wrong, rtol, atol) and not _close(expected, wrong, rtol, atol):
            hint = question
            break
    if not hint:
        expect_finite(what, actual) if torch.isfinite(expected).all() else None
    raise Failure(f"{what} is {_distance(actual, expected)}", hint)


def expect_equal(
    what: str, actual: Any, expected: Any, suspects: Mapping[str, Any] | None = None
) -> None:
    """Fail unless `actual` is exactly `expected`: for counts, labels, flags, lists and tensors.

    Both are shown where they are short and plain; `suspects` are as in `expect_close`.
    """
    if _equal(actual, expected):
        return
    hint = next(
        (
            question
            for question, wrong in each_suspect(suspects)
            if _equal(actual, wrong) and not _equal(wrong, expected)
        ),
        "is there a `return`?" if actual is None else "",
    )
    if isinstance(expected, Tensor):
        actual = expect_shape(what, actual, *expected.shape)
        differ = int((_number(actual) != _number(expected)).sum())
        raise Failure(f"{what} differs in {differ} of {expected.numel()} places", hint)
    if isinstance(expected, list | tuple) and isinstance(actual, list | tuple):
        raise Failure(f"{what} {_first_difference(actual, expected)}", hint)
    raise Failure(f"{what} is {name_of(actual)}, expected {name_of(expected)}", hint)


def expect_between(
    what: str,
    actual: Any,
    low: float = -math.inf,
    high: float = math.inf,
    *,
    unit: str = "",
    hint: str = "",
) -> float:
    """`actual` as a number, if low ≤ actual ≤ high; NaN is never between.

    >>> expect_between("the number of parameters", 612_000, high=500_000)
    Traceback (most recent call last):
    grader.grading.feedback.Failure: the number of parameters is 612,000, expected at most 500,000
    """
    if isinstance(actual, Tensor) and actual.numel() == 1:
        actual = actual.item()
    if isinstance(actual, bool) or not isinstance(actual, int | float):
        raise Failure(f"{what} is {name_of(actual)}, expected a number")
    if low <= actual <= high:
        return actual
    tail = f" {unit}" if unit else ""
    if high == math.inf:
        bounds = f"at least {_amount(low)}"
    elif low == -math.inf:
        bounds = f"at most {_amount(high)}"
    else:
        bounds = f"between {_amount(low)} and {_amount(high)}"
    raise Failure(f"{what} is {_amount(actual)}{tail}, expected {bounds}{tail}", hint)


def name_of(value: Any) -> str:
    """What a value is, in a few words: the value itself where it is short and plain.

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


def _squeezed(shape: Sequence[int]) -> tuple[int, ...]:
    return tuple(size for size in shape if size != 1)


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def shape_of(tensor: Tensor) -> str:
    """Its shape, where that is one that somebody could have meant.

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


def _number(tensor: Tensor) -> Tensor:
    """In the widest type of its kind, on the CPU, so that any two compare."""
    tensor = tensor.detach().cpu()
    if tensor.is_complex():
        return tensor.to(torch.complex128)
    return tensor.to(torch.float64) if tensor.is_floating_point() else tensor.to(torch.int64)


def _close(a: Tensor, b: Tensor, rtol: float, atol: float) -> bool:
    if a.shape != b.shape:
        return False
    a, b = (x if x.is_complex() else x.to(torch.float64) for x in (_number(a), _number(b)))
    kind = torch.promote_types(a.dtype, b.dtype)
    return torch.allclose(a.to(kind), b.to(kind), rtol=rtol, atol=atol, equal_nan=True)


def _distance(actual: Tensor, expected: Tensor) -> str:
    gap = (_number(actual) - _number(expected)).abs().to(torch.float64)
    places = f"{int((gap > ATOL).sum())} of {gap.numel()} places"
    if not torch.isfinite(gap).all():
        return (
            f"wrong in infinite or NaN places: {int((~torch.isfinite(gap)).sum())} of {gap.numel()}"
        )
    return f"off by up to {float(gap.max()):.3g}" + (f", in {places}" if gap.numel() > 1 else "")


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor) or isinstance(b, Tensor):
        if not (isinstance(a, Tensor) and isinstance(b, Tensor) and a.shape == b.shape):
            return False
        return bool((_number(a) == _number(b)).all())
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(_equal, a, b))
    if isinstance(a, bool) != isinstance(b, bool):
        return False
    return type(a) in (*_PLAIN, type(b)) and a == b


_PLAIN = (int, float, str, bool, type(None), dict)


def _first_difference(actual: Sequence, expected: Sequence) -> str:
    if len(actual) != len(expected):
        return f"has {len(actual)} entries, expected {len(expected)}"
    at = next(i for i, (a, b) in enumerate(zip(actual, expected, strict=True)) if not _equal(a, b))
    return f"has {name_of(actual[at])} at index {at}, expected {name_of(expected[at])}"
