"""The output folder of a batch: reports, and the files made from them, deterministically.

OUT/reports/STUDENT/02.json   one report each, written as it ends: what a rerun goes on from
OUT/remarks.json              remarks for staff: late, twice, similar to another
OUT/class.json                other results of the last run: names, missing, similar pairs
OUT/answers/STUDENT/03.json   written answers
OUT/work/STUDENT/02.json      code and fingerprints of each task, to find similar hand-ins
OUT/marks.json                what a person gave for them: no run of the grader touches it
OUT/pages/STUDENT.html        for students
OUT/released/STUDENT/02.json  reports as students last got them
OUT/roster.csv                the table of grades of Canvas or Moodle that was the roster
OUT/course.toml               the rules of the term
OUT/gradebook.csv  class.html  similar.html
OUT/totals.csv                by those rules
OUT/leaderboard.html          for students, and the entries that it is made of in leaderboard.json
OUT/canvas.csv or moodle.csv  that table with grades, to import there
"""

import contextlib
import errno
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from grader.adapters import ASSIGNMENTS
from grader.authoring.build import written_questions
from grader.batch.platforms import PlatformTable, by_id
from grader.batch.roster import Key
from grader.core.outcomes import Report, Verdict
from grader.core.written import Mark, WrittenAnswer, with_written
from grader.reports import class_page, gradebook, page
from grader.reports.course_rules import CourseRules, Grade, read_rules
from grader.reports.leaderboard import (
    add_entries,
    as_table,
    leaderboard_page,
    measured_check,
    read_entries,
)
from grader.reports.similarity import Pair, reference_prints, similar_page, similar_pairs
from kws.errors import UsageError
from kws.files import hold_lock, write_bytes, write_text

RELEASED = "released"
BEFORE, MARKS, ABOUT, ROSTER = "before", "marks.json", "class.json", "roster.csv"
LEADERBOARD = "leaderboard.json"
RULES = "course.toml"
NAMED = ("missing", "names", "unread", "sources", "columns", "when")  # tables in ABOUT


