"""A trial of a task's contract as a hidden check.

    test_attend_values = check_trial(attention.attend_values, points=3)

The trial runs in the student's process with sizes and a seed that the notebook does not have; its
results are compared with ours, and a wrong one gets the question of the mistake that has it, too.
"""

import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from typing import Any

import pytest
from torch import Tensor

from grader.authoring.reference import Results, exported_cells, load_answers, try_trial
from grader.core.outcomes import Reason, Stopped
from grader.core.seed import MadeOnce, Seed
from grader.course.mistakes.planted import mistaken, planted, solution
from grader.grading.feedback import Failure
from grader.sandbox.student_errors import explain
from kws.course.compare import Record, difference
from kws.course.trial import OR, Trial, find_trial, often

# numbers that any result may have; times those of ours in its place that a large one may
ENOUGH, WIDE = 10_000, 4
TINY, FAR = 1e-9, 1e9  # bounds of the distance between wrong results
MOST_RECORDS = 8  # wrong results of one trial by which a mistake is known


def hidden_seed(trial: Trial, secret: Seed) -> int:
    return secret.number(trial.id) % 2**32


def check_trial(trial: Trial, *, points: float) -> Callable:
    def test(run_trial: Callable, secret: Seed) -> None:
        seed = hidden_seed(trial, secret)
        try:
            run_trial(trial.id, seed, lambda results: expect_as_ours(trial, results, seed))
        except Stopped as stopped:
            raise with_question(trial, stopped, seed) from None

    test.__name__ = f"test_{trial.run.__name__}"
    test.__doc__ = f"{trial.title}."
    return pytest.mark.check(trial.task, points=points, concept=f"section {trial.task}")(test)


def expect_as_ours(trial: Trial, results: Results, seed: int) -> None:
    """Fail where a result differs from that of our answers for the same inputs."""
    expected = expected_results(trial, seed)
    if errors := [value for _, value in expected if isinstance(value, BaseException)]:
        raise errors[0]
    rows = enumerate(results)
    large = next((at for at, (_, value) in rows if _is_too_large(value, at, trial, seed)), None)
    try:
        if large is None:
            _compare(trial, results, expected, seed)
        elif trial.measure is None:  # what differs before says more
            _compare(trial, results[:large], expected[:large], seed)
    except Failure:
        raise
    # ours has the form that can be compared: what the student's lacks is not a fault of the grader
    except Exception as error:
        what = results[0][0] if results else trial.title
        reason = f"{type(error).__name__}: {error}".partition("\n")[0]
        raise Failure(f"{what}: not of the required form ({reason})") from None
    if large is not None:
        raise Failure(f"{results[large][0]} is far larger than what is asked for")


def with_question(trial: Trial, stopped: Stopped, seed: int) -> Stopped:
    """The same, and what known mistakes ask that raise the same exception."""
    questions = []
    for position, mistake in enumerate(planted(trial.number).mistakes):
        if mistake.task == trial.task and stopped.reason is Reason.ERROR:
            answers = mistaken_answers(trial.number, position)
            _, value = try_trial(trial, answers, seed, hidden=True)[-1]
            raises = isinstance(value, BaseException)
            if raises and explain(value, trial.id, frozenset()).message == stopped.message:
                questions.append(mistake.question)
    question = OR.join(dict.fromkeys(questions))
    place = f"\n  {stopped.hint}" if question and stopped.hint else ""
    return Stopped(stopped.reason, stopped.message + place, question or stopped.hint)


def _is_too_large(value: Any, at: int, trial: Trial, seed: int) -> bool:
    """Whether comparing it would take seconds, or minutes."""
    if size_of_value(value, ENOUGH) <= ENOUGH:
        return False
    sizes = _our_sizes(trial, seed)
    most = max(ENOUGH, WIDE * sizes[at] if at < len(sizes) else 0)
    return size_of_value(value, most) > most


