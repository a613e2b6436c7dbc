"""A class as tables: points of every check, and the columns that Canvas imports.

Canvas: "How do I import grades in the Gradebook?", the layout of an exported gradebook, whose
second line has the points possible. An empty cell leaves the grade unchanged, so a submission that
needs a person has none yet.

Students choose folder names and comments, so wherever a spreadsheet could read a formula an
apostrophe is inserted: at the start of a cell and after a separator, since some programs split
quoted text at semicolons. Zero-width characters and the wide and small forms of the four signs
count too. Tabs and line breaks become blanks. `without_guard` removes the apostrophes.
"""

import csv
import io
import re
from collections.abc import Mapping, Sequence

from grader.core.outcomes import Report, Verdict
from grader.core.text import one_line
from grader.reports.course_rules import CourseRules, Grade
from grader.reports.scorecard import points

CANVAS_COLUMNS = ("Student", "ID", "SIS User ID", "SIS Login ID", "Section")
BEGINS = '[\\s\u00ad\u180e\u200b-\u200f\u2060-\u2064\ufeff"]*[=+\\-@'
BEGINS += "\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b\u2212]"
FORMULA = re.compile(f"(^|[;,|])(?={BEGINS})")
GUARDED = re.compile(f"(^|[;,|])'(?={BEGINS})")


def gradebook(
    reports: Sequence[Report],
    *,
    remarks: Mapping[tuple[str, str], Sequence[str]] | None = None,
    missing: Mapping[str, str] | None = None,
    names: Mapping[str, str] | None = None,
    unread: Mapping[str, str] | None = None,
    grades: Mapping[tuple[str, str], Grade] | None = None,
) -> bytes:
    """One line per report, one column per check; a missing or open check is an empty cell.

    The score of a report with open points is empty, not 0; the points so far have their own column.

    `remarks` on student and assignment ("late by 2 h") and `names`, student -> name, have a column
    each; `missing`, student -> name, and `unread`, student -> why nothing could be graded, a line
    without points each; `grades`, what the course's rules make of a report, five columns.
    """
    reports = sorted(reports, key=_key)
    named = {**(names or {}), **(missing or {})}
    checks: dict[str, None] = {}
    for report in reports:
        checks |= {f"{report.assignment} {check.id}": None for check in report.checks}
    fixed = ["student", "assignment", "score", "earned", "open", "max_score"]
    fixed += ["raw", "penalty", "final", "of", "why"] if grades else []
    fixed += ["verdict", "repairs", "isolation"]
    rows = [[*fixed, *checks]]
    extra = [["name"] if named else [], ["remarks"] if remarks or missing or unread else []]
    rows[0] += extra[0] + extra[1]
    for report in reports:
        earned = {f"{report.assignment} {check.id}": check.earned for check in report.checks}
        rows.append(
            [
                report.student,
                report.assignment,
                points(report.score) if not report.open_points else "",
                points(report.score),
                points(report.open_points),
                points(report.max_score),
                *(_by_rules(grades[_key(report)]) if grades else ()),
                report.verdict.value,
                str(len(report.repairs)),
                report.tier,
                *(points(earned[c]) if earned.get(c) is not None else "" for c in checks),
                *(named.get(report.student, "") for _ in extra[0]),
                *("; ".join((remarks or {}).get(_key(report), ())) for _ in extra[1]),
            ]
        )
    for student, name in sorted((missing or {}).items()):
        blank = [""] * (len(fixed) + len(checks) - 1)
        rows.append([student, *blank, *(name for _ in extra[0]), "handed in nothing"])
    for student, why in sorted((unread or {}).items()):
        blank = [""] * (len(fixed) + len(checks) - 1)
        blank[fixed.index("verdict") - 1] = Verdict.PERSON.value
        name = named.get(student, "")
        rows.append([student, *blank, *(name for _ in extra[0]), f"not graded: {why}"])
    return as_csv(rows)


def _by_rules(grade: Grade) -> list[str]:
    final = "" if grade.is_open else points(grade.final)
    return [points(grade.raw), points(grade.penalty), final, points(grade.most), grade.why]


def totals(
    rules: CourseRules,
    grades: Mapping[tuple[str, str], Grade],
    numbers: Sequence[str],
    names: Mapping[str, str],
) -> bytes:
    """One line per student: points per assignment, dropped assignments, total in percent.

    Args:
        numbers: the assignments that count; one that was not handed in counts 0.
        names: student -> name, of all who are in the course.
    """
    rows = [["student", "name", *numbers, "dropped", "total"]]
    for student in sorted({*names, *(student for student, _ in grades)}):
        own = {number: grade for (name, number), grade in grades.items() if name == student}
        counted = [number for number in numbers if number not in rules.excused.get(student, ())]
        share, dropped = rules.total(own, counted)
        is_open = not counted or any(own[number].is_open for number in counted if number in own)
        settled = {number: points(one.final) for number, one in own.items() if not one.is_open}
        cells = [settled.get(number, "") for number in numbers]
        total = "" if is_open else f"{100 * share:.1f}"
        rows.append([student, names.get(student, ""), *cells, " ".join(dropped), total])
    return as_csv(rows)


def canvas(
    grades: Mapping[tuple[str, str], Grade], names: Mapping[str, str] | None = None
) -> bytes:
    """One line per student, one column per assignment; Canvas matches them by login.

    With an export of Canvas's gradebook as the roster: `grader.batch.platforms`.
    """
    numbers = sorted({number for _, number in grades})
    of = {
        number: [grade for key, grade in grades.items() if key[1] == number] for number in numbers
    }
    rows = [[*CANVAS_COLUMNS, *(f"{number} {of[number][0].title}" for number in numbers)]]
    most = [points(max(grade.most for grade in of[number])) for number in numbers]
    rows.append(["    Points Possible", "", "", "", "", *most])
    for student in sorted({student for student, _ in grades}):
        own = [grades.get((student, number)) for number in numbers]
        cells = ["" if one is None or one.is_open else points(one.final) for one in own]
        rows.append([(names or {}).get(student, student), "", "", student, "", *cells])
    return as_csv(rows)


def _key(report: Report) -> tuple[str, str]:
    return report.student, report.assignment


def as_csv(rows: Sequence[Sequence[str]], *, guard: bool = True) -> bytes:
    """Rows as CSV, each word a `cell`; unchanged without `guard`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerows([[cell(word) if guard else word for word in row] for row in rows])
    return text.getvalue().encode()


def cell(word: str) -> str:
    """A word as a cell: one line, and no formula for a spreadsheet to run.

    >>> cell("=1+1"), cell("x;=1+1;"), cell("ada, -2")
    ("'=1+1", "x;'=1+1;", "ada,' -2")
    """
    return FORMULA.sub(r"\1'", one_line(word))


def without_guard(word: str) -> str:
    """The inverse of `cell`.

    >>> without_guard(cell("=1+1")), without_guard("'tis")
    ('=1+1', "'tis")
    """
    return GUARDED.sub(r"\1", word)
