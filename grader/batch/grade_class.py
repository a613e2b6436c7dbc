"""Grade a folder of submissions, keep what is current, and write what came of it.

A run may be stopped at any moment: each report is written as it ends, and the next run of the same
command goes on from those that are current: same submission, checks, secret seed and tier.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from tqdm import tqdm

from grader.adapters import get_assignment
from grader.batch.client import EvaluatorInfo
from grader.batch.handins import find, is_folder, listed
from grader.batch.output import Store
from grader.batch.platforms import PlatformTable, by_id, canvas_columns
from grader.batch.remarks import GradedSubmission, Key, circumstances, remarks, several
from grader.batch.roster import RosterStudent, StudentSubmission, by_student, read_roster
from grader.batch.workers import Workers
from grader.core.outcomes import Report, Verdict
from grader.core.text import shown
from kws.errors import UsageError

WALL, WALL_RETRAIN = 900.0, 7200.0  # seconds for one student's submission


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The options of one run."""

    submissions: Path
    out: Path
    assignment: str | None = None  # None for each that a submission answers
    roster: Path | None = None
    deadline: datetime | None = None
    retrain: bool = False
    wall: float | None = None
    columns: tuple[str, ...] = ()  # of Canvas: NN=NAME, or NAME with `assignment`
    book: str | None = None  # address of the course's site; None for that of the last run
    again: bool = False  # remember what the reports were, until a run came to its end


@dataclass(frozen=True, kw_only=True)
class ClassResult:
    """What came of a run."""

    graded: tuple[GradedSubmission, ...]  # by student and assignment
    # their reports with a check for each written question, marked or open
    whole: tuple[Report, ...]
    # the reports that were there when the run, or one that was interrupted, began
    before: dict[Key, Report]
    unread: tuple[tuple[StudentSubmission, str], ...]  # submissions without any report, and why
    missing: tuple[RosterStudent, ...]  # students of the roster who handed in nothing
    ignored: tuple[str, ...]  # names in the folder that are not submissions
    leftover: tuple[str, ...]  # students with reports, but without a submission in this run
    remarks: dict[Key, tuple[str, ...]]
    pageless: dict[str, str]  # student -> why there is no page
    info: EvaluatorInfo
    files: list[Path]  # for the staff
    notes: list[str]  # what to know before tables are imported


class Interrupted(KeyboardInterrupt):
    """Ctrl-C; says what is kept."""


@dataclass
class _Progress:
    """A bar on a terminal, elsewhere a line at each tenth."""

    total: int
    done: int = 0
    person: int = 0
    show: bool = True
    bar: Any = field(init=False)

    def __post_init__(self) -> None:
        self.lines = self.show and not sys.stderr.isatty()
        self.bar = tqdm(
            total=self.total, unit="submission", disable=not self.show or self.lines, leave=True
        )

    def advance(self, person: bool) -> None:
        tenth = 10 * self.done // self.total
        self.done += 1
        self.person += person
        self.bar.set_postfix({"need a person": self.person} if self.person else {}, refresh=False)
        self.bar.update()
        if self.lines and 10 * self.done // self.total > tenth:
            print(f"graded {self.done} of {self.total}", file=sys.stderr, flush=True)


