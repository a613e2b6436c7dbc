"""Somebody else's answers, models that pretend and nonsense earn nothing and are not our fault."""

from contextlib import ExitStack

import pytest
import torchaudio  # noqa: F401  (two of them borrow from it)

from grader.adapters import ASSIGNMENTS
from grader.authoring.reference import exported_cells, load_answers
from grader.core.outcomes import Reason, Stopped
from grader.core.seed import Seed
from grader.course.mistakes.mistake import Borrowed
from grader.course.mistakes.planted import edited, planted, solution
from grader.course.trials import expect_as_ours
from grader.grading.feedback import Failure
from grader.grading.grading_run import forbidden_uses
from grader.grading.in_process import grade_one
from grader.sandbox import Code
from grader.submission import read_submissions
from kws.course.trial import find_trial
from tests.grader.conftest import code_beside

SEED = 11
ALL = [(number, one) for number in ASSIGNMENTS for one in planted(number).borrowed]


@pytest.fixture(scope="module")
def sessions(sandbox):
    with ExitStack() as stack:
        yield {
            number: stack.enter_context(sandbox.session(ASSIGNMENTS[number].withheld))
            for number in dict(ALL)
        }


@pytest.mark.parametrize(("number", "one"), [pytest.param(*p, id=p[1].name) for p in ALL])
def test_what_is_borrowed_or_pretended_earns_nothing(number, one: Borrowed, sessions, tmp_path):
    assignment, trial = ASSIGNMENTS[number], find_trial(one.check)
    task, text = assignment.task(one.task), edited(number, one.edit)
    if one.ready:  # it would be right
        answers = load_answers(exported_cells(solution(number), text.decode()), one.name)
        expect_as_ours(trial, [*trial.results(answers, seed=SEED, hidden=True)], SEED)
    (tmp_path / f"{assignment.stem}.py").write_bytes(text)
    (submission,) = read_submissions(tmp_path, number)
    assert not forbidden_uses(submission.pieces, task.forbidden, task.names)  # not for readers
    code = Code(pieces=submission.pieces, forbidden=task.forbidden)
    with sessions[number].check(code) as student, pytest.raises((Stopped, Failure)) as ending:
        expect_as_ours(trial, student.trial(trial.id, SEED), SEED)
    if one.ready:
        allowed = (Reason.FORBIDDEN, Reason.ERROR)  # a file that is not read is an error
        assert ending.value.reason in allowed, ending.value


VALUES = code_beside(__file__)["values"]
QUICK = ("02", "a pair of tensors")


CASES = [
    pytest.param(number, value, marks=[] if (number, value) == QUICK else pytest.mark.slow)
    for number in ASSIGNMENTS
    for value in VALUES
]


@pytest.mark.parametrize(("number", "value"), CASES)
def test_nonsense_earns_next_to_nothing_and_is_no_fault_of_ours(number, value, sandbox, tmp_path):
    assignment = ASSIGNMENTS[number]
    names = [name for task in assignment.tasks for name in task.names]
    lines = ["import torch", "from torch import nn"]
    for name in names:
        lines += [f"def {name}(*args, **kwargs):", f"    return {VALUES[value]}"]
    (tmp_path / f"{assignment.stem}.py").write_text("\n".join(lines) + "\n")
    (submission,) = read_submissions(tmp_path, number)
    report = grade_one(submission, sandbox=sandbox, seed=Seed("nonsense"))
    faults = [(c.id, c.message, dict(c.facts)) for c in report.checks if c.earned is None]
    assert faults == []
    assert report.score <= 0.1 * report.max_score, [c.id for c in report.checks if c.passed]
    assert all(check.message for check in report.checks if not check.passed)
