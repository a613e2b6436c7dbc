"""Visible checks: one line under each exercise of a notebook, right after its answer.

    with check("2.1-attend-by-hand", "attend agrees with pencil and paper"):
        expect_close("attend(q, k, v)", attend(q, k, v), [[5.0]], suspects={"divided?": [[4.4]]})

    ✓ 2.1-attend-by-hand  attend agrees with pencil and paper
    ✗ 2.1-attend-by-hand  attend(q, k, v) is off by up to 0.6
      hint: divided?
    · 2.1-attend-by-hand  not started

After the second and third line the notebook stops, without a traceback: there is nothing to read
in one. An error in the answer itself keeps its traceback, which says where to look.
"""

import math
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from kws.notebook import in_notebook

MAX_SHOWN = 200  # characters of an answer
COLORS = {"✓": "32", "✗": "31", "·": "33"}  # green, red, yellow
Listener = Callable[[str, str, str], None]  # mark, id and text of a line
_listeners: list[Listener] = []


class AnyOf(tuple[Any, ...]):
    """Several wrong values that have the same hint: {hint: AnyOf([this, that])}."""


class Unmet(AssertionError):  # noqa: N818  (no error: an answer)
    """A check whose expectation was not met: the fact, and a question where the error is known."""

    def __init__(self, fact: str, hint: str = ""):
        super().__init__(fact + (f"\n  hint: {hint}" if hint else ""))

    def _render_traceback_(self) -> list[str]:  # what IPython prints in place of a traceback
        return []


class NotStarted(NotImplementedError):  # noqa: N818
    """A check whose exercise still holds its TODO."""

    def _render_traceback_(self) -> list[str]:
        return []


@contextmanager
def check(check_id: str, title: str) -> Iterator[None]:
    """Run the expectations inside and print one line about them.

    Raises:
        Unmet: if one of them is not met.
        NotStarted: if the answer raises NotImplementedError, as a TODO does.
    """
    try:
        yield
    except Unmet as unmet:
        _say("✗", check_id, str(unmet))
        raise
    except NotImplementedError as todo:
        _say("·", check_id, "not started")
        raise NotStarted(f"{check_id}: not started: {todo}") from None
    except BaseException:
        _say("✗", check_id, "the answer raised an error, see below")
        raise
    _say("✓", check_id, title)


@contextmanager
def lines_go_to(listener: Listener) -> Iterator[None]:
    """Inside, the lines of checks are handed to `listener` and not printed."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.pop()


def expect_close(
    what: str,
    actual: Any,
    expected: Any,
    suspects: Mapping[str, Any] | None = None,
    *,
    atol: float = 1e-5,
) -> None:
    """`actual` must be a tensor with the shape and, up to `atol`, the values of `expected`.

    `suspects` maps a hint to the value that a known mistake gives; the first that agrees is told.
    """
    expected = torch.as_tensor(expected)
    if not isinstance(actual, Tensor):
        question = "is there a return?" if actual is None else ""
        raise Unmet(f"{what} is {_kind(actual)}, expected a tensor", question)
    hint = _suspected(suspects, lambda value: _agree(actual, torch.as_tensor(value), atol))
    if actual.shape != expected.shape:
        shapes = f"{tuple(actual.shape)}, expected {tuple(expected.shape)}"
        raise Unmet(f"{what} has shape {shapes}", hint)
    if not _agree(actual, expected, atol):
        off = (actual.detach().double() - expected.double()).abs().max().item()
        raise Unmet(f"{what} is off by up to {off:.3g}", hint)


def expect_equal(
    what: str, actual: Any, expected: Any, suspects: Mapping[str, Any] | None = None
) -> None:
    """`actual` must equal `expected`, a number, text or tuple of them; `suspects` as above."""
    if isinstance(actual, Tensor) and actual.numel() == 1:
        actual = actual.item()
    if actual is None:
        raise Unmet(f"{what} is None, expected {expected!r}", "is there a return?")
    if type(actual) in (bool, int, float, str, tuple, list) and actual == expected:
        return
    plain = isinstance(actual, bool | int | float | str | tuple | list)
    shown = repr(actual) if plain else _kind(actual)
    if len(shown) > MAX_SHOWN:
        shown = f"{shown[:MAX_SHOWN]}…"
    hint = _suspected(suspects, lambda value: type(actual) is type(value) and actual == value)
    raise Unmet(f"{what} is {shown}, expected {expected!r}", hint)


def expect_between(
    what: str, actual: Any, low: int | float, high: int | float = math.inf, hint: str = ""
) -> None:
    """`actual` must be a number from `low` to `high`."""
    if isinstance(actual, Tensor) and actual.numel() == 1:
        actual = actual.item()
    if isinstance(actual, bool) or not isinstance(actual, int | float):
        raise Unmet(f"{what} is {_kind(actual)}, expected a number")
    if not low <= actual <= high:
        bounds = f"at least {low:,}" if high == math.inf else f"{low:,} to {high:,}"
        raise Unmet(f"{what} is {actual:,}, expected {bounds}", hint)


def each_suspect(suspects: Mapping[str, Any] | None) -> Iterator[tuple[str, Any]]:
    """(hint, value) for every value, also of an `AnyOf`."""
    for hint, value in (suspects or {}).items():
        for one in value if isinstance(value, AnyOf) else (value,):
            yield hint, one


def _suspected(suspects: Mapping[str, Any] | None, agrees: Any) -> str:
    return next((hint for hint, value in each_suspect(suspects) if agrees(value)), "")


def _agree(actual: Tensor, expected: Tensor, atol: float) -> bool:
    if actual.shape != expected.shape:
        return False
    return torch.allclose(actual.detach().double(), expected.double(), rtol=1e-5, atol=atol)


def _kind(value: Any) -> str:
    return "None" if value is None else f"of type {type(value).__name__}"


def _say(mark: str, check_id: str, text: str) -> None:
    if _listeners:
        _listeners[-1](mark, check_id, text)
        return
    if in_notebook() or sys.stdout.isatty():
        mark = f"\x1b[{COLORS[mark]}m{mark}\x1b[0m"
    print(mark, check_id, "", text)
