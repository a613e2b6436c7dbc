"""`python -m grader feedback`: feedback for students, to upload to a platform.

    OUT/students/ID/feedback.html        the student's page
    OUT/students/ID/regrade.toml         regrade request, see `grader.batch.requests`
    OUT/canvas.zip                       "Re-upload submissions": Canvas finds by the numbers of the
                                         downloaded file's name whose a file is
    OUT/moodle.zip                       "Upload multiple feedback files in a zip": Moodle finds by
                                         the name of the downloaded folder
    OUT/canvas.csv or moodle.csv         grades to import

GRADED/released keeps what was released, for later regrade requests.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from pathlib import Path

from grader.batch.handins import CANVAS, MOODLE
from grader.batch.output import RELEASED, Store
from grader.batch.roster import read_deadline
from kws.errors import UsageError
from kws.files import write_bytes, write_text, zip_bytes
from kws.settings import as_toml

PAGE, REQUEST = "feedback.html", "regrade.toml"
REQUEST_TEXT = Path(__file__).with_name("regrade_template.toml")


def release_feedback(graded: Path, out: Path, not_before: str | None = None) -> list[str]:
    """Write the folder of feedback; the lines to print.

    Raises:
        UsageError: there are no pages, or the date `not_before` (ISO, without an offset in this
            machine's time zone) has not come; nothing is written then.
    """
    if not_before:
        when = read_deadline(not_before, option="--not-before")
        if datetime.now(timezone.utc) < when:
            raise UsageError(
                f"feedback is released from {when.isoformat(' ', 'minutes')} on; nothing is "
                "written before: run the same command then"
            )
    store = Store(graded)
    pages = {path.stem: path.read_bytes() for path in sorted(graded.glob("pages/*.html"))}
    if not pages:
        raise UsageError(f"{graded} has no students' pages: name the folder that `grade` wrote")
    with store.locked():
        for student, data in pages.items():
            write_bytes(out / "students" / student / PAGE, data)
            named = f"student = {as_toml(student)}"
            text = REQUEST_TEXT.read_text(encoding="utf-8").replace('student = ""', named)
            write_text(out / "students" / student / REQUEST, text)
        written, outside = [out / "students"], []
        zips = {"canvas.zip": _for_canvas, "moodle.zip": _for_moodle}
        sources = store.about()["sources"]
        for name, choose in zips.items():
            named = choose(pages, sources)
            if named:
                files = {file: pages[student] for student, file in named.items()}
                write_bytes(out / name, zip_bytes(files))
                written.append(out / name)
                outside = sorted(pages.keys() - named.keys())
        for name in ("canvas.csv", "moodle.csv"):
            if (graded / name).is_file():
                write_bytes(out / name, (graded / name).read_bytes())
                written.append(out / name)
        for report in store.whole(store.reports()):
            if report.student in pages:
                store.keep_released(report)
    lines = [f"released: {len(pages)} students, {store.out / RELEASED} remembers with what points"]
    if outside:
        lines.append(f"in no zip, because they handed in nothing themselves: {', '.join(outside)}")
    return [*lines, *(f"written: {path}" for path in written)]


def _for_canvas(students: Iterable[str], sources: Mapping[str, str]) -> dict[str, str]:
    matches = {student: CANVAS.fullmatch(sources.get(student, "")) for student in students}
    return {student: f"{Path(match[0]).stem}.html" for student, match in matches.items() if match}


def _for_moodle(students: Iterable[str], sources: Mapping[str, str]) -> dict[str, str]:
    matches = {student: MOODLE.match(sources.get(student, "")) for student in students}
    return {
        student: f"{match['name']}_{match['user']}_assignsubmission_file_/{PAGE}"
        for student, match in matches.items()
        if match
    }
