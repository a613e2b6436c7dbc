"""Every planted mistake, through the real grader: named by its check, and paid for once.

One mistake of each task goes into the same submission: what a task loses is then its own doing,
since later tasks are graded on our answers to earlier ones. Last: edits fit exactly once.
"""

from collections.abc import Iterable

import pytest

from grader.adapters import ASSIGNMENTS
from grader.authoring.build import read_solution
from grader.authoring.reference import exported_cells, load_answers
from grader.core.seed import Seed
from grader.course.by_hand import compare_by_hand
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


def lost(number: str, report, but: Iterable[str] = ()) -> list[str]:
    """Checks that do not pass. Those that need trained weights are graded elsewhere."""
    needing = ASSIGNMENTS[number].need_weights
    some = (c for c in report.checks if not (c.id in needing or c.task in but or c.passed))
    return [f"{c.id}: {c.reason} {c.message} / {c.hint} {dict(c.facts)}" for c in some]


@pytest.mark.parametrize(("number", "index"), ROUNDS)
def test_planted_mistakes_are_named_and_cost_once(number, index, grade):
    mistakes = PLANTED[number].rounds()[index]
    report = grade(number, [edit for mistake in mistakes for edit in mistake.edits])
    assert named(mistakes)(report) == lost(number, report, {one.task for one in mistakes}) == []
    assert [check.id for check in report.checks if check.earned is None] == []


@pytest.mark.slow
@pytest.mark.parametrize(("number", "name"), OTHERS)
def test_another_right_answer_earns_all_points_whatever_the_seed(number, name, grade):
    edits = PLANTED[number].alternatives[name]
    assert lost(number, grade(number, edits, seed=name)) == []  # another seed for each


@pytest.mark.parametrize(("number", "name"), OTHERS)
def test_another_right_answer_passes_the_checks_by_hand(number, name):
    text, marks = edited(number, PLANTED[number].alternatives[name]).decode(), set()
    answers = load_answers(exported_cells(solution(number), text), name)
    compare_by_hand(number, answers, listener=lambda mark, *_: marks.add(mark))
    assert marks == {"✓"}


@pytest.mark.parametrize("number", NUMBERS)
def test_our_answer_earns_all_points(number, grade):
    assert lost(number, grade(number, [])) == []


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
    found, rounds = planted("02"), planted("02").rounds()
    assert sorted(m.name for one in rounds for m in one) == sorted(m.name for m in found.mistakes)
    assert all(len({m.task for m in round_}) == len(round_) for round_ in rounds)


def test_a_notebook_has_our_cells_and_the_attack_in_the_place_of_one():
    ours, other = as_notebook("02")["cells"], as_notebook("02", "attack()")["cells"]
    assert [c["source"] for c in ours] == [cell.source for cell in read_solution(solution("02"))]
    (changed,) = (b for a, b in zip(ours, other, strict=True) if a != b)
    assert changed["source"] == "attack()"
