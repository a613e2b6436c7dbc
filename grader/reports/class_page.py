"""A class on one page, for the staff: distribution, checks by how many earned them, who is waiting.

"Quick look" before grades go out: a check that nobody earns is more often our mistake than theirs.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

from grader.core.outcomes import CheckResult, Figure, Report, Verdict
from grader.reports.figures import svg
from grader.reports.html import document, text
from grader.reports.scorecard import points

BINS = 10


def class_page(
    reports: Sequence[Report],
    title: str = "Class",
    *,
    unread: Mapping[str, str] | None = None,
    missing: Mapping[str, str] | None = None,
) -> bytes:
    """One page of all reports, by assignment.

    `unread` tells by student why nothing that was handed in could be graded, `missing` the names of
    those who handed in nothing.
    """
    groups: dict[str, list[Report]] = {}
    for report in sorted(reports, key=lambda report: (report.assignment, report.student)):
        groups.setdefault(report.assignment, []).append(report)
    body = [f"<h1>{text(title)}</h1>"]
    if not groups:
        body.append("<p>Nothing was graded.</p>")
    for group in groups.values():
        body += _assignment(group)
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
    return Figure(kind="bars", title=f"Points of {len(reports)} submissions", data=data)


def _assignment(reports: Sequence[Report]) -> list[str]:
    first = reports[0]
    scores = sorted(report.score for report in reports)
    verdicts = Counter(report.verdict for report in reports)
    counted = ", ".join(f"{verdicts[one]} {one.value}" for one in Verdict if verdicts[one])
    half = len(scores) // 2
    median = scores[half] if len(scores) % 2 else (scores[half - 1] + scores[half]) / 2
    most = points(max(report.max_score for report in reports))
    figure = histogram(reports)
    tiers = ", ".join(sorted({report.tier for report in reports}))
    lines = [
        f"<h2>{text(f'{first.assignment} {first.title}')}</h2>",
        f"<p>{len(reports)} submissions: {text(counted)}. Median {points(median)} of {most} points."
        f" Isolation: {text(tiers)}.</p>",
        f"<figure>{svg(figure)}<figcaption>{text(figure.title)}</figcaption></figure>",
        "<h3>Checks</h3>",
        _checks(reports),
    ]
    waiting = [report for report in reports if report.verdict is Verdict.PERSON]
    if waiting:
        rows = "".join(f"<li>{_waiting(report)}</li>" for report in waiting)
        lines.append(f"<h3>Waiting for a person</h3>\n<ul>{rows}</ul>")
    return lines


def _checks(reports: Sequence[Report]) -> str:
    results: dict[str, list[CheckResult]] = {}
    for report in reports:
        for check in report.checks:
            results.setdefault(check.id, []).append(check)
    rows = []
    for name, checks in results.items():
        full = sum(check.passed for check in checks)
        said = Counter(
            check.hint or check.message for check in checks if not check.passed and check.message
        )
        often = min(said, key=lambda words: (-said[words], words)) if said else ""
        shown = f"{said[often]} × {often}" if often else ""
        rows.append(
            f'<tr><td>{text(name)}</td><td class="number">{full} of {len(checks)}</td>'
            f"<td>{text(shown)}</td></tr>"
        )
    head = (
        '<tr><th scope="col">check</th><th scope="col" class="number">all points</th>'
        '<th scope="col">most frequent message</th></tr>'
    )
    body = "\n".join(rows)
    return f'<div class="wide"><table>\n<thead>{head}</thead>\n<tbody>{body}</tbody></table></div>'


def _people(heading: str, said: Mapping[str, str]) -> list[str]:
    """A list of students and what is said of each; nothing for nobody."""
    told = [f"{student}: {word}" if word else student for student, word in sorted(said.items())]
    rows = "".join(f"<li>{text(line)}</li>" for line in told)
    return [f"<h2>{text(heading)}</h2>\n<ul>{rows}</ul>"] if rows else []


def _waiting(report: Report) -> str:
    checks = ", ".join(check.id for check in report.checks if check.earned is None)
    return f"{text(report.student or 'no id')}: {text(checks)}"
