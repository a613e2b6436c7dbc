"""`python -m grader requests`: answer regrade requests with the changes.

A student fills in the `regrade.toml` of the feedback. The staff collect these files in a folder,
fix faults, run `regrade`, and add `answer = "…"` to each request. FOLDER/answers/ID.html compares
the points when released with those now.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path

from grader.batch.output import RELEASED, Store
from grader.batch.regrade import Change, compare, describe_check
from grader.batch.roster import Key
from grader.batch.student_folders import REQUEST
from grader.core.outcomes import Report
from grader.core.tables import parse_toml
from grader.core.text import one_line
from grader.reports.html import document, text
from grader.reports.scorecard import points
from kws.errors import UsageError
from kws.files import write_bytes
from kws.settings import convert


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    task: str
    reason: str
    answer: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RequestFile:
    student: str
    request: tuple[Request, ...]


Answer = tuple[Request, Report, Change | None]


def answer_requests(folder: Path, graded: Path) -> Iterator[str]:
    """Write an answer for each student who asks; yield the lines to print: what changed.

    Raises:
        UsageError: no request there; after all others were answered, files that are not requests,
            or name a student or task that was not graded.
    """
    paths = sorted(folder.glob("*.toml"))
    if not paths:
        raise UsageError(f"{folder} has no requests: put the students' {REQUEST} files there")
    store = Store(graded)
    released = {(r.student, r.assignment): r for r in store.reports(RELEASED)}
    answers: dict[str, list[Answer]] = {}
    faults = []
    for path in paths:
        try:
            found = read_requests(path)
            rows = [_answer(path, found.student, one, store, released) for one in found.request]
        except UsageError as error:
            faults.append(str(error))
        else:
            answers.setdefault(found.student, []).extend(rows)
    waiting = 0
    for student, rows in answers.items():
        for request, report, change in rows:
            waiting += not request.answer
            yield one_line(f"{student} {request.task}: {request.reason}")
            yield from (f"  {one_line(e)}" for e in describe_request(request, report, change))
        write_bytes(folder / "answers" / f"{student}.html", _page(student, rows))
    if answers:
        yield f"requests: {sum(map(len, answers.values()))}, without an answer: {waiting}"
        yield f"written: {folder / 'answers'}"
    if faults:
        raise UsageError(f"not answered: {'; '.join(faults)}")


def _answer(
    path: Path, student: str, request: Request, store: Store, released: Mapping[Key, Report]
) -> Answer:
    now = store.whole([*store.of(student).values()])
    if not now:
        raise UsageError(f"{path}: no report of {student!r} in {store.out}: correct the name")
    report = next((r for r in now if _only(r, request.task).checks), None)
    if report is None:
        raise UsageError(
            f'{path}: {student} has no task {request.task!r}: write it as on the page, "2.4"'
        )
    before = released.get((report.student, report.assignment), report)
    return request, report, compare(_only(before, request.task), _only(report, request.task))


def read_requests(path: Path) -> RequestFile:
    """Read the requests of a student; UsageError names an unreadable file."""
    try:
        table = parse_toml(path.read_text(encoding="utf-8"), path)
    except (OSError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"{path} cannot be read ({error}): correct the file") from None
    found = convert(RequestFile, table, str(path))
    rows = tuple(one for one in found.request if one.task.strip() or one.reason.strip())
    if not rows or not all(one.task.strip() and one.reason.strip() for one in rows):
        raise UsageError(f"{path}: a request needs a task and a reason: fill in both")
    return dataclasses.replace(found, request=rows)


def describe_request(request: Request, report: Report, change: Change | None) -> list[str]:
    """Points before and now, check by check, and the staff's answer."""
    earned = points(_only(report, request.task).score)
    if change is None:
        lines = [f"points as before: {earned}"]
    else:
        lines = [f"points: {points(change.before)} → {points(change.after)}"]
        lines += [describe_check(old, new) for old, new in change.checks]
    return [*lines, f"answer: {request.answer}" if request.answer else "no answer yet"]


def _only(report: Report, task: str) -> Report:
    checks = tuple(check for check in report.checks if check.task == task)
    return dataclasses.replace(report, checks=checks)


def _page(student: str, rows: list[Answer]) -> bytes:
    title = f"{student}: your requests"
    body = [f"<h1>{text(title)}</h1>"]
    for request, report, change in rows:
        body.append(f"<h2>{text(request.task)}</h2>\n<p>You wrote: {text(request.reason)}</p>")
        body += [f"<p>{text(line)}</p>" for line in describe_request(request, report, change)]
    return document(title, "\n".join(body))
