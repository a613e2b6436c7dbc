"""The tables of grades that Canvas and Moodle export: read as rosters, given back with grades.

Canvas: "How do I export grades in the Gradebook?" and "How do I import grades in the Gradebook?".
Student (or LastName and FirstName), ID, SIS User ID, SIS Login ID and Section identify the student,
in every language. A column with a number in its name, "Homework 2 (99123)", is an assignment that
exists, any other name makes one. Lines without an ID are not a student's.
Moodle: "Offline grading worksheet" and "Assignment settings"; its columns are in the language of
who downloads it, see `moodle_columns.toml`. A worksheet is of one assignment; "Participant 4711"
has the number of the folder of a download.
In both a cell without a number leaves the grade there as it is. What a platform wrote goes back to
it unchanged, without the apostrophes of `grader.reports.gradebook`: it compares.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from grader.adapters import ASSIGNMENTS
from grader.core.csv_rows import read_rows
from grader.core.tables import parse_toml
from grader.core.text import one_line
from grader.reports.course_rules import Grade
from grader.reports.gradebook import CANVAS_COLUMNS, as_csv
from grader.reports.scorecard import points
from kws.errors import UsageError, did_you_mean

CANVAS_ID, MOODLE_ID = "sis login id", "identifier"  # columns that no other table has
KEPT = {*map(str.lower, CANVAS_COLUMNS), "firstname", "integration id", "root account"}
LANGUAGES = Path(__file__).with_name("moodle_columns.toml")
CHANGED, NO, EXCUSED = "last modified (grade)", ("no", "nein", "non", "否"), "EX"
POSSIBLE = "points possible"
Grades = Mapping[str, Mapping[str, Grade]]  # student's id in small letters -> assignment


def columns_of(titles: Sequence[str]) -> list[str]:
    """Names of columns in small letters, those of a worksheet of Moodle in English."""
    head = [one_line(cell).strip().lower() for cell in titles]
    head = ["student" if name == "lastname" else name for name in head]
    for names in parse_toml(LANGUAGES.read_text(encoding="utf-8"), LANGUAGES).values():
        if any(names.get(name) == CHANGED for name in head):
            return [names.get(name, name) for name in head]
    return head


def identify(head: Sequence[str], cells: Mapping[str, str]) -> tuple[str, str, tuple[str, ...]]:
    """Id, name and further keys of a line; an empty id for one that is not a student's."""
    if CANVAS_ID in head:
        number, *names = (cells.get(key, "") for key in ("id", "sis user id", CANVAS_ID))
        keys = [*reversed(names), number]
        name = ", ".join(filter(None, map(cells.get, ("student", "firstname"))))
        keys = keys if number else []
    else:
        number = re.search(r"\d*$", cells.get(MOODLE_ID, ""))
        names = [cells.get(key, "") for key in ("id number", "username", "email address")]
        names += [cell for cell in cells.values() if "@" in cell][:1]
        name = cells.get("full name", "")
        keys = [*names, number[0] if number else ""]
    keys = [key for key in keys if key]
    return (keys[0] if keys else ""), name, (*keys, *([name] if name and keys else []))


def canvas_columns(
    given: Sequence[str], number: str | None, table: "PlatformTable | None"
) -> dict[str, str]:
    """Assignment -> column, of `NN=NAME` or, with an assignment, `NAME`; UsageError for others."""
    found = {}
    for text in given:
        prefix, equals, name = text.partition("=")
        named = bool(equals) and prefix in ASSIGNMENTS
        if not named and number is None:
            raise UsageError(f"--canvas-column {text!r} names no assignment: give 02={text!r}")
        found[prefix if named else number or ""] = name if named else text
    for name in found.values():
        if table is None or not table.is_canvas or name not in table.titles:
            near = did_you_mean(name, table.titles) if table else ""
            raise UsageError(
                f"--canvas-column: the roster has no column {name!r}{near}: give --roster an "
                "export of Canvas's gradebook, and the column as its first line has it"
            )
    return found


def by_id(grades: Mapping[tuple[str, str], Grade]) -> dict[str, dict[str, Grade]]:
    found: dict[str, dict[str, Grade]] = {}
    for (student, number), grade in grades.items():
        found.setdefault(student.lower(), {})[number] = grade
    return found


