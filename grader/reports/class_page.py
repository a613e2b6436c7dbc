"""A class on one page, for the staff: points, students by tasks, checks, who is waiting.

"Quick look" before grades go out: a check that nobody earns is more often our mistake than theirs.
"""

import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from urllib.parse import quote

from grader.core.outcomes import CheckResult, Figure, Report, Verdict
from grader.reports.figures import svg
from grader.reports.html import document, text
from grader.reports.item_analysis import FEWEST, item_statistics
from grader.reports.scorecard import points

BINS = 10


def class_page(
    reports: Sequence[Report],
    title: str = "Class",
    *,
    unread: Mapping[str, str] | None = None,
    missing: Mapping[str, str] | None = None,
    same: Mapping[tuple[str, str], Sequence[str]] | None = None,
) -> bytes:
    """One page of all reports, by assignment.

    Args:
        unread: student -> why nothing that was handed in could be graded.
        missing: student -> name, of those who handed in nothing.
        same: (student, assignment) -> others with the same code.
    """
    groups: dict[str, list[Report]] = {}
    for report in sorted(reports, key=lambda report: (report.assignment, report.student)):
        groups.setdefault(report.assignment, []).append(report)
    body = [f"<h1>{text(title)}</h1>"]
    if not groups:
        body.append("<p>Nothing was graded.</p>")
    for group in groups.values():
        number = group[0].assignment
        alike = (same or {}).items()
        body += _assignment(group, {who: with_whom for (who, n), with_whom in alike if n == number})
    body += _people("Not graded: a person is needed", unread or {})
    body += _people("Handed in nothing", missing or {})
    return document(title, "\n".join(body))


def histogram(reports: Sequence[Report], bins: int = BINS) -> Figure:
    """How many submissions earned which share of the points; the last bin holds 100 % too."""
    counts = [0] * bins
    for report in reports:
        share = report.score / report.max_score if report.max_score else 0.0
        counts[min(int(share * bins + 1e-9), bins - 1)] += 1
    labels = [f"{100 * i // bins}–{100 * (i + 1) // bins}" for i in range(bins)]
    axes = {"x_label": "share of the points (%)", "y_label": "submissions"}
    data = {"labels": labels, "counts": counts, **axes}
    return Figure(
        kind="bars", title=f"Points of {len(reports)} submissions, open ones left out", data=data
    )


def _assignment(reports: Sequence[Report], same: Mapping[str, Sequence[str]]) -> list[str]:
    first = reports[0]
    settled = [report for report in reports if report.verdict is not Verdict.PERSON]
    verdicts = Counter(report.verdict for report in reports)
    counted = ", ".join(f"{verdicts[one]} {one.value}" for one in Verdict if verdicts[one])
    tiers = ", ".join(sorted({report.tier for report in reports}))
    lines = [
        f"<h2>{text(f'{first.assignment} {first.title}')}</h2>",
        f"<p>{len(reports)} submissions: {text(counted)}. {text(_average(settled))}"
        f" Isolation: {text(tiers)}.</p>",
    ]
    if settled:
        figure = histogram(settled)
        caption = f"<figcaption>{text(figure.title)}</figcaption>"
        lines.append(f"<figure>{svg(figure)}{caption}</figure>")
    lines += ["<h3>Students</h3>", _heat_map(reports), "<h3>Checks</h3>", _checks(reports)]
    lines += _listed("Waiting for a person", [_waiting(r) for r in reports if r not in settled])
    shared = {report.student: same.get(report.student, ()) for report in reports}
    lines += _listed(
        "The same code",
        [text(f"{one} and {', '.join(others)}") for one, others in shared.items() if others],
    )
    return lines


def _average(reports: Sequence[Report]) -> str:
    """Mean and median of the reports without open points."""
    if not reports:
        return "No score is settled yet."
    scores = [report.score for report in reports]
    most = points(max(report.max_score for report in reports))
    mean, middle = points(statistics.mean(scores)), points(statistics.median(scores))
    return f"Mean {mean}, median {middle} of {most} points (n = {len(scores)})."


