"""Every planted mistake, through the real grader: named by its check, and paid for once.

One mistake of each task goes into the same submission: what a task loses is then its own doing,
since later tasks are graded on our answers to earlier ones. Last: edits fit exactly once.
"""

from collections.abc import Iterable

import pytest

from grader.adapters import ASSIGNMENTS
from grader.authoring.build import read_solution
from grader.core.seed import Seed
from grader.course.mistakes.planted import Edit, as_notebook, edited, mistaken, planted, solution
from grader.grading.in_process import grade_one
from grader.selftest.selftest import named
from grader.submission import read_submissions
from kws.errors import UsageError

NUMBERS = tuple(ASSIGNMENTS)
PLANTED = {number: planted(number) for number in NUMBERS}
ROUNDS = [
    pytest.param(n, i, marks=[] if (n, i) == ("02", 0) else pytest.mark.slow)
    for n in NUMBERS
    for i in range(len(PLANTED[n].rounds()))
]
OTHERS = [(n, name) for n in NUMBERS for name in PLANTED[n].alternatives]


@pytest.fixture
def grade(sandbox, tmp_path):
    """The report on our solution of an assignment after some edits."""

    def graded(number: str, edits: Iterable[Edit], seed: str = "planted mistakes"):
        (tmp_path / solution(number).name).write_bytes(edited(number, edits))
        (submission,) = read_submissions(tmp_path, number)
        return grade_one(submission, sandbox=sandbox, seed=Seed(seed))

    return graded


def without_weights(number: str, report) -> list:
    """The checks that need no trained weights: those are graded elsewhere."""
    return [check for check in report.checks if check.id not in ASSIGNMENTS[number].need_weights]


def shown(check) -> str:
    return f"{check.id}: {check.reason} {check.message} / {check.hint} {dict(check.facts)}"


@pytest.mark.parametrize(("number", "index"), ROUNDS)
def test_planted_mistakes_are_named_and_cost_once(number, index, grade):
    mistakes = PLANTED[number].rounds()[index]
    report = grade(number, [edit for mistake in mistakes for edit in mistake.edits])
    assert named(mistakes)(report) == []
    tasks = {mistake.task for mistake in mistakes}
    others = [c for c in without_weights(number, report) if c.task not in tasks]
    assert [shown(check) for check in others if not check.passed] == []
    assert [shown(check) for check in report.checks if check.earned is None] == []


@pytest.mark.slow
@pytest.mark.parametrize(("number", "name"), OTHERS)
def test_another_right_answer_earns_all_points_whatever_the_seed(number, name, grade):
    report = grade(number, PLANTED[number].alternatives[name], seed=name)  # another for each
    wrong = [check for check in without_weights(number, report) if not check.passed]
    assert [shown(check) for check in wrong] == []


@pytest.mark.parametrize("number", NUMBERS)
def test_our_answer_earns_all_points(number, grade):
    wrong = [check for check in without_weights(number, grade(number, [])) if not check.passed]
    assert [shown(check) for check in wrong] == []


def test_an_edit_changes_what_it_names_and_fits_once_or_is_an_error():
    text = edited("02")
    assert text == solution("02").read_bytes()
    changed = text.replace(b"def attend(", b"def intend(")
    assert edited("02", [("def attend(", "def intend(")]) == changed
    mistake = next(one for one in planted("05").mistakes if len(one.edits) > 1)
    assert mistaken("05", [mistake]) == edited("05", mistake.edits)
    for old in ("no such text", "import"):
        with pytest.raises(UsageError, match="does not fit its solution"):
            edited("02", [(old, "")])
    with pytest.raises(UsageError, match="assignment '99' does not exist"):
        planted("99")


def test_rounds_hold_every_mistake_once_and_no_task_twice():
    found = planted("02")
    rounds = found.rounds()
    names = [m.name for round_ in rounds for m in round_]
    assert sorted(names) == sorted(m.name for m in found.mistakes)
    assert all(len({m.task for m in round_}) == len(round_) for round_ in rounds)


def test_a_notebook_has_our_cells_and_the_attack_in_the_place_of_one():
    ours, other = as_notebook("02")["cells"], as_notebook("02", "attack()")["cells"]
    sources = [cell.source for cell in read_solution(solution("02"))]
    assert [cell["source"] for cell in ours] == sources
    (changed,) = (b for a, b in zip(ours, other, strict=True) if a != b)
    assert changed["source"] == "attack()"
