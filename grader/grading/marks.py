"""Marks for written answers, from a CSV: all lines are read, or none.

Columns: `student`, or `answer` with the code of an anonymous page; `question`; `points`; optionally
`comment`; others are ignored. A line without points is not marked yet. Separated by commas,
semicolons or tabs; with semicolons a decimal comma is accepted.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from grader.core.csv_rows import delimiter_of, read_rows
from grader.core.seed import Seed
from grader.core.text import clean, one_line
from grader.core.written import Mark, WrittenQuestion
from grader.reports.gradebook import cell, without_guard
from grader.reports.scorecard import points as shown
from kws.errors import UsageError, did_you_mean

NEEDED = ("question", "points")


@dataclass(frozen=True, kw_only=True)
class MarkRow:
    student: str
    question: str
    points: float
    comment: str


def answer_code(seed: Seed, student: str, question: str) -> str:
    """The pseudonym of a student on an anonymous page, which only staff can resolve.

    >>> answer_code(Seed(), "ada", "3.A") == answer_code(Seed(), "ada", "4.A")
    False
    """
    number = seed.number(f"written answer {question} {student}")
    letters = "abcdefghjkmnpqrstuvwxyz"  # no i, l and o: easily misread
    return "".join(letters[number // len(letters) ** place % len(letters)] for place in range(6))


def read_marks(
    path: Path,
    questions: Mapping[str, WrittenQuestion],
    students: Sequence[str] | None,
    seed: Seed | None = None,
) -> list[MarkRow]:
    """Read the marks of a CSV, in order; UsageError names file, line and cure.

    Args:
        students: students who may have a mark; None for all names in the table.
        seed: that the codes of an anonymous page follow from.
    """
    rows = list(read_rows(path))
    if not rows:
        raise UsageError(f"{path} is empty: its first line names the columns")
    head = [word.strip().lower() for word in rows[0][1]]
    by_code = "answer" in head and "student" not in head
    for name in ("answer" if by_code else "student", *NEEDED):
        if head.count(name) != 1:
            raise UsageError(
                f"{path}, line 1: not one column {name!r}{did_you_mean(name, head)}: "
                f"name the columns student (or answer), {', '.join(NEEDED)} and comment"
            )
    known = {each: one for one in students or () for each in (one, cell(one))}
    found: list[MarkRow] = []
    semicolons = delimiter_of(path.read_text(encoding="utf-8-sig")) == ";"
    for line, row in rows[1:]:
        where = f"{path}, line {line}"
        if not any(word.strip() for word in row):
            continue
        if len(row) != len(head):
            raise UsageError(
                f"{where} has {len(row)} cells, and line 1 has {len(head)}: put quotes around a "
                "comment with commas or line breaks"
            )
        cells = dict(zip(head, row, strict=True))
        question = one_line(cells["question"]).strip()
        if question not in questions:
            raise UsageError(
                f"{where}: no question {question!r}{did_you_mean(question, questions)}: "
                f"there is {', '.join(questions)}"
            )
        if by_code and seed is not None:
            known = {answer_code(seed, one, question): one for one in students or ()}
        who = cells["answer" if by_code else "student"].strip()
        if students is None and who:
            known[who] = without_guard(who)
        if who not in known:
            raise UsageError(f"{where}: {_unknown(who, known, by_code)}")
        comment = clean(without_guard(cells.get("comment", "").strip()))
        if not cells["points"].strip():
            if comment:
                raise UsageError(f"{where}: a comment without points: give points, or remove it")
            continue
        value = _points(cells["points"], where, questions[question], semicolons)
        mark = MarkRow(student=known[who], question=question, points=value, comment=comment)
        if any((one.student, one.question) == (mark.student, question) for one in found):
            raise UsageError(
                f"{where}: {who} has points for {question} above: remove one of the lines"
            )
        found.append(mark)
    return found


def _unknown(who: str, known: Mapping[str, str], by_code: bool) -> str:
    if by_code:
        return (
            f"no answer has the code {who!r}{did_you_mean(who, known)}: take it from the page, and "
            "keep the secret seed that the page was made with"
        )
    return (
        f"no student {one_line(who)!r} has handed in{did_you_mean(who, known)}: write the id as "
        "the gradebook does"
    )


def _points(word: str, where: str, question: WrittenQuestion, semicolons: bool) -> float:
    plain = without_guard(word.strip()).strip()
    try:
        value = float(plain.replace(",", ".") if semicolons else plain)
    except ValueError:
        raise UsageError(
            f"{where}: {one_line(plain)!r} is not a number of points: write one such as 2.5"
        ) from None
    if not 0 <= value <= question.points:
        raise UsageError(
            f"{where}: {one_line(plain)} points for {question.id}: give a number from 0 to "
            f"{shown(question.points)}"
        )
    return round(value, 2)


def marks_of(
    path: Path, questions: Mapping[str, WrittenQuestion], names: Sequence[str]
) -> dict[str, Mark]:
    """Question -> mark of the one student with any of these names."""
    own = {name.casefold() for name in names if name}
    return {
        row.question: Mark(points=row.points, comment=row.comment)
        for row in read_marks(path, questions, None)
        if row.student.casefold() in own
    }


def names_in(metadata: Path) -> list[str]:
    """The email addresses and IDs of a student at Gradescope, which they cannot change.

    Source: https://gradescope-autograders.readthedocs.io/en/latest/submission_metadata/
    """
    try:
        users = json.loads(metadata.read_text(encoding="utf-8"))["users"]
        keys = ("email", "sid", "id")
        return [str(user[key]) for user in users for key in keys if user.get(key)]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise UsageError(
            f"{metadata} is not Gradescope's submission_metadata.json: give that, or --student"
        ) from None
