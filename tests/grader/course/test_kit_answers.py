"""No kit holds a function that answers a task of its own assignment, whatever its name."""

import importlib
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from grader import ROOT
from grader.adapters import ASSIGNMENTS
from grader.authoring.kit_modules import divide
from grader.authoring.reference import Results, try_trial
from grader.course.trials import our_answers
from kws.course.compare import difference
from kws.course.trial import PUBLIC_SEED, Trial, all_trials
from tests.conftest import limited

NOT_CALLED = ("kws.cli", "kws.student", "kws.course.checking")  # commands: they ask and print
OUTSIDE = ("subprocess", "socket", "os.fork", "os.exec", "os.posix_spawn", "os.mkdir", "os.rename")
OUTSIDE += ("os.remove", "os.rmdir", "os.truncate", "shutil", "open")  # events of what has effects
SECONDS = 1.0  # of the processor, for one function: an answer takes far less
pytestmark = [
    pytest.mark.slow,  # every function of a kit in the place of every answer
    pytest.mark.filterwarnings("ignore"),  # of functions that are given what they are not for
]


class Refused(Exception):  # noqa: N818  (a verdict)
    """No answer does this."""


_watching: list[bool] = []


def _watch(event: str, arguments: tuple) -> None:
    if _watching and event.startswith(OUTSIDE):
        raise Refused(event)


@contextmanager
def without_effects() -> Iterator[None]:
    """No file is opened inside, no process started, and it ends in time."""
    if not hasattr(sys, "watched_for_kits"):  # a hook of Python's stays
        sys.addaudithook(_watch)
        sys.watched_for_kits = True  # type: ignore[attr-defined]
    messages = sys.unraisablehook  # pytest's reads the sources of a traceback
    sys.unraisablehook = lambda _: None
    _watching.append(True)
    try:
        with limited(SECONDS, Refused("it takes too long")):
            yield
    finally:
        _watching.pop()
        sys.unraisablehook = messages


def functions_in_kit(number: str) -> list[Callable]:
    """The public functions and classes that modules of the kit define, methods of classes too."""
    withheld = [name for key, one in ASSIGNMENTS.items() if key >= number for name in one.withheld]
    found = []
    for name in sorted(divide(ROOT, withheld).kept):
        if not name.startswith(NOT_CALLED) and not name.endswith("__main__"):
            module = importlib.import_module(name)
            found += [
                thing
                for key, thing in sorted(vars(module).items())
                if not key.startswith("_") and getattr(thing, "__module__", "") == name
            ]
    return [unwatched(thing) for thing in found if callable(thing)]


def unwatched(thing: Callable) -> Callable:
    """A function as students have it: tests watch the shapes of what they call."""
    return thing if isinstance(thing, type) else inspect.unwrap(thing)


def takes_as_many(candidate: Callable, ours: Callable) -> bool:
    """Whether it can be called with the arguments that ours must have."""
    parameters = inspect.signature(ours).parameters.values()
    given = [one.name for one in parameters if one.default is one.empty]
    try:
        inspect.signature(candidate).bind(*given)
    except (TypeError, ValueError):
        return False
    return True


def same(trial: Trial, results: Results, expected: Results) -> bool:
    """Whether these are the results that earn the points of a trial."""
    pairs = zip(results, expected, strict=False)
    return len(results) == len(expected) and all(
        not isinstance(value, BaseException)
        and difference(value, ours, trial.rtol, trial.atol) is None
        for (_, value), (_, ours) in pairs
    )


def answering(number: str, candidates: list[Callable]) -> Iterator[str]:
    """The answers of an assignment in whose place one of these passes every trial."""
    answers = our_answers(number)
    wanted = {name: None for trial in all_trials(number) for name in trial.answers}
    for name in [name for name in wanted if not name.startswith("load_")]:  # those are given
        left = [one for one in candidates if takes_as_many(one, answers[name])]
        for trial in [trial for trial in all_trials(number) if name in trial.answers]:
            expected = try_trial(trial, answers, PUBLIC_SEED)
            left = [one for one in left if same(trial, tried(trial, answers, name, one), expected)]
        yield from (f"{one.__module__}.{one.__qualname__} answers {name}" for one in left)


def tried(trial: Trial, answers: Mapping[str, Any], name: str, one: Callable) -> Results:
    """The results of a trial with `one` in the place of an answer; none where it is not one."""
    with suppress(Refused), without_effects():
        return try_trial(trial, {**answers, name: one}, PUBLIC_SEED)
    return []


@pytest.mark.parametrize("number", ASSIGNMENTS)
def test_no_function_in_a_kit_answers_one_of_its_tasks(number):
    assert not list(answering(number, functions_in_kit(number)))


@pytest.mark.parametrize(
    ("number", "module", "name"),
    [
        ("01", "kws.audio.features", "pad_or_trim"),
        ("01", "kws.data.split_rule", "which_split"),
        ("02", "kws.models.attention", "attend"),
    ],
)
def test_a_function_that_does_answer_is_found(number, module, name):
    function = unwatched(getattr(importlib.import_module(module), name))
    assert list(answering(number, [function])) == [f"{module}.{name} answers {name}"]
