"""The state of a grading run: the result of each check, and the report.

Independent of pytest: `plugin.py` drives it. `judge` turns the outcome of a check into points;
`student_program` decides which code of a submission runs:

1. The definitions of the check's task, as written, use no name that the task forbids; otherwise
   the check ends before anything runs.
2. All of the student's definitions are there, not only those of the task; loops and calls outside
   of functions only where the task or one that it builds on uses them, for they may not end.
3. Our answers replace earlier tasks that this one builds on and that lost points, so a mistake
   costs once. A check of trained weights that then loses points also runs with the student's own
   definitions, with which they were trained, and the better result counts.
4. The random seed follows from the secret seed and the check; for trials from the task. Trials that
   share a process use the seed of its first one (`GradingRun.trial`).

The point rules, in one place:

    all points      the check ended without an exception, and called no `record.partial`
    some            it called `record.partial(share, …)`: points × share, to the cent
    none            `Failure`, or a `Stopped` of the student's; not run; never reported
    open (None)     a grader fault: any other exception, twice; or no submitted file, or not the
                    cell that may define it, could be read; reviewed by a person
"""

import ast
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from grader.adapters import ASSIGNMENTS, Assignment
from grader.authoring.reference import reference_pieces
from grader.core.outcomes import CheckResult, Reason, Record, Report, Stopped
from grader.core.seed import Seed
from grader.core.text import HALF, clean, printable
from grader.grading.checks import Check, checks_digest, needed
from grader.grading.feedback import Failure
from grader.sandbox import Code, Sandbox, Session
from grader.sandbox.remote import RemoteStudent
from grader.submission.contents import Piece, Submission
from grader.submission.statements import Effort, parse
from kws.course.may_run import is_harmless
from kws.course.used_names import ParsedSource, Use, reachable, uses_in

OURS = "the grader failed, not your answer: no points are lost, and a person will review it"
STAFF = "staff: fault"
MOST_CODE = 8_000  # characters of one answer that are kept beside its result


def judge(check: Check, error: BaseException | None, record: Record) -> CheckResult:
    reason, message, hint, earned = None, "", "", check.points
    facts, fingerprint = dict(record.facts), {}
    if isinstance(error, Failure):
        reason, message, hint, earned = Reason.WRONG, error.message, error.hint, 0.0
        fingerprint = error.fingerprint
    elif isinstance(error, Stopped) and error.reason is not Reason.INFRASTRUCTURE:
        reason, message, hint = error.reason, error.message, error.hint
        earned = None if reason is Reason.UNREAD else 0.0
    elif error is not None:
        reason, message, earned = Reason.INFRASTRUCTURE, OURS, None
        facts[STAFF] = clean(_where(error))
    elif record.share < 1:
        reason, message = Reason.PARTIAL, record.message
        earned = round(check.points * record.share, 2)
    return CheckResult(
        id=check.id,
        task=check.task,
        title=check.title,
        points=check.points,
        earned=earned,
        reason=reason,
        message=clean(message),
        hint=clean(hint),
        concept=check.concept,
        facts=facts,
        figures=tuple(record.figures) if earned is not None else (),
        retrain=check.retrain,
        fingerprint=fingerprint,
        measured=record.measured if earned is not None else None,
    )


def not_run(check: Check, message: str) -> CheckResult:
    return judge(check, Stopped(Reason.NOT_RUN, message), Record())


def _where(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "/grader/" in frame.filename.replace("\\", "/")]
    at = (ours or list(frames))[-1:]
    places = [f" at {Path(frame.filename).name}:{frame.lineno}" for frame in at]
    message = f": {error.message}" if isinstance(error, Stopped) else ""
    return f"{type(error).__name__}{''.join(places)}{message}"


