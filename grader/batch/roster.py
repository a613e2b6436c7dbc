"""The roster, a CSV, the assignment of entries to students, and remarks on submissions.

Columns: `student` (the id that reports and gradebook carry), and where wanted `name`, `email`,
`folder` (what the entry is called, if not by one of these). Canvas's exported gradebook and
Moodle's grading worksheet will do as they are, see `grader.batch.platforms`. Remarks are for staff:
late, twice, similar to another; no points.
"""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

from grader.batch.handins import FolderEntry
from grader.batch.platforms import CANVAS_ID, MOODLE_ID, columns_of, identify
from grader.core.csv_rows import read_rows
from grader.core.outcomes import Report
from grader.core.text import one_line
from grader.reports.course_rules import format_span
from grader.reports.similarity import Pair
from kws.errors import UsageError, did_you_mean

KNOWN = ("student", "name", "email", "folder")
UNSAFE = re.compile(  # in a file name on some system; control codes, bidi marks, half characters
    r'[/\\:*?"<>|\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]'
)
LONGEST = 200  # bytes of an id: a file system takes names of 255, and ours have more in them
Key = tuple[str, str]  # student, assignment
NAMED = 3  # others with similar work; more are counted


@dataclass(frozen=True, kw_only=True)
class RosterStudent:
    """One line of a roster: id, name, and all words that identify the student."""

    id: str
    name: str = ""
    keys: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class StudentSubmission:
    """One student's submission: the entry that counts, and those that a later one replaced.

    Attributes:
        name: as the roster, or the download, has it.
        known: whether the student is in the roster; True without a roster.
    """

    student: str
    name: str
    entry: FolderEntry
    replaced: tuple[FolderEntry, ...] = ()
    known: bool = True


def read_roster(path: Path) -> tuple[RosterStudent, ...]:
    """Read the students of a roster; UsageError names file and line."""
    rows = list(read_rows(path))
    head = columns_of(rows[0][1]) if rows else []
    of_platform = CANVAS_ID in head or MOODLE_ID in head
    if not of_platform:
        _check_head(path, head)
    students: dict[str, RosterStudent] = {}
    for line, row in rows[1:]:
        cells = dict(zip(head, (one_line(cell).strip() for cell in row), strict=False))
        student = _from_ours(cells)
        if of_platform:
            student_id, name, keys = identify(head, cells)
            student = RosterStudent(id=student_id, name=name, keys=keys)
        if not any(cells.values()) or (of_platform and student.name == "Student, Test"):
            continue  # an empty line; whom Canvas's student view makes
        if of_platform and not student.id:
            continue  # Canvas's line of points possible
        where = f"the roster {path}, line {line}"
        if not student.id:
            raise UsageError(f"{where} has no student id: give one, or remove the line")
        if safe_id(student.id) != student.id:
            raise UsageError(f"{where}: {student.id!r} cannot be a file's name: use another id")
        if student.id.lower() in students:
            raise UsageError(f"{where}: {student.id} is there twice: remove one of the lines")
        students[student.id.lower()] = student
    if not students:
        raise UsageError(f"the roster {path} has no students: give a line for each student")
    return tuple(students.values())


def _check_head(path: Path, head: Sequence[str]) -> None:
    if "student" not in head:
        near = did_you_mean("student", head)
        raise UsageError(
            f"the roster {path} has no column 'student'{near}: its first line names the columns, "
            f"of {', '.join(KNOWN)}; an export of Canvas has 'SIS Login ID', one of Moodle "
            "'Identifier': set Moodle's language to English to download and to upload it"
        )
    for name in head:
        if name and name not in KNOWN:
            raise UsageError(
                f"the roster {path} has an unknown column {name!r}{did_you_mean(name, KNOWN)}: "
                f"there are {', '.join(KNOWN)}"
            )


def _from_ours(cells: dict[str, str]) -> RosterStudent:
    keys = [cells.get(name, "") for name in KNOWN]
    return RosterStudent(
        id=cells.get("student", ""), name=cells.get("name", ""), keys=tuple(filter(None, keys))
    )


def safe_id(text: str) -> str:
    """`text` as it may name a file and a folder, on any system.

    If that removes more than blanks and dots around it, a digest is appended: ids stay distinct.

    >>> safe_id("../alice:1"), safe_id(" bob "), safe_id("...")
    ('_alice_1-f34f54fe', 'bob', 'nameless')
    """
    plain = text.strip(" .")
    name = UNSAFE.sub("_", plain)
    data = name.encode()
    if name != plain or len(data) > LONGEST:
        digest = hashlib.sha256(plain.lower().encode("utf-8", "surrogatepass")).hexdigest()[:8]
        name = data[: LONGEST - 9].decode("utf-8", "ignore").strip(" .") + f"-{digest}"
    return name or "nameless"


def _plain(text: str) -> str:
    """A word for comparison: `Example, Alice` is `examplealice`, as in Canvas."""
    return re.sub(r"[^\w\ud800-\udfff\ufffd]|_", "", text.casefold())


