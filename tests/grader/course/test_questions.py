"""A check asks about a planted mistake's own question: each is reached, and by no other mistake."""

import json
from functools import partial

import pytest

from grader.adapters import ASSIGNMENTS
from grader.course.by_hand import checks_by_hand, compare_by_hand
from grader.course.goldens import golden_path
from grader.course.mistakes.planted import planted
from grader.course.trials import mistaken_answers
from kws.course.compare import Record
from kws.course.trial import ATOL, RAISED, RTOL, all_trials, goldens

NUMBERS = [pytest.param(n, marks=[] if n == "02" else pytest.mark.slow) for n in ASSIGNMENTS]


def collisions(number: str) -> list[str]:
    """Where the first result that shows a mistake is also that of a mistake of another question."""
    bounds = {trial.id: (trial.rtol, trial.atol) for trial in all_trials(number)}
    return [
        f"{check}: {mistake.question} / {other.question}"
        for check, golden in goldens(number).items()
        for mistake in golden.mistakes
        for other in golden.mistakes
        if other.question != mistake.question
        and shows_first(mistake.results, other.results, *bounds.get(check, (RTOL, ATOL)))
    ]


def shows_first(one: dict[int, Record], other: dict[int, Record], rtol, atol) -> bool:
    at = min(one)
    a, b = one[at], other[min(other)]
    same = a == b if RAISED in (a.kind, b.kind) else a.is_like(b, rtol, atol)
    return at == min(other) and same


@pytest.mark.parametrize("number", ASSIGNMENTS)
def test_a_question_is_reached_by_no_mistake_of_another_name(number):
    assert collisions(number) == []


@pytest.mark.parametrize("number", ASSIGNMENTS)
def test_every_check_by_hand_knows_planted_mistakes(number):
    tables = json.loads(golden_path(number).read_text(encoding="utf-8"))
    silent = {one for one in checks_by_hand(number) if not tables.get(one, {}).get("mistakes")}
    assert silent == ({"7.9-shapes"} if number == "07" else set())  # shapes only


@pytest.mark.filterwarnings("ignore:Use of masked_fill_")  # of a planted mistake
@pytest.mark.parametrize("number", NUMBERS)
def test_the_notebook_asks_by_hand_about_each_planted_mistake(number):
    lines: list[tuple[str, str]] = []
    for position, mistake in enumerate(planted(number).mistakes):
        listener = partial(collect, lines, mistake.question)
        answers = mistaken_answers(number, position)
        compare_by_hand(number, answers, mistake.task, listener)
    assert [text for question, text in lines if question not in text] == []


def collect(lines: list[tuple[str, str]], question: str, mark: str, check: str, text: str) -> None:
    if mark == "✗" and check != "7.9-shapes":
        lines.append((question, f"{check}: {text}"))
