"""Turn a student's wrong answer into a planted mistake.

`candidate` runs it in the sandbox; `keep` outside of it, after a person read the code.
"""

import ast
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from grader.adapters import ASSIGNMENTS, Task
from grader.batch.output import Store
from grader.core.outcomes import Report
from grader.core.seed import Seed, read_seed
from grader.core.text import one_line
from grader.course.goldens import shown_by
from grader.course.mistakes.added import AddedMistake, add_mistake, as_planted, edits_of
from grader.course.mistakes.planted import edited, planted, solution
from grader.grading.in_process import grade_one
from grader.reports.shared_mistakes import same_fingerprint
from grader.sandbox import Sandbox
from grader.submission import read_submissions
from kws.errors import UsageError, did_you_mean


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A mistake with the same effect in our solution as in the student's."""

    number: str
    mistake: AddedMistake
    checks: tuple[str, ...]


def candidate(
    task: str,
    *,
    like: str,
    question: str,
    out: Path,
    name: str | None = None,
    sandbox: Sandbox | None = None,
    seed: Seed | None = None,
) -> Candidate:
    """Try a student's wrong answer in our solution, in the sandbox; UsageError if it fails."""
    number, names = _task(task)
    question, name = one_line(question).strip(), one_line(name or question).strip()
    if not question:
        raise UsageError("--question is empty: give one that hints at the mistake")
    if any(one.task == task and one.name == name for one in planted(number).mistakes):
        raise UsageError(f"{task} has a mistake called {name!r}: give another --name")
    report = _report(Store(out), like, number)
    wrong = [check for check in report.checks if check.task == task and check.code]
    if not wrong:
        raise UsageError(
            f"{like} has no wrong answer in {task} without a question: class.html in {out} lists "
            "those that have none"
        )
    seed = seed or read_seed()
    if seed.id != report.seed_id:
        raise UsageError(
            f"{out} was graded with another secret seed: set the same, or grade again first"
        )
    code = _plain(wrong[0].code, names)
    mistake = AddedMistake(task=task, name=name, question=question, code=code)
    with ExitStack() as closing:
        own = sandbox or closing.enter_context(Sandbox())
        tried = _tried(number, mistake, own, seed)
    same = {
        check.id
        for check in wrong
        if any(check.id == other.id and same_fingerprint(check, other) for other in tried.checks)
    }
    if not same:
        message = next(
            (one.message for one in tried.checks if one.task == task and one.message), ""
        )
        raise UsageError(
            f"the answer of {like} to {task} has another effect in our solution, which gives "
            f"{message or 'nothing'!r}: choose another student of the same group"
        )
    return Candidate(number=number, mistake=mistake, checks=tuple(sorted(same)))


def keep(found: Candidate) -> list[str]:
    """Add the mistake; return the lines to print. UsageError if no notebook check shows it."""
    number, mistake = found.number, found.mistake
    if not shown_by(number, as_planted(mistake, solution(number))):
        raise UsageError(
            f"{mistake.name!r} changes no result of the notebook's checks of {mistake.task}: add "
            "an input to kws/course that shows it first"
        )
    path = add_mistake(number, mistake)
    return [
        f"written: {path}",
        f"{mistake.task} asks from now on: {mistake.question}",
        "next: python -m grader regrade SUBMISSIONS, and python -m grader release",
    ]


def _task(task: str) -> tuple[str, Task]:
    number = task.partition(".")[0].zfill(2)
    tasks = {one.id: one for each in ASSIGNMENTS.values() for one in each.tasks}
    if task not in tasks:
        raise UsageError(f"there is no task {task!r}{did_you_mean(task, tasks)}: write 2.4")
    return number, tasks[task]


def _report(store: Store, student: str, number: str) -> Report:
    reports = {one.student: one for one in store.reports() if one.assignment == number}
    if student not in reports:
        near = did_you_mean(student, reports)
        raise UsageError(
            f"{store.out} has no report of {one_line(student)!r} on {number}{near}: grade first"
        )
    return reports[student]


def _plain(code: str, task: Task) -> str:
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError):
        raise UsageError(
            f"the code of {task.id} is not valid Python: choose another student of the group"
        ) from None
    return ast.unparse(tree)


def _tried(number: str, mistake: AddedMistake, sandbox: Sandbox, seed: Seed) -> Report:
    path = solution(number)
    edits = edits_of(mistake.code, path, mistake.name)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / path.name).write_bytes(edited(number, edits))
        (submission,) = read_submissions(folder, number)
        return grade_one(submission, sandbox=sandbox, seed=seed)