class Store:
    """The folder `out`, made at the first write; `pageless`: who has no page, and why."""

    def __init__(self, out: Path):
        self.pageless: dict[str, str] = {}
        if out.exists() and not out.is_dir():
            raise UsageError(f"--out {out} is a file: give a folder")
        self.out = out

    def report_path(self, student: str, assignment: str) -> Path:
        return self.out / "reports" / student / f"{assignment}.json"

    def reports(self, folder: str = "reports") -> list[Report]:
        """All reports, by student and assignment, without unreadable ones."""
        paths = sorted((self.out / folder).glob("*/*.json"))
        return [report for path in paths if (report := self._read(path)) is not None]

    def of(self, student: str) -> dict[str, Report]:
        paths = sorted((self.out / "reports" / student).glob("*.json"))
        found = [report for path in paths if (report := self._read(path)) is not None]
        return {report.assignment: report for report in found}

    def _read(self, path: Path) -> Report | None:
        try:
            report = Report.from_json(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None  # cut off, or of another version of the grader: graded again
        place = (path.parent.name, f"{report.assignment}.json")
        return report if place == (report.student, path.name) else None

    def keep(self, text: str, *, remember: bool = False) -> Report:
        """Write a report's text to its place; `remember` the one that was there, if none is yet."""
        text = text.encode("utf-8", "replace").decode()  # a lone surrogate is replaced
        report = Report.from_json(text)
        path = self.report_path(report.student, report.assignment)
        older = self.out / BEFORE / path.parent.name / path.name
        if remember and path.is_file() and not older.exists():
            write_bytes(older, path.read_bytes())
        write_text(path, text)
        return report

    def remembered(self) -> dict[Key, Report]:
        return {(report.student, report.assignment): report for report in self.reports(BEFORE)}

    def forget(self) -> None:
        shutil.rmtree(self.out / BEFORE, ignore_errors=True)

    def current(self, student: str) -> dict[str, list[str]]:
        """For each report that may be kept, what must still be so: see `grader.batch.evaluator`."""
        return {
            number: [report.digest, report.checks_digest, report.seed_id, report.tier]
            for number, report in self.of(student).items()
            if report.verdict is not Verdict.PERSON  # another attempt may do better
        }

    def keep_released(self, report: Report) -> None:
        write_text(
            self.out / RELEASED / report.student / f"{report.assignment}.json", report.to_json()
        )

    def keep_answers(self, student: str, assignment: str, table: Mapping[str, Any]) -> None:
        """Write what `grader.batch.job` found below each question; nothing where none are asked."""
        if table:
            text = json.dumps(table, indent=1, ensure_ascii=False) + "\n"
            path = self.out / "answers" / student / f"{assignment}.json"
            _refresh(path, text.encode("utf-8", "replace"))

    def keep_work(self, student: str, assignment: str, table: Mapping[str, Any]) -> None:
        """Write what similar hand-ins are found by: see `grader.batch.job`."""
        data = json.dumps(table, ensure_ascii=False).encode("utf-8", "replace")
        _refresh(self.out / "work" / student / f"{assignment}.json", data)

    def similar(self) -> list[Pair]:
        found = []
        for number in ASSIGNMENTS:
            paths = sorted(self.out.glob(f"work/*/{number}.json"))
            if paths:
                work = {path.parent.name: _table(path) for path in paths}
                found += similar_pairs(number, work, reference_prints(number))
        return found

    def _source(self, student: str, assignment: str, task: str) -> str:
        return _table(self.out / "work" / student / f"{assignment}.json")[task]["source"]

    def answers(self, student: str, assignment: str) -> dict[str, WrittenAnswer]:
        table = _table(self.out / "answers" / student / f"{assignment}.json")
        try:
            return {question: WrittenAnswer.from_json(row) for question, row in table.items()}
        except (KeyError, TypeError):
            return {}

    def answered(self, assignment: str) -> list[str]:
        """Students whose answers to the questions of an assignment have been read, sorted."""
        return sorted(path.parent.name for path in self.out.glob(f"answers/*/{assignment}.json"))

    def marks(self) -> dict[str, dict[str, Mark]]:
        """Student -> question -> mark. UsageError if the file is damaged: no mark gets lost."""

        def parse(table: Mapping[str, Any]) -> dict[str, dict[str, Mark]]:
            return {
                student: {question: Mark(**mark) for question, mark in row.items()}
                for student, row in table.items()
            }

        return _read_kept(self.out / MARKS, parse, "and read the CSV with the marks again")

    def keep_marks(self, marks: Mapping[str, Mapping[str, Mark]]) -> None:
        table = {
            student: {question: asdict(mark) for question, mark in sorted(row.items())}
            for student, row in sorted(marks.items())
        }
        write_text(self.out / MARKS, json.dumps(table, indent=1, ensure_ascii=False) + "\n")

    def whole(self, reports: Sequence[Report]) -> list[Report]:
        """The reports with a check for each written question, marked or open."""
        marks = self.marks()
        return [
            with_written(
                report,
                written_questions(report.assignment),
                self.answers(report.student, report.assignment),
                marks.get(report.student, {}),
            )
            if report.assignment in ASSIGNMENTS
            else report
            for report in reports
        ]

    def keep_roster(self, path: Path) -> None:
        """Keep a table of grades, so that each later run can fill it; another roster ends that."""
        if PlatformTable(path).is_known:
            write_bytes(self.out / ROSTER, path.read_bytes())
        else:
            (self.out / ROSTER).unlink(missing_ok=True)

    def roster(self) -> PlatformTable | None:
        path = self.out / ROSTER
        return PlatformTable(path) if path.is_file() else None

    def keep_rules(self, path: Path) -> None:
        write_bytes(self.out / RULES, path.read_bytes())

    def rules(self) -> CourseRules | None:
        path = self.out / RULES
        return read_rules(path) if path.is_file() else None

    def write_leaderboard(self) -> list[str]:
        """Add the entries of the reports to those before, and write the page; the lines to print.

        Raises:
            UsageError: no report has a measured share, or the file of entries is damaged.
        """
        path, reports = self.out / LEADERBOARD, self.reports()
        board = (self.rules() or CourseRules()).leaderboard
        if not any(measured_check(report) for report in reports):
            raise UsageError(f"{self.out} has no measured accuracies: grade trained models first")
        with self.locked():
            entries = _read_kept(path, read_entries, "to start without entries")
            refused = add_entries(entries, reports, board.entries)
            write_text(path, json.dumps(as_table(entries), indent=1, ensure_ascii=False) + "\n")
            titles = {report.assignment: report.title for report in reports}
            page = leaderboard_page(entries, titles, board.names, board.entries)
            write_bytes(self.out / "leaderboard.html", page)
        late = f"; {refused} measured after their {board.entries} entries" if refused else ""
        students = {student for each in entries.values() for student in each}
        return [f"students: {len(students)}{late}", f"written: {self.out / 'leaderboard.html'}"]

    def grades(
        self, reports: Sequence[Report], when: Mapping[str, Mapping[str, str]]
    ) -> dict[Key, Grade]:
        """What the reports are worth by the rules of the course; without rules, what they earned.

        Args:
            when: student -> assignment -> ISO date of handing in.
        """
        rules, found = self.rules(), {}
        for report in reports:
            date = when.get(report.student, {}).get(report.assignment)
            handed_in = datetime.fromisoformat(date) if date else None
            key = (report.student, report.assignment)
            found[key] = rules.grade(report, handed_in) if rules else Grade.of(report)
        return found

    def remarks(self) -> dict[Key, tuple[str, ...]]:
        found = _pairs(_table(self.out / "remarks.json"))
        return {key: tuple(map(str, words)) for key, words in found if isinstance(words, list)}

    def about(self) -> dict[str, Any]:
        """Further results of the last run: arguments of `finish`."""
        table = _table(self.out / ABOUT)
        return {
            "remarks": self.remarks(),
            **{name: table.get(name) or {} for name in NAMED},
            "similar": [Pair(**one) for one in table.get("similar") or ()],
            "book": str(table.get("book") or ""),
        }

    def finish(
        self,
        remarks: Mapping[Key, Sequence[str]] = {},
        missing: Mapping[str, str] = {},
        names: Mapping[str, str] = {},
        unread: Mapping[str, str] = {},
        sources: Mapping[str, str] = {},
        columns: Mapping[str, str] = {},
        when: Mapping[str, Mapping[str, str]] = {},
        similar: Sequence[Pair] = (),
        book: str = "",
    ) -> list[Path]:
        """Write everything that is made of the reports; returns the files for the staff.

        `remarks`, `missing`, `names` and `unread` are those of `gradebook`. `sources`: student ->
        name of what was handed in, as a download has it. `columns`: assignment -> column of Canvas
        with its grades. `when`: student -> assignment -> ISO date. `book`: address of the site.
        """
        reports = self.whole(self.reports())
        self.pageless = {}
        rules, grades = self.rules(), self.grades(reports, when)
        files = {
            "gradebook.csv": gradebook.gradebook(
                reports,
                remarks=remarks,
                missing=missing,
                names=names,
                unread=unread,
                grades=grades if rules else None,
            ),
            "class.html": class_page.class_page(
                reports, unread=unread, missing=missing, similar=similar, names=names
            ),
        }
        files["similar.html"] = similar_page(similar, self._source)
        if rules:
            numbers = sorted({number for _, number in grades})
            files["totals.csv"] = gradebook.totals(rules, grades, numbers, {**names, **missing})
        table = self.roster()
        files |= table.fill(by_id(grades), columns) if table else {}
        if table is None:
            files["canvas.csv"] = gradebook.canvas(grades, names)
        about = {"missing": missing, "names": names, "unread": unread, "book": book}
        about |= {"sources": sources, "columns": columns, "when": when}
        about |= {"similar": [asdict(pair) for pair in similar]}
        for name, table in (("remarks.json", _nested(remarks)), (ABOUT, about)):
            text = json.dumps(table, indent=1, ensure_ascii=False) + "\n"
            write_bytes(self.out / name, text.encode("utf-8", "replace"))
        for student in sorted({report.student for report in reports}):
            own = [report for report in reports if report.student == student]
            by_rules = {r.assignment: grades[student, r.assignment] for r in own} if rules else {}
            self._page(student, own, names.get(student, ""), book, by_rules)
        for name, data in files.items():
            _refresh(self.out / name, data)
        return [self.out / name for name in files]

    def _page(
        self,
        student: str,
        reports: Sequence[Report],
        name: str,
        book: str,
        grades: Mapping[str, Grade],
    ) -> None:
        try:
            data = page.page(reports, name=name, book=book, grades=grades)
        except Exception as error:
            self.pageless[student] = type(error).__name__
            data = page.no_page(student)
        try:
            _refresh(self.out / "pages" / f"{student}.html", data)
        except OSError as error:
            if error.errno not in (errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL):
                raise  # a full disk is not this student's fault
            self.pageless[student] = error.strerror or type(error).__name__

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        self.out.mkdir(parents=True, exist_ok=True)
        (self.out / ".lock").touch()
        with hold_lock(self.out / ".lock") as held:
            if held is False:
                raise UsageError(
                    f"another run is writing {self.out}: wait for it, or choose another --out"
                )
            yield


def _read_kept(path: Path, parse: Callable[[Any], dict[str, Any]], instead: str) -> dict[str, Any]:
    """What only this file knows, {} without it; UsageError for a damaged one, which stays."""
    try:
        return parse(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise UsageError(
            f"{path} cannot be read ({error}): take it from a backup, or remove it {instead}"
        ) from None


def _table(path: Path) -> dict[str, Any]:
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return table if isinstance(table, dict) else {}


def _nested(table: Mapping[Key, Any]) -> dict[str, dict[str, Any]]:
    nested: dict[str, dict[str, Any]] = {}
    for (student, number), value in sorted(table.items()):
        nested.setdefault(student, {})[number] = value
    return nested


def _pairs(nested: Mapping[str, Any]) -> Iterator[tuple[Key, Any]]:
    for student, row in nested.items():
        if isinstance(row, dict):
            yield from (((student, number), value) for number, value in row.items())


def _refresh(path: Path, data: bytes) -> None:
    if not (path.is_file() and path.stat().st_size == len(data) and path.read_bytes() == data):
        write_bytes(path, data)
