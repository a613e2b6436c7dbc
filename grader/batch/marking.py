"""`python -m grader written`: a marking page per question; marks from a CSV.

    python -m grader written class --out graded            pages, and graded/written/marks.csv
    python -m grader written class --out graded --marks graded/written/marks.csv

Marks are stored in OUT/marks.json; tables and pages are updated now and at each grading.
"""

import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from grader.adapters import ASSIGNMENTS, get_assignment
from grader.authoring.build import written_questions
from grader.batch.handins import find
from grader.batch.job import staged, written_answers
from grader.batch.output import Store
from grader.batch.roster import StudentSubmission, by_student, read_roster
from grader.core.seed import Seed, read_seed
from grader.core.text import one_line
from grader.core.written import Mark, WrittenQuestion
from grader.grading.marks import answer_code, read_marks
from grader.reports.gradebook import as_csv
from grader.reports.scorecard import points
from grader.reports.written_page import ShownAnswer, written_page
from grader.submission import read_submissions
from kws.errors import UsageError
from kws.files import write_bytes, write_text

FOLDER, TABLE, AS_WRITTEN = "written", "marks.csv", ".marks.sha256"


def mark_written(
    submissions: Path,
    out: Path,
    *,
    assignment: str | None = None,
    roster: Path | None = None,
    anonymous: bool = False,
    marks: Path | None = None,
) -> list[str]:
    """Take the marks of a CSV, all or none, and write pages and table; the lines to print."""
    numbers = [get_assignment(assignment).number] if assignment else [*ASSIGNMENTS]
    questions = {each.id: each for number in numbers for each in written_questions(number)}
    if not questions:
        raise UsageError(f"assignment {numbers[0]} has no written questions")
    people = read_roster(roster) if roster else None
    besides = [out, *(path for path in (roster, marks) if path)]
    found = find(submissions, besides)
    there, _ = by_student(found.entries, people)
    seed = read_seed()
    store, messages = Store(out), list[str]()
    with store.locked():
        unread = _read_all(there, store, assignment and numbers[0])
        if marks is not None:
            messages.append(_take(marks, questions, store, seed))
            store.finish(**store.about())
        messages += _write(store, questions, seed if anonymous else None, unread, marks)
    return [one_line(line) for line in messages]


def _read_all(
    there: Sequence[StudentSubmission], store: Store, number: str | None
) -> dict[str, str]:
    unread = {}
    for one in there:
        files = [[name, str(path.absolute())] for name, path in one.entry.files]
        try:
            with tempfile.TemporaryDirectory() as folder:
                submissions = read_submissions(staged(files, Path(folder)), number)
        except (OSError, UsageError, ValueError, RecursionError, MemoryError) as error:
            unread[one.student] = type(error).__name__
            continue
        for submission in submissions:
            if submission.assignment in ASSIGNMENTS:
                answers = written_answers(submission)
                table = {question: answer.to_json() for question, answer in answers.items()}
                store.keep_answers(one.student, submission.assignment, table)
    return unread


def _take(path: Path, questions: Mapping[str, WrittenQuestion], store: Store, seed: Seed) -> str:
    students = sorted({name for each in questions for name in store.answered(_number(each))})
    rows = read_marks(path, questions, students, seed)
    marks = {student: dict(row) for student, row in store.marks().items()}
    for row in rows:
        answer = store.answers(row.student, _number(row.question)).get(row.question)
        if answer is None:
            raise UsageError(
                f"{path}: {row.student} submitted nothing for {row.question}: remove the line"
            )
        own = marks.setdefault(row.student, {})
        mark = Mark(points=row.points, comment=row.comment, digest=answer.digest)
        own[row.question] = mark
    store.keep_marks(marks)
    return f"marks read: {len(rows)} from {path}"


def _write(
    store: Store,
    questions: Mapping[str, WrittenQuestion],
    seed: Seed | None,
    unread: Mapping[str, str],
    taken: Path | None,
) -> list[str]:
    marks, messages = store.marks(), []
    head = ["student" if seed is None else "answer", "question", "points", "of", "comment"]
    rows = [head]
    for name, question in questions.items():
        shown = []
        for student in store.answered(_number(name)):
            answer = store.answers(student, _number(name)).get(name)
            if answer is not None:
                label = student if seed is None else answer_code(seed, student, name)
                mark = marks.get(student, {}).get(name)
                shown.append(ShownAnswer(label=label, answer=answer, mark=mark))
        if not shown and len(questions) > 1:
            continue  # no submission to this assignment
        shown.sort(key=lambda one: one.label)
        lost = sorted(unread) if seed is None else []
        path = store.out / FOLDER / f"{name}.html"
        write_bytes(path, written_page(question, shown, lost, head[0]))
        rows += [_row(one, question) for one in shown]
        waiting = sum(not one.answer.blank and (one.mark is None or one.changed) for one in shown)
        messages.append(f"written: {path} ({len(shown)} submissions, {waiting} answers to mark)")
    return [*messages, _table(store.out / FOLDER / TABLE, rows, taken)]


def _row(one: ShownAnswer, question: WrittenQuestion) -> list[str]:
    mark = None if one.changed else one.mark
    earned = points(mark.points) if mark else ""
    return [one.label, question.id, earned, points(question.points), mark.comment if mark else ""]


def _table(path: Path, rows: Sequence[Sequence[str]], taken: Path | None) -> str:
    data, beside = as_csv(rows), path.with_name(AS_WRITTEN)
    if path.exists() and not (taken and taken.resolve() == path.resolve()):
        known = beside.read_text(encoding="utf-8") if beside.exists() else ""
        if hashlib.sha256(path.read_bytes()).hexdigest() != known:
            return f"kept: {path}, which was filled in: read it with --marks {path}"
    write_bytes(path, data)
    write_text(beside, hashlib.sha256(data).hexdigest())
    return f"written: {path}: fill in points and comments, then --marks {path}"


def _number(question: str) -> str:
    return question.partition(".")[0].zfill(2)
