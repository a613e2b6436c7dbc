"""A page on a class for staff: points, students by tasks, missed checks, similar work.

See "Quick look" before grades go out: a check that no student earns is often a fault of the check.
Open points count as neither earned nor lost.
"""

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING
from urllib.parse import quote

from grader.core.outcomes import CheckResult, Figure, Reason, Report
from grader.reports.html import contents, document, svg, text
from grader.reports.item_analysis import EASY, FEWEST, HARD, WEAK, ItemStatistics, item_statistics
from grader.reports.scorecard import mean_in_words, points, verdicts_in_words
from grader.reports.similarity import Pair

if TYPE_CHECKING:
    from grader.reports.shared_mistakes import SharedMistake

BINS = 10
MOST_MISSED = 5  # checks
MOST_SIMILAR = 30  # pairs; similar.html has more
PROGRAMS = 6  # of a wrong answer, side by side


def class_page(
    reports: Sequence[Report],
    *,
    unread: Mapping[str, str] | None = None,
    missing: Mapping[str, str] | None = None,
    similar: Sequence[Pair] = (),
    names: Mapping[str, str] | None = None,
) -> bytes:
    """One page of all reports, by assignment.

    Args:
        unread: student -> why the submission could not be graded.
        missing: student -> name, of those who handed in nothing.
        similar: pairs of similar hand-ins.
        names: student -> name, to be found by it.
    """
    groups: dict[str, list[Report]] = {}
    for report in sorted(reports, key=lambda report: (report.assignment, report.student)):
        groups.setdefault(report.assignment, []).append(report)
    body = ["<h1>Class</h1>"]
    if not groups:
        body.append("<p>Nothing was graded.</p>")
    sections = {number: (_heading(group[0]), _in_short(group)) for number, group in groups.items()}
    body += contents(sections)
    for number, group in groups.items():
        pairs = [pair for pair in similar if pair.assignment == number]
        body += _assignment(group, pairs, names or {})
    body += _people("Not graded: a person is needed", unread or {})
    body += _people("Handed in nothing", missing or {})
    return document("Class", "\n".join(body), wide=True, script="class_page.js")


def histogram(reports: Sequence[Report]) -> Figure:
    """Submissions per bin of the share of settled points; the last bin includes 100 %."""
    counts = [0] * BINS
    for share in map(_share, reports):
        counts[min(int(share * BINS + 1e-9), BINS - 1)] += 1
    labels = [f"{100 * i // BINS}–{100 * (i + 1) // BINS}" for i in range(BINS)]
    axes = {"x_label": "share of the points (%)", "y_label": "submissions"}
    data = {"labels": labels, "counts": counts, **axes}
    return Figure(
        kind="bars", title=f"Points of {len(reports)} submissions, open points left out", data=data
    )


def _share(report: Report) -> float:
    return report.score / report.settled if report.settled else 0.0


def _assignment(
    reports: Sequence[Report], similar: Sequence[Pair], names: Mapping[str, str]
) -> list[str]:
    first = reports[0]
    settled = [report for report in reports if report.settled]
    tiers = ", ".join(sorted({report.tier for report in reports}))
    lines = [
        f'<h2 id="{text(first.assignment)}">{text(_heading(first))}</h2>',
        f"<p>{text(verdicts_in_words(reports))}. {text(_average(settled))}"
        f" Isolation: {text(tiers)}.</p>",
    ]
    statistics_ = item_statistics(reports)
    if settled:
        figure = histogram(settled)
        caption = f"<figcaption>{text(figure.title)}</figcaption>"
        lines.append(f"<figure>{svg(figure)}{caption}</figure>")
    lines += _listed("Waiting for a person", _waiting(reports))
    lines += ["<h3>Students</h3>", _heat_map(reports, names)]
    lines += _listed("Most missed", _missed(reports, statistics_))
    lines += _unasked(reports)
    lines += ["<h3>Checks</h3>", _checks(reports, statistics_)]
    return lines + _listed("Similar hand-ins", _similar(reports, similar))


def _heading(report: Report) -> str:
    return f"{report.assignment} {report.title}"


def _in_short(reports: Sequence[Report]) -> str:
    settled = [report for report in reports if report.settled]
    reached = mean_in_words(settled) if settled else "no points are settled yet"
    return f"{len(reports)} submission{'s' if len(reports) > 1 else ''}; {reached}"