def _heat_map(reports: Sequence[Report]) -> str:
    """Students by points, tasks across; darker is more, and every cell has its number."""
    tasks = list(dict.fromkeys(check.task for report in reports for check in report.checks))
    rows = []
    for report in sorted(reports, key=lambda one: (-one.score, one.student)):
        cells = [_heat([c for c in report.checks if c.task == task]) for task in tasks]
        total = points(report.score) + (" + open" if report.verdict is Verdict.PERSON else "")
        rows.append(
            f'<tr><th scope="row">{_link(report.student)}</th>'
            f'<td class="number">{total}</td>{"".join(cells)}</tr>'
        )
    heads = "".join(f'<th scope="col" class="number">{text(task)}</th>' for task in tasks)
    head = f'<tr><th scope="col">student</th><th scope="col" class="number">points</th>{heads}</tr>'
    return _table(head, rows)


def _heat(checks: Sequence[CheckResult]) -> str:
    """One cell: earned points on a background of five steps; open ones have a sign of their own."""
    if not checks:
        return "<td></td>"
    if any(check.earned is None for check in checks):
        return '<td class="number heat-open" title="waiting for a person">open</td>'
    earned = sum(check.earned or 0.0 for check in checks)
    share = earned / sum(check.points for check in checks)
    return f'<td class="number heat-{math.floor(4 * share)}">{points(earned)}</td>'


def _link(student: str) -> str:
    """A student, linked to the page that lies in `pages/` beside this one."""
    if not student:
        return "no id"
    return f'<a href="pages/{quote(student, errors="replace")}.html">{text(student)}</a>'


def _checks(reports: Sequence[Report]) -> str:
    """Checks, the ones that cost most points first, with the question that was asked most often."""
    results: dict[str, list[CheckResult]] = {}
    for report in reports:
        for check in report.checks:
            results.setdefault(check.id, []).append(check)
    found = sorted(
        item_statistics(reports), key=lambda one: 1 if one.difficulty is None else one.difficulty
    )
    rows = []
    for one in found:
        checks = results[one.check]
        said = Counter(c.hint or c.message for c in checks if not c.passed and c.message)
        often = min(said, key=lambda words: (-said[words], words)) if said else ""
        numbers = (
            f"{sum(check.passed for check in checks)} of {len(checks)}",
            "–" if one.difficulty is None else f"{one.difficulty:.2f}",
            "–" if one.discrimination is None else f"{one.discrimination:+.2f}",
        )
        cells = "".join(f'<td class="number">{text(number)}</td>' for number in numbers)
        shown = f"{said[often]} × {often}" if often else ""
        rows.append(f'<tr><th scope="row">{text(one.check)}</th>{cells}<td>{text(shown)}</td></tr>')
    heads = "".join(
        f'<th scope="col" class="number">{name}</th>'
        for name in ("all points", "difficulty", "discrimination")
    )
    head = f'<tr><th scope="col">check</th>{heads}<th scope="col">asked most often</th></tr>'
    legend = (
        '<p class="soft">Difficulty: mean share of the points. Discrimination: its correlation '
        f"with the points on the other checks, from n = {FEWEST} on; below zero, look at the "
        "check first.</p>"
    )
    return _table(head, rows) + legend


def _table(head: str, rows: Sequence[str]) -> str:
    body = "\n".join(rows)
    return f'<div class="wide"><table>\n<thead>{head}</thead>\n<tbody>{body}</tbody></table></div>'


def _listed(heading: str, lines: Sequence[str]) -> list[str]:
    """A list under a heading, its lines HTML already; nothing where there are none."""
    rows = "".join(f"<li>{line}</li>" for line in lines)
    return [f"<h3>{heading}</h3>\n<ul>{rows}</ul>"] if rows else []


def _people(heading: str, said: Mapping[str, str]) -> list[str]:
    """A list of students and what is said of each; nothing for nobody."""
    told = [f"{student}: {word}" if word else student for student, word in sorted(said.items())]
    rows = "".join(f"<li>{text(line)}</li>" for line in told)
    return [f"<h2>{text(heading)}</h2>\n<ul>{rows}</ul>"] if rows else []


def _waiting(report: Report) -> str:
    checks = ", ".join(check.id for check in report.checks if check.earned is None)
    return f"{text(report.student or 'no id')}: {text(checks)}"
