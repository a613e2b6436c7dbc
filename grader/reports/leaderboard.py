"""Leaderboard: the share of hidden examples that each trained model gets right, with intervals.

The last check of an assignment that measured a share counts, except `--retrain`. Each measured
submission is an entry. Entries per student are limited, to prevent tuning on the hidden examples
(Blum and Hardt 2015, "The Ladder"); the best one is ranked. Another secret seed means other
examples, and a new board.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from grader.core.outcomes import CheckResult, Report
from grader.reports.html import contents, document, text

if TYPE_CHECKING:
    from kws.metrics import Proportion

ANONYMOUS = "anonymous"
CAUTION = """Two whose intervals overlap may be in this order by chance: the hidden examples are
some of many that could have been drawn."""


@dataclass(frozen=True, kw_only=True)
class LeaderboardEntry:
    """One measured submission: `digest` of its bytes; `correct` of `n` examples were right."""

    digest: str
    seed_id: str
    correct: int
    n: int

    @property
    def measured(self) -> "Proportion":
        from kws.metrics import Proportion  # with torch, without which the command line starts

        return Proportion(correct=self.correct, n=self.n)


# assignment -> student -> entries, the oldest first
Entries = dict[str, dict[str, list[LeaderboardEntry]]]


def measured_check(report: Report) -> CheckResult | None:
    """The check whose share of hidden examples is ranked; None if nothing was measured."""
    found = [check for check in report.checks if check.measured and not check.retrain]
    return found[-1] if found else None


def add_entries(entries: Entries, reports: Sequence[Report], most: int) -> int:
    """Add new entries, up to `most` per student; return how many were over the limit."""
    refused = 0
    for report in reports:
        check = measured_check(report)
        if check is None or check.measured is None:
            continue
        correct, n = check.measured
        entry = LeaderboardEntry(digest=report.digest, seed_id=report.seed_id, correct=correct, n=n)
        own = entries.setdefault(report.assignment, {}).setdefault(report.student, [])
        own[:] = [each for each in own if each.seed_id == entry.seed_id]
        if entry.digest in {each.digest for each in own}:
            continue
        if len(own) < most:
            own.append(entry)
        else:
            refused += 1
    return refused


def rank(
    entries: Mapping[str, Sequence[LeaderboardEntry]],
) -> list[tuple[int, str, LeaderboardEntry]]:
    """Rank, student and best entry, the best first; equal shares have the same rank."""
    best = {who: max(own, key=lambda entry: entry.measured.value) for who, own in entries.items()}
    order = sorted(best, key=lambda who: (-best[who].measured.value, who))
    values = [best[who].measured.value for who in order]
    return [(1 + values.index(best[who].measured.value), who, best[who]) for who in order]


def read_entries(table: Mapping[str, Mapping[str, Sequence[Mapping]]]) -> Entries:
    return {
        number: {who: [LeaderboardEntry(**each) for each in own] for who, own in students.items()}
        for number, students in table.items()
    }


def as_table(entries: Entries) -> dict[str, dict[str, list[dict]]]:
    return {
        number: {who: [asdict(each) for each in own] for who, own in sorted(students.items())}
        for number, students in sorted(entries.items())
    }


def leaderboard_page(
    entries: Entries, titles: Mapping[str, str], names: Mapping[str, str], most: int
) -> bytes:
    """The page for students; `names` are pseudonyms, where students chose one."""
    from kws.metrics import percent

    boards = {number: rank(students) for number, students in sorted(entries.items()) if students}
    title = "Leaderboard"
    body = [f"<h1>{title}</h1>", f'<p class="soft">{text(CAUTION)}</p>']
    body += contents(
        {f"a{n}": (titles.get(n, n), f"{len(rows)} students") for n, rows in boards.items()}
    )
    for number, rows in boards.items():
        body.append(f'<h2 id="a{number}">{text(titles.get(number, number))}</h2>')
        body.append('<div class="wide"><table><thead><tr>')
        body += ["<th>rank</th><th>name</th>"]
        heads = ("right", "95 % interval", "", "examples", f"entries of {most}")
        body += [f'<th class="number">{head}</th>' for head in heads]
        body += ["<th>0 to 100 %</th>"]
        body.append("</tr></thead><tbody>")
        first = rows[0][2].measured
        for at, (place, who, entry) in enumerate(rows):
            own = entry.measured
            overlaps = "=" if at and own.high >= first.low else ""
            cells = (
                f"{percent(own.value)} %",
                f"{percent(own.low)}–{percent(own.high)}",
                overlaps,
                str(own.n),
                str(len(entries[number][who])),
            )
            row = "".join(f'<td class="number">{cell}</td>' for cell in cells)
            name = f'<th scope="row">{text(names.get(who, ANONYMOUS))}</th>'
            body.append(f"<tr><td>{place}</td>{name}{row}<td>{_bar(own)}</td></tr>")
        body.append("</tbody></table></div>")
    body.append('<p class="soft">= overlaps with the interval of the first.</p>')
    return document(title, "\n".join(body), wide=True)


def _bar(measured: "Proportion") -> str:
    low, value, high = (100 * x for x in (measured.low, measured.value, measured.high))
    return (
        '<svg width="200" height="20" viewBox="0 0 100 10" aria-hidden="true">'
        f'<line class="line" x1="{low:.1f}" y1="5" x2="{high:.1f}" y2="5"/>'
        f'<circle class="dot" cx="{value:.1f}" cy="5" r="2"/></svg>'
    )
