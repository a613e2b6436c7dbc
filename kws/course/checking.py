"""Visible checks: one line under each exercise of a notebook, right after its answer.

    with check("2.1-attend-by-hand", "attend agrees with pencil and paper"):
        expect_close("attend(q, k, v)", attend(q, k, v), [[5.0]])

    ✓ 2.1-attend-by-hand  attend agrees with pencil and paper
    ✗ 2.1-attend-by-hand  attend(q, k, v) is
      [[4.4]]
      expected
      [[5]]
      hint: divided?
    · 2.1-attend-by-hand  not started

The hint is the question of the planted mistake that has these results (`kws.course.trial`).
After the second and third the notebook stops, without a traceback: there is nothing to read
in one. An error in the answer itself keeps its traceback, which says where to look. Where an
earlier task's checks did not pass, a later one that fails says "waits for 2.3" and no more.
"""

import math
import re
import sys
import sysconfig
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from kws.course.compare import difference
from kws.course.notebooks import COURSE, task_of
from kws.course.own_work import watch_calls
from kws.course.trial import Golden, Trial, find_golden, find_trial, goldens, plain, tasks_before
from kws.course.used_names import uses_of
from kws.notebook import in_notebook

MAX_SHOWN = 200  # characters of an answer
# where code is that is not a student's
LIBRARIES = tuple({str(COURSE.parent), *(sysconfig.get_paths()[k] for k in ("stdlib", "purelib"))})
COLORS = {"✓": "32", "✗": "31", "·": "33"}  # green, red, yellow
Listener = Callable[[str, str, str], None]  # mark, id and text of a line
TODO = re.compile(r"TODO (\d+\.\d+)")
_listeners: list[Listener] = []
_unmet: dict[str, str] = {}  # in this kernel: a check that did not pass last time -> its task
_running: list[str] = []  # checks, the innermost last
compared: dict[str, list[tuple[str, Any]]] = {}  # check -> what it expected when it last ran


class Unmet(AssertionError):  # noqa: N818  (no error: an answer)
    """A check whose expectation was not met: the fact, and a question where the error is known."""

    def __init__(self, fact: str, hint: str = ""):
        super().__init__(fact + _hint(hint))
        self.fact, self.hint = fact, hint

    def _render_traceback_(self) -> list[str]:  # what IPython prints in place of a traceback
        return []


class NotStarted(NotImplementedError):  # noqa: N818
    """A check whose exercise is a TODO, or that waits for another one."""

    def __init__(self, check_id: str, status: str, why: object = ""):
        super().__init__(f"{check_id}: {status}: {why}" if str(why) else f"{check_id}: {status}")
        self.status = status

    def _render_traceback_(self) -> list[str]:
        return []


@contextmanager
def check(check_id: str, title: str) -> Iterator[None]:
    """Run the expectations inside and print one line. Raises Unmet, or NotStarted for a TODO."""
    _running.append(check_id)
    compared[check_id] = []
    try:
        yield
    except NotImplementedError as todo:
        found, task = TODO.search(str(todo)), task_of(check_id)
        elsewhere = found and found[1] != task
        status = f"waits for your answer to {found[1]}" if found and elsewhere else "not started"
        _say("·", check_id, status)
        raise NotStarted(check_id, status, todo) from None
    except Exception as error:
        if earlier := _waits_for(task_of(check_id), set()):
            status = f"waits for {earlier}: its checks do not pass yet"
            _say("·", check_id, status)
            raise NotStarted(check_id, status) from None
        if isinstance(error, Unmet):
            if compared[check_id] and not error.hint:
                usual, hint = _recognize(check_id)
                error = Unmet(error.fact + usual, hint)
            _say("✗", check_id, str(error))
            raise error from None
        hint, usual = getattr(error, "kws_hint", ""), getattr(error, "kws_usual", "")
        if not hint and not usual:
            compared[check_id].append(("an exception", error))
            usual, hint = _recognize(check_id)
        if not isinstance(error, NameError) and (fact := _unusable(error, 1)):
            unmet = Unmet(fact + usual, hint or _form(error))
            _say("✗", check_id, str(unmet))
            raise unmet from None
        _say("✗", check_id, "the answer raised an error, see below" + usual + _hint(hint))
        raise
    finally:
        _running.pop()
    _say("✓", check_id, title)


def _recognize(check_id: str) -> tuple[str, str]:
    """The question for the results that a check by hand compared."""
    golden = find_golden(check_id)
    results = [value for _, value in compared[check_id]]
    if golden is None or not golden.expected:
        return "", ""
    question = golden.question(results)
    return ("", question) if question else (golden.usual(results), "")


