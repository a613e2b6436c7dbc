"""The score card as lines of text: what `pytest grader/` prints."""

import textwrap
from collections import Counter
from collections.abc import Sequence

from grader.adapters import ASSIGNMENTS
from grader.core.outcomes import CheckResult, Report, Verdict

WIDTH = 96


def points(value: float | None) -> str:
    """Points as a person writes them; a dash while they are open.

    >>> points(3.0), points(2.5), points(1 / 3), points(None)
    ('3', '2.5', '0.33', '–')
    """
    return "–" if value is None else f"{round(value, 2):g}"


def check_lines(check: CheckResult) -> list[str]:
    """Points and title; unless all was earned also the fact, the hint and where to read."""
    lines = [f"{points(check.earned):>5}/{points(check.points):<4} {check.id}: {check.title}"]
    if check.message:
        lines += _indented(check.message)
    if check.hint:
        lines += _indented(f"hint: {check.hint}")
    if check.concept and not check.passed and check.earned is not None:
        lines += _indented(f"read: {check.concept}")
    return lines


def fact_lines(check: CheckResult) -> list[str]:
    """Measured values, one per line, except those for staff."""
    shown = public_facts(check)
    return [line for name, value in shown.items() for line in _indented(f"{name}: {value}")]


def public_facts(check: CheckResult) -> dict[str, object]:
    """The measured values for students: all but those called "staff: …"."""
    return {name: value for name, value in check.facts.items() if not name.startswith("staff")}


def closing_lines(report: Report) -> list[str]:
    """Score by task, what was repaired, the tier of isolation, and the verdict."""
    lines = [f"Score card: {report.title} (assignment {report.assignment})"]
    for task, checks in by_task(report.checks):
        there = sum(check.points for check in checks)
        lines.append(f"{points(earned_of(checks)):>5}/{points(there):<4} {task_name(report, task)}")
    lines.append(f"{points(report.score):>5}/{points(report.max_score):<4} in all")
    if report.open_points:
        lines.append(f"{points(report.open_points):>5} of them are open, for review by a person")
    lines += retrain_lines(report)
    lines += [f"repaired: {repair}" for repair in report.repairs]
    lines.append(f"isolation: {report.tier}")
    lines += [f"  without: {weakness}" for weakness in report.weaknesses]
    lines.append(f"verdict: {report.verdict.value}")
    return lines


def verdicts_in_words(reports: Sequence[Report]) -> str:
    counted = Counter(report.verdict for report in reports)
    each = [f"{counted[one]} {one.of(counted[one])}" for one in Verdict if counted[one]]
    return f"{len(reports)} submission{'s' * (len(reports) != 1)}: {', '.join(each)}"


def mean_in_words(reports: Sequence[Report]) -> str:
    """The mean of a class, open points neither earned nor lost.

    A check that is open for some counts with its mean over the others.
    """
    shares: dict[str, list[CheckResult]] = {}
    for report in reports:
        for check in report.checks:
            shares.setdefault(check.id, []).append(check)
    mean = most = waiting = 0.0
    for checks in shares.values():
        earned = [check.earned for check in checks if check.earned is not None]
        if earned:
            mean += sum(earned) / len(earned)
            most += max(check.points for check in checks)
        else:
            waiting += max(check.points for check in checks)
    if not most:
        return "no points are settled yet"
    rest = f", {points(waiting)} more are open" if waiting else ""
    return f"mean {points(mean)} of {points(most)} points{rest}"


def retrain_lines(report: Report) -> list[str]:
    """A note that `--retrain` has further points; empty if it has none."""
    more = report.retrain_points
    if not more:
        return []
    usual = points(report.max_score - more)
    return [f"  {points(more)} of them exist with --retrain only: without it there are {usual}"]


def earned_of(checks: Sequence[CheckResult]) -> float | None:
    earned = [check.earned for check in checks if check.earned is not None]
    return sum(earned) if earned else None


def task_name(report: Report, task: str) -> str:
    """ "2.1 A weighted average"; only the number if the course has no such task."""
    assignment = ASSIGNMENTS.get(report.assignment)
    titles = {one.id: one.title for one in assignment.tasks} if assignment else {}
    if task[-1:].isalpha():
        return f"{task} Written answer"
    return f"{task} {titles.get(task, '')}".rstrip()


def by_task(checks: Sequence[CheckResult]) -> list[tuple[str, list[CheckResult]]]:
    groups: dict[str, list[CheckResult]] = {}
    for check in checks:
        groups.setdefault(check.task, []).append(check)
    return list(groups.items())


def _indented(text: str) -> list[str]:
    indent = " " * 11
    return [
        line
        for part in text.splitlines()
        for line in textwrap.wrap(part, WIDTH, initial_indent=indent, subsequent_indent=indent)
    ]