def _compare(trial: Trial, results: Results, expected: Results, seed: int) -> None:
    measured = trial.measured(results, hidden=True)
    for position, (what, value) in enumerate(expected):
        if position >= len(measured):
            raise Failure(f"{what} is missing")
        fact = difference(measured[position][1], value, trial.rtol, trial.atol)
        if fact is not None:
            question, usual = _question(trial, measured[: position + 1], expected, seed)
            kept = _fingerprint(trial, expected, measured)
            raise Failure(f"{what}: {fact}{usual}", question, kept)


def _fingerprint(trial: Trial, expected: Results, measured: Results) -> dict[str, Any]:
    pairs = zip(expected, measured, strict=False)
    wrong = [
        (str(position), Record.of(value).to_json())
        for position, ((_, ours), (_, value)) in enumerate(pairs)
        if difference(value, ours, trial.rtol, trial.atol) is not None
    ]
    return dict(wrong[:MOST_RECORDS])


def _question(trial: Trial, results: Results, expected: Results, seed: int) -> tuple[str, str]:
    """The questions of all mistakes with these results; else those of the nearest, as a list."""
    found = [
        (_distance(trial, position, seed, results, expected), mistake.question)
        for position, mistake in enumerate(planted(trial.number).mistakes)
        if mistake.task == trial.task
    ]
    if same := dict.fromkeys(question for distance, question in found if distance == 0):
        return OR.join(same), ""
    near = dict.fromkeys(question for distance, question in sorted(found) if distance < math.inf)
    return "", often([*near])


def _distance(trial: Trial, mistake: int, seed: int, results: Results, expected: Results) -> float:
    """0 if a mistake has these results; how far it is off if only its last, wrong one differs."""
    answers, last = mistaken_answers(trial.number, mistake), len(results) - 1
    with suppress(Exception):  # of the mistake
        theirs = trial.results(answers, seed=seed, hidden=True)
        if trial.measure is not None:
            theirs = iter(trial.measured([*theirs], hidden=True))
        for at, ((_, value), (_, other)) in enumerate(zip(results, theirs, strict=False)):
            if difference(value, other, trial.rtol, trial.atol) is not None:
                if at < last or difference(other, expected[at][1], trial.rtol, trial.atol) is None:
                    break
                far = math.inf if isinstance(value, Tensor | str) else FAR  # a list has none
                return min(max(Record.of(value).distance(Record.of(other)), TINY), far)
            if at == last:
                return 0.0
    return math.inf


@cache
def our_answers(number: str) -> Mapping[str, Any]:
    return load_answers(exported_cells(solution(number)), f"solution {number}")


def expected_results(trial: Trial, seed: int) -> Results:
    return _expected(trial.id, seed)


@MadeOnce
def _expected(trial_id: str, seed: int) -> Results:
    trial = find_trial(trial_id)
    return try_trial(trial, our_answers(trial.number), seed, hidden=True)


@cache
def _our_sizes(trial: Trial, seed: int) -> list[int]:
    results = trial.results(our_answers(trial.number), seed=seed, hidden=True)
    return [size_of_value(value) for _, value in results]


def size_of_value(value: Any, most: float = math.inf) -> int:
    """Count the numbers and letters nested in a value; stop beyond `most`.

    >>> size_of_value([[0.5, 2], "ab", {"a": 1.0}])
    8
    """
    if isinstance(value, Tensor):
        return value.numel()
    if isinstance(value, str):
        return len(value)
    size = 1
    if isinstance(value, Mapping | list | tuple):
        for part in value.values() if isinstance(value, Mapping) else value:
            if size > most:
                break
            size += size_of_value(part, most)
    return size


@cache
def mistaken_answers(number: str, position: int) -> Mapping[str, Any]:
    text = mistaken(number, [planted(number).mistakes[position]]).decode()
    return load_answers(exported_cells(solution(number), text), f"mistake {position} of {number}")
