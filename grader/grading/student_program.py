"""Which code runs in the process of one check.

1. The definitions of the check's task, as written, use no name that the task forbids; otherwise
   the check ends before anything runs.
2. All of the student's definitions are there, not only those of the task.
3. Our answers replace earlier tasks that this one builds on and that lost points, so a mistake
   costs once. A check of trained weights that then loses points also runs with the student's own
   definitions, with which they were trained, and the better result counts.
4. The random seed follows from the secret seed and the check; for trials from the task. Trials that
   share a process use the seed of its first one (`GradingRun.trial`).
"""

import ast
from collections.abc import Iterable, Sequence
from functools import lru_cache

from grader.adapters import ASSIGNMENTS
from grader.authoring.reference import reference_pieces
from grader.core.outcomes import Reason, Stopped
from grader.core.text import HALF, printable
from grader.grading.checks import Check
from grader.grading.grading_run import GradingRun
from grader.sandbox import Code
from grader.submission.contents import Piece
from grader.submission.statements import Effort, parse
from kws.course.used_names import ParsedSource, Use, reachable, uses_in


def forbidden_uses(
    pieces: Sequence[Piece],
    forbidden: Sequence[str],
    names: Iterable[str] | None = None,
    others: Iterable[str] = (),
    number: str = "",
) -> list[Use]:
    return uses_in(parsed(tuple(pieces)), forbidden, names, others, number)


@lru_cache(maxsize=32)
def parsed(pieces: tuple[Piece, ...]) -> tuple[ParsedSource, ...]:
    effort = Effort()
    # what does not parse will not run either; the last statement follows `from __future__ import …`
    trees = [parse(piece.source, effort) for piece in pieces]
    nodes = [[ast.Pass(), *(tree.body if tree else ())][-1] for tree in trees]
    return tuple(
        ParsedSource(node, each.source, each.where, each.line, each.names, each.changes)
        for node, each in zip(nodes, pieces, strict=True)
    )


def expect_own_work(
    pieces: Sequence[Piece],
    forbidden: Sequence[str],
    names: Iterable[str],
    others: Iterable[str] = (),
    number: str = "",
) -> None:
    found = forbidden_uses(pieces, forbidden, names, others, number)
    if found:
        raise Stopped(Reason.FORBIDDEN, found[0].fact, found[0].hint)


MOST_CODE = 8_000  # characters of one answer that are kept beside its result


def student_program(run: GradingRun, check: Check, seed: int | None = None) -> Code:
    """Build the program of a check; `seed` overrides rule 4; `Stopped` by rule 1."""
    assignment = ASSIGNMENTS[check.assignment]
    task, pieces = assignment.task(check.task), run.submissions[check.assignment].pieces
    others = [n for one in assignment.tasks if one is not task for n in one.names]
    expect_own_work(pieces, task.forbidden, task.names, others, assignment.number)
    failed = () if run.own_definitions else run.failed_tasks(check)
    references = [piece for one in failed for piece in _reference(assignment.number, one)]
    return Code(
        pieces=pieces,
        references=tuple(references),
        forbidden=task.forbidden,
        seed=run.seed.number(f"run {check.id}") % 2**32 if seed is None else seed,
    )


@lru_cache(maxsize=1024)
def _reference(number: str, task: str) -> tuple[Piece, ...]:
    return reference_pieces(ASSIGNMENTS[number], task)


def task_code(run: GradingRun, check: Check) -> str:
    """The student's own code for the task of a check, and what it uses but for other tasks'."""
    assignment = ASSIGNMENTS[check.assignment]
    task = assignment.task(check.task)
    others = {name for one in assignment.tasks for name in one.names} - set(task.names)
    pieces = run.submissions[check.assignment].pieces
    needed, _ = reachable(parsed(pieces), task.names, others)
    code = "\n\n".join(pieces[n].source for n in needed if others.isdisjoint(pieces[n].names))
    return HALF.sub("", printable(code))[:MOST_CODE]