def check_accuracy(
    check_id: str, accuracy: Any, *, full: float, none: float, examples: str
) -> None:
    """Print the points for a trained model's accuracy; a low one does not stop the notebook.

    Args:
        check_id: "3.8-accuracy".
        accuracy: a share of 1.
        full: the accuracy from which on the hidden examples give all points.
        none: the accuracy up to which they give none; in between in proportion.
        examples: what it was measured on, "200 whole validation sentences".
    """
    share = (float(accuracy) - none) / (full - none)
    worth = "full points" if share >= 1 else f"about {max(share, 0):.0%} of the points"
    bounds = f"full points from {full:.0%}, none up to {none:.0%}"
    met = share >= 1  # not where the accuracy is NaN
    status = f"{float(accuracy):.1%} of {examples}: {worth} on hidden ones like these ({bounds})"
    _say("✓" if met else "✗", check_id, status)


def check_values(trial_id: str, *answers: Any) -> None:
    """Check that answers do what the task's contract asks: as ours do, on inputs that are public.

    The hidden check is the same function (`kws.course`) with other sizes and numbers. Where a
    result has the values that a known mistake gives, the line asks about that mistake.

    Args:
        trial_id: "2.1-attend-values".
        answers: functions and classes of the notebook, in the order of the contract.

    Raises:
        Unmet: if a result differs from ours.
        NotStarted: if an answer raises NotImplementedError, as a TODO does.
    """
    trial = find_trial(trial_id)
    golden = goldens(trial.number)[trial_id]
    names = dict(zip(trial.answers, answers, strict=True))
    results: list[tuple[str, Any]] = []
    found: list[Any] = []
    called: list[str] = []
    with check(trial_id, trial.title):
        for use in uses_of(names, golden.forbidden, trial.number):
            raise Unmet(use.fact, use.hint)
        try:
            for result in _watched(trial.results(names), golden.forbidden, called):
                results.append(result)
                _expect_own(called, trial)
                if trial.measure is None:
                    found.append(result[1])
                    _expect_record(found, golden, trial)
            if trial.measure is not None:
                for _, value in trial.measured(results):
                    found.append(value)
                    _expect_record(found, golden, trial)
        except (Unmet, NotImplementedError):
            raise
        except Exception as error:
            _expect_own(called, trial)
            shown = [*found, error]
            question = golden.question(shown, trial.rtol, trial.atol) or _door(error)
            usual = "" if question else golden.usual(shown)
            if fact := _unusable(error):
                raise Unmet(fact + usual, question or _form(error)) from None
            error.kws_hint = question  # type: ignore[attr-defined]
            error.kws_usual = usual  # type: ignore[attr-defined]
            raise


def _watched(
    results: Iterator[tuple[str, Any]], forbidden: Sequence[str], called: list[str]
) -> Iterator[tuple[str, Any]]:
    """The results; calls are watched for the first one only, as this is slow."""
    with watch_calls(forbidden, called):
        first = next(results, None)
    if first is not None:
        yield first
        yield from results


def _expect_own(called: list[str], trial: Trial) -> None:
    if called:
        fact = f"{called[0]} was called, a ready-made solution of {trial.task}"
        raise Unmet(fact, "the contract of this task lists what may be used")


def _unusable(error: BaseException, body: int | None = None) -> str:
    """The fact where a result stopped the last line of a contract, or of frame `body`; or ""."""
    frames = traceback.extract_tb(error.__traceback__)
    own = (n for n, frame in enumerate(frames) if Path(frame.filename).parent.parent == COURSE)
    at = max(own, default=body)
    ours = (*LIBRARIES, frames[at or 0].filename)
    if at is None or not all(frame.filename.startswith(ours) for frame in frames[at:]):
        return ""
    line = f" at `{frames[at].line}`" if frames[at].line else ""
    return f"the result cannot be used{line}: {type(error).__name__}: {error}"


def _form(error: BaseException) -> str:
    """The question for a result whose form is not the contract's."""
    if "does not require grad" in str(error):
        return "does a gradient reach what is passed in? Nothing on the way may be detached"
    if re.search(r"\bargument", str(error)) and isinstance(error, TypeError):
        return "are the arguments those of the contract, with their names?"
    if re.search(r"size of tensor|shape|dimension", str(error)):
        return "are the shapes those of the contract?"
    return "is there a return, and of what the contract lists, in this order?"


def _door(error: BaseException) -> str:
    """A question where known weights did not get into the module, or a gradient is lost."""
    if "in-place operation" in str(error) or "inplace operation" in str(error):
        return "is a tensor that needs a gradient changed in place (+=, x[...] = ..., fill_)?"
    if "same dtype" in str(error):
        return "two tensors have different dtypes: is one cast to the other's, with .to(x)?"
    names = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
    doors = [name for name in names if name.startswith("load_") and name != "load_state_dict"]
    return f"does {doors[-1]} match your module? You may change that function" if doors else ""