@dataclass(kw_only=True, eq=False)
class GradingRun:
    """One student's submissions; `checks` is set at collection, `results` as checks end."""

    submissions: Mapping[str, Submission]
    sandbox: Sandbox | None
    seed: Seed
    student: str = ""
    retrain: bool = False
    checks: dict[str, list[Check]] = field(default_factory=dict)
    results: dict[tuple[str, str], CheckResult] = field(default_factory=dict)
    own_definitions: bool = False  # our answers do not replace tasks that lost points
    _sessions: dict[str, tuple[Session, ExitStack]] = field(default_factory=dict)
    _shared: tuple[Code, float | None, RemoteStudent] | None = None  # of trials that passed
    _all_passed: bool = True  # every trial so far

    @property
    def assignments(self) -> tuple[Assignment, ...]:
        return tuple(ASSIGNMENTS[number] for number in sorted(self.submissions))

    def earned(self, check: Check, other: str) -> float | None:
        """What another check of the same assignment earned; 0 if it has not run."""
        result = self.results.get((check.assignment, other))
        return 0.0 if result is None else result.earned

    def blocked_by(self, check: Check) -> str | None:
        """The check that earned nothing and that this one depends on, if any."""
        return next((other for other in check.after if self.earned(check, other) == 0), None)

    def failed_tasks(self, check: Check) -> tuple[str, ...]:
        """Prerequisite tasks for which a check so far did not earn all points."""
        results = [
            result for (number, _), result in self.results.items() if number == check.assignment
        ]
        failed = {result.task for result in results if not result.passed}
        return tuple(t for t in needed(ASSIGNMENTS[check.assignment], check.task) if t in failed)

    def session(self, assignment: str) -> Session:
        if assignment not in self._sessions:
            assert self.sandbox is not None
            stack = ExitStack()
            opened = stack.enter_context(self.sandbox.session(ASSIGNMENTS[assignment].withheld))
            self._sessions[assignment] = (opened, stack)
        return self._sessions[assignment][0]

    def trial(
        self, check: Check, program: Code, name: str, seed: int, judge: Callable[[Any], None]
    ) -> None:
        """Give `judge` the results of a trial; it raises `Failure` if they are not right.

        Passing trials share a process that forbids what any task forbids. A trial that fails runs
        again in a fresh process with its task's rules: that result counts.
        """
        if self._all_passed and not self._may_share(program, check.timeout):
            tasks = ASSIGNMENTS[check.assignment].tasks
            forbidden = dict.fromkeys(name for task in tasks for name in task.forbidden)
            self._share(check, replace(program, forbidden=tuple(forbidden)))
        if self._shared and self._may_share(program, check.timeout):
            with suppress(Failure, Stopped):
                judge(self._shared[2].trial(name, seed))
                return
            self._all_passed = False
        try:
            judge(self._share(check, program).trial(name, seed))
        except BaseException:
            self._end_shared()
            raise

    def _may_share(self, program: Code, timeout: float | None) -> bool:
        """Whether the shared process runs this code and forbids at least as much."""
        if self._shared is None:
            return False
        code, seconds, _ = self._shared
        ours = (program.pieces, program.references, timeout)
        return ours == (code.pieces, code.references, seconds) and (
            set(program.forbidden) <= set(code.forbidden)
        )

    def _share(self, check: Check, program: Code) -> RemoteStudent:
        self._end_shared()
        student = self.session(check.assignment).check(program, seconds=check.timeout)
        self._shared = (program, check.timeout, student)
        return student

    def _end_shared(self) -> None:
        if self._shared:
            self._shared[2].close()
            self._shared = None

    def close_session(self, assignment: str) -> None:
        self._end_shared()
        if assignment in self._sessions:
            self._sessions.pop(assignment)[1].close()

    def close(self) -> None:
        for assignment in tuple(self._sessions):
            self.close_session(assignment)

    def report(self, assignment: Assignment, *, interrupted: bool = False) -> Report:
        """The report: a check without a result earned nothing, or is open if interrupted."""
        submission = self.submissions[assignment.number]
        missing: BaseException = Stopped(Reason.NOT_RUN, "not run: this check was left out")
        if interrupted:
            missing = Stopped(Reason.INFRASTRUCTURE, "the grader was stopped before this check")
        return Report(
            student=self.student,
            assignment=assignment.number,
            title=assignment.title,
            digest=submission.digest,
            checks_digest=checks_digest(assignment, retrain=self.retrain),
            seed_id=self.seed.id,
            tier=self.sandbox.isolation if self.sandbox else "none",
            weaknesses=tuple(self.sandbox.weaknesses) if self.sandbox else (),
            repairs=tuple(clean(repair) for repair in submission.repairs),
            checks=tuple(
                self.results.get((check.assignment, check.id)) or judge(check, missing, Record())
                for check in self.checks.get(assignment.number, ())
            ),
        )

    def reports(self, *, interrupted: bool = False) -> tuple[Report, ...]:
        return tuple(self.report(one, interrupted=interrupted) for one in self.assignments)


def by_assignment(
    submissions: Sequence[Submission], assignment: str | None
) -> dict[str, Submission]:
    """Assignment -> submission; only `assignment`, even if empty, if given."""
    found = {one.assignment: one for one in submissions if one.assignment in ASSIGNMENTS}
    if assignment is None:
        return found
    nothing = Submission(
        assignment=assignment,
        pieces=(),
        digest="",
        repairs=(f"no answer to assignment {assignment} was found in what was handed in",),
    )
    return {assignment: found.get(assignment, nothing)}


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


def student_program(run: GradingRun, check: Check, seed: int | None = None) -> Code:
    """Build the program of a check; `seed` overrides rule 4; `Stopped` by rule 1."""
    assignment = ASSIGNMENTS[check.assignment]
    task, pieces = assignment.task(check.task), run.submissions[check.assignment].pieces
    others = [n for one in assignment.tasks if one is not task for n in one.names]
    expect_own_work(pieces, task.forbidden, task.names, others, assignment.number)
    failed = () if run.own_definitions else run.failed_tasks(check)
    references = [piece for one in failed for piece in _reference(assignment.number, one)]
    tasks = (task.id, *needed(assignment, task.id))
    own = {name for one in tasks for name in assignment.task(one).names}
    replaced = {name for piece in references for name in piece.names}
    return Code(
        pieces=_running(pieces, own - replaced, {*others} - own | replaced),
        references=tuple(references),
        forbidden=task.forbidden,
        seed=run.seed.number(f"run {check.id}") % 2**32 if seed is None else seed,
    )


def _running(pieces: tuple[Piece, ...], own: set[str], others: set[str]) -> tuple[Piece, ...]:
    """Definitions, and of loops and calls outside of functions those that only `others` use not."""
    parts = parsed(pieces)
    if all(is_harmless(part.node) for part in parts):
        return pieces
    theirs = reachable(parts, others)[1]
    names = {name for part in parts for name in part.names}
    kept, _ = reachable(parts, names - theirs | own, others)
    return tuple(pieces[n] for n, part in enumerate(parts) if n in kept or is_harmless(part.node))


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