def _average(reports: Sequence[Report]) -> str:
    if not reports:
        return "No points are settled yet."
    middle = 100 * statistics.median(map(_share, reports))
    return f"{mean_in_words(reports).capitalize()}; median {middle:.0f} % (n = {len(reports)})."


def _heat_map(reports: Sequence[Report], names: Mapping[str, str]) -> str:
    tasks = list(dict.fromkeys(check.task for report in reports for check in report.checks))
    rows = []
    for report in sorted(reports, key=lambda one: (-_share(one), one.student)):
        cells = [_heat([c for c in report.checks if c.task == task]) for task in tasks]
        total = points(report.score) + (" + open" if report.open_points else "")
        student = f"{_link(report.student)} {text(names.get(report.student, ''))}"
        rows.append(
            f'<tr><th scope="row">{student}</th>'
            f'<td class="number">{total}</td>{"".join(cells)}</tr>'
        )
    heads = "".join(f'<th scope="col" class="number">{text(task)}</th>' for task in tasks)
    head = f'<tr><th scope="col">student</th><th scope="col" class="number">points</th>{heads}</tr>'
    steps = ("under 25 %", "from 25 %", "from 50 %", "from 75 %", "all points")
    keys = "".join(f'<span class="heat-{at}">{name}</span>' for at, name in enumerate(steps))
    legend = (
        f'<p class="soft legend">Share of a task\'s points: {keys} open: a person is needed</p>'
    )
    return legend + _table(head, rows, "students")


def _heat(checks: Sequence[CheckResult]) -> str:
    if not checks:
        return "<td></td>"
    if any(check.earned is None for check in checks):
        return '<td class="number heat-open" title="waiting for a person">open</td>'
    earned = sum(check.earned or 0.0 for check in checks)
    share = earned / sum(check.points for check in checks)
    shade = f"number heat-{math.floor(4 * share + 1e-9)}"
    return f'<td class="{shade}" data-sort="{earned:g}">{points(earned)}</td>'


def _link(student: str) -> str:
    if not student:
        return "no id"
    return f'<a href="pages/{quote(student, errors="replace")}.html">{text(student)}</a>'


def _missed(reports: Sequence[Report], items: Sequence[ItemStatistics]) -> list[str]:
    hard = [one for one in items if one.difficulty is not None and one.difficulty < 1]
    hard.sort(key=lambda one: one.difficulty or 0.0)
    lines = []
    for one in hard[:MOST_MISSED]:
        checks = _results(reports, one.checks[0])
        missed = [check for check in checks if check.earned is not None and not check.passed]
        counts = Counter(_question_of(check) for check in missed)
        questions = "; ".join(
            f"{n} student{'s'[: n > 1]}: {words}"
            for words, n in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
        )
        lines.append(
            f"<strong>{text(', '.join(one.checks))}</strong> {text(checks[0].title)} "
            f"Missed by {len(missed)} of {one.n}. {text(questions)}"
        )
    return lines


def _question_of(check: CheckResult) -> str:
    if check.hint:
        return check.hint
    reason = check.reason
    if reason in (Reason.NOT_STARTED, Reason.NOT_RUN, Reason.MISSING):
        return str(reason.value) if reason else ""
    return f"no question: {check.message.partition(chr(10))[0]}"


def _results(reports: Sequence[Report], name: str) -> list[CheckResult]:
    return [check for report in reports for check in report.checks if check.id == name]


def _unasked(reports: Sequence[Report]) -> list[str]:
    if not any(check.code for report in reports for check in report.checks):
        return []
    from grader.reports.shared_mistakes import shared_mistakes  # imports torch

    found = shared_mistakes(reports)
    return ["<h3>Mistakes without a question</h3>", *map(_mistake, found)] if found else []


def _mistake(one: "SharedMistake") -> str:
    many = len(one.students)
    title = f"{many} students share a wrong answer in {one.task} that has no question yet"
    programs = [
        f'<div class="check"><p>{_links(students)}</p><pre>{text(code)}</pre></div>'
        for code, students in one.programs[:PROGRAMS]
    ]
    more = len(one.programs) - PROGRAMS
    rest = f"<p>… and {more} more programs.</p>" if more > 0 else ""
    command = f"python -m grader mistake add {one.task} --like STUDENT --question TEXT"
    return (
        f"<h4>{text(title)}</h4>\n"
        f"<p>{text(', '.join(one.checks))}: {text(one.message.partition(chr(10))[0])}</p>\n"
        f'<div class="side">{"".join(programs)}</div>{rest}\n'
        f'<p class="soft">Ask about it: <code>{text(command)}</code></p>'
    )


