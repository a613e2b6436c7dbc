"""The folder that a batch writes: reports, and all that is made of them. Same reports, same bytes.

OUT/reports/STUDENT/02.json   one report each, written as it ends: what a rerun goes on from
OUT/remarks.json              what the staff should know: late, twice, the same as another
OUT/pages/STUDENT.html        for students
OUT/gradebook.csv  canvas.csv  class.html  junit.xml
"""

import contextlib
import errno
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from grader.batch.remarks import Key
from grader.core.outcomes import Report, Verdict
from grader.reports import class_page, gradebook, junit, page
from kws.errors import UsageError
from kws.files import locked, write_bytes, write_text

BEFORE = "before"


class Store:
    """The folder `out`. Made when something is written.

    `pageless` tells, after `finish`, whose page could not be made, and why.
    """

    def __init__(self, out: Path):
        self.pageless: dict[str, str] = {}
        if out.exists() and not out.is_dir():
            raise UsageError(f"--out {out} is a file: give a folder")
        self.out = out

    def report_path(self, student: str, assignment: str) -> Path:
        """Where a report lies."""
        return self.out / "reports" / student / f"{assignment}.json"

    def reports(self, folder: str = "reports") -> list[Report]:
        """All reports, by student and assignment; what does not read as one is left out."""
        paths = sorted((self.out / folder).glob("*/*.json"))
        return [report for path in paths if (report := self._read(path)) is not None]

    def of(self, student: str) -> dict[str, Report]:
        """Assignment -> report of one student."""
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
        text = text.encode("utf-8", "replace").decode()  # half a character stops nobody
        report = Report.from_json(text)
        path = self.report_path(report.student, report.assignment)
        older = self.out / BEFORE / path.parent.name / path.name
        if remember and path.is_file() and not older.exists():
            write_bytes(older, path.read_bytes())
        write_text(path, text)
        return report

    def remembered(self) -> dict[Key, Report]:
        """What reports were before a regrading that has not come to its end."""
        return {(report.student, report.assignment): report for report in self.reports(BEFORE)}

    def forget(self) -> None:
        """The regrading has come to its end."""
        shutil.rmtree(self.out / BEFORE, ignore_errors=True)

    def current(self, student: str) -> dict[str, list[str]]:
        """For each report that may be kept, what must still be so: see `grader.batch.evaluator`."""
        return {
            number: [report.digest, report.checks_digest, report.seed_id, report.tier]
            for number, report in self.of(student).items()
            if report.verdict is not Verdict.PERSON  # another attempt may do better
        }

    def remarks(self) -> dict[Key, tuple[str, ...]]:
        """What earlier runs remarked."""
        try:
            table = json.loads((self.out / "remarks.json").read_text(encoding="utf-8"))
            return {
                (student, number): tuple(map(str, said))
                for student, row in table.items()
                for number, said in row.items()
            }
        except (OSError, ValueError, AttributeError, TypeError):
            return {}

    def finish(
        self,
        remarks: Mapping[Key, Sequence[str]] = {},
        missing: Mapping[str, str] = {},
        names: Mapping[str, str] = {},
        unread: Mapping[str, str] = {},
        same: Mapping[Key, Sequence[str]] = {},
    ) -> list[Path]:
        """Write everything that is made of the reports; returns the files for the staff.

        Args:
            remarks: on student and assignment.
            missing: student -> name, of those who handed in nothing.
            names: student -> name, where one is known.
            unread: student -> why nothing of what was handed in could be graded.
            same: on student and assignment, others with the same code.
        """
        reports = self.reports()
        self.pageless = {}
        table: dict[str, dict[str, list[str]]] = {}
        for (student, number), said in sorted(remarks.items()):
            table.setdefault(student, {})[number] = list(said)
        text = json.dumps(table, indent=1, ensure_ascii=False) + "\n"
        files = {
            "gradebook.csv": gradebook.gradebook(
                reports, remarks=remarks, missing=missing, names=names, unread=unread
            ),
            "canvas.csv": gradebook.canvas(reports),
            "class.html": class_page.class_page(reports, unread=unread, missing=missing, same=same),
            "junit.xml": junit.suites(reports),
        }
        write_bytes(self.out / "remarks.json", text.encode("utf-8", "replace"))
        for student in sorted({report.student for report in reports}):
            self._page(student, [report for report in reports if report.student == student])
        for name, data in files.items():
            _refresh(self.out / name, data)
        return [self.out / name for name in files]

    def _page(self, student: str, reports: Sequence[Report]) -> None:
        """Write a student's page; where it cannot be made, one that says so."""
        try:
            data = page.page(reports)
        except Exception as error:
            self.pageless[student] = type(error).__name__
            data = page.no_page(student)
        try:
            _refresh(self.out / "pages" / f"{student}.html", data)
        except OSError as error:
            if error.errno not in (errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL):
                raise  # a full disk is everybody's
            self.pageless[student] = error.strerror or type(error).__name__

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder: UsageError while another run does."""
        self.out.mkdir(parents=True, exist_ok=True)
        (self.out / ".lock").touch()
        with locked(self.out / ".lock") as held:
            if held is False:
                raise UsageError(
                    f"another run is writing {self.out}: wait for it, or choose another --out"
                )
            yield


def _refresh(path: Path, data: bytes) -> None:
    """Write what has changed, and leave the date of what has not."""
    if not (path.is_file() and path.stat().st_size == len(data) and path.read_bytes() == data):
        write_bytes(path, data)
