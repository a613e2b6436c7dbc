"""A student's page: points, facts, hints, where to read, pictures. Never a check's code or seed."""

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from grader.adapters import ASSIGNMENTS
from grader.core.outcomes import CheckResult, Report, Verdict
from grader.reports.course_rules import Grade
from grader.reports.html import contents, document, svg, text
from grader.reports.scorecard import (
    by_task,
    earned_of,
    points,
    public_facts,
    retrain_lines,
    task_name,
)

SENTENCES = {
    Verdict.GRADED: "",
    Verdict.REPAIRED: "Your files had to be repaired first. That costs no points.",
    Verdict.UNMARKED: "Your written answers are not marked yet. You lose no points by it.",
    Verdict.PERSON: "Some points are open until a person has reviewed them. You do not lose them.",
}
FEW = 2  # assignments that a title names
SECTION = re.compile(r"\bsection (\d+)\.(\d+)\b")


def page(
    reports: Sequence[Report],
    *,
    name: str = "",
    book: str = "",
    grades: Mapping[str, Grade] = MappingProxyType({}),
) -> bytes:
    """One page for one student, of one or more assignments.

    Args:
        name: of the student; without it the page has the id.
        book: address of the site that `make book` makes, which "Read: section 2.1" links to.
        grades: assignment -> what it is worth by the rules of the course, where there are some.
    """
    student = name or next((report.student for report in reports if report.student), "")
    names = [f"{report.assignment} {report.title}" for report in reports]
    whole = f"{len(names)} assignments" if len(names) > FEW else ", ".join(names)
    title = f"{student}: {whole}" if student else whole
    body = [f"<h1>{text(title or 'Nothing was graded')}</h1>"]
    pairs = zip(reports, names, strict=True)
    body += contents({one.assignment: (name, _total(one)) for one, name in pairs})
    for report in reports:
        body += _report(report, book, grades.get(report.assignment), alone=len(reports) == 1)
    return document(title or "Nothing was graded", "\n".join(body))


def no_page(student: str) -> bytes:
    sentence = "This page could not be made; a person will review it. Your points are kept."
    return document(student, f"<h1>{text(student)}</h1>\n<p>{text(sentence)}</p>")


def _report(report: Report, book: str, grade: Grade | None, *, alone: bool) -> list[str]:
    heading = text(f"{report.assignment} {report.title}")
    lines = [] if alone else [f'<h2 id="{text(report.assignment)}">{heading}</h2>']
    lines.append(f'<p class="score">{_total(report)}</p>')
    if grade:
        why = f" ({grade.why})" if grade.why else ""
        worth = f"{points(grade.final)} of {points(grade.most)} points{why}"
        lines.append(f"<p>By the rules of the course: {text(worth)}</p>")
    lines += [f"<p>{text(line.strip())}</p>" for line in retrain_lines(report)]
    if SENTENCES[report.verdict]:
        lines.append(f"<p>{text(SENTENCES[report.verdict])}</p>")
    if report.repairs:
        items = "".join(f"<li>{text(repair)}</li>" for repair in report.repairs)
        lines.append(f"<h3>What was repaired</h3>\n<ul>{items}</ul>")
    for task, checks in by_task(report.checks):
        earned = points(earned_of(checks))
        there = points(sum(check.points for check in checks))
        lines.append(f"<h3>{text(task_name(report, task))}: {earned} of {there} points</h3>")
        lines += [_check(check, book) for check in checks]
    return lines


def _total(report: Report) -> str:
    waiting = f", {points(report.open_points)} open" if report.open_points else ""
    return f"{points(report.score)} of {points(report.max_score)} points{waiting}"


def _check(check: CheckResult, book: str) -> str:
    kind = "good" if check.passed else "bad" if check.earned == 0 else "open"
    worth = f"{points(check.earned)} of {points(check.points)}"
    parts = [
        f'<section class="check {kind}">',
        f'<p class="points">{worth}</p>',
        f"<h4>{text(check.title)}</h4>",
    ]
    if check.reason is not None:
        parts.append(f'<p class="soft">{text(check.id)}: {text(_message(check))}</p>')
    if check.message:
        parts.append(f'<p class="fact">{text(check.message)}</p>')
    if check.hint:
        parts.append(f"<p><strong>Hint:</strong> {text(check.hint)}</p>")
    if check.concept and not check.passed and check.earned is not None:
        parts.append(f"<p><strong>Read:</strong> {_linked(check.concept, book)}</p>")
    facts = public_facts(check)
    if facts:
        rows = "".join(f"<dt>{text(k)}</dt><dd>{text(v)}</dd>" for k, v in facts.items())
        parts.append(f"<dl>{rows}</dl>")
    parts += [
        f"<figure>{svg(figure)}<figcaption>{text(figure.title)}</figcaption></figure>"
        for figure in check.figures
    ]
    return "\n".join([*parts, "</section>"])


def _message(check: CheckResult) -> str:
    assert check.reason is not None
    return "a person will review this" if check.earned is None else check.reason.value


def _linked(concept: str, book: str) -> str:
    section = SECTION.search(concept)
    assignment = ASSIGNMENTS.get(section[1].zfill(2)) if section else None
    if not book or section is None or assignment is None:
        return text(concept)
    address = (
        f"{book.rstrip('/')}/assignments/{assignment.stem}.html#section-{section[1]}-{section[2]}"
    )
    return f'<a href="{text(address)}">{text(concept)}</a>'