class PlatformTable:
    def __init__(self, path: Path):
        rows = [row for _, row in read_rows(path)]
        self.path = path
        self.titles = rows[0] if rows else []
        self.head = columns_of(self.titles)
        self.rows = rows[1:]
        self.is_canvas, self.is_moodle = CANVAS_ID in self.head, MOODLE_ID in self.head
        self.is_known = self.is_canvas or self.is_moodle

    def fill(self, grades: Grades, columns: Mapping[str, str]) -> dict[str, bytes]:
        """The file to import, by its name; none if no column can be identified."""
        numbers = sorted({number: None for row in grades.values() for number in row})
        if self.is_canvas:
            return {"canvas.csv": self._fill_canvas(grades, columns, numbers)}
        if self.is_moodle and len(numbers) == 1:
            return {"moodle.csv": self._fill_moodle(grades, numbers[0])}
        return {}

    def _fill_canvas(
        self, grades: Grades, columns: Mapping[str, str], numbers: Sequence[str]
    ) -> bytes:
        kept = [at for at, name in enumerate(self.head) if name in KEPT]
        titles = {number: columns.get(number) or _title(grades, number) for number in numbers}
        table = [[self.titles[at] for at in kept] + list(titles.values())]
        for row in self.rows:
            cells = self._cells(row)
            there = dict(zip(self.titles, row, strict=False))
            student, _, _ = identify(self.head, cells)
            if student:
                own = grades.get(student.lower(), {})
                excused = {n for n in numbers if there.get(titles[n]) == EXCUSED}
                marks = [EXCUSED if n in excused else _score(own.get(n)) for n in numbers]
            elif POSSIBLE in cells.get("student", "").lower():
                marks = [there.get(titles[n]) or points(_most(grades, n)) for n in numbers]
            else:
                continue
            table.append([row[at] if at < len(row) else "" for at in kept] + marks)
        return as_csv(table, guard=False)

    def _fill_moodle(self, grades: Grades, number: str) -> bytes:
        table = [list(self.titles)]
        for row in self.rows:
            cells = self._cells(row)
            student, _, _ = identify(self.head, cells)
            grade = grades.get(student.lower(), {}).get(number)
            row = [*row, *[""] * (len(self.head) - len(row))]
            may_change = cells.get("grade can be changed", "").lower() not in NO
            if may_change and grade and not grade.is_open:
                comment = f"{points(grade.final)} of {points(grade.most)} points"
                comment += f", {grade.why}" if grade.why else ""
                for name, value in (("grade", _score(grade)), ("feedback comments", comment)):
                    if name in self.head:
                        row[self.head.index(name)] = value
            table.append(row)
        return as_csv(table, guard=False)

    def differing_points(self, grades: Grades, columns: Mapping[str, str]) -> list[str]:
        """A sentence for each column that is out of other points than the assignment is here."""
        possible = [row for row in self.rows if POSSIBLE in "".join(row[:1]).lower()]
        there = {
            number: dict(zip(self.titles, possible[0], strict=False)).get(name, "")
            for number, name in columns.items()
            if possible
        }
        if self.is_moodle and "maximum grade" in self.head:
            numbers = {number for row in grades.values() for number in row}
            most = {self._cells(row).get("maximum grade", "") for row in self.rows}
            there = dict.fromkeys(numbers, most.pop()) if len(most) == 1 else {}
        return [
            f"{number} is out of {points(_most(grades, number))} points, and of {value} in "
            f"{self.path.name}: make them equal there before you import"
            for number, value in sorted(there.items())
            if value
            and re.fullmatch(r"\d+([.,]\d+)?", value)
            and float(value.replace(",", ".")) != _most(grades, number)
        ]

    def _cells(self, row: Sequence[str]) -> dict[str, str]:
        return dict(zip(self.head, (one_line(cell).strip() for cell in row), strict=False))


def _score(grade: Grade | None) -> str:
    return "" if grade is None or grade.is_open else points(grade.final)


def _most(grades: Grades, number: str) -> float:
    return max((row[number].most for row in grades.values() if number in row), default=0.0)


def _title(grades: Grades, number: str) -> str:
    title = next(row[number].title for row in grades.values() if number in row)
    return f"{number} {title}"