def grade_class(
    settings: Settings, make_workers: Callable[[], Workers], *, show: bool = True
) -> ClassResult:
    """Grade everybody; UsageError, before anything starts, for settings that do not fit."""
    number = get_assignment(settings.assignment).number if settings.assignment else None
    besides = [settings.out, *([settings.roster] if settings.roster else [])]
    roster = read_roster(settings.roster) if settings.roster else None
    found = find(settings.submissions, besides)
    there, missing = by_student(found.entries, roster)
    store = Store(settings.out)
    table = PlatformTable(settings.roster) if settings.roster else store.roster()
    columns = canvas_columns(settings.columns, number, table)
    grading = make_workers()
    with store.locked(), grading as workers:
        info = workers.info()
        if settings.roster:
            store.keep_roster(settings.roster)
        there_already = {(r.student, r.assignment): r for r in store.reports()}
        before = {**there_already, **store.remembered()} if settings.again else there_already
        jobs = [_job(submission, settings, number, store) for submission in there]
        progress = _Progress(total=len(jobs), show=show)
        graded: list[GradedSubmission] = []
        unread: list[tuple[StudentSubmission, str]] = []
        try:
            for at, answer in workers.run(jobs):
                new = list(_graded(there[at], answer, store, settings.again))
                graded += new
                if not new:
                    message = "; ".join(answer["faults"])
                    unread.append((there[at], message or nothing_found(there[at])))
                progress.advance(not new or any(_open(one.report) for one in new))
        except KeyboardInterrupt:
            raise Interrupted(
                f"interrupted: {progress.done} of {len(jobs)} submissions are graded and kept in "
                f"{settings.out}; the same command goes on from there"
            ) from None
        finally:
            progress.bar.close()
        graded.sort(key=lambda one: one.key)
        files_of = {one.submission.student: one.submission.entry.files for one in graded}
        similar = [
            pair
            for pair in store.similar()
            if len({files_of.get(one, one) for one in pair.students}) > 1  # as one group
        ]
        new_remarks = remarks(graded, settings.deadline, similar)
        handled = {one.key for one in graded}
        earlier = {key: words for key, words in store.remarks().items() if key not in handled}
        files = store.finish(
            {**earlier, **new_remarks},
            missing={student.id: student.name for student in missing},
            names={submission.student: submission.name for submission in there if submission.name},
            sources={one.student: one.entry.files[0][1].name for one in there if one.entry.files},
            columns={**store.about()["columns"], **columns},
            unread={
                submission.student: "; ".join([why, *circumstances(submission, settings.deadline)])
                for submission, why in unread
            },
            similar=similar,
            book=store.about()["book"] if settings.book is None else settings.book,
        )
        whole = store.whole([one.report for one in graded])
        notes = table.differing_points(by_id(whole), store.about()["columns"]) if table else []
    leftover = {student for student, _ in there_already} - {
        submission.student for submission in there
    }
    return ClassResult(
        graded=tuple(graded),
        whole=tuple(whole),
        before=before,
        unread=tuple(sorted(unread, key=lambda pair: pair[0].student)),
        missing=missing,
        ignored=found.ignored,
        leftover=tuple(sorted(leftover)),
        remarks=new_remarks,
        pageless=store.pageless,
        info=info,
        files=files,
        notes=notes,
    )


def nothing_found(submission: StudentSubmission) -> str:
    names: list[str] = []
    for name, path in submission.entry.files:
        names += [each.name for each in listed(path)] if is_folder(path) else [name]
    names_shown = several([shown(name) for name in names])
    return f"no answer to any assignment of this course in {names_shown or 'an empty folder'}"


def _open(report: Report) -> bool:
    return report.verdict is Verdict.PERSON


def _job(
    submission: StudentSubmission, settings: Settings, number: str | None, store: Store
) -> dict[str, Any]:
    usual = WALL_RETRAIN if settings.retrain else WALL
    return {
        "student": submission.student,
        "files": [[name, str(path.absolute())] for name, path in submission.entry.files],
        "assignment": number,
        "guess": submission.entry.guess,
        "retrain": settings.retrain,
        "wall": settings.wall or usual,
        "have": store.current(submission.student),
    }


def _graded(
    submission: StudentSubmission, answer: dict[str, Any], store: Store, again: bool
) -> Iterator[GradedSubmission]:
    """The reports of an answer, each written to its place before it counts as done."""
    for row in answer["graded"]:
        kept = row["report"] is None
        if kept:
            report = store.of(submission.student)[row["assignment"]]
        else:
            report = store.keep(row["report"], remember=again)
        store.keep_answers(submission.student, row["assignment"], row["written"])
        store.keep_work(submission.student, row["assignment"], row["work"])
        yield GradedSubmission(
            submission=submission,
            report=report,
            kept=kept,
            faults=tuple(answer["faults"]),
        )


def check_wall(seconds: float | None) -> None:
    if seconds is not None and not 0 < seconds < float("inf"):
        raise UsageError(
            f"--wall {seconds:g} is not a time limit: give a positive number of seconds"
        )
