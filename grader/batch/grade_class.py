"""Grade a folder of submissions, reuse current reports, and write the results.

A run may be interrupted: each report is written when it is done, and the next run reuses those with
the same submission, checks, secret seed and tier.
"""

import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from tqdm import tqdm

from grader.adapters import get_assignment
from grader.batch.client import EvaluatorInfo
from grader.batch.handins import find, is_folder, listed
from grader.batch.output import Store
from grader.batch.platforms import PlatformTable, by_id, canvas_columns
from grader.batch.roster import (
    GradedSubmission,
    Key,
    RosterStudent,
    StudentSubmission,
    by_student,
    circumstances,
    in_groups,
    read_roster,
    remarks,
    several,
)
from grader.batch.workers import Workers
from grader.core.outcomes import Report, Verdict
from grader.core.text import shown
from grader.reports.course_rules import CourseRules, read_rules
from kws.errors import UsageError

WALL, WALL_RETRAIN = 900.0, 7200.0  # seconds for one student's submission
Answered = tuple[StudentSubmission, dict[str, Any]]  # and the evaluator's answer


@dataclass(frozen=True, kw_only=True)
class Settings:
    submissions: Path
    out: Path
    assignment: str | None = None  # None for each that a submission answers
    roster: Path | None = None
    deadline: datetime | None = None
    retrain: bool = False
    wall: float | None = None
    course: Path | None = None  # the rules of the term; None for those of the last run
    columns: tuple[str, ...] = ()  # of Canvas: NN=NAME, or NAME with `assignment`
    book: str | None = None  # address of the course's site; None for that of the last run
    again: bool = False  # remember what the reports were, until a run came to its end


@dataclass(frozen=True, kw_only=True)
class ClassResult:
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
    """Ctrl-C, with a message on what is kept."""


@dataclass
class _Progress:
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
    besides = [settings.out, *filter(None, (settings.roster, settings.course))]
    roster = read_roster(settings.roster) if settings.roster else None
    store = Store(settings.out)
    rules = (read_rules(settings.course) if settings.course else store.rules()) or CourseRules()
    if settings.deadline and settings.course:
        raise UsageError(f"{settings.course} has the deadlines: leave --deadline out")
    found = find(settings.submissions, besides)
    own, missing = by_student(found.entries, roster)
    there = in_groups(own, rules.groups)
    missing = tuple(one for one in missing if one.id not in {s.student for s in there})
    attempts = [each for one in there for each in attempts_of(one, best=rules.attempts == "best")]
    table = PlatformTable(settings.roster) if settings.roster else store.roster()
    columns = canvas_columns(settings.columns, number, table)
    grading = make_workers()
    with store.locked(), grading as workers:
        info = workers.info()
        if settings.roster:
            store.keep_roster(settings.roster)
        if settings.course:
            store.keep_rules(settings.course)
        there_already = {(r.student, r.assignment): r for r in store.reports()}
        before = {**there_already, **store.remembered()} if settings.again else there_already
        jobs = [_job(submission, settings, number, store) for submission in attempts]
        progress = _Progress(total=len(there), show=show)
        graded: list[GradedSubmission] = []
        unread: list[tuple[StudentSubmission, str]] = []
        try:
            for answers in _by_student(attempts, workers.run(jobs)):
                new = list(_graded(answers, store, rules, settings.again))
                graded += new
                if not new:
                    last, answer = max(answers, key=lambda pair: pair[0].entry.when)
                    unread.append((last, "; ".join(answer["faults"]) or nothing_found(last)))
                progress.advance(not new or any(_open(one.report) for one in new))
        except KeyboardInterrupt:
            raise Interrupted(
                f"interrupted: {progress.done} of {len(there)} submissions are graded and kept in "
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
            and pair.share >= rules.integrity.similar
        ]
        new_remarks = remarks(
            graded, lambda *key: settings.deadline or rules.deadline(*key), similar
        )
        named = {student.id: student.name for student in roster or ()}  # also who is in a group
        shown_names = {one.student: named.get(one.student) or one.name for one in there}
        handled = {one.key for one in graded}
        earlier = {key: words for key, words in store.remarks().items() if key not in handled}
        when = store.about()["when"]
        if store.rules():
            for one in graded:
                date = one.submission.entry.when.isoformat()
                when.setdefault(one.key[0], {})[one.key[1]] = date
        files = store.finish(
            {**earlier, **new_remarks},
            missing={student.id: student.name for student in missing},
            names={student: name for student, name in shown_names.items() if name},
            sources={one.student: one.entry.files[0][1].name for one in own if one.entry.files},
            columns={**store.about()["columns"], **columns},
            unread={
                submission.student: "; ".join([why, *circumstances(submission, settings.deadline)])
                for submission, why in unread
            },
            when=when,
            similar=similar,
            book=store.about()["book"] if settings.book is None else settings.book,
        )
        whole = store.whole([one.report for one in graded])
        grades = by_id(store.grades(whole, when))
        notes = table.differing_points(grades, store.about()["columns"]) if table else []
        ids = [student.id for student in roster or ()]
        strangers = rules.strangers([*ids, *(one.student for one in own)]) if ids else []
        if strangers:
            notes.append(
                f"course.toml names {several(strangers)}, whom the roster does not have: write "
                f"ids as in the first column of gradebook.csv, such as {ids[0]}"
            )
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


def _by_student(
    attempts: Sequence[StudentSubmission], answered: Iterable[tuple[int, dict[str, Any]]]
) -> Iterator[list[Answered]]:
    """The attempts of a student with their answers, once the last of them has come."""
    left = Counter(one.student for one in attempts)
    found: dict[str, list[Answered]] = defaultdict(list)
    for at, answer in answered:
        student = attempts[at].student
        found[student].append((attempts[at], answer))
        left[student] -= 1
        if not left[student]:
            yield found[student]


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


def attempts_of(submission: StudentSubmission, *, best: bool) -> list[StudentSubmission]:
    """The last submission of a student, or with `best` all of them."""
    entries = [submission.entry, *(one for one in submission.replaced if best and one.answers)]
    every = [submission.entry, *submission.replaced]
    return [
        replace(submission, entry=entry, replaced=tuple(one for one in every if one is not entry))
        for entry in entries
    ]


def _graded(
    answers: Sequence[Answered],
    store: Store,
    rules: CourseRules,
    again: bool,
) -> Iterator[GradedSubmission]:
    found: dict[str, list[tuple[Report, GradedSubmission, dict[str, Any]]]] = defaultdict(list)
    for submission, answer in answers:
        for row in answer["graded"]:
            kept, number = row["report"] is None, row["assignment"]
            have = store.of(submission.student)[number] if kept else Report.from_json(row["report"])
            one = GradedSubmission(
                submission=submission, report=have, kept=kept, faults=tuple(answer["faults"])
            )
            found[number].append((have, one, row))

    def worth(candidate: tuple[Report, GradedSubmission, dict[str, Any]]) -> tuple[Any, ...]:
        report, one, _ = candidate
        entry = one.submission.entry
        return rules.grade(report, entry.when).final, entry.when, entry.source

    for number, candidates in found.items():
        _, one, row = max(candidates, key=worth)
        student = one.submission.student
        store.keep_answers(student, number, row["written"])
        store.keep_work(student, number, row["work"])
        yield one if one.kept else replace(one, report=store.keep(row["report"], remember=again))