def _expect_record(found: list[Any], golden: Golden, trial: Trial) -> None:
    what, record = golden.expected[len(found) - 1]
    fact = record.difference(found[-1], trial.rtol, trial.atol)
    if fact is not None:
        question = golden.question(found, trial.rtol, trial.atol)
        raise Unmet(f"{what}: {fact}{'' if question else golden.usual(found)}", question)


@contextmanager
def lines_go_to(listener: Listener) -> Iterator[None]:
    """Inside, the lines of checks are handed to `listener` and not printed."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.pop()


def expect_close(what: str, actual: Any, expected: Any, *, atol: float = 1e-5) -> None:
    """`actual` must be a tensor with the shape and, up to `atol`, the values of `expected`."""
    _compare(what, actual)
    expected = torch.as_tensor(expected)
    actual = _from_numpy(actual)
    if expected.ndim == 0 and isinstance(actual, int | float) and not isinstance(actual, bool):
        actual = torch.tensor(actual)
    if not isinstance(actual, Tensor):
        hints = {type(None): "is there a return?", list: "the result is one tensor: is it a list?"}
        raise Unmet(f"{what}: got {_kind(actual)}, expected a tensor", hints.get(type(actual), ""))
    for odd in (Tensor.is_complex, lambda x: x.dtype == torch.bool):
        if odd(actual) and not odd(expected):
            raise Unmet(f"{what}: got dtype {actual.dtype}, expected real numbers")
    if not _agree(actual, expected, atol):
        raise Unmet(f"{what}: {_difference(actual, expected, atol)}")


def expect_equal(what: str, actual: Any, expected: Any) -> None:
    """`actual` must equal `expected`, a number, text or tuple of them."""
    _compare(what, actual)
    if isinstance(actual, Tensor) and actual.numel() == 1:
        actual = actual.item()
    actual = _from_numpy(actual)
    if isinstance(actual, Tensor) and isinstance(expected, list):
        actual = actual.tolist()
    if actual is None:
        raise Unmet(f"{what}: got None, expected {expected!r}", "is there a return?")
    if type(actual) in (bool, int, float, str, tuple, list) and actual == expected:
        return
    plain = isinstance(actual, bool | int | float | str | tuple | list)
    shown = repr(actual) if plain else _kind(actual)
    if len(shown) > MAX_SHOWN:
        shown = f"{shown[:MAX_SHOWN]}…"
    raise Unmet(f"{what}: got {shown}, expected {expected!r}")


def expect_between(
    what: str, actual: Any, low: int | float, high: int | float = math.inf, hint: str = ""
) -> None:
    """`actual` must be a number from `low` to `high`."""
    if isinstance(actual, Tensor) and actual.numel() == 1:
        actual = actual.item()
    if isinstance(actual, bool) or not isinstance(actual, int | float):
        raise Unmet(f"{what}: got {_kind(actual)}, expected a number")
    _compare(what, low <= actual <= high)
    if not low <= actual <= high:
        bounds = f"at least {low:,}" if high == math.inf else f"{low:,} to {high:,}"
        raise Unmet(f"{what}: got {actual:,}, expected {bounds}", hint)


def _compare(what: str, actual: Any) -> None:
    if _running:
        compared[_running[-1]].append((what, plain(actual)))


def _hint(hint: str) -> str:
    return f"\n  hint: {hint}" if hint else ""


def _from_numpy(value: Any) -> Any:
    return plain(value) if type(value).__module__ == "numpy" else value


def _agree(actual: Tensor, expected: Tensor, atol: float) -> bool:
    one, other = actual.detach().double(), expected.double()
    return one.shape == other.shape and torch.allclose(one, other, rtol=1e-5, atol=atol)


def _difference(actual: Tensor, expected: Tensor, atol: float) -> str:
    got, wanted = (plain(x.detach().double()) for x in (actual, expected))
    return difference(got, wanted, 0.0, atol) or "the values differ"


def _kind(value: Any) -> str:
    return "None" if value is None else f"an object of type {type(value).__name__}"


def forget_checks() -> None:
    """Begin as a new kernel does: no task waits for another."""
    _unmet.clear()


def _waits_for(task: str, seen: set[str]) -> str:
    for before in tasks_before(task):
        if before not in seen:
            seen.add(before)
            if first := _waits_for(before, seen):
                return first
            if before in _unmet.values():
                return before
    return ""


def _say(mark: str, check_id: str, text: str) -> None:
    if mark == "✓":
        _unmet.pop(check_id, None)
    else:
        _unmet[check_id] = task_of(check_id)
    if _listeners:
        _listeners[-1](mark, check_id, text)
        return
    if in_notebook() or sys.stdout.isatty():
        mark = f"\x1b[{COLORS[mark]}m{mark}\x1b[0m"
    print(mark, check_id, "", text)