def _checks(reports: Sequence[Report], items: Sequence[ItemStatistics]) -> str:
    rows = []
    for one in sorted(items, key=lambda one: 1 if one.difficulty is None else one.difficulty):
        checks = _results(reports, one.checks[0])
        numbers = (
            f"{one.n}",
            f"{sum(check.passed for check in checks)}",
            "–" if one.difficulty is None else f"{one.difficulty:.2f}",
            "–" if one.discrimination is None else f"{one.discrimination:+.2f}",
        )
        cells = "".join(f'<td class="number">{text(number)}</td>' for number in numbers)
        names = "<br>".join(map(text, one.checks))
        together = ' <span class="soft">(one item)</span>' if len(one.checks) > 1 else ""
        cells += f'<td class="advice">{text(one.advice)}</td>'
        rows.append(f'<tr><th scope="row">{names}{together}</th>{cells}</tr>')
    heads = "".join(
        f'<th scope="col" class="number">{name}</th>'
        for name in ("n", "all points", "difficulty", "discrimination")
    )
    legend = (
        '<p class="soft">n: submissions in which it is not open. Difficulty: mean share of the '
        f"points; a check under {HARD:g} or over {EASY:g} is uninformative. "
        "Discrimination: the correlation of that share with the share earned on the other checks "
        f"(for all or nothing, the point-biserial), from n = {FEWEST} on; under {WEAK:g} a check "
        "is revised or dropped (Ebel and Frisbie), below zero by more than chance it is looked at "
        "first. One item: checks of a task that everybody passed or missed together; their points "
        "measure one thing.</p>"
    )
    head = f'<tr><th scope="col">check</th>{heads}<th scope="col">what to do</th></tr>'
    return _table(head, rows) + legend


def _similar(reports: Sequence[Report], pairs: Sequence[Pair]) -> list[str]:
    wrong = {
        (report.student, check.task)
        for report in reports
        for check in report.checks
        if check.earned is not None and not check.passed
    }
    lines = []
    for pair in pairs[:MOST_SIMILAR]:
        facts = [
            f"{task} (wrong)" if all((one, task) in wrong for one in pair.students) else task
            for task in pair.places
        ]
        where = f"{pair.share:.0%} of {', '.join(facts)}"
        lines.append(f'{_links(pair.students)}: <a href="similar.html">{text(where)}</a>')
    return lines


def _table(head: str, rows: Sequence[str], kind: str = "checks") -> str:
    body = "<tbody>" + "\n".join(rows) + "</tbody>"
    table = f'<table class="sortable {kind}">\n<thead>{head}</thead>\n{body}</table>'
    return f'<div class="wide rows">{table}</div>'


def _listed(heading: str, lines: Sequence[str]) -> list[str]:
    rows = "".join(f"<li>{line}</li>" for line in lines)
    return [f"<h3>{heading}</h3>\n<ul>{rows}</ul>"] if rows else []


def _people(heading: str, notes: Mapping[str, str]) -> list[str]:
    lines = [f"{student}: {word}" if word else student for student, word in sorted(notes.items())]
    rows = "".join(f"<li>{text(line)}</li>" for line in lines)
    return [f"<h2>{text(heading)}</h2>\n<ul>{rows}</ul>"] if rows else []


def _links(students: Iterable[str]) -> str:
    return ", ".join(map(_link, students))


def _waiting(reports: Sequence[Report]) -> list[str]:
    lines, unmarked = [], Counter[str]()
    for report in reports:
        waiting = [check for check in report.checks if check.earned is None]
        unmarked.update(check.task for check in waiting if check.reason is Reason.UNMARKED)
        checks = ", ".join(c.id for c in waiting if c.reason is not Reason.UNMARKED)
        if checks:
            lines.append(f"{_link(report.student)}: {text(checks)}")
    lines += [
        f"{text(task)}: {n} written answers to mark (<code>python -m grader written</code>)"
        for task, n in sorted(unmarked.items())
    ]
    return lines