def in_groups(
    found: Sequence[StudentSubmission], groups: Mapping[str, Sequence[str]]
) -> tuple[StudentSubmission, ...]:
    own = {submission.student: submission for submission in found}
    for people in groups.values():
        there = [own[student] for student in people if student in own]
        if there:
            counts = max(there, key=lambda submission: _counts(submission.entry))
            for student in people:
                first = own.get(student) or replace(counts, student=student, name="")
                own[student] = replace(first, entry=counts.entry)
    return tuple(own[student] for student in sorted(own))


def by_student(
    entries: Sequence[FolderEntry], roster: Sequence[RosterStudent] | None = None
) -> tuple[tuple[StudentSubmission, ...], tuple[RosterStudent, ...]]:
    """A submission for each student who handed in, by id; and those of the roster who did not.

    Of several entries of one student the newest that may contain an answer counts. UsageError if an
    entry matches two students of the roster.
    """
    groups: dict[str, tuple[RosterStudent, bool, list[FolderEntry]]] = {}
    for entry in entries:
        student = _whose(entry, roster or ())
        known = student is not None or roster is None
        student = student or RosterStudent(id=safe_id(entry.student), name=entry.name)
        groups.setdefault(student.id.lower(), (student, known, []))[2].append(entry)
    found = []
    for student, known, own in groups.values():
        *replaced, entry = sorted(own, key=_counts)
        found.append(
            StudentSubmission(
                student=student.id,
                name=student.name or entry.name,
                entry=entry,
                replaced=tuple(replaced),
                known=known,
            )
        )
    missing = [student for student in roster or () if student.id.lower() not in groups]
    found.sort(key=lambda submission: submission.student)
    return tuple(found), tuple(sorted(missing, key=lambda student: student.id))


def _counts(entry: FolderEntry) -> tuple[bool, datetime, int, str]:
    return entry.answers, entry.when, len(entry.files), entry.source


def _whose(entry: FolderEntry, roster: Sequence[RosterStudent]) -> RosterStudent | None:
    for key in (entry.student, *entry.keys):
        for same in (str.casefold, _plain):
            word = same(key)
            found = [one for one in roster if word and word in map(same, one.keys)]
            if len(found) > 1:
                raise UsageError(
                    f"{entry.source} could be of {found[0].id} or {found[1].id}: "
                    "add a column 'folder' to the roster"
                )
            if found:
                return found[0]
    return None


@dataclass(frozen=True, kw_only=True)
class GradedSubmission:
    submission: StudentSubmission
    report: Report
    kept: bool = False
    faults: tuple[str, ...] = ()

    @property
    def key(self) -> Key:
        return self.submission.student, self.report.assignment


def read_deadline(text: str, *, option: str = "--deadline") -> datetime:
    """An ISO date and time; without an offset in this machine's time zone."""
    try:
        when = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
    except ValueError:
        raise UsageError(
            f"{option} {text!r} is not a date: write 2025-03-01T23:59, or 2025-03-01T23:59+01:00"
        ) from None
    return when.astimezone()


def lateness(submission: StudentSubmission, deadline: datetime | None) -> str:
    entry = submission.entry
    if deadline is not None and entry.when > deadline:
        when = entry.when.astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
        return f"late by {format_span(entry.when - deadline)} ({when})"
    # a date that is in time by our deadline or extension counts more than Canvas's mark
    return "late, according to its file name" if entry.marked and deadline is None else ""


def several(names: Sequence[str]) -> str:
    """
    >>> several(["bob", "cy"]), several(["bob", "cy", "di", "eva", "flo"])
    ('bob, cy', 'bob, cy, di and 2 others')
    """
    more = len(names) - NAMED
    if more < 2:  # "and 1 other" is not shorter than the name
        return ", ".join(names)
    return f"{', '.join(names[:NAMED])} and {more} others"


def circumstances(
    submission: StudentSubmission, deadline: datetime | None = None
) -> tuple[str, ...]:
    """Remarks that do not depend on the result: late, more than once, unknown student."""
    words = [lateness(submission, deadline)]
    if submission.replaced:
        others = several([entry.source for entry in submission.replaced])
        words.append(f"handed in more than once: {submission.entry.source} counts, not {others}")
    if not submission.known:
        words.append("not on the roster")
    return tuple(word for word in words if word)


def remarks(
    graded: Sequence[GradedSubmission],
    deadline_of: Callable[[str, str], datetime | None] = lambda student, number: None,
    similar: Sequence[Pair] = (),
) -> dict[Key, tuple[str, ...]]:
    resembling: dict[Key, list[str]] = {}
    for pair in similar:
        for student in pair.students:
            resembling.setdefault((student, pair.assignment), []).append(pair.other(student))
    found = {}
    for one in graded:
        words = list(circumstances(one.submission, deadline_of(*one.key)))
        if one.key in resembling:
            words.append(f"similar to {several(sorted(resembling[one.key]))}: see similar.html")
        if one.faults:
            words.append(f"attempts that failed: {'; '.join(one.faults)}")
        if words:
            found[one.key] = tuple(words)
    return found
